"""How PostgreSQL finds what a list shows: by an index that begins with the account, unsorted.

Plans are those for parameters of any value, over several thousand rows with real statistics.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import asyncpg
import pytest

from clarin_core.domain.contacts import ContactQuery, DuplicateQuery
from clarin_core.domain.ids import (
    AccountId,
    ChatId,
    ContactId,
    LeadId,
    PipelineId,
    StageId,
    TagId,
    UserId,
)
from clarin_core.domain.leads import (
    LeadFilter,
    LeadQuery,
    LeadSort,
    LeadStatus,
    StageLeadQuery,
    TagsMode,
)
from clarin_core.domain.paging import PageQuery
from clarin_core.errors import NotFound
from clarin_core.ports.views import Views
from clarin_core.testing.tenants import NOON, settle
from clarin_postgres import PostgresStorage
from support.catalogue import look
from support.plans import Node, Sent, indexes, nodes, overheard, times_planned
from support.totals import SET_TOTALS

LEADS = 6000
FILL = (
    """insert into contacts (account_id, phone, email, name, is_group, do_not_contact, created_at,
        updated_at, version, search, name_key)
    select a.id, case when i % 50 > 0 then '+51' || 900000000 + i end,
        case when i % 3 = 0 then i % 5000 || '@x.pe' end, md5(i::text), i % 60 = 0,
        false, timestamptz '2026-01-01' + i * interval '1 s', now(), 1, md5(i::text), md5(i::text)
    from accounts a, generate_series(1, $1) i""",
    """insert into leads (account_id, contact_id, name, status, pipeline_id, stage_id, source,
        custom_fields, created_at, updated_at, version, deleted_at, search)
    select c.account_id, c.id, c.name,
        (array['new', 'contacted', 'qualified', 'won'])[1 + c.id % 4],
        g.pipeline_id, g.id, (array['web', 'csv', 'feria'])[1 + c.id % 3], '{}', c.created_at,
        c.created_at + c.id * 7919 % 5000 * interval '1 s', 1,
        case when c.id % 20 = 0 then now() end, c.name
    from contacts c
    join stages g on g.account_id = c.account_id and g.position = c.id % 6
    where $1 > 0""",
    """insert into tags (account_id, name, key, color, origin, created_at, updated_at, version,
        search)
    select a.id, i::text, i::text, '#000000', 'local', now(), now(), 1, i::text
    from accounts a, generate_series(1, 50) i where $1 > 0""",
    """insert into lead_tags (account_id, lead_id, tag_id, origin)
    select l.account_id, l.id, t.id, 'local' from leads l
    join tags t on t.account_id = l.account_id and t.id % 50 = l.id % 50 where $1 > 0""",
    """insert into stage_moves (account_id, lead_id, to_stage, at)
    select l.account_id, l.id, l.stage_id, l.created_at + i * interval '1 s'
    from leads l, generate_series(1, 3) i where $1 > 0""",
)

Look = Callable[[Views], Awaitable[object]]


def leads(query: LeadQuery) -> Look:
    return lambda views: views.leads(query)


def contacts(query: ContactQuery) -> Look:
    return lambda views: views.contacts(query)


IN_ORDER: dict[str, list[Look]] = {
    "leads_newest": [
        leads(LeadQuery(after="")),
        leads(LeadQuery(after="", sort=LeadSort.OLDEST)),
        leads(LeadQuery(after="", created_from=NOON)),
    ],
    "leads_updated": [leads(LeadQuery(after="", sort=LeadSort.UPDATED))],
    "leads_by_status": [leads(LeadQuery(after="", status=LeadStatus.WON))],
    "leads_by_source": [leads(LeadQuery(after="", source="csv"))],
    "leads_by_owner": [leads(LeadQuery(after="", assigned_to=UserId(1)))],
    "leads_by_pipeline": [leads(LeadQuery(after="", pipeline_id=PipelineId(1)))],
    "leads_by_stage": [
        leads(LeadQuery(after="", stage_id=StageId(1))),
        lambda views: views.leads_by_stage(StageId(1), StageLeadQuery(after="")),
    ],
    "leads_by_contact": [leads(LeadQuery(after="", contact_id=ContactId(1)))],
    "leads_deleted": [leads(LeadQuery(after="", deleted=True))],
    "contacts_newest": [contacts(ContactQuery(after=""))],
    "contacts_phoneless": [contacts(ContactQuery(after="", has_phone=False))],
    "contacts_groups": [contacts(ContactQuery(after="", is_group=True))],
    "stage_moves_of_lead": [lambda views: views.lead_history(LeadId(1), PageQuery(after=""))],
}
"""Lists that are read in the order of an index, by its name."""

PAGES: dict[str, Look] = {
    "leads": leads(LeadQuery()),
    "leads by cursor": leads(LeadQuery(after="")),
    "moves of a lead": lambda views: views.lead_history(LeadId(1), PageQuery(after="")),
    "contacts": contacts(ContactQuery()),
    "contacts by cursor": contacts(ContactQuery(after="")),
}

FILTERED: dict[str, Look] = {
    "leads by tag": leads(LeadQuery(after="", tag_ids=frozenset([TagId(1)]))),
    "leads by source, updated": leads(LeadQuery(after="", source="web", sort=LeadSort.UPDATED)),
}

FOUND: dict[str, list[Look]] = {
    "leads_search": [
        leads(LeadQuery(search="3f2a9")),
        lambda views: views.lead_counts(LeadFilter(search="3f2a9")),
    ],
    "contacts_search": [
        leads(LeadQuery(search="900 123")),
        contacts(ContactQuery(search="3f2a9")),
        contacts(ContactQuery(search="900 123")),
    ],
    "contacts_any_phone": [
        leads(LeadQuery(phone="+51900000123")),
        contacts(ContactQuery(phone="+51900000123")),
    ],
    "lead_tags_of_tag": [
        leads(LeadQuery(tag_ids=frozenset([TagId(1)]), tags_mode=TagsMode.ALL)),
    ],
    "contacts_same_email": [lambda views: views.duplicates(DuplicateQuery())],
    "contacts_same_phone": [lambda views: views.duplicates(DuplicateQuery(after=""))],
    "leads_by_contact": [lambda views: views.chat(ChatId(1))],
}
"""Lists of what few rows match, found by an index and sorted."""


@pytest.fixture(scope="module")
def account_id(database: str) -> AccountId:
    """Return one of three accounts of some thousand rows each."""

    async def prepared() -> AccountId:
        async with PostgresStorage(database, clock=lambda: NOON) as storage:
            accounts = [await settle(storage) for _ in range(3)]
            return accounts[1].id

    found = asyncio.run(prepared())
    look(database, fill)
    return found


@pytest.fixture
def sent(database: str, account_id: AccountId) -> Callable[[Look], Sent]:
    """Return a function that tells what a look at the account sends."""

    async def seen(at: Look) -> Sent:
        async with PostgresStorage(database, clock=lambda: NOON) as storage:
            with overheard() as statements, suppress(NotFound):  # It was sent all the same.
                await at(storage.views(account_id))
        (statement,) = statements
        return statement

    return lambda at: asyncio.run(seen(at))


@pytest.fixture
def plan(database: str, sent: Callable[[Look], Sent]) -> Callable[[Look], Node]:
    """Return a function that tells the plan of what a look at the account reads."""
    return lambda at: look(database, partial(generic_plan, sent(at)[0]))


async def fill(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Give each account some thousand rows."""
    for text in FILL:
        await connection.execute(text, LEADS)
    await connection.execute(SET_TOTALS)
    await connection.execute("vacuum analyze")


