"""An account, the people who work in it, and all that they can do."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from clarin_core.domain.actor import Actor, Cause, Origin, Role
from clarin_core.domain.events import Event
from clarin_core.ports.storage import Storage
from clarin_core.testing.tenants import NOON, Tenant, settle
from clarin_core.usecases.chats import ChatUseCases
from clarin_core.usecases.contacts import ContactUseCases
from clarin_core.usecases.devices import DeviceUseCases
from clarin_core.usecases.leads import LeadUseCases
from clarin_core.usecases.pipelines import PipelineUseCases
from clarin_core.usecases.quick_replies import QuickReplyUseCases
from clarin_core.usecases.tags import TagUseCases
from clarin_memory import MemoryPublisher, MemoryStorage
from clarin_server.plugins import connect_storage

T = TypeVar("T")


@dataclass
class Ticking:
    """A clock that is a minute further each time it is read."""

    at: datetime = NOON

    def __call__(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at


@dataclass
class Desk:
    """One account; `news` tells what happened since it was asked last."""

    tenant: Tenant
    admin: Actor
    agent: Actor
    clock: Ticking = field(default_factory=Ticking)
    _heard: int = 0

    @classmethod
    async def open(cls, storage: Storage | None = None) -> Self:
        """Return the desk of a fresh account."""
        tenant = await settle(storage or MemoryStorage(clock=Ticking()))
        people = [await tenant.hire(role) for role in (Role.ADMIN, Role.AGENT)]
        admin, agent = (
            Actor(
                account_id=tenant.id,
                user_id=user_id,
                role=role,
                origin=Origin(cause=Cause.USER, user_id=user_id),
            )
            for user_id, role in zip(people, (Role.ADMIN, Role.AGENT), strict=True)
        )
        desk = cls(tenant, admin, agent)
        await desk.news()
        return desk

    async def stranger(self) -> "Desk":
        """Return the desk of another account of the same storage."""
        return await Desk.open(self.tenant.storage)

    @property
    def leads(self) -> LeadUseCases:
        return LeadUseCases(self.tenant.storage, self.clock)

    @property
    def contacts(self) -> ContactUseCases:
        return ContactUseCases(self.tenant.storage, self.clock)

    @property
    def tags(self) -> TagUseCases:
        return TagUseCases(self.tenant.storage, self.clock)

    @property
    def pipelines(self) -> PipelineUseCases:
        return PipelineUseCases(self.tenant.storage, self.clock)

    @property
    def chats(self) -> ChatUseCases:
        return ChatUseCases(self.tenant.storage, self.clock)

    @property
    def devices(self) -> DeviceUseCases:
        return DeviceUseCases(self.tenant.storage, self.clock)

    @property
    def quick_replies(self) -> QuickReplyUseCases:
        return QuickReplyUseCases(self.tenant.storage, self.clock)

    async def news(self) -> list[Event]:
        """Return the events since the last call."""
        recorded = await self.tenant.events(after=self._heard)
        self._heard += len(recorded)
        return [one.event for one in recorded]

    async def names(self) -> list[str]:
        """Return the names of the events since the last call."""
        return [str(type(event).__struct_config__.tag) for event in await self.news()]


def tell_over(address: str, story: Callable[[Desk], Coroutine[Any, Any, T]]) -> T:
    """Run a story at a desk over the storage at an address, and return what it returns."""

    async def told() -> T:
        publisher = MemoryPublisher()
        opened = connect_storage(address, clock=Ticking(), publisher=publisher)
        async with opened as storage:
            return await story(await Desk.open(storage))

    return asyncio.run(told())


def tell(story: Coroutine[Any, Any, T]) -> T:
    """Run a story and return what it returns."""
    return asyncio.run(story)
