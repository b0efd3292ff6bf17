"""How PostgreSQL reads a large mirror: a page touches its own rows, however many there are.

One account mirrors 20,000 leads and contacts. Each statement is run as the storage sends it, with a
plan for any parameters, and what it touched is counted.
"""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from clarin_core.domain.ids import AccountId, ContactId, KommoId, LeadId
from clarin_core.domain.kommo import KommoLink
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.remote import RemoteKind
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.mirrors import add_link
from clarin_core.testing.tenants import NOON, settle
from clarin_postgres import PostgresStorage
from support.catalogue import look
from support.plans import Node, generic_plans, indexes, nodes, overheard, plan_of, touched
from support.totals import SET_TOTALS

ROWS, PAGE = 20_000, 250
FILL = (
    f"""insert into contacts (account_id, phone, name, is_group, do_not_contact, kommo_id,
        created_at, updated_at, version, search, name_key)
    select a.id, '+51900' || 100000 + i, 'Ana', false, false, i, now(), now(), 1, '', ''
    from accounts a, generate_series(1, {ROWS}) i""",
    f"""insert into leads (account_id, name, status, custom_fields, kommo_id, created_at,
        updated_at, version, search)
    select a.id, 'Luz', 'new', '{{}}', i, now(), now(), 1, ''
    from accounts a, generate_series(1, {ROWS}) i""",
    """insert into kommo_leads (account_id, kommo_id, lead_id, kommo_pipeline_id, contacts,
        updated_at, digest, said, is_gone)
    select l.account_id, l.kommo_id, l.id, 11, array[l.kommo_id], now(),
        decode(md5(l.id::text), 'hex'), '{}', l.kommo_id % 50 = 0 from leads l""",
    """insert into kommo_contacts (account_id, kommo_id, contact_id, phone, updated_at, digest,
        said, is_gone)
    select c.account_id, c.kommo_id, c.id, c.phone, now(), decode(md5(c.id::text), 'hex'), '{}',
        c.kommo_id % 50 = 0 from contacts c""",
)

Work = Callable[[Transaction], Awaitable[object]]
KOMMO_IDS = [KommoId(one) for one in range(7_000, 7_000 + PAGE)]
PHONES = [PhoneNumber(f"+51900{100_000 + one}") for one in KOMMO_IDS]


@pytest.fixture(scope="module")
def mirror(database: str) -> tuple[str, AccountId, KommoLink]:
    """Fill a mirror, beside that of another account."""

    async def settled() -> tuple[AccountId, KommoLink]:
        async with PostgresStorage(database, clock=lambda: NOON) as storage:
            await settle(storage)
            account = await settle(storage)
            return account.id, await add_link(account)

    async def fill(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        for text in FILL:
            await connection.execute(text)
        await connection.execute(SET_TOTALS)
        await connection.execute("vacuum analyze")

    account_id, link = asyncio.run(settled())
    look(database, fill)
    return database, account_id, link


LOOKS: dict[str, tuple[str, Work]] = {
    "leads": ("kommo_leads_pkey", lambda tx: tx.kommo.leads(KOMMO_IDS)),
    "leads with contacts": ("kommo_leads_with_contact", lambda tx: tx.kommo.leads_with(KOMMO_IDS)),
    "contacts": ("kommo_contacts_pkey", lambda tx: tx.kommo.contacts(KOMMO_IDS, PHONES)),
    "claims": ("kommo_contacts_by_phone", lambda tx: tx.kommo.contacts([], PHONES)),
    "people": ("kommo_contacts_pkey", lambda tx: tx.kommo.people(KOMMO_IDS)),
    "lead rows": (
        "leads_kommo", lambda tx: tx.leads.look_up([LeadId(1), LeadId(2)], KOMMO_IDS),
    ),
    "contact rows": (
        "contacts_any_phone", lambda tx: tx.contacts.look_up([ContactId(1)], PHONES),
    ),
    "between": (
        "kommo_leads_pkey",
        lambda tx: tx.kommo.between(RemoteKind.LEAD, KOMMO_IDS[0], KOMMO_IDS[-1]),
    ),
    "mirrored leads": ("kommo_leads_of_lead", lambda tx: tx.kommo.mirrored_leads([LeadId(7)])),
    "mirrored contacts": (
        "kommo_contacts_of_contact", lambda tx: tx.kommo.mirrored_contacts([ContactId(7)]),
    ),
    "bury": ("kommo_leads_pkey", lambda tx: tx.kommo.bury(RemoteKind.LEAD, KOMMO_IDS)),
    "repoint": (
        "kommo_contacts_of_contact", lambda tx: tx.kommo.repoint([ContactId(7)], ContactId(8)),
    ),
}  # fmt: skip
"""What a page asks for, each with the index that finds it."""


@pytest.mark.parametrize("name", LOOKS)
def test_a_page_of_a_large_mirror_touches_its_own_rows(
    mirror: tuple[str, AccountId, KommoLink], name: str
) -> None:
    """R28: found by an index, and no table is read through."""
    index, work = LOOKS[name]
    plan = asyncio.run(planned(mirror, work))
    assert index in indexes(plan)
    assert not [one for one in nodes(plan) if one["Node Type"] == "Seq Scan"]
    assert touched(plan) <= 12 * PAGE


def test_a_scan_of_a_large_mirror_is_seen(mirror: tuple[str, AccountId, KommoLink]) -> None:
    """The looks above can fail."""
    text = "select x.kommo_id from kommo_leads x where x.account_id = $1 and x.digest = 'x'"

    async def explain(connection: "asyncpg.Connection[asyncpg.Record]") -> Node:
        return await plan_of(connection, text, (mirror[1],))

    assert touched(look(mirror[0], explain)) >= ROWS


async def planned(mirror: tuple[str, AccountId, KommoLink], work: Work) -> Node:
    """Return the plan of the one statement that some work sends."""
    database, account_id, _ = mirror
    async with (
        PostgresStorage(database, clock=lambda: NOON) as storage,
        storage.begin(account_id) as tx,
    ):
        with overheard() as sent:
            await work(tx)
    (plan,) = await generic_plans(database, sent)
    return plan