async def generic_plan(text: str, connection: "asyncpg.Connection[asyncpg.Record]") -> Node:
    """Return the plan of a statement for any parameters."""
    count = max(int(number) for number in re.findall(r"\$(\d+)", text))
    await connection.execute("set plan_cache_mode = force_generic_plan")
    await connection.execute(f"prepare looked_at as {text}")
    nothing = ", ".join(["null"] * count)
    answer = await connection.fetchval(f"explain (format json) execute looked_at({nothing})")
    (tree,) = json.loads(answer)
    return dict(tree["Plan"])


def cases(lists: dict[str, list[Look]]) -> list[Any]:
    """Return the lists with their index, one by one."""
    return [
        pytest.param(index, at, id=f"{index}-{number}")
        for index, looks in lists.items()
        for number, at in enumerate(looks)
    ]


@pytest.mark.parametrize(("index", "at"), cases(IN_ORDER))
def test_a_list_is_cut_from_an_index(plan: Callable[[Look], Node], index: str, at: Look) -> None:
    """A page costs what its rows cost, however many there are."""
    (limit,) = [node for node in nodes(plan(at)) if node["Node Type"] == "Limit"]
    below = [node for node in nodes(limit) if node["Node Type"] not in ("Limit", "Result")]
    assert below[0]["Node Type"].startswith("Index")
    assert index in indexes(limit)
    assert not [node for node in below if "Sort" in node["Node Type"]]


@pytest.mark.parametrize("at", [*PAGES.values()], ids=PAGES)
def test_a_page_is_not_planned_anew_each_time(
    database: str, sent: Callable[[Look], Sent], at: Look
) -> None:
    """PostgreSQL looks at the parameters five times, and then has one plan for all."""
    assert asyncio.run(times_planned(database, sent(at))) == 5


@pytest.mark.parametrize("at", [*FILTERED.values()], ids=FILTERED)
def test_what_is_filtered_is_planned_for_its_value(
    database: str, sent: Callable[[Look], Sent], at: Look
) -> None:
    """A plan that suits what many rows match would look through all rows for what few do."""
    assert asyncio.run(times_planned(database, sent(at))) == 20


@pytest.mark.parametrize(("index", "at"), cases(FOUND))
def test_a_filter_has_an_index(plan: Callable[[Look], Node], index: str, at: Look) -> None:
    """What few rows match is not looked for in all of them."""
    found = plan(at)
    assert index in indexes(found)
    scanned = {node["Relation Name"] for node in nodes(found) if node["Node Type"] == "Seq Scan"}
    assert not scanned & {"leads", "contacts", "lead_tags"}


@pytest.mark.usefixtures("account_id")
def test_a_scan_of_all_rows_is_seen(database: str) -> None:
    """The looks above can fail."""
    slow = "select l.id from leads l where l.id <> $1 order by l.notes limit 5"
    found = look(database, partial(generic_plan, slow))
    assert [node["Node Type"] for node in nodes(found)] == ["Limit", "Sort", "Seq Scan"]
