"""Faults to plant in the memory storage, each of which some law must find."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from clarin_core.domain.actor import Cause, Origin
from clarin_core.domain.events import Event, EventPage, EventQuery
from clarin_core.domain.ids import AccountId, TagId
from clarin_core.domain.imports import ImportState
from clarin_core.domain.leads import PERSON_FIELDS, Lead, LeadDraft, LeadFilter, LeadSort, TagsMode
from clarin_core.domain.paging import Page
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.tags import Tag
from clarin_core.errors import NotFound
from clarin_core.ports.event_publisher import News
from clarin_core.ports.transaction import Transaction
from clarin_memory import (
    MemoryStorage,
    contacts,
    events,
    imports,
    lead_filter,
    leads,
    paging,
    pipelines,
    purge,
    reader,
    search,
    state,
    storage,
    tables,
    tags,
    transaction,
    users,
    views,
)

Patch = pytest.MonkeyPatch
Fault = Callable[[Patch], None]


def changed_answer(owner: type, name: str, change: Callable[[Any], Any], patch: Patch) -> None:
    """Make an async method answer something else."""
    right = getattr(owner, name)

    async def wrong(*args: object, **fields: object) -> object:
        return change(await right(*args, **fields))

    patch.setattr(owner, name, wrong)


def locks_are_open(patch: Patch) -> None:
    async def acquire(lock: asyncio.Lock) -> bool:
        return True

    patch.setattr(asyncio.Lock, "acquire", acquire)
    patch.setattr(asyncio.Lock, "release", lambda lock: None)


def all_accounts_have_one_lock(patch: Patch) -> None:
    lock, enter = asyncio.Lock(), transaction.Work.enter

    async def wrong(self: transaction.Work, account_id: AccountId) -> transaction.MemoryTransaction:
        if not self._entered:
            await self._locks.enter_async_context(lock)
        return await enter(self, account_id)

    patch.setattr(transaction.Work, "enter", wrong)


def a_failure_commits(patch: Patch) -> None:
    @asynccontextmanager
    async def working(self: MemoryStorage, origin: Origin) -> AsyncIterator[transaction.Work]:
        async with AsyncExitStack() as locks:
            work = transaction.Work(self._shared, self._ids, origin, locks)
            try:
                yield work
            finally:
                work.commit(self._clock())

    patch.setattr(MemoryStorage, "_working", working)


def an_open_transaction_is_seen(patch: Patch) -> None:
    patch.setattr(state, "Overlay", lambda below: below)
    patch.setattr(state, "merge", lambda overlays: None)
    patch.setattr(transaction, "merge", lambda overlays: None)


def events_are_told_before_the_commit(patch: Patch) -> None:
    def emit(self: transaction.MemoryTransaction, *told: Event) -> None:
        bodies = [events.encoded(one) for one in told]
        self._space.log.append(bodies, at=datetime.now(UTC), origin=Origin(cause=Cause.SYSTEM))

    patch.setattr(transaction.MemoryTransaction, "emit", emit)


def rows_are_shared(patch: Patch) -> None:
    patch.setattr(tables, "copied", lambda value: value)


def an_event_is_lost(patch: Patch) -> None:
    emit = transaction.MemoryTransaction.emit
    patch.setattr(transaction.MemoryTransaction, "emit", lambda self, *told: emit(self, *told[1:]))


def an_event_is_encoded_late(patch: Patch) -> None:
    append = events.Log.append
    patch.setattr(transaction, "encoded", lambda event: event)
    patch.setattr(
        events.Log,
        "append",
        lambda log, told, **of: append(log, list(map(events.encoded, told)), **of),
    )


def the_origin_is_lost(patch: Patch) -> None:
    append = events.Log.append
    nobody = Origin(cause=Cause.SYSTEM)
    patch.setattr(
        events.Log,
        "append",
        lambda log, told, *, at, origin: append(log, told, at=at, origin=nobody),
    )


def the_log_counts_from_0(patch: Patch) -> None:
    read = events.Log.read

    def wrong(log: events.Log, query: EventQuery) -> EventPage:
        page = read(log, query)
        return replace(page, data=[replace(one, seq=one.seq - 1) for one in page.data])

    patch.setattr(events.Log, "read", wrong)


def the_log_is_read_inclusively(patch: Patch) -> None:
    read = events.Log.read

    def wrong(log: events.Log, query: EventQuery) -> EventPage:
        return read(log, replace(query, after=max(query.after - 1, 0)))

    patch.setattr(events.Log, "read", wrong)


def a_gap_is_silent(patch: Patch) -> None:
    read = events.Log.read

    def wrong(log: events.Log, query: EventQuery) -> EventPage:
        after = min(max(query.after, log.position.trimmed_to), log.seq)
        return read(log, replace(query, after=after))

    patch.setattr(events.Log, "read", wrong)


def a_trim_takes_all(patch: Patch) -> None:
    trim = events.Log.trim
    patch.setattr(
        events.Log,
        "trim",
        lambda log, before, kept_max: trim(log, datetime.max.replace(tzinfo=UTC), kept_max=0),
    )


def a_purge_takes_the_living(patch: Patch) -> None:
    patch.setattr(purge, "_was_deleted", lambda row, before: row.created_at < before)


def every_account_sees_the_first(patch: Patch) -> None:
    first = property(lambda self: next(iter(self._shared.spaces.rows())).tables)
    patch.setattr(reader.Reader, "_tables", first)


def foreign_links_are_accepted(patch: Patch) -> None:
    patch.setattr(leads.MemoryLeadStore, "_check_links", lambda self, lead: None)


def foreign_ids_have_their_own_text(patch: Patch) -> None:
    async def get(self: tags.MemoryTagStore, tag_id: TagId) -> Tag:
        if found := self.scope.tables.tags.find(tag_id):
            return found
        raise NotFound("tag", tag_id if tag_id > 2**60 else "of another account")

    patch.setattr(tags.MemoryTagStore, "get", get)


def a_cursor_is_inclusive(patch: Patch) -> None:
    patch.setattr(paging, "bisect_right", bisect_left)


def pages_are_off_by_one(patch: Patch) -> None:
    page_of: Callable[..., Page[Any]] = paging.page_of

    def wrong(*args: object) -> Page[Any]:
        page = page_of(*args)
        page.data = page.data[1:] if page.page and page.page > 1 else page.data
        return page

    patch.setattr(reader, "page_of", wrong)


def a_page_counts_itself(patch: Patch) -> None:
    page_of: Callable[..., Page[Any]] = paging.page_of

    def wrong(*args: object) -> Page[Any]:
        page = page_of(*args)
        return replace(page, total=len(page.data) if page.page else page.total)

    patch.setattr(reader, "page_of", wrong)


def orders_are_swapped(patch: Patch) -> None:
    patch.setitem(leads._ORDERS, LeadSort.NEWEST, paging.OLDEST)


def equals_have_no_order(patch: Patch) -> None:
    by_time = paging.Order[Any](lambda row: (-paging.instant(row.created_at), 0), (int, int))
    patch.setitem(leads._ORDERS, LeadSort.NEWEST, by_time)


def any_and_all_are_swapped(patch: Patch) -> None:
    modes = lead_filter.TAG_TESTS
    swapped = {TagsMode.ALL: modes[TagsMode.ANY], TagsMode.ANY: modes[TagsMode.ALL]}
    patch.setattr(lead_filter, "TAG_TESTS", swapped)


def the_last_instant_counts(patch: Patch) -> None:
    right: Callable[..., Callable[[Lead], bool]] = lead_filter.lead_filter

    def wrong(query: LeadFilter, *rest: object) -> Callable[[Lead], bool]:
        end = query.created_to
        return right(replace(query, created_to=end + timedelta(seconds=1) if end else end), *rest)

    patch.setattr(leads, "lead_filter", wrong)


def accents_count(patch: Patch) -> None:
    patch.setattr(search, "fold", str.casefold)


def deleted_rows_are_shown(patch: Patch) -> None:
    def matching(self: leads.LeadViews, query: LeadFilter, *, deleted: bool) -> Iterator[Lead]:
        matches = lead_filter.lead_filter(query, self._tables, "PE")
        return filter(matches, self._tables.leads.rows())

    patch.setattr(leads.LeadViews, "_matching", matching)


def a_field_is_dropped(patch: Patch) -> None:
    born = leads.MemoryLeadStore._born

    def wrong(self: leads.MemoryLeadStore, draft: LeadDraft, at: datetime) -> Lead:
        return born(self, replace(draft, currency=None), at)

    patch.setattr(leads.MemoryLeadStore, "_born", wrong)


def a_field_of_the_person_is_not_shown(patch: Patch) -> None:
    patch.setattr(leads, "PERSON_FIELDS", PERSON_FIELDS[:-1])


def phones_need_not_be_unique(patch: Patch) -> None:
    patch.setattr(contacts, "rival", lambda *args: None)


def kommo_ids_need_not_be_unique(patch: Patch) -> None:
    patch.setattr(leads, "rival", lambda *args: None)


def a_batch_is_not_deduplicated(patch: Patch) -> None:
    right: Callable[..., dict[Any, Any]] = contacts.MemoryContactStore._by_phone

    class Forgetful(dict[Any, Any]):
        def __setitem__(self, phone: object, contact: object) -> None:
            pass

    patch.setattr(
        contacts.MemoryContactStore,
        "_by_phone",
        lambda self, phones: Forgetful(right(self, phones)),
    )


def capitals_make_another_tag(patch: Patch) -> None:
    patch.setattr(tags, "tag_key", lambda name: name)


def links_are_counted_twice(patch: Patch) -> None:
    changed_answer(tags.MemoryTagStore, "unlink", lambda links: links + links[:1], patch)


def tags_are_shown_by_id(patch: Patch) -> None:
    by_id = paging.Order[Any](lambda tag: ("", tag.id), (str, int))
    patch.setattr(tags, "BY_NAME", by_id)


def a_removed_tag_leaves_its_links(patch: Patch) -> None:
    async def remove(self: tags.MemoryTagStore, tag_id: TagId) -> None:
        self.scope.tables.tags.drop(tag_id)

    patch.setattr(tags.MemoryTagStore, "remove", remove)
    patch.setattr(tags, "tags_on", lambda *args: [])


def stages_keep_their_old_order(patch: Patch) -> None:
    put = pipelines.MemoryPipelineStore._put

    def wrong(self: pipelines.MemoryPipelineStore, pipeline: Pipeline) -> None:
        put(self, replace(pipeline, stages=sorted(pipeline.stages, key=lambda stage: stage.id)))

    patch.setattr(pipelines.MemoryPipelineStore, "_put", wrong)


def an_upload_is_read_as_text(patch: Patch) -> None:
    changed_answer(
        imports.ImportViews, "import_content",
        lambda content: content.decode(errors="replace").encode(), patch,
    )  # fmt: skip


def finished_imports_are_pending(patch: Patch) -> None:
    patch.setattr(storage, "_PENDING", tuple(ImportState))


def a_ticket_lasts(patch: Patch) -> None:
    patch.setattr(tables.Overlay, "drop", lambda self, key: None)


def standings_leave_out_the_unknown(patch: Patch) -> None:
    changed_answer(
        MemoryStorage, "standings", lambda found: [one for one in found if one is not None], patch
    )


def a_user_keeps_every_default(patch: Patch) -> None:
    changed_answer(
        users.MemoryUsers, "memberships",
        lambda places: [replace(place, is_default=True) for place in places], patch,
    )  # fmt: skip


def a_user_is_shown_without_places(patch: Patch) -> None:
    changed_answer(MemoryStorage, "user", lambda view: replace(view, accounts=[]), patch)


def a_page_of_the_log_has_no_bound_in_bytes(patch: Patch) -> None:
    patch.setattr(events, "PAGE_BYTES_MAX", 2**60)


def a_failure_is_announced(patch: Patch) -> None:
    right = MemoryStorage.begin

    def begin(
        self: MemoryStorage, account_id: AccountId, *origin: Origin
    ) -> AbstractAsyncContextManager[Transaction]:
        assert self._publisher is not None
        self._publisher.announce(News(account_id, 1))
        return right(self, account_id, *origin)

    patch.setattr(MemoryStorage, "begin", begin)


def the_views_of_a_transaction_are_as_before(patch: Patch) -> None:
    patch.delattr(views.OpenViews, "_tables")


def a_transaction_sees_the_first_account(patch: Patch) -> None:
    first = property(lambda self: next(iter(self._shared.spaces.rows())).tables)
    patch.setattr(views.OpenViews, "_tables", first)
