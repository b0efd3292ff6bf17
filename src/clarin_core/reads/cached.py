"""Reads that are kept: a storage in front of a storage, which nobody has to know of.

What is read often and changes rarely is kept as bytes: leads by id, pages of all leads with their
total, lists of pipelines, of tags and of quick replies, and whether a sign-in still counts. A page
of leads outlives changes of leads that are not on it, as long as those cannot bring them onto it:
so one that filters or sorts by what may change is not kept. `freshness` says when a kept read
counts, `flights` that many readers of one thing cost one read. Caches are asked in order, the
nearest first; what is found in one is put into those before it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any, Generic, TypeVar, cast

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from clarin_core.domain.accounts import Standing
from clarin_core.domain.cache import (
    LEADS,
    PIPELINES,
    QUICK_REPLIES,
    TAGS,
    CacheKey,
    Entry,
    lead_key,
    names_in_lead,
    names_in_leads,
)
from clarin_core.domain.command import Command
from clarin_core.domain.ids import AccountId, LeadId, SessionId
from clarin_core.domain.leads import LeadQuery, LeadSort, LeadView
from clarin_core.domain.paging import Page, PageQuery
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.quick_replies import QuickReply, QuickReplyQuery
from clarin_core.domain.tags import Tag, TagQuery
from clarin_core.ports.cache import Cache, NearCache
from clarin_core.ports.event_publisher import EventPublisher
from clarin_core.ports.storage import Storage
from clarin_core.ports.views import Views
from clarin_core.reads.feed import Feed
from clarin_core.reads.flights import Flights
from clarin_core.reads.freshness import Freshness, Knowledge
from clarin_core.reads.standings import Standings

_DIGEST_BYTES = 8

_encode = msgspec.json.Encoder().encode
_decode_lead = msgspec.json.Decoder(LeadView).decode
_decode_leads = msgspec.json.Decoder(Page[LeadView]).decode
_decode_pipelines = msgspec.json.Decoder(Page[Pipeline]).decode
_decode_tags = msgspec.json.Decoder(Page[Tag]).decode
_decode_quick_replies = msgspec.json.Decoder(Page[QuickReply]).decode


def _digest(value: object) -> str:
    return blake2b(_encode(value), digest_size=_DIGEST_BYTES).hexdigest()


def shapes_of(*types: object) -> str:
    """Return a digest of types, which is another one when any of their shapes is."""
    return _digest(msgspec.json.schema_components(types))


SHAPES = shapes_of(Entry, LeadView, Page[LeadView], Page[Pipeline], Page[Tag], Page[QuickReply])
"""Names the shapes of all that is kept: versions with other ones shall not share a cache."""

T = TypeVar("T")

Watch = Callable[[str], None]


def _see_nothing(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Plan(Generic[T]):
    """How a read is kept: under which key, how it is read, and what its bytes mean.

    What `load` returns has no stamp yet. One that is not `is_shared` is kept in this process alone.
    """

    key: CacheKey
    load: Callable[[], Awaitable[Entry]]
    decode: Callable[[bytes], T]
    is_shared: bool = True

    def value(self, entry: Entry) -> T:
        """Return what an entry holds; raises ValueError for one of another version."""
        value = self.decode(entry.body)
        if isinstance(value, Page) and entry.page_seq is not None:
            value.seq = entry.page_seq
        return value

    def can_read(self, entry: Entry) -> bool:
        """Return whether an entry was kept by a version that keeps the same."""
        try:
            self.decode(entry.body)
        except ValueError:  # All that a decoder raises, also for bytes that are no text.
            return False
        return True


class ReadThrough:
    """Kept reads of all accounts: the nearest cache first, then the others, then the storage."""

    def __init__(
        self, freshness: Freshness, near: NearCache, further: Sequence[Cache], watch: Watch
    ) -> None:
        self._freshness = freshness
        self._near = near
        self._further = further
        self._watch = watch
        self._flights = Flights[CacheKey, Entry]()

    def near(self, key: CacheKey) -> Entry | None:
        """Return what this process has kept and counts, without asking anybody."""
        entry = self._near.peek(key)
        known = self._freshness.of(key.account_id)
        if entry is None or not known.allows(entry):
            return None
        self._watch("near")
        if (renewed := known.renewed(entry)) is not entry:
            self._near.renew(key, renewed)  # Its names need not be compared again.
        return renewed

    async def read(self, plan: Plan[T]) -> Entry:
        """Return a kept read that counts, else what is loaded now, which is then kept."""
        if near := self.near(plan.key):
            return near
        known = self._freshness.of(plan.key.account_id)
        await known.open()
        fetch = partial(self._fetch, plan, known)
        return await self._flights.join(plan.key, fetch, counts=known.allows)

    async def _fetch(self, plan: Plan[T], known: Knowledge) -> Entry:
        caches = self._further if plan.is_shared else ()
        for place, cache in enumerate(caches):
            found = await cache.get(plan.key)
            if found is not None and known.allows(found) and plan.can_read(found):
                await self._keep(plan.key, found, caches[:place])
                self._watch("far")
                return found
        self._watch("storage")
        stamp = known.stamp()
        entry = await plan.load()
        if stamp is None:
            return entry
        epoch, seq = stamp
        entry = replace(entry, epoch=epoch, seq=seq)
        await self._keep(plan.key, entry, caches)
        return entry

    async def _keep(self, key: CacheKey, entry: Entry, caches: Sequence[Cache]) -> None:
        for cache in (self._near, *caches):
            await cache.put(key, entry)


class _Rest(Generic[T]):
    """Hands on to `_inner` whatever a subclass does not do itself."""

    _inner: T

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


class CachedViews(_Rest[Views]):
    """An account's reads, of which some are kept."""

    def __init__(self, inner: Views, through: ReadThrough, account_id: AccountId) -> None:
        self._inner = inner
        self._through = through
        self._account_id = account_id

    async def lead(self, lead_id: LeadId) -> LeadView:
        """Return a live lead; raises NotFound."""
        return await self._value(self._lead(lead_id))

    async def leads(self, query: LeadQuery) -> Page[LeadView]:
        """Return a page of leads; kept unless it depends on what may change of others."""
        plan = self._leads(query)
        return await (self._value(plan) if plan else self._inner.leads(query))

    async def pipelines(self, query: PageQuery) -> Page[Pipeline]:
        """Return pipelines with their stages by position and id."""
        return await self._value(self._pipelines(query))

    async def tags(self, query: TagQuery) -> Page[Tag]:
        """Return tags by name without regard to case; what a search finds is not kept."""
        plan = self._tags(query)
        return await (self._value(plan) if plan else self._inner.tags(query))

    async def quick_replies(self, query: QuickReplyQuery) -> Page[QuickReply]:
        """Return quick replies by shortcut; what a search finds is not kept."""
        plan = self._quick_replies(query)
        return await (self._value(plan) if plan else self._inner.quick_replies(query))

    def plan(self, name: str, arguments: Mapping[str, Any]) -> Plan[Any] | None:
        """Return how the read of a name in `KEPT` is kept, None if it is not."""
        plan: Plan[Any] | None = KEPT[name](self, **arguments)
        return plan

    async def _value(self, plan: Plan[T]) -> T:
        return plan.value(await self._through.read(plan))

    def _lead(self, lead_id: LeadId) -> Plan[LeadView]:
        async def load() -> Entry:
            lead = await self._inner.lead(lead_id)
            return Entry("", 0, names_in_lead(lead), _encode(lead), version=lead.version)

        return Plan(lead_key(self._account_id, lead_id), load, _decode_lead)

    def _leads(self, query: LeadQuery) -> Plan[Page[LeadView]] | None:
        plain = LeadQuery(page=query.page, limit=query.limit, after=query.after, sort=query.sort)
        if query != plain or query.sort is LeadSort.UPDATED:
            return None

        async def load() -> Entry:
            page = await self._inner.leads(query)
            return _page(page, names_in_leads(page.data))

        return Plan(self._key(LEADS, query), load, _decode_leads, is_shared=not query.after)

    def _pipelines(self, query: PageQuery) -> Plan[Page[Pipeline]]:
        async def load() -> Entry:
            return _page(await self._inner.pipelines(query), (PIPELINES,))

        return Plan(self._key(PIPELINES, query), load, _decode_pipelines)

    def _tags(self, query: TagQuery) -> Plan[Page[Tag]] | None:
        async def load() -> Entry:
            return _page(await self._inner.tags(query), (TAGS,))

        return Plan(self._key(TAGS, query), load, _decode_tags) if query.search is UNSET else None

    def _quick_replies(self, query: QuickReplyQuery) -> Plan[Page[QuickReply]] | None:
        async def load() -> Entry:
            return _page(await self._inner.quick_replies(query), (QUICK_REPLIES,))

        if query.search is not UNSET:
            return None
        return Plan(self._key(QUICK_REPLIES, query), load, _decode_quick_replies)

    def _key(self, kind: str, query: Command) -> CacheKey:
        if query == type(query)():
            return CacheKey(self._account_id, kind)
        return CacheKey(self._account_id, kind, _digest(query))


