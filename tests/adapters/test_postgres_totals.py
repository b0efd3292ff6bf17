"""Totals of whole lists: kept, not counted, and right whatever happens at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from clarin_core.domain.chats import Chat, ChatQuery
from clarin_core.domain.contacts import ContactDraft, ContactMerge, ContactQuery
from clarin_core.domain.ids import AccountId
from clarin_core.domain.leads import LeadQuery, LeadSort
from clarin_core.ports.views import Views
from clarin_core.testing.inbox import Inbox, inbox_of, somebody
from clarin_core.testing.purge import LONG_AGO
from clarin_core.testing.tenants import LATER, NOON, OnPurposeError, Tenant, draft, settle
from clarin_core.usecases.contacts import merge_contacts
from clarin_embedded import EmbeddedPostgres
from clarin_postgres import PostgresStorage, migrate
from clarin_postgres.migrations import steps
from support.administered import Admin, someone_waits, tell
from support.databases import drop_database, fresh_database
from support.totals import totals, wrong_totals

Look = Callable[[Views], Awaitable[Any]]
Change = Callable[[Tenant, Inbox], Awaitable[object]]

WHOLE: dict[str, Look] = {
    "leads": lambda views: views.leads(LeadQuery()),
    "leads on page two": lambda views: views.leads(LeadQuery(page=2, limit=1)),
    "updated leads": lambda views: views.leads(LeadQuery(sort=LeadSort.UPDATED)),
    "contacts": lambda views: views.contacts(ContactQuery()),
    "chats": lambda views: views.chats(ChatQuery()),
}
FILTERED: dict[str, Look] = {
    "deleted leads": lambda views: views.leads(LeadQuery(deleted=True)),
    "leads of a source": lambda views: views.leads(LeadQuery(source="csv")),
    "leads found": lambda views: views.leads(LeadQuery(search="luz")),
    "contacts with a phone": lambda views: views.contacts(ContactQuery(has_phone=True)),
    "archived chats": lambda views: views.chats(ChatQuery(archived=True)),
    "unread chats": lambda views: views.chats(ChatQuery(unread_only=True)),
    "chats found": lambda views: views.chats(ChatQuery(search="luz")),
}
SPOIL = "update account_stream set leads = 9, contacts = -1, chats = chats + 7"
ONE_MORE = (
    """insert into leads (account_id, name, status, custom_fields, created_at, updated_at, version,
        search)
    values ($1, 'Luz', 'new', '{}', now(), now(), 1, '')""",
    "update account_stream set leads = leads + 1 where account_id = $1",
)
OLD_ROWS = (
    """insert into accounts (name, slug, plan, max_devices, is_active, default_region, timezone,
        created_at, updated_at, version, search)
    select 'Luz', i::text, 'basic', 5, true, 'PE', 'America/Lima', now(), now(), 1, ''
    from generate_series(1, 3) i""",
    "insert into account_stream (account_id) select a.id from accounts a",
    """insert into contacts (account_id, name, is_group, do_not_contact, created_at, updated_at,
        version, deleted_at, search, name_key)
    select a.id, 'Ana', false, false, now(), now(), 1, case when i = 1 then now() end, '', ''
    from accounts a, generate_series(1, a.id) i""",
    """insert into leads (account_id, name, status, custom_fields, created_at, updated_at, version,
        deleted_at, search)
    select a.id, 'Luz', 'new', '{}', now(), now(), 1, case when i = 1 then now() end, ''
    from accounts a, generate_series(1, a.id + 1) i""",
    """insert into devices (account_id, name, status, is_wanted, created_at, updated_at, version)
    select a.id, 'Ventas', 'disconnected', false, now(), now(), 1 from accounts a""",
    """insert into chats (account_id, device_id, kind, value, unread_count, is_archived, is_pinned,
        created_at, updated_at, version, deleted_at, search)
    select d.account_id, d.id, 'phone_jid', i::text, 0, i = 1, false, now(), now(), 1,
        case when i = 2 then now() end, ''
    from devices d, generate_series(1, d.account_id + 1) i""",
)
"""Rows of a release that knew no totals: deleted and archived ones among them."""


async def purge(account: Tenant) -> None:
    """Take care of all accounts, as is done once a day; nothing is old enough to go."""
    at = LONG_AGO
    await account.storage.purge(
        deleted_before=at, events_before=at, answers_before=at, marks_before=at
    )


@pytest.mark.parametrize("guarded", [False, True])
def test_a_whole_list_is_not_counted(database: str, guarded: bool) -> None:
    """Its total is beside the log; by cursor there is none, and what is filtered is counted."""

    async def story() -> None:
        sent: list[str] = []
        async with PostgresStorage(
            database, clock=lambda: NOON, watch=sent.append, guarded_reads=guarded
        ) as storage:
            account = await settle(storage)
            await account.add_leads(draft(), draft())

            async def counts(look: Look, views: Views) -> bool:
                sent.clear()
                await look(views)
                return "count(" in sent[-1]

            assert [name for name in WHOLE if await counts(WHOLE[name], account.views)] == []
            counted = [name for name in FILTERED if await counts(FILTERED[name], account.views)]
            assert counted == list(FILTERED)
            async with account.begin() as tx:
                assert [name for name in WHOLE if await counts(WHOLE[name], tx.views)] == [*WHOLE]

    asyncio.run(story())


def test_a_transaction_sees_its_own_rows_in_the_total(database: str) -> None:
    """Before it ends, nothing of them is kept; undone, nothing ever is."""

    async def story(account: Tenant, admin: Admin) -> None:
        inbox = await inbox_of(account)

        async def write() -> None:
            async with account.begin() as tx:
                await tx.leads.add([draft()] * 3, at=NOON)
                await tx.contacts.claim([ContactDraft(name="Ana")] * 2, at=NOON)
                await tx.chats.claim([inbox.with_(somebody(1))], at=NOON)
                assert await totals(tx.views) == (3, 2, 1)
                assert await totals(account.views) == (0, 0, 0)
                raise OnPurposeError

        with pytest.raises(OnPurposeError):
            await write()
        assert await totals(account.views) == (0, 0, 0)

    tell(database, story)


async def delete_lead(account: Tenant, inbox: Inbox) -> None:
    lead = await account.add_lead()
    await account.delete_lead(lead.id)


async def restore_lead(account: Tenant, inbox: Inbox) -> None:
    lead = await account.add_lead()
    await account.delete_lead(lead.id)
    async with account.begin() as tx:
        stored = await tx.leads.get(lead.id, deleted=True)
        stored.restore(LATER)
        await tx.leads.save([stored])


async def change_lead(account: Tenant, inbox: Inbox) -> None:
    leads = await account.add_leads(draft(), draft())
    for lead in leads:
        lead.touch(LATER)
    await account.save_leads(*leads)


async def delete_twice_in_one(account: Tenant, inbox: Inbox) -> None:
    """Delete, restore, and delete again what the same transaction made."""
    async with account.begin() as tx:
        (lead,) = await tx.leads.add([draft()], at=NOON)
        for change in (lead.delete, lead.restore, lead.delete):
            change(LATER)
            await tx.leads.save([lead])


async def claim_known_contact(account: Tenant, inbox: Inbox) -> None:
    for _ in range(2):
        await account.add_contact(phone="+51987654321")


async def merge(account: Tenant, inbox: Inbox) -> None:
    one, *others = await account.add_contacts(*[ContactDraft(name="Ana")] * 4)
    merge = ContactMerge(keep_id=one.id, merge_ids=frozenset(other.id for other in others))
    async with account.begin() as tx:
        await merge_contacts(tx, merge, at=LATER)


async def archived(account: Tenant, inbox: Inbox) -> Chat:
    chat = await inbox.open_one()
    chat.alter({"is_archived": True}, at=LATER)
    await inbox.save(chat)
    return chat


async def archive_and_delete(account: Tenant, inbox: Inbox) -> None:
    await inbox.delete(await archived(account, inbox))


async def bring_back(account: Tenant, inbox: Inbox) -> None:
    chat = await inbox.delete(await archived(account, inbox))
    (message,) = await inbox.say(inbox.said(chat, sent_at=LATER))
    chat.take([message], at=LATER)
    await inbox.save(chat)


async def unite_with_archived(account: Tenant, inbox: Inbox) -> None:
    gone = await archived(account, inbox)
    survivor = await inbox.open_one(2)
    async with account.begin() as tx:
        await tx.chats.unite(survivor.id, gone.id)


async def unite(account: Tenant, inbox: Inbox) -> None:
    survivor, gone = await inbox.open(somebody(1), somebody(2))
    async with account.begin() as tx:
        await tx.chats.unite(survivor.id, gone.id)


CHANGES: dict[Change, tuple[int, int, int]] = {
    delete_lead: (0, 0, 0), restore_lead: (1, 0, 0), change_lead: (2, 0, 0),
    delete_twice_in_one: (0, 0, 0), claim_known_contact: (0, 1, 0), merge: (0, 1, 0),
    archived: (0, 0, 0), archive_and_delete: (0, 0, 0), bring_back: (0, 0, 1),
    unite: (0, 0, 1), unite_with_archived: (0, 0, 1),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_total_follows_what_happens(database: str, change: Change) -> None:
    """Also where a transaction tells of no event, and where one row goes to and fro."""

    async def story(account: Tenant, admin: Admin) -> None:
        await change(account, await inbox_of(account))
        assert await totals(account.views) == CHANGES[change]

    tell(database, story)


def test_two_that_end_at_once_both_count(database: str) -> None:
    """The one that waits for the other's end adds to what that one made of the total."""

    async def story(account: Tenant, admin: Admin) -> None:
        written = asyncio.Barrier(2)

        async def write(count: int) -> None:
            async with account.begin() as tx:
                await tx.leads.add([draft()] * count, at=NOON)
                await tx.contacts.claim([ContactDraft(name="Ana")] * count, at=NOON)
                await written.wait()

        await asyncio.gather(write(2), write(3))
        assert await totals(account.views) == (5, 5, 0)

    tell(database, story)


