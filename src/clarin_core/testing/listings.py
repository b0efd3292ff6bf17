"""Every list of an account: how to make it longer, and how to read it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from msgspec import UNSET

from clarin_core.domain.contacts import ContactDraft, ContactQuery
from clarin_core.domain.events import EventAction, PipelineChanged, TagCreated
from clarin_core.domain.ids import ImportId, LeadId
from clarin_core.domain.imports import ImportQuery, OutcomeQuery, RowOutcome, RowResult
from clarin_core.domain.leads import LeadQuery, LeadSort, StageLeadQuery, StageMove
from clarin_core.domain.members import MemberQuery
from clarin_core.domain.paging import Page, Paged, PageQuery
from clarin_core.domain.tags import TagQuery
from clarin_core.testing.leads import first_place
from clarin_core.testing.tenants import LATER, NOON, Tenant, draft

_PAGES_MAX = 50


@dataclass(frozen=True)
class Listing:
    """One list; `grow` adds so many rows, that lie anywhere in its order."""

    name: str
    query: Callable[..., Paged]
    grow: Callable[[Tenant, int], Awaitable[None]]
    read: Callable[[Tenant, Any], Awaitable[Page[Any]]]
    filters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    async def page(self, account: Tenant, **fields: object) -> Page[Any]:
        """Return a page."""
        return await self.read(account, self.query(**self.filters, **fields))

    async def rows(self, account: Tenant) -> list[Any]:
        """Return up to 200 rows."""
        return (await self.page(account, limit=200)).data

    async def by_number(self, account: Tenant, limit: int) -> list[Page[Any]]:
        """Return the pages by number, up to the first that is not full."""
        pages = [await self.page(account, limit=limit)]
        while len(pages[-1].data) == limit:
            assert len(pages) < _PAGES_MAX, f"the walk through {self} does not end"
            pages.append(await self.page(account, limit=limit, page=len(pages) + 1))
        return pages

    async def by_cursor(
        self, account: Tenant, limit: int, *, meanwhile: int = 0
    ) -> list[Page[Any]]:
        """Return the pages by cursor, while the list grows by `meanwhile` rows a page."""
        pages = [await self.page(account, limit=limit, after="")]
        while pages[-1].next is not UNSET:
            assert len(pages) < _PAGES_MAX, f"the walk through {self} does not end"
            await self.grow(account, meanwhile)
            pages.append(await self.page(account, limit=limit, after=pages[-1].next))
        return pages


async def _grow_leads(account: Tenant, count: int) -> None:
    drafts = [draft(**first_place(account))] * count
    await account.add_leads(*drafts[::2], at=NOON)
    await account.add_leads(*drafts[1::2], at=LATER)


async def _grow_contacts(account: Tenant, count: int) -> None:
    await account.add_contacts(*[ContactDraft(name="Ana")] * count)


async def _grow_tags(account: Tenant, count: int) -> None:
    known = len((await account.views.tags(TagQuery(limit=200))).data)
    names = [f"{'zaÑ'[n % 3]} {n}" for n in range(known, known + count)]
    await account.emit(TagCreated(tags=await account.add_tags(*names)))


async def _grow_pipelines(account: Tenant, count: int) -> None:
    known = len((await account.views.pipelines(PageQuery())).data)
    for number in range(known, known + count):
        made = await account.add_pipeline(f"Embudo {number}", "Uno", "Dos")
        await account.emit(PipelineChanged(action=EventAction.CREATED, pipeline=made))


async def _grow_imports(account: Tenant, count: int) -> None:
    known = len((await account.views.imports(ImportQuery())).data)
    for number in range(known, known + count):
        await account.add_import(b"%d" % number)


async def _grow_members(account: Tenant, count: int) -> None:
    for _ in range(count):
        await account.hire()


async def _grow_history(account: Tenant, count: int) -> None:
    lead_id, stages = await _first_lead(account), account.stages
    known = len((await account.views.lead_history(lead_id, PageQuery(limit=200))).data)
    moves = [
        StageMove(lead_id=lead_id, to_stage=stages[n % 2], at=NOON + timedelta(seconds=n // 2))
        for n in range(known, known + count)
    ]
    async with account.begin() as tx:
        await tx.leads.log_moves(moves)


async def _grow_outcomes(account: Tenant, count: int) -> None:
    import_id = await _first_import(account)
    query = OutcomeQuery(limit=200)
    known = len((await account.views.import_outcomes(import_id, query)).data)
    rows = range(known + 1, known + 1 + count)
    outcomes = [RowOutcome(row=row, result=RowResult.CREATED) for row in rows]
    async with account.begin() as tx:
        await tx.imports.save(await tx.imports.get(import_id), outcomes)


async def _read_history(account: Tenant, query: PageQuery) -> Page[StageMove]:
    return await account.views.lead_history(await _first_lead(account), query)


async def _read_outcomes(account: Tenant, query: OutcomeQuery) -> Page[RowOutcome]:
    return await account.views.import_outcomes(await _first_import(account), query)


async def _first_lead(account: Tenant) -> LeadId:
    return (await account.lead_ids() or [(await account.add_lead()).id])[0]


async def _first_import(account: Tenant) -> ImportId:
    jobs = (await account.views.imports(ImportQuery())).data
    return (jobs or [await account.add_import()])[0].id


LEADS = Listing("leads", LeadQuery, _grow_leads, lambda account, q: account.views.leads(q))
OF_ONE = (
    Listing("lead history", PageQuery, _grow_history, _read_history),
    Listing("import outcomes", OutcomeQuery, _grow_outcomes, _read_outcomes),
)
"""Lists of the account's first lead and its first import."""

BATCHED = (
    LEADS,
    Listing("contacts", ContactQuery, _grow_contacts, lambda one, q: one.views.contacts(q)),
    Listing("tags", TagQuery, _grow_tags, lambda one, q: one.views.tags(q)),
    *OF_ONE,
)
"""Lists that can be made long in one transaction."""

LISTINGS = (
    *BATCHED,
    Listing("oldest leads", LeadQuery, _grow_leads, LEADS.read, {"sort": LeadSort.OLDEST}),
    Listing("updated leads", LeadQuery, _grow_leads, LEADS.read, {"sort": LeadSort.UPDATED}),
    Listing(
        "leads by stage", StageLeadQuery, _grow_leads,
        lambda one, q: one.views.leads_by_stage(one.stages[0], q),
    ),
    Listing("pipelines", PageQuery, _grow_pipelines, lambda one, q: one.views.pipelines(q)),
    Listing("imports", ImportQuery, _grow_imports, lambda one, q: one.views.imports(q)),
    Listing("members", MemberQuery, _grow_members, lambda one, q: one.views.members(q)),
)  # fmt: skip
"""All lists."""
