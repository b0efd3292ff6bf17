"""`clarin devices`: every way in which a pairing ends is told, and no password is an argument."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from typing import NamedTuple

import pytest
from rich.console import Console
from typer.testing import CliRunner

from clarin_core.domain.devices import Device, DeviceKey, DeviceLease
from clarin_core.domain.ids import DeviceId
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import CodeShown, Paired, SessionStep, Step
from clarin_core.usecases.device_sessions import DeviceSessionUseCases
from clarin_server import devices
from clarin_server.cli import main
from clarin_server.qr import as_letters
from support.screen import run
from support.serving import PASSWORD, House, now, serving

PHONE = PhoneNumber("+51987654321")
CONNECTED = SessionStep(step=Step.CONNECTED)
_LOG = "component="
PAIRED = Paired(jid="51987654321:1@s.whatsapp.net", phone=PHONE)


class Said(NamedTuple):
    """What a command said, without what the service logged in the same process meanwhile."""

    exit_code: int
    output: str


@dataclass
class Terminal:
    """Ana's terminal, and whoever runs her devices."""

    house: House
    user: str
    lease: DeviceLease | None = None

    async def type(self, *words: str, **environ: str) -> "Said":
        known = {"CLARIN_URL": str(self.house.http.base_url), "CLARIN_USER": self.user}
        env = {**known, "CLARIN_PASSWORD": PASSWORD, "COLUMNS": "100", **environ}
        done = await asyncio.to_thread(CliRunner().invoke, main, ["devices", *words], env=env)
        lines = done.output.splitlines(keepends=True)
        return Said(done.exit_code, "".join(line for line in lines if _LOG not in line))

    async def device(self) -> Device:
        views = self.house.services.storage.views(self.house.ana.account_id)
        return await views.device(DeviceId(1))

    async def until(self, is_so: Callable[[Device], bool]) -> None:
        while not is_so(await self.device()):
            await asyncio.sleep(0)

    async def run_device(self) -> None:
        """Hold the device, as soon as somebody wants it."""
        await self.until(lambda device: device.is_wanted)
        key = DeviceKey(account_id=self.house.ana.account_id, device_id=DeviceId(1))
        storage = self.house.services.storage
        self.lease = await storage.leases.lease(key, "test", timedelta(minutes=5))
        await self.sessions.begin(self.held)

    async def hear(self, *heard: SessionStep | CodeShown | Paired) -> None:
        for one in heard:
            await self.sessions.hear(self.held, one)

    @property
    def sessions(self) -> DeviceSessionUseCases:
        return DeviceSessionUseCases(self.house.services.storage, now)

    @property
    def held(self) -> DeviceLease:
        assert self.lease is not None
        return self.lease


def shown(code: str, *, is_qr: bool = True) -> CodeShown:
    return CodeShown(code=code, is_qr=is_qr, expires_at=now() + timedelta(minutes=1))


def told(story: Callable[[Terminal], Awaitable[None]]) -> None:
    """Tell a story at a terminal; a device is there."""

    async def it() -> None:
        async with serving() as house:
            await story(await seated(house))

    run(it())


async def seated(house: House) -> Terminal:
    """Return Ana's terminal, at which she has made a device."""
    user = (await house.ana.get("/api/me"))["user"]["username"]
    terminal = Terminal(house, user)
    made = await terminal.type("add", "Ventas")
    assert made.exit_code == 0, made.output
    assert "clarin devices connect 1" in made.output
    return terminal


def test_a_code_is_shown_and_renewed_until_a_phone_has_scanned_one() -> None:
    async def story(terminal: Terminal) -> None:
        typed = asyncio.create_task(terminal.type("connect", "1"))
        await terminal.run_device()
        await terminal.hear(shown("uno"), shown("dos"), PAIRED, CONNECTED)
        done = await typed
        assert done.exit_code == 0, done.output
        first, second = (done.output.find(as_letters(code).plain) for code in ("uno", "dos"))
        assert 0 < first < second
        assert f"device 1 (Ventas) is connected as {PHONE}" in done.output
        assert "is connected" in (await terminal.type("connect", "1")).output
        listed = (await terminal.type("list")).output
        assert [line.split() for line in listed.splitlines()][1] == [
            "1", "Ventas", PHONE, "connected",
        ]  # fmt: skip

    told(story)


def test_a_code_to_be_typed_is_shown() -> None:
    async def story(terminal: Terminal) -> None:
        typed = asyncio.create_task(terminal.type("pair", "1", "987 654 321"))
        await terminal.run_device()
        assert (await terminal.device()).pairing_phone == PHONE
        await terminal.hear(shown("ABCD1234", is_qr=False), PAIRED, CONNECTED)
        done = await typed
        assert done.exit_code == 0, done.output
        assert "Type ABCD1234, before " in done.output

    told(story)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Step.LOGGED_OUT, "connect it again to pair it anew"),
        (Step.REPLACED, "connecting it takes it back"),
        (Step.OUTDATED, "update Clarin"),
        (Step.BANNED, "WhatsApp has shut the number out"),
        (Step.PAIRING_ENDED, "no phone came"),
    ],
)
def test_every_end_is_told_with_what_helps(step: Step, reason: str) -> None:
    async def story(terminal: Terminal) -> None:
        typed = asyncio.create_task(terminal.type("connect", "1"))
        await terminal.run_device()
        await terminal.hear(SessionStep(step=step, reason="no phone came"))
        done = await typed
        assert done.exit_code == 1
        (line,) = [line for line in done.output.splitlines() if line.startswith("clarin: ")]
        assert line.startswith("clarin: device 1 (Ventas) is not connected: no phone came")
        assert reason in line
        assert "keeps trying" not in line

    told(story)


