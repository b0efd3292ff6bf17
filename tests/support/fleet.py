"""Pools of devices over one storage and one simulated WhatsApp, in a time that is set forward."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from clarin_core.domain.actor import Actor
from clarin_core.domain.chats import ChatQuery, ChatView, NewChat
from clarin_core.domain.devices import Device, DeviceKey, DeviceLease, NewDevice
from clarin_core.domain.ids import DeviceId
from clarin_core.domain.inbound import Presence
from clarin_core.domain.messages import MessageQuery, MessageView
from clarin_core.domain.sending import NewMessage
from clarin_core.pool.parts import Parts
from clarin_core.pool.pool import DevicePool
from clarin_core.ports.messaging import Messaging
from clarin_core.ports.storage import Storage
from clarin_core.testing.tenants import NOON, Tenant
from clarin_core.usecases.chats import ChatUseCases
from clarin_core.usecases.device_sessions import DeviceSessionUseCases
from clarin_core.usecases.devices import DeviceUseCases
from clarin_core.usecases.inbox import InboxUseCases
from clarin_core.usecases.media_fetch import MediaFetchUseCases
from clarin_core.usecases.messages import MessageUseCases
from clarin_core.usecases.sending import SendingUseCases
from clarin_memory import MemoryBlobs, MemoryPublisher, MemoryStorage
from clarin_whatsapp import Manner, Person, SimulatedMessaging, World
from support.cabinet import media_over
from support.desk import Desk
from support.world import Hourglass, new_world

TICK = timedelta(seconds=0.25)
TURNS = 40
PATIENCE = 4_000


@dataclass
class Diary:
    """What pools told of themselves."""

    failures: list[tuple[str, Exception, DeviceKey | None]] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    heard_count: int = 0
    most: int = 0
    presences: list[Presence] = field(default_factory=list)

    def failed(self, what: str, error: Exception, key: DeviceKey | None) -> None:
        self.failures.append((what, error, key))

    def heard(self, count: int) -> None:
        self.heard_count += count

    def did(self, outcome: str) -> None:
        self.outcomes.append(outcome)

    def runs(self, count: int) -> None:
        self.most = max(self.most, count)

    def present(self, lease: DeviceLease, presence: Presence) -> None:
        self.presences.append(presence)


class Fleet:
    """An account with devices; `desk` is where people work, `world` where the others are."""

    def __init__(
        self, desk: Desk, publisher: MemoryPublisher, world: World, glass: Hourglass
    ) -> None:
        self.desk, self.publisher, self.world, self.glass = desk, publisher, world, glass
        self.messaging: Messaging = SimulatedMessaging(world)
        self.diary = Diary()
        self.blobs = MemoryBlobs()
        self._numbers = count(1)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, seed: int = 1, manner: Manner | None = None, honours_ids: bool = False
    ) -> AsyncIterator["Fleet"]:
        world, glass = new_world(seed, manner=manner or Manner(), honours_ids=honours_ids)
        publisher = MemoryPublisher(is_whole=True)
        desk = await Desk.open(MemoryStorage(clock=glass, publisher=publisher))
        yield cls(desk, publisher, world, glass)

    @property
    def tenant(self) -> Tenant:
        return self.desk.tenant

    @property
    def admin(self) -> Actor:
        return self.desk.admin

    @property
    def devices(self) -> DeviceUseCases:
        return DeviceUseCases(self.tenant.storage, self.glass)

    @property
    def chats(self) -> ChatUseCases:
        return ChatUseCases(self.tenant.storage, self.glass)

    @property
    def messages(self) -> MessageUseCases:
        media = media_over(self.tenant.storage, self.glass, self.blobs)
        return MessageUseCases(self.tenant.storage, self.glass, media.for_message)

    def parts(self, storage: Storage | None = None, messaging: Messaging | None = None) -> Parts:
        at = storage or self.tenant.storage
        return Parts(
            messaging=messaging or self.messaging,
            inbox=InboxUseCases(at, self.glass, lambda size: self._name(size)),
            sending=SendingUseCases(at, self.glass),
            sessions=DeviceSessionUseCases(at, self.glass),
            blobs=self.blobs,
            files=MediaFetchUseCases(at, self.glass, self.blobs),
            watch=self.diary,
            clock=self.glass,
            new_name=lambda: f"OURS{next(self._numbers)}",
            pause=self.glass.sleep,
            now=lambda: (self.glass() - NOON).total_seconds(),
        )

    def pool(
        self,
        owner: str = "node",
        *,
        storage: Storage | None = None,
        messaging: Messaging | None = None,
    ) -> DevicePool:
        at = storage or self.tenant.storage
        parts = self.parts(storage, messaging)
        return DevicePool(owner, at.leases, self.publisher, parts, chance=lambda: 0.5)

    @asynccontextmanager
    async def running(self, pool: DevicePool | None = None) -> AsyncIterator[None]:
        """Run a pool while inside; time goes on while it stops."""
        is_stopping = asyncio.Event()
        ticking = asyncio.create_task(self._tick(is_stopping))
        try:
            async with (pool or self.pool()).running():
                try:
                    yield
                finally:
                    is_stopping.set()
        finally:
            ticking.cancel()

    async def paired(self, phone: str = "+51900000000") -> tuple[Device, Person]:
        """Return a wanted device that is linked to a phone already, and whose phone it is."""
        owner = self.world.person(phone, "Clarin")
        jid = self.world.link(owner)
        device = await self.tenant.add_device(jid=jid, phone=owner.phone, is_wanted=True)
        return device, owner

    async def device(self, device_id: DeviceId) -> Device:
        return await self.tenant.views.device(device_id)

    async def write(self, device: Device, to: Person, *bodies: str) -> list[MessageView]:
        """Queue messages to somebody, all in one chat."""
        chat = await self.chats.open(self.admin, NewChat(device_id=device.id, phone=to.phone))
        return [
            await self.messages.send(self.admin, NewMessage(chat_id=chat.id, body=body))
            for body in bodies
        ]

    async def shown(self) -> Sequence[ChatView]:
        return (await self.tenant.views.chats(ChatQuery(limit=200))).data

    async def said(self) -> list[MessageView]:
        """Return all messages of all chats."""
        pages = [
            await self.tenant.views.messages(chat.id, MessageQuery(limit=200))
            for chat in await self.shown()
        ]
        return [message for page in pages for message in page.data]

    async def until(self, *conditions: Callable[[], Awaitable[bool]]) -> None:
        """Let time pass until all of it is so."""
        for _ in range(PATIENCE):
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if all([await condition() for condition in conditions]):
                return
            self.glass.forward(TICK)
        raise AssertionError("it never came to be")

    async def during(self, time: timedelta) -> None:
        """Let so much time pass."""
        end = self.glass() + time
        while self.glass() < end:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            self.glass.forward(TICK)

    async def _tick(self, begin: asyncio.Event) -> None:
        await begin.wait()
        await self.during(timedelta(days=999))

    def _name(self, size: int) -> bytes:
        return next(self._numbers).to_bytes(size, "big")


def fresh() -> NewDevice:
    return NewDevice(name="Ventas")