KEPT: Mapping[str, Callable[..., Plan[Any] | None]] = {
    "lead": CachedViews._lead,
    "leads": CachedViews._leads,
    "pipelines": CachedViews._pipelines,
    "tags": CachedViews._tags,
    "quick_replies": CachedViews._quick_replies,
}
"""The reads that may be kept, by their names in `Views`, and how each is planned."""


def _page(page: Page[Any], names: tuple[str, ...]) -> Entry:
    """Return a page as it is kept: its place in the log stands beside it, as in an answer."""
    seq, page.seq = page.seq, UNSET
    return Entry("", 0, names, _encode(page), page_seq=None if seq is UNSET else seq)


class CachedStorage(_Rest[Storage]):
    """A storage whose views remember; open while in use, inside the storage and the feed.

    `watch` hears of each read where it was found: near, far (in a further cache) or storage.
    """

    def __init__(
        self,
        inner: Storage,
        feed: Feed,
        publisher: EventPublisher,
        near: NearCache,
        further: Sequence[Cache] = (),
        *,
        watch: Watch = _see_nothing,
    ) -> None:
        self._inner = inner
        self._publisher = publisher
        self._hearing = ExitStack()
        self._freshness = Freshness(feed)
        self.through = ReadThrough(self._freshness, near, further, watch)
        self.standings_known = Standings(inner, self._freshness)

    async def __aenter__(self) -> Storage:
        """Hear of changes; return this as the storage that it is."""
        self._hearing.enter_context(self._publisher.heard_by(self.standings_known.heed))
        self._hearing.callback(self._freshness.close)
        return cast("Storage", self)

    async def __aexit__(self, *_: object) -> None:
        self._hearing.close()

    def views(self, account_id: AccountId) -> Views:
        """Return the account's reads; costs nothing."""
        return cast("Views", self.kept_views(account_id))

    def kept_views(self, account_id: AccountId) -> CachedViews:
        """Return the same, for who wants to know what is kept of them."""
        return CachedViews(self._inner.views(account_id), self.through, account_id)

    async def standing(
        self, session_id: SessionId, account_id: AccountId, *, at: datetime
    ) -> Standing | None:
        """Return what decides whether a token still counts, None for an unknown sign-in."""
        return await self.standings_known.of(session_id, account_id, at)
