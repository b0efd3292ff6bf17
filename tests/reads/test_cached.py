"""Kept reads: one storage read for a crowd, signs of life through several caches, sign-ins."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from msgspec import defstruct, structs

from clarin_core.domain.actor import Actor
from clarin_core.domain.cache import lead_key
from clarin_core.domain.ids import LeadId, UserId
from clarin_core.domain.leads import LeadView, NewLead
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.tags import TagQuery
from clarin_core.errors import NotFound
from clarin_core.ports.storage import Storage
from clarin_core.ports.views import Views
from clarin_core.reads.cached import CachedStorage, shapes_of
from clarin_core.reads.feed import Feed
from clarin_core.testing.tenants import Tenant, settle
from clarin_core.usecases.leads import LeadUseCases
from clarin_memory import MemoryCache, MemoryPublisher, MemoryStorage
from clarin_memory.views import MemoryViews
from support.races import fail, now

CROWD = 500


class Counting(MemoryStorage):
    """Memory that counts how often leads are read, and takes its time: until `gate` is open."""

    reads = 0
    gate = asyncio.Event()

    def views(self, account_id: object) -> Views:
        return _CountingViews(self, account_id)


class _CountingViews(MemoryViews):
    def __init__(self, storage: Counting, account_id: object) -> None:
        super().__init__(storage._shared, account_id)  # type: ignore[arg-type]  # it is one
        self._storage = storage

    async def lead(self, lead_id: LeadId) -> LeadView:
        self._storage.reads += 1
        await asyncio.sleep(0)
        await self._storage.gate.wait()
        return await super().lead(lead_id)


Story = Callable[["Place"], Awaitable[None]]


class Place:
    """A process with a near and a far cache over a storage that counts."""

    def __init__(self, storage: Counting, far: MemoryCache) -> None:
        self.seen: list[str] = []
        self.storage = storage
        self.near = MemoryCache(now)
        self.far = far
        self._opened = AsyncExitStack()

    async def open(self) -> Storage:
        publisher = MemoryPublisher()
        self.storage._publisher = publisher
        feed = Feed(self.storage, publisher, fail)
        cached = CachedStorage(
            self.storage, feed, publisher, self.near, [self.far], watch=self.seen.append
        )
        await self._opened.enter_async_context(feed)
        return await self._opened.enter_async_context(cached)

    async def close(self) -> None:
        await self._opened.aclose()


def tell(story: Callable[[Place, Storage, Tenant, LeadView], Awaitable[None]]) -> None:
    async def told() -> None:
        place = Place(Counting(clock=now), MemoryCache(now))
        place.storage.gate = asyncio.Event()
        place.storage.gate.set()
        storage = await place.open()
        tenant = await settle(storage)
        actor = Actor(account_id=tenant.id, user_id=UserId(1))
        lead = await LeadUseCases(storage, now).create(actor, NewLead(name="Luz"))
        while place.seen[-1:] != ["near"]:  # Until the log of its own creation was followed.
            await storage.views(tenant.id).lead(lead.id)
            await asyncio.sleep(0)
        place.seen.clear()
        place.storage.reads = 0
        await story(place, storage, tenant, lead)
        await place.close()

    asyncio.run(told())


def test_a_crowd_costs_one_read_of_the_storage() -> None:
    """R13: whether the lead is there or not."""

    async def story(place: Place, storage: Storage, tenant: Tenant, lead: LeadView) -> None:
        other = await LeadUseCases(storage, now).create(
            Actor(account_id=tenant.id, user_id=UserId(1)), NewLead(name="Sol")
        )
        for _ in range(20):
            await asyncio.sleep(0)
        for lead_id, most in ((other.id, 1), (LeadId(2**40), 2)):
            place.storage.reads = 0
            views = storage.views(tenant.id)
            found = await asyncio.gather(
                *(views.lead(lead_id) for _ in range(CROWD)), return_exceptions=True
            )
            assert place.storage.reads <= most
            kinds = {type(one) for one in found}
            assert kinds == ({LeadView} if lead_id == other.id else {NotFound})

    tell(story)


def test_who_hangs_up_does_not_keep_others_from_the_answer() -> None:
    """R13: the first of a crowd gives up, and the rest is answered all the same."""

    async def story(place: Place, storage: Storage, tenant: Tenant, lead: LeadView) -> None:
        other = Place(place.storage, MemoryCache(now))
        views = (await other.open()).views(tenant.id)
        place.storage.gate.clear()
        first = asyncio.create_task(views.lead(lead.id))
        rest = [asyncio.create_task(views.lead(lead.id)) for _ in range(9)]
        for _ in range(20):
            await asyncio.sleep(0)
        first.cancel()
        place.storage.gate.set()
        assert [await one for one in rest] == [lead] * 9
        with pytest.raises(asyncio.CancelledError):
            await first
        assert place.storage.reads == 1
        await other.close()

    tell(story)


def test_another_process_finds_what_the_first_one_kept() -> None:
    """Two levels: near first, then far, then the storage, which is asked once for all."""

    async def story(place: Place, storage: Storage, tenant: Tenant, lead: LeadView) -> None:
        await storage.views(tenant.id).lead(lead.id)
        other = Place(place.storage, place.far)
        theirs = (await other.open()).views(tenant.id)
        for _ in range(2):
            assert await theirs.lead(lead.id) == lead
        assert (place.seen, other.seen) == (["near"], ["far", "near"])
        assert place.storage.reads == 0
        await other.close()

    tell(story)


STRANGE = (b"", b"{}", b'{"status": "archived"}', b'{"\xff": 1}')


@pytest.mark.parametrize("body", STRANGE)
def test_what_another_version_kept_is_a_miss_and_is_replaced(body: bytes) -> None:
    """What this one cannot read is read anew from the storage, and kept as it should be."""

    async def story(place: Place, storage: Storage, tenant: Tenant, lead: LeadView) -> None:
        other = Place(place.storage, place.far)
        theirs = (await other.open()).views(tenant.id)
        key = lead_key(tenant.id, lead.id)
        kept = await place.near.get(key)
        assert kept is not None
        for cache in (other.near, other.far):
            await cache.put(key, structs.replace(kept, body=body))
        assert [await theirs.lead(lead.id) for _ in range(2)] == [lead, lead]
        assert other.seen == ["storage", "near"]
        assert await other.far.get(key) == kept
        await other.close()

    tell(story)


def test_the_name_of_shapes_tells_them_apart() -> None:
    """One more field, or another type of one, is another version."""
    kept = [
        defstruct("Kept", [("name", str)]),
        defstruct("Kept", [("name", bytes)]),
        defstruct("Kept", [("name", str), ("age", int)]),
        defstruct("Kept", [("name", str), ("age", int, 0)]),
    ]
    assert len({shapes_of(each) for each in kept}) == len(kept)
    assert shapes_of(kept[0]) == shapes_of(defstruct("Kept", [("name", str)]))


def test_lists_are_kept_by_what_was_asked() -> None:
    """Section 14: pipelines and tags; what was searched for is not kept."""

    async def story(place: Place, storage: Storage, tenant: Tenant, lead: LeadView) -> None:
        views = storage.views(tenant.id)
        for _ in range(2):
            assert (await views.pipelines(PageQuery())).data == [tenant.pipeline]
            assert (await views.pipelines(PageQuery(page=2))).data == []
            assert (await views.tags(TagQuery())).data == []
            assert (await views.tags(TagQuery(search="x"))).data == []
        assert place.seen == ["storage"] * 3 + ["near"] * 3

    tell(story)
