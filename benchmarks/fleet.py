"""How a process fares with many devices of a simulated WhatsApp that all talk."""

import asyncio
import random
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, process_time

from msgspec import Struct

from benchmarks.figures import Figures, percentile
from benchmarks.storing import House, Store, house, now, phone_of, stored
from clarin_core.domain.actor import Actor
from clarin_core.domain.chats import NewChat
from clarin_core.domain.devices import DeviceKey, DeviceLease
from clarin_core.domain.ids import ChatId
from clarin_core.domain.inbound import Inbound, MessageSeen, Presence
from clarin_core.domain.media import MediaView, NewUrlFile
from clarin_core.domain.sending import NewMessage
from clarin_core.pool.parts import Parts
from clarin_core.pool.pool import DevicePool
from clarin_core.usecases.chats import ChatUseCases
from clarin_core.usecases.device_sessions import DeviceSessionUseCases
from clarin_core.usecases.inbox import InboxUseCases
from clarin_core.usecases.media_fetch import MediaFetchUseCases
from clarin_core.usecases.messages import MessageUseCases
from clarin_core.usecases.sending import SendingUseCases
from clarin_memory import MemoryBlobs, MemoryPublisher
from clarin_security import system_random
from clarin_whatsapp import Person, SimulatedMessaging, World

DEVICES_PER_ACCOUNT = 20
_STEP_S, _SETTLE_S = 0.05, 30.0


class Line(Struct, frozen=True):
    """A device, its owner, and somebody else who has a chat with it."""

    home: House
    owner: Person
    other: Person
    chat_id: ChatId


@dataclass(frozen=True, slots=True)
class TimedInbox(InboxUseCases):
    """An inbox that notes when each message was committed."""

    committed: dict[str, datetime]

    async def receive(self, lease: DeviceLease, heard: Sequence[Inbound]) -> None:
        """Let all of it happen."""
        await InboxUseCases.receive(self, lease, heard)
        at = now()
        for event in heard:
            if isinstance(event, MessageSeen):
                self.committed.setdefault(event.wa_message_id, at)


