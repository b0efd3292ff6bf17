"""WhatsApp in the service: without its library, without a way out, and simulated."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.devices import DeviceStatus, NewDevice
from clarin_core.domain.events import Event, Recorded
from clarin_core.domain.inbox_events import DeviceUpdated
from clarin_core.domain.sign_in import Credentials
from clarin_core.reads.feed import Listener
from clarin_security import system_random
from clarin_server import whatsapp
from clarin_server.clock import now
from clarin_server.doctor import examine
from clarin_server.progress import Progress
from clarin_server.settings import Settings, read_settings
from clarin_server.start import serving
from clarin_whatsapp import NeonizeMessaging
from support.offline import cut_off, require_library

PASSWORD = "una clave larga"
Seen = Callable[[Event], bool]


class Reader(Listener):
    """Reads an account's log until something is in it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def take(self, events: Sequence[Recorded]) -> None:
        self.events += [recorded.event for recorded in events]
        self._news.set()

    def begin_anew(self, reason: str) -> None:
        raise AssertionError(reason)

    async def until(self, is_it: Seen) -> Event:
        while True:
            if found := next(filter(is_it, self.events), None):
                return found
            self._news.clear()
            await self._news.wait()


def settings_for(folder: Path, messaging: str) -> Settings:
    environ = {
        "CLARIN_STORAGE": "memory", "PORT": "0", "CLARIN_MESSAGING": messaging,
        "CLARIN_DATA_DIR": str(folder), "ADMIN_PASSWORD": PASSWORD,
    }  # fmt: skip
    return read_settings(environ)


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[Reader]:
    """Run the service, with a device that is wanted; yield who reads its log."""
    async with serving(settings, Progress(settings)) as served:
        told = await served.services.sign_in.login(
            Credentials(username="admin", password=PASSWORD), address="127.0.0.1"
        )
        actor = Actor(account_id=told.account_id, user_id=told.user.id, role=Role.ADMIN)
        reader = Reader()
        stream = served.services.feed.attach(actor.account_id, reader)
        await stream.open()
        device = await served.services.devices.create(actor, NewDevice(name="Ventas"))
        await served.services.devices.connect(actor, device.id)
        yield reader
        served.services.feed.detach(stream, reader)


def told(story: Coroutine[object, object, None]) -> None:
    async def patiently() -> None:
        async with asyncio.timeout(60):
            await story

    uvloop.run(patiently())


def is_down(event: Event) -> bool:
    return isinstance(event, DeviceUpdated) and event.device.status is DeviceStatus.DISCONNECTED


async def is_down_and_tried_again(settings: Settings) -> str | None:
    """Return why a device is not connected, when it has been tried again."""
    async with service(settings) as reader:
        event = await reader.until(is_down)
        assert isinstance(event, DeviceUpdated)
        assert event.device.is_wanted
        reader.events.clear()
        again = await reader.until(is_down)
        assert isinstance(again, DeviceUpdated)
        assert again.device.reason == event.device.reason
    return event.device.reason


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("clarin_server.whatsapp.find_library", "libmagic is not installed"),
        ("importlib.util.find_spec", "neonize is not installed"),
    ],
)
def test_the_service_works_without_the_library(
    name: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device says what is missing, is tried again, and everything else works."""
    monkeypatch.setattr(name, lambda _: None)
    settings = settings_for(tmp_path, "neonize")

    async def story() -> None:
        reason = await is_down_and_tried_again(settings)
        assert reason == whatsapp.missing()
        assert reason.startswith(what)

    told(story())
    finding = {one.subject: one for one in asyncio.run(examine(settings))}["WhatsApp"]
    assert (finding.health, finding.found) == ("note", what)
    assert "install" in finding.advice


def test_the_service_works_without_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real library, in processes of its own, which find nobody."""
    require_library()
    cut_off(monkeypatch)

    async def story() -> None:
        reason = await is_down_and_tried_again(settings_for(tmp_path, "neonize"))
        assert reason == "WhatsApp cannot be reached"

    told(story())


def test_the_library_is_used_where_it_is(tmp_path: Path) -> None:
    require_library()
    assert isinstance(whatsapp.real_messaging(tmp_path), NeonizeMessaging)


def test_what_is_simulated_is_another_town_each_time() -> None:
    """The names of messages are made of the seed: those of an earlier run are taken."""
    one, other = (whatsapp.simulated_messaging(now, system_random) for _ in range(2))
    assert one._town.chance.name() != other._town.chance.name()
