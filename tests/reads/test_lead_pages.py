"""R10: a kept page of leads shows whatever changes on it, and nothing else makes it stale."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from msgspec import UNSET

from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.contacts import ContactChange, ContactMerge, NewContact
from clarin_core.domain.ids import ContactId, LeadId, TagId, UserId
from clarin_core.domain.leads import (
    LeadChange,
    LeadQuery,
    LeadSort,
    LeadStatus,
    LeadView,
    NewLead,
    StatusChange,
)
from clarin_core.domain.pipelines import Removal, StageChange
from clarin_core.domain.tags import NewTag, TagAssignment, TagChange, TagTarget
from clarin_core.ports.storage import Storage
from clarin_core.reads.cached import CachedStorage
from clarin_core.reads.feed import Feed
from clarin_core.testing.tenants import Tenant, settle
from clarin_core.usecases.contacts import ContactUseCases
from clarin_core.usecases.leads import LeadUseCases
from clarin_core.usecases.pipelines import PipelineUseCases
from clarin_core.usecases.tags import TagUseCases
from clarin_memory import MemoryCache, MemoryPublisher, MemoryStorage
from support.races import fail, now

KEPT = (
    LeadQuery(), LeadQuery(limit=2), LeadQuery(limit=2, page=2), LeadQuery(limit=2, after=""),
    LeadQuery(sort=LeadSort.OLDEST, limit=2),
)  # fmt: skip
NOT_KEPT = (
    LeadQuery(status=LeadStatus.NEW), LeadQuery(search="luz"), LeadQuery(sort=LeadSort.UPDATED),
    LeadQuery(deleted=True),
)  # fmt: skip


@dataclass
class Shop:
    """An account with four leads, the newest of which has a contact and a tag."""

    kept: Storage
    truth: Storage
    tenant: Tenant
    actor: Actor
    seen: list[str] = field(default_factory=list)
    leads: list[LeadView] = field(default_factory=list)
    tag: TagId = field(init=False)

    async def furnish(self) -> None:
        self.tag = (await self.tags.create(self.actor, NewTag(name="vip"))).id
        for number in range(4):
            person = {"phone": "987654321", "tag_ids": {self.tag}} if number == 3 else {}
            new = NewLead(name=f"Luz {number}", **person)  # type: ignore[arg-type]  # as declared
            self.leads.append(await self.use.create(self.actor, new))

    @property
    def use(self) -> LeadUseCases:
        return LeadUseCases(self.kept, now)

    @property
    def tags(self) -> TagUseCases:
        return TagUseCases(self.kept, now)

    @property
    def contacts(self) -> ContactUseCases:
        return ContactUseCases(self.kept, now)

    @property
    def newest(self) -> LeadView:
        return self.leads[-1]

    @property
    def person(self) -> ContactId:
        assert self.newest.contact_id is not None
        return self.newest.contact_id

    async def agrees(self) -> None:
        """Assert that each page is what the storage has."""
        for query in (*KEPT, *NOT_KEPT):
            shown = await self.kept.views(self.tenant.id).leads(query)
            real = await self.truth.views(self.tenant.id).leads(query)
            shown.seq = real.seq = UNSET
            assert shown == real

    async def looks(self, query: LeadQuery) -> list[str]:
        """Return where a page was found."""
        self.seen.clear()
        await self.kept.views(self.tenant.id).leads(query)
        return list(self.seen)


@asynccontextmanager
async def opened() -> AsyncIterator[Shop]:
    publisher, seen = MemoryPublisher(), list[str]()
    storage = MemoryStorage(clock=now, publisher=publisher)
    async with AsyncExitStack() as stack:
        feed = await stack.enter_async_context(Feed(storage, publisher, fail))
        cached = CachedStorage(storage, feed, publisher, MemoryCache(now), watch=seen.append)
        kept = await stack.enter_async_context(cached)
        tenant = await settle(storage)
        actor = Actor(account_id=tenant.id, user_id=UserId(1), role=Role.ADMIN)
        shop = Shop(kept, storage, tenant, actor, seen)
        await shop.furnish()
        yield shop


def tell(story: Callable[[Shop], Awaitable[None]]) -> None:
    async def told() -> None:
        async with opened() as shop:
            await story(shop)

    asyncio.run(told())


async def link(shop: Shop, *, on: bool) -> None:
    said = TagAssignment(entity_type=TagTarget.LEAD, entity_id=shop.newest.id, tag_id=shop.tag)
    await (shop.tags.assign if on else shop.tags.remove)(shop.actor, said)


async def delete_and_restore(shop: Shop) -> None:
    await shop.use.delete(shop.actor, shop.leads[0].id)
    await shop.agrees()
    await shop.use.restore(shop.actor, shop.leads[0].id)


async def merge(shop: Shop) -> None:
    other = await shop.contacts.create(shop.actor, NewContact(name="Sol", phone="987654322"))
    gone = frozenset({shop.person})
    await shop.contacts.merge(shop.actor, ContactMerge(keep_id=other.id, merge_ids=gone))


async def rename_stage(shop: Shop) -> None:
    await PipelineUseCases(shop.kept, now).update_stage(
        shop.actor, shop.tenant.pipeline.id, shop.tenant.stages[0], StageChange(name="Otra")
    )


async def remove_stage(shop: Shop) -> None:
    removal = Removal(move_to=shop.tenant.stages[1])
    await PipelineUseCases(shop.kept, now).delete_stage(
        shop.actor, shop.tenant.pipeline.id, shop.tenant.stages[0], removal
    )


CHANGES: dict[str, Callable[[Shop], Awaitable[object]]] = {
    "a lead is new": lambda shop: shop.use.create(shop.actor, NewLead(name="Mar")),
    "a lead has another name": lambda shop: shop.use.update(
        shop.actor, shop.newest.id, LeadChange(name="Mar")
    ),
    "a lead is won": lambda shop: shop.use.set_status(
        shop.actor, shop.leads[1].id, StatusChange(status=LeadStatus.WON)
    ),
    "a lead is gone and comes back": delete_and_restore,
    "a tag is taken off": lambda shop: link(shop, on=False),
    "a tag has another name": lambda shop: shop.tags.update(
        shop.actor, shop.tag, TagChange(name="frío")
    ),
    "a tag is gone": lambda shop: shop.tags.delete(shop.actor, shop.tag),
    "a person has another name": lambda shop: shop.contacts.update(
        shop.actor,
        shop.person,
        ContactChange(name="Ana"),
    ),
    "a person is gone": lambda shop: shop.contacts.delete(
        shop.actor,
        shop.person,
    ),
    "people are one": merge,
    "a stage has another name": rename_stage,
    "a stage is gone": remove_stage,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_page_shows_what_was_changed(name: str) -> None:
    async def story(shop: Shop) -> None:
        await shop.agrees()
        await CHANGES[name](shop)
        await shop.agrees()

    tell(story)


def test_pages_are_kept_unless_they_depend_on_what_may_change_of_others() -> None:
    async def story(shop: Shop) -> None:
        await shop.agrees()
        assert [await shop.looks(query) for query in KEPT] == [["near"]] * len(KEPT)
        assert [await shop.looks(query) for query in NOT_KEPT] == [[]] * len(NOT_KEPT)

    tell(story)


def test_a_lead_elsewhere_that_changes_leaves_a_page_as_it_is() -> None:
    async def story(shop: Shop) -> None:
        await shop.agrees()
        await shop.use.update(shop.actor, LeadId(shop.leads[0].id), LeadChange(notes="hola"))
        first, last = LeadQuery(limit=2), LeadQuery(limit=2, page=2)
        assert [await shop.looks(query) for query in (first, last)] == [["near"], ["storage"]]

    tell(story)