class Tally:
    """Counts what devices do."""

    def __init__(self) -> None:
        self.failures = 0
        self.outcomes = dict[str, int]()

    def failed(self, what: str, error: Exception, key: DeviceKey | None) -> None:
        """Count a failure."""
        self.failures += 1

    def heard(self, count: int) -> None:
        """Do nothing."""

    def did(self, outcome: str) -> None:
        """Count an errand."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def runs(self, count: int) -> None:
        """Do nothing."""

    def present(self, lease: DeviceLease, presence: Presence) -> None:
        """Do nothing."""


class Scene:
    """Devices that are linked and wanted; `lines` has one for each."""

    def __init__(self, store: Store, publisher: MemoryPublisher) -> None:
        self.store = store
        self.world = World(1, clock=now, sleep=_pause)
        self.tally = Tally()
        self.committed = dict[str, datetime]()
        self.lines: list[Line] = []
        self._publisher = publisher

    async def settle(self, devices: int) -> None:
        """Make accounts with so many devices, and a chat for each."""
        home = await house(self.store.storage)
        for number in range(devices):
            if number and number % DEVICES_PER_ACCOUNT == 0:
                home = await house(self.store.storage)
            self.lines.append(await self._line(home, number))

    async def _line(self, home: House, number: int) -> Line:
        owner = self.world.person(phone_of(number), "Clarin")
        other = self.world.person(phone_of(100_000 + number), "Ana")
        jid = self.world.link(owner)
        device = await home.tenant.add_device(jid=jid, phone=owner.phone, is_wanted=True)
        new = NewChat(device_id=device.id, phone=other.phone)
        chat = await ChatUseCases(home.tenant.storage, now).open(home.admin, new)
        return Line(home, owner, other, chat.id)

    def pool(self) -> DevicePool:
        """Return a pool that may have them all."""
        storage, blobs = self.store.storage, MemoryBlobs()
        parts = Parts(
            messaging=SimulatedMessaging(self.world),
            inbox=TimedInbox(storage, now, system_random, self.committed),
            sending=SendingUseCases(storage, now),
            sessions=DeviceSessionUseCases(storage, now),
            blobs=blobs,
            files=MediaFetchUseCases(storage, now, blobs),
            watch=self.tally,
            clock=now,
            new_name=lambda: system_random(10).hex().upper(),
            pause=_pause,
        )
        return DevicePool("benchmark", storage.leases, self._publisher, parts, random.random)


@asynccontextmanager
async def _scene(devices: int) -> AsyncIterator[Scene]:
    publisher = MemoryPublisher()
    async with stored(publisher) as store:
        scene = Scene(store, publisher)
        await scene.settle(devices)
        yield scene


async def fleet(seconds: float, devices: int, *, rate: float) -> Figures:
    """Connect so many devices, and let them and the others talk at a rate, each."""
    figures = Figures()
    async with _scene(devices) as scene:
        began, cpu = monotonic(), process_time()
        async with scene.pool().running():
            await _until(lambda: _all_connected(scene, devices))
            figures["devices"] = devices
            figures["all_connected_s"] = monotonic() - began
            figures["cpu_s_to_connect"] = process_time() - cpu
            figures |= await _talk(scene, seconds, rate)
    figures["failures"] = scene.tally.failures
    return figures


async def _all_connected(scene: Scene, devices: int) -> bool:
    return await scene.store.connected() >= devices


async def _talk(scene: Scene, seconds: float, rate: float) -> Figures:
    queued, said = dict[str, datetime](), dict[str, datetime]()
    statements, cpu = scene.store.storage.statements_run(), process_time()
    server_cpu, began = await scene.store.postgres_cpu_s(), monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(_send(scene, queued, rate=rate, until=began + seconds))
        group.create_task(_say(scene, said, rate=rate, until=began + seconds))
    figures = {
        "sends_per_s": len(queued) / (monotonic() - began),
        "cpu_percent": (process_time() - cpu) / (monotonic() - began) * 100,
        "cpu_s": process_time() - cpu,
        "postgres_cpu_s": await scene.store.postgres_cpu_s() - server_cpu,
        "statements_per_s": (scene.store.storage.statements_run() - statements) / seconds,
    }
    await _until(lambda: _all_there(scene, queued, said), _SETTLE_S)
    out = _late(queued, _delivered(scene))
    come = _late(said, scene.committed)
    for name, late in (("send_to_phone", out), ("phone_to_commit", come)):
        for part in (50, 95, 99):
            figures[f"{name}_ms_p{part}"] = percentile(late, part) * 1e3
    figures["not_delivered"], figures["not_heard"] = len(queued) - len(out), len(said) - len(come)
    return figures


async def _no_file(actor: Actor, new: NewUrlFile) -> MediaView:
    raise AssertionError("nobody sends a file here")


async def _send(scene: Scene, queued: dict[str, datetime], *, rate: float, until: float) -> None:
    """Have messages sent by people, whoever waits for which."""
    chance = random.Random(1)
    messages = MessageUseCases(scene.store.storage, now, _no_file)

    async def send(line: Line, body: str) -> None:
        await messages.send(line.home.admin, NewMessage(chat_id=line.chat_id, body=body))
        queued[body] = now()

    async with asyncio.TaskGroup() as group:
        async for number in _ticks(rate, until):
            group.create_task(send(chance.choice(scene.lines), f"nuestro {number}"))


async def _say(scene: Scene, said: dict[str, datetime], *, rate: float, until: float) -> None:
    chance = random.Random(2)
    async for number in _ticks(rate, until):
        line = chance.choice(scene.lines)
        said[line.other.says(line.owner, f"suyo {number}")] = now()


async def _ticks(rate: float, until: float) -> AsyncIterator[int]:
    """Count evenly, and catch up with what came too late."""
    began, number = monotonic(), 0
    while (due := began + number / rate) < until:
        await asyncio.sleep(max(0.0, due - monotonic()))
        yield number
        number += 1


def _delivered(scene: Scene) -> dict[str, datetime]:
    seen = [message for line in scene.lines for message in line.other.messages]
    return {message.body or "": message.sent_at for message in seen}


async def _all_there(scene: Scene, queued: dict[str, datetime], said: dict[str, datetime]) -> bool:
    return queued.keys() <= _delivered(scene).keys() and said.keys() <= scene.committed.keys()


def _late(began: dict[str, datetime], ended: dict[str, datetime]) -> "array[float]":
    found = [(ended[key] - at).total_seconds() for key, at in began.items() if key in ended]
    return array("d", found)


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _until(condition: Callable[[], Awaitable[bool]], patience_s: float = 600.0) -> None:
    deadline = monotonic() + patience_s
    while not await condition() and monotonic() < deadline:
        await asyncio.sleep(_STEP_S)