def test_a_page_and_its_total_are_of_one_moment(database: str) -> None:
    """However many write meanwhile: a page that holds all rows has as many as it says."""

    async def story(account: Tenant, admin: Admin) -> None:
        async def write(number: int) -> None:
            for _ in range(12):
                leads = await account.add_leads(*[draft()] * (1 + number % 3))
                await account.delete_lead(leads[0].id)

        writing = asyncio.gather(*map(write, range(4)))
        seen = set()
        while not writing.done():
            page = await account.views.leads(LeadQuery(limit=200))
            assert page.total == len(page.data)
            seen.add(page.total)
        await writing
        assert len(seen) > 1
        assert (await account.views.leads(LeadQuery())).total == 12 * (0 + 1 + 2 + 0)

    tell(database, story)


def test_a_purge_sets_wrong_totals_right(database: str) -> None:
    """Also those of an account in which somebody writes meanwhile; right ones stay as they are."""

    async def story(account: Tenant, admin: Admin) -> None:
        other = await account.stranger()
        await archived(account, await inbox_of(account))
        for one in (account, other):
            await one.add_leads(draft(), draft())
            await one.add_contact(name="Ana")
        await admin.execute(SPOIL)
        async with account.begin() as tx:
            await tx.leads.add([draft()], at=NOON)
            await purge(account)
        assert await totals(account.views) == (3, 1, 0)
        assert await totals(other.views) == (2, 1, 0)
        assert await wrong_totals(database) == []

    tell(database, story)


