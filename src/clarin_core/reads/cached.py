"""Reads that are kept: a storage in front of a storage, which nobody has to know of.

What is read often and changes rarely is kept as bytes: leads by id, pages of all leads with their
total, lists of pipelines, of tags and of quick replies, and whether a sign-in still counts. A page
of leads outlives changes of leads that are not on it, as long as those cannot bring them onto it:
so one that filters or sorts by what may change is not kept. `freshness` says when a kept read
counts, `flights` that many readers of one thing cost one read. Caches are asked in order, the
nearest first; what is found in one is put into those before it.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Generic, NamedTuple, TypeVar, cast

import msgspec
from msgspec import UNSET

from clarin_core.domain.accounts import Standing
from clarin_core.domain.cache import (
    ACCOUNT,
    LEADS,
    PIPELINES,
    QUICK_REPLIES,
    TAGS,
    CacheKey,
    Entry,
    lead_key,
    member_name,
    names_in_lead,
    names_in_leads,
)
from clarin_core.domain.command import Command
from clarin_core.domain.ids import AccountId, LeadId, SessionId, UserId
from clarin_core.domain.leads import LeadQuery, LeadSort, LeadView
from clarin_core.domain.paging import Page, PageQuery
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.quick_replies import QuickReply, QuickReplyQuery
from clarin_core.domain.tags import Tag, TagQuery
from clarin_core.ports.cache import Cache
from clarin_core.ports.event_publisher import EventPublisher, Hint, Missed, UserChanged
from clarin_core.ports.storage import Storage
from clarin_core.ports.views import Views
from clarin_core.reads.feed import Feed
from clarin_core.reads.flights import Flights
from clarin_core.reads.freshness import Changes, Knowledge

STANDING_TTL = timedelta(seconds=10)
_ACCOUNTS_MAX = 10_000
_STANDINGS_MAX = 20_000
_DIGEST_BYTES = 8

_encode = msgspec.json.Encoder().encode
_lead = msgspec.json.Decoder(LeadView).decode
_leads = msgspec.json.Decoder(Page[LeadView]).decode
_pipelines = msgspec.json.Decoder(Page[Pipeline]).decode
_tags = msgspec.json.Decoder(Page[Tag]).decode
_quick_replies = msgspec.json.Decoder(Page[QuickReply]).decode


def _digest(value: object) -> str:
    return blake2b(_encode(value), digest_size=_DIGEST_BYTES).hexdigest()


def shapes_of(*types: object) -> str:
    """Return a digest of types, which is another one when any of their shapes is."""
    return _digest(msgspec.json.schema_components(types))


SHAPES = shapes_of(Entry, LeadView, Page[LeadView], Page[Pipeline], Page[Tag], Page[QuickReply])
"""Names the shapes of all that is kept: versions with other ones shall not share a cache."""

T = TypeVar("T")

Read = tuple[Sequence[str], bytes]
Decode = Callable[[bytes], T]
Watch = Callable[[str], None]


def _see_nothing(_: str) -> None:
    pass


class ReadThrough:
    """Kept reads of all accounts, and what is known about whether they count."""

    def __init__(self, feed: Feed, caches: Sequence[Cache], watch: Watch) -> None:
        self._feed = feed
        self._caches = caches
        self._watch = watch
        self._flights = Flights[CacheKey, Entry]()
        self._changes = Changes()
        self._known = OrderedDict[AccountId, Knowledge]()

    def close(self) -> None:
        """Listen to no account any more."""
        while self._known:
            self._known.popitem()[1].close()

    def knowledge(self, account_id: AccountId) -> Knowledge:
        """Return what is known of an account; the one not asked for longest is forgotten."""
        known = self._known.get(account_id)
        if known is None:
            known = self._known[account_id] = Knowledge(self._feed, account_id, self._changes)
            if len(self._known) > _ACCOUNTS_MAX:
                self._known.popitem(last=False)[1].close()
        self._known.move_to_end(account_id)
        return known

    async def read(
        self, key: CacheKey, decode: Decode[T], load: Callable[[], Awaitable[Read]]
    ) -> T:
        """Return a kept read that counts, else what is loaded now, which is then kept."""
        known = self.knowledge(key.account_id)
        await known.open()
        near = _held(await self._caches[0].get(key), known, decode)
        if near is not None:
            self._watch("near")
            return near
        fetch = self._fetch(key, known, decode, load)
        return decode((await self._flights.join(key, fetch, counts=known.allows)).body)

    def _fetch(
        self,
        key: CacheKey,
        known: Knowledge,
        decode: Decode[T],
        load: Callable[[], Awaitable[Read]],
    ) -> Callable[[], Awaitable[Entry]]:
        async def fetch() -> Entry:
            for place, cache in enumerate(self._caches[1:], 1):
                found = await cache.get(key)
                if found is not None and _held(found, known, decode) is not None:
                    await self._keep(key, found, self._caches[:place])
                    self._watch("far")
                    return found
            self._watch("storage")
            stamp = known.stamp()
            names, body = await load()
            if stamp is None:
                return Entry("", 0, (), body)
            entry = Entry(*stamp, tuple(names), body)
            await self._keep(key, entry, self._caches)
            return entry

        return fetch

    async def _keep(self, key: CacheKey, entry: Entry, caches: Sequence[Cache]) -> None:
        for cache in caches:
            await cache.put(key, entry)


def _held(entry: Entry | None, known: Knowledge, decode: Decode[T]) -> T | None:
    """Return what an entry holds, None unless it counts and this version can read it."""
    if entry is None or not known.allows(entry):
        return None
    try:
        return decode(entry.body)
    except ValueError:  # All that a decoder raises, also for bytes that are no text.
        return None


class _Kept(NamedTuple):
    standing: Standing
    entry: Entry
    until: datetime

    def counts(self, at: datetime) -> bool:
        """Whether it is fresh; a clock that was set back keeps nothing alive."""
        return at < self.until <= at + STANDING_TTL


class _Standings:
    """Whether sign-ins count, remembered for some seconds in this process only (R24)."""

    def __init__(self, storage: Storage, through: ReadThrough) -> None:
        self._storage = storage
        self._through = through
        self._kept = OrderedDict[tuple[SessionId, AccountId], _Kept]()
        self._changes = 0

    def heed(self, hint: Hint) -> None:
        """Forget a user whose sign-ins changed, or all when a hint of that may be lost."""
        if isinstance(hint, UserChanged):
            self._changes += 1
            self._forget(hint.user_id)
        elif isinstance(hint, Missed):
            self._changes += 1
            self._kept.clear()

    async def of(
        self, session_id: SessionId, account_id: AccountId, at: datetime
    ) -> Standing | None:
        key = session_id, account_id
        known = self._through.knowledge(account_id)
        kept = self._kept.get(key)
        if kept is not None and kept.counts(at) and known.allows(kept.entry):
            return kept.standing
        await known.open()
        stamp, changes = known.stamp(), self._changes
        standing = await self._storage.standing(session_id, account_id, at=at)
        if standing and stamp and changes == self._changes:
            names = (ACCOUNT, member_name(standing.user_id))
            self._keep(key, _Kept(standing, Entry(*stamp, names, b""), at + STANDING_TTL))
        return standing

    def _keep(self, key: tuple[SessionId, AccountId], kept: _Kept) -> None:
        self._kept[key] = kept
        if len(self._kept) > _STANDINGS_MAX:
            self._kept.popitem(last=False)

    def _forget(self, user_id: UserId) -> None:
        for key in [key for key, kept in self._kept.items() if kept.standing.user_id == user_id]:
            del self._kept[key]


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

        async def load() -> Read:
            lead = await self._inner.lead(lead_id)
            return names_in_lead(lead), _encode(lead)

        return await self._through.read(lead_key(self._account_id, lead_id), _lead, load)

    async def leads(self, query: LeadQuery) -> Page[LeadView]:
        """Return a page of leads; kept unless it depends on what may change of others."""
        plain = LeadQuery(page=query.page, limit=query.limit, after=query.after, sort=query.sort)
        if query != plain or query.sort is LeadSort.UPDATED:
            return await self._inner.leads(query)

        async def load() -> Read:
            page = await self._inner.leads(query)
            return names_in_leads(page.data), _encode(page)

        return await self._through.read(self._key(LEADS, query), _leads, load)

    async def pipelines(self, query: PageQuery) -> Page[Pipeline]:
        """Return pipelines with their stages by position and id."""

        async def load() -> Read:
            return (PIPELINES,), _encode(await self._inner.pipelines(query))

        return await self._through.read(self._key(PIPELINES, query), _pipelines, load)

    async def tags(self, query: TagQuery) -> Page[Tag]:
        """Return tags by name without regard to case; what a search finds is not kept."""
        if query.search is not UNSET:
            return await self._inner.tags(query)

        async def load() -> Read:
            return (TAGS,), _encode(await self._inner.tags(query))

        return await self._through.read(self._key(TAGS, query), _tags, load)

    async def quick_replies(self, query: QuickReplyQuery) -> Page[QuickReply]:
        """Return quick replies by shortcut; what a search finds is not kept."""
        if query.search is not UNSET:
            return await self._inner.quick_replies(query)

        async def load() -> Read:
            return (QUICK_REPLIES,), _encode(await self._inner.quick_replies(query))

        return await self._through.read(self._key(QUICK_REPLIES, query), _quick_replies, load)

    def _key(self, kind: str, query: Command) -> CacheKey:
        if query == type(query)():
            return CacheKey(self._account_id, kind)
        return CacheKey(self._account_id, kind, _digest(query))


class CachedStorage(_Rest[Storage]):
    """A storage whose views remember; open while in use, inside the storage and the feed.

    `watch` hears of each read where it was found: near, far (in a further cache) or storage.
    """

    def __init__(
        self,
        inner: Storage,
        feed: Feed,
        publisher: EventPublisher,
        caches: Sequence[Cache],
        *,
        watch: Watch = _see_nothing,
    ) -> None:
        self._inner = inner
        self._publisher = publisher
        self._hearing = ExitStack()
        self._through = ReadThrough(feed, caches, watch)
        self._standings = _Standings(inner, self._through)

    async def __aenter__(self) -> Storage:
        """Hear of changes; return this as the storage that it is."""
        self._hearing.enter_context(self._publisher.heard_by(self._standings.heed))
        self._hearing.callback(self._through.close)
        return cast("Storage", self)

    async def __aexit__(self, *_: object) -> None:
        self._hearing.close()

    def views(self, account_id: AccountId) -> Views:
        """Return the account's reads; costs nothing."""
        inner = self._inner.views(account_id)
        return cast("Views", CachedViews(inner, self._through, account_id))

    async def standing(
        self, session_id: SessionId, account_id: AccountId, *, at: datetime
    ) -> Standing | None:
        """Return what decides whether a token still counts, None for an unknown sign-in."""
        return await self._standings.of(session_id, account_id, at)