def test_a_service_that_keeps_trying_is_told() -> None:
    async def story(terminal: Terminal) -> None:
        typed = asyncio.create_task(terminal.type("connect", "1"))
        await terminal.run_device()
        await terminal.sessions.end(terminal.held, "WhatsApp cannot be reached")
        done = await typed
        assert done.exit_code == 1
        assert "is not connected: WhatsApp cannot be reached; the service keeps trying" in (
            done.output
        )

    told(story)


def test_a_device_that_nobody_runs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "SILENCE_S", 0.2)

    async def story(terminal: Terminal) -> None:
        done = await terminal.type("connect", "1")
        assert done.exit_code == 1
        assert "Does a process run devices" in done.output

    told(story)


def test_a_device_is_unlinked_and_disconnected() -> None:
    async def story(terminal: Terminal) -> None:
        refused = await terminal.type("unlink", "1")
        assert (refused.exit_code, "409" in refused.output) == (1, True)
        typed = asyncio.create_task(terminal.type("connect", "1"))
        await terminal.run_device()
        await terminal.hear(PAIRED, CONNECTED)
        assert (await typed).exit_code == 0
        typed = asyncio.create_task(terminal.type("unlink", "1"))
        await terminal.until(lambda device: device.is_leaving)
        await terminal.hear(SessionStep(step=Step.LOGGED_OUT, reason="unlinked"))
        assert "device 1 (Ventas) is unlinked: unlinked; connect it again" in (await typed).output
        gone = await terminal.type("disconnect", "1")
        assert "device 1 (Ventas) is logged_out" in gone.output

    told(story)


def test_a_device_that_could_not_be_unlinked_is_told() -> None:
    async def story(terminal: Terminal) -> None:
        typed = asyncio.create_task(terminal.type("connect", "1"))
        await terminal.run_device()
        await terminal.hear(PAIRED, CONNECTED)
        await typed
        typed = asyncio.create_task(terminal.type("unlink", "1"))
        await terminal.until(lambda device: device.is_leaving)
        await terminal.sessions.end(terminal.held, "the connection was lost")
        done = await typed
        assert done.exit_code == 1
        assert "could not be unlinked: the connection was lost" in done.output

    told(story)


def test_what_is_in_the_way_is_a_line() -> None:
    async def story(terminal: Terminal) -> None:
        for words, environ, line in (
            (("connect", "99"), {}, "404: device 99 does not exist"),
            (("list",), {"CLARIN_PASSWORD": "otra clave"}, "401: user name or password is wrong"),
            (("list",), {"CLARIN_ACCOUNT": "99"}, "answers 40"),
            (("list",), {"CLARIN_URL": "http://127.0.0.1:1"}, "No service answers at"),
            (("list",), {"CLARIN_PASSWORD": ""}, "set CLARIN_PASSWORD"),
        ):
            done = await terminal.type(*words, **environ)
            assert done.exit_code == 1
            assert line in done.output
            assert len(done.output.splitlines()) == 1

    told(story)


def test_a_stop_of_the_service_ends_it() -> None:
    async def it() -> None:
        async with serving() as house:
            terminal = await seated(house)
            typed = asyncio.create_task(terminal.type("connect", "1"))
            await terminal.run_device()
        done = await typed
        assert done.exit_code == 1
        assert "The service ended the connection" in done.output

    run(it())


def test_no_password_is_an_argument() -> None:
    """Everybody on a machine can see the arguments of all programs."""
    help_text = CliRunner().invoke(main, ["devices", "--help"]).output
    assert "--password" not in help_text
    assert "CLARIN_PASSWORD" in help_text


def test_a_terminal_that_is_too_low_is_told() -> None:
    frame = {"qr_code": "x" * 200, "expires_at": "2026-03-01T12:00:00Z"}
    assert "enlarge the terminal" in devices._drawn(frame, 24).plain
    assert "enlarge the terminal" not in devices._drawn(frame, 60).plain


def test_on_a_terminal_a_new_code_takes_the_place_of_the_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = StringIO()
    console = Console(force_terminal=True, file=drawn, width=100, height=60, soft_wrap=True)
    monkeypatch.setattr(devices, "_console", lambda: console)
    until = {"device_id": 1, "expires_at": "2026-03-01T12:00:00Z"}
    frames = iter([
        {"event": "qr_code", "data": until | {"qr_code": "uno"}},
        {"event": "new_message", "data": {"id": 1}},
        {"event": "qr_code", "data": until | {"device_id": 2, "qr_code": "another's"}},
        {"event": "qr_code", "data": until | {"qr_code": "dos"}},
        {"event": "device_status", "data": {"device_id": 1, "device": {"status": "connected"}}},
    ])  # fmt: skip
    watch = devices.Watch(1, lambda _: next(frames), settled_as=("connected",))
    assert watch.follow() == {"status": "connected"}
    first, second, other = (
        as_letters(code).plain.splitlines()[5] for code in ("uno", "dos", "another's")
    )
    text = drawn.getvalue()
    assert first in text
    assert "\x1b[1A" in text[text.index(first) : text.rindex(second)]
    assert other not in text