def test_a_purge_that_counts_waits_for_who_is_about_to_end(database: str) -> None:
    """Whose rows it does not see, and whose share of the total it does: then it looks anew."""

    async def story(account: Tenant, admin: Admin) -> None:
        await account.add_lead()
        await admin.execute(SPOIL)
        async with admin.transaction():
            await admin.execute(ONE_MORE[0], account.id)
            await admin.execute(ONE_MORE[1], account.id)
            purging = asyncio.create_task(purge(account))
            await someone_waits(admin)
        await purging
        assert await totals(account.views) == (2, 0, 0)

    tell(database, story)


def test_a_purge_of_right_totals_waits_for_nobody(database: str) -> None:
    """It looks at all accounts without a lock: whoever is about to end one is not in the way."""

    async def story(account: Tenant, admin: Admin) -> None:
        await account.add_lead()
        async with admin.transaction():
            await admin.execute("select from account_stream for update")
            await purge(account)

    tell(database, story)


def test_rows_of_before_are_counted_by_the_migration(postgres: EmbeddedPostgres) -> None:
    """By an owner, too, whom row-level security shows nothing."""

    async def story() -> None:
        address = await fresh_database(postgres.dsn)
        user, name = f"plain_{uuid4().hex}", address.partition("?")[0].rpartition("/")[2]
        roles = "clarin_service, clarin_reader, clarin_directory"
        connection = await asyncpg.connect(address)
        for text in (
            f"create role {user} login noinherit",
            f"alter database {name} owner to {user}",
            f"grant {roles} to {user}",
        ):
            await connection.execute(text)
        own = address.replace("//clarin@", f"//{user}@")
        await migrate(own, wanted=steps()[:10])
        for text in OLD_ROWS:
            await connection.execute(text)
        await connection.close()
        await migrate(own)
        async with PostgresStorage(address, clock=lambda: NOON) as storage:
            found = [await totals(storage.views(AccountId(number))) for number in (1, 2, 3)]
        assert found == [(1, 0, 0), (2, 1, 1), (3, 2, 2)]
        assert await wrong_totals(address) == []
        await drop_database(postgres.dsn, address)
        connection = await asyncpg.connect(postgres.dsn)
        await connection.execute(f"drop role {user}")
        await connection.close()

    asyncio.run(story())
