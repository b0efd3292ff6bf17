"""Every list of an account: how to make it longer, and how to read it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from msgspec import UNSET

from clarin_core.domain.chats import Chat, ChatQuery
from clarin_core.domain.contacts import ContactDraft, ContactQuery, DuplicateQuery
from clarin_core.domain.devices import DeviceQuery
from clarin_core.domain.events import EventAction, PipelineChanged, TagCreated
from clarin_core.domain.ids import ImportId, LeadId
from clarin_core.domain.imports import ImportQuery, OutcomeQuery, RowOutcome, RowResult
from clarin_core.domain.inbox_events import QuickReplyCreated
from clarin_core.domain.leads import LeadQuery, LeadSort, StageLeadQuery, StageMove
from clarin_core.domain.members import MemberQuery
from clarin_core.domain.messages import MessageQuery, MessageView
from clarin_core.domain.paging import Page, Paged, PageQuery
from clarin_core.domain.quick_replies import QuickReplyQuery
from clarin_core.domain.tags import TagQuery
from clarin_core.testing.inbox import Inbox, inbox_of, somebody
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


async def _grow_duplicates(account: Tenant, count: int) -> None:
    known = (await account.views.duplicates(DuplicateQuery())).total
    assert known is not UNSET
    names = [f"{number}@x.pe" for number in range(known, known + count)]
    for spelt in (names, [name.upper() for name in reversed(names)]):
        await account.add_contacts(*(ContactDraft(email=name) for name in spelt))


async def _grow_chats(account: Tenant, count: int) -> None:
    inbox = await inbox_of(account)
    chats = await inbox.open(*map(somebody, range(count)))
    for place, chat in enumerate(chats):
        said = {"last_message_at": LATER, "last_message_id": 1} if place % 3 else {}
        chat.alter({"is_pinned": place % 2 == 0, **said}, at=LATER)
    await inbox.save(*chats)


async def _grow_messages(account: Tenant, count: int) -> None:
    chat = await _first_chat(account)
    inbox = Inbox(account, chat.device_id)
    times = [NOON if number % 2 else LATER for number in range(count)]
    await inbox.say(*(inbox.said(chat, sent_at=at) for at in times))


async def _grow_tags(account: Tenant, count: int) -> None:
    known = len((await account.views.tags(TagQuery(limit=200))).data)
    names = [f"{'zaÑ'[n % 3]} {n}" for n in range(known, known + count)]
    await account.emit(TagCreated(tags=await account.add_tags(*names)))


async def _grow_pipelines(account: Tenant, count: int) -> None:
    known = len((await account.views.pipelines(PageQuery())).data)
    for number in range(known, known + count):
        made = await account.add_pipeline(f"Embudo {number}", "Uno", "Dos")
        await account.emit(PipelineChanged(action=EventAction.CREATED, pipeline=made))


async def _grow_quick_replies(account: Tenant, count: int) -> None:
    known = len((await account.views.quick_replies(QuickReplyQuery(limit=200))).data)
    for number in range(known, known + count):
        made = await account.add_quick_reply(f"{'zaÑ'[number % 3]}{number}")
        await account.emit(QuickReplyCreated(quick_reply=made))


async def _grow_devices(account: Tenant, count: int) -> None:
    for _ in range(count):
        await account.add_device()


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


async def _read_messages(account: Tenant, query: MessageQuery) -> Page[MessageView]:
    return await account.views.messages((await _first_chat(account)).id, query)


async def _read_outcomes(account: Tenant, query: OutcomeQuery) -> Page[RowOutcome]:
    return await account.views.import_outcomes(await _first_import(account), query)


async def _first_chat(account: Tenant) -> Chat:
    chats = (await account.views.chats(ChatQuery())).data
    return chats[0] if chats else await (await inbox_of(account)).open_one()


async def _first_lead(account: Tenant) -> LeadId:
    return (await account.lead_ids() or [(await account.add_lead()).id])[0]


async def _first_import(account: Tenant) -> ImportId:
    jobs = (await account.views.imports(ImportQuery())).data
    return (jobs or [await account.add_import()])[0].id


LEADS = Listing("leads", LeadQuery, _grow_leads, lambda account, q: account.views.leads(q))
OF_ONE = (
    Listing("lead history", PageQuery, _grow_history, _read_history),
    Listing("import outcomes", OutcomeQuery, _grow_outcomes, _read_outcomes),
    Listing("messages", MessageQuery, _grow_messages, _read_messages),
)
"""Lists of the account's first lead, its first import and its first chat."""

BATCHED = (
    LEADS,
    Listing("contacts", ContactQuery, _grow_contacts, lambda one, q: one.views.contacts(q)),
    Listing("duplicates", DuplicateQuery, _grow_duplicates, lambda a, q: a.views.duplicates(q)),
    Listing("chats", ChatQuery, _grow_chats, lambda one, q: one.views.chats(q)),
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
    Listing("devices", DeviceQuery, _grow_devices, lambda one, q: one.views.devices(q)),
    Listing(
        "quick replies", QuickReplyQuery, _grow_quick_replies,
        lambda one, q: one.views.quick_replies(q),
    ),
    Listing("imports", ImportQuery, _grow_imports, lambda one, q: one.views.imports(q)),
    Listing("members", MemberQuery, _grow_members, lambda one, q: one.views.members(q)),
)  # fmt: skip
"""All lists."""
