"""Sessions in a process of their own: with hosts that are played, and with the real one."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import (
    Messaging,
    NotSent,
    OutcomeUnknown,
    Outgoing,
    Refused,
    SentAs,
    Session,
    SessionStep,
    Step,
)
from clarin_core.testing.messaging_stage import KEY, Ear
from clarin_core.testing.tenants import NOON
from clarin_whatsapp import NeonizeMessaging
from support.offline import cut_off, link, require_library

HER = Identity(IdentityKind.PHONE, "51911111111")
HOLA = Outgoing(to=HER, body="hola")
JID = "51900000000:7@s.whatsapp.net"

PLAYED = """
    import socket, struct, sys
    from datetime import UTC, datetime
    from clarin_core.ports.messaging import SentAs, SessionStep, Step
    from clarin_whatsapp import frames
    from clarin_whatsapp.frames import Answered, Failed, Failure, Told

    there = socket.socket(fileno=int(sys.argv[1]))
    file = there.makefile("rb")

    def say(frame):
        there.sendall(frames.packed(frame))

    def hear():
        size = file.read(4)
        if not size:
            sys.exit()
        return frames.to_host.decode(file.read(int.from_bytes(size, "big")))

    def asked():
        while not isinstance(frame := hear(), frames.Asked):
            pass
        return frame

    opening = hear()
    say(Told(SessionStep(step=Step.CONNECTED)))
"""

Story = Callable[[Session, Ear], Awaitable[None]]


def play(folder: Path, *lines: str, call_s: float = 30, grace_s: float = 30) -> NeonizeMessaging:
    """Return messaging with a host that says it is connected, and then does as the lines say."""
    script = folder / "played.py"
    script.write_text("\n".join([dedent(PLAYED), *lines]))
    host = (sys.executable, str(script))
    return NeonizeMessaging(folder, host=host, call_s=call_s, grace_s=grace_s)


@asynccontextmanager
async def opened(
    messaging: Messaging, jid: str | None = None
) -> AsyncIterator[tuple[Session, Ear]]:
    async with asyncio.timeout(60), messaging.session(KEY, jid=jid) as session:
        yield session, Ear(session)


def tell(messaging: Messaging, story: Story) -> None:
    async def told() -> None:
        async with opened(messaging) as (session, ear):
            await ear.step(Step.CONNECTED)
            await story(session, ear)

    asyncio.run(told())


async def died(ear: Ear) -> None:
    assert (await ear.step(Step.DISCONNECTED)).reason == "the device's process ended"
    await ear.end()


def test_a_call_is_answered_by_its_number(tmp_path: Path) -> None:
    """Whatever the order of the answers."""
    messaging = play(
        tmp_path,
        "one, two = asked(), asked()",
        "for frame in (two, one):",
        "    body = frame.call.message.body",
        "    at = datetime(2026, 3, 1, 12, tzinfo=UTC)",
        "    say(Answered(frame.number, SentAs(wa_message_id=body, at=at)))",
        "hear()",
    )

    async def story(session: Session, _: Ear) -> None:
        bodies = ("uno", "dos")
        sent = await asyncio.gather(*(session.send(Outgoing(to=HER, body=b)) for b in bodies))
        assert sent == [SentAs(wa_message_id=body, at=NOON) for body in bodies]

    tell(messaging, story)


@pytest.mark.parametrize(
    ("failure", "error"),
    [("NOT_SENT", NotSent), ("REFUSED", Refused), ("UNKNOWN", OutcomeUnknown)],
)
def test_a_failure_is_the_ports_error(failure: str, error: type[Exception], tmp_path: Path) -> None:
    messaging = play(tmp_path, f"say(Failed(asked().number, Failure.{failure}))", "hear()")

    async def story(session: Session, _: Ear) -> None:
        with pytest.raises(error):
            await session.revoke(HER, "3EB0")

    tell(messaging, story)


def test_a_host_that_dies_leaves_doubt_and_then_none(tmp_path: Path) -> None:
    """What it had been asked may be done; what it is asked afterwards surely is not."""

    async def story(session: Session, ear: Ear) -> None:
        with pytest.raises(OutcomeUnknown):
            await session.send(HOLA)
        await died(ear)
        with pytest.raises(NotSent):
            await session.send(HOLA)

    tell(play(tmp_path, "asked()", "sys.exit(134)"), story)


def test_a_host_that_never_starts_is_told_as_a_disconnection(tmp_path: Path) -> None:
    async def told() -> None:
        broken = NeonizeMessaging(tmp_path, host=(sys.executable, "-c", "raise SystemExit(1)"))
        async with opened(broken) as (_, ear):
            await died(ear)

    asyncio.run(told())


def test_a_last_step_is_not_followed_by_another(tmp_path: Path) -> None:
    """The end of a host that has said why it ends is no news."""

    async def story(_: Session, ear: Ear) -> None:
        heard = [await ear.next()]
        with pytest.raises(StopAsyncIteration):
            await ear.next()
        assert heard == [SessionStep(step=Step.REPLACED)]

    tell(play(tmp_path, "say(Told(SessionStep(step=Step.REPLACED)))"), story)


def test_a_call_that_takes_too_long_is_in_doubt(tmp_path: Path) -> None:
    """The answer that comes all the same is nobody's."""
    messaging = play(tmp_path, "say(Answered(asked().number, None))", "hear()", call_s=0)

    async def story(session: Session, _: Ear) -> None:
        with pytest.raises(OutcomeUnknown):
            await session.mark_read(HER, ["3EB0"])

    tell(messaging, story)


def test_the_answer_to_who_waits_no_more_disturbs_nobody(tmp_path: Path) -> None:
    messaging = play(
        tmp_path,
        "for number in (asked().number, asked().number):",
        "    say(Answered(number, b'file'))",
        "hear()",
    )

    async def story(session: Session, _: Ear) -> None:
        given_up = asyncio.ensure_future(session.fetch(b"one"))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await session.fetch(b"two") == b"file"

    tell(messaging, story)


def test_a_host_of_another_version_ends_the_session(tmp_path: Path) -> None:
    """What it says is not understood, and to wait for more would be to wait for ever."""

    async def story(_: Session, ear: Ear) -> None:
        await died(ear)

    tell(play(tmp_path, "there.sendall(bytes(3) + b'\\x01?')", "hear()"), story)


def test_who_leaves_ends_the_host_and_every_wait(tmp_path: Path) -> None:
    """Also a host that does not listen: it is killed."""
    messaging = play(tmp_path, "import time", "while True: time.sleep(1000)", grace_s=0)

    async def told() -> None:
        async with asyncio.TaskGroup() as group:
            async with opened(messaging) as (session, ear):
                await ear.step(Step.CONNECTED)
                sending = asyncio.ensure_future(session.send(HOLA))
                ended = group.create_task(ear.end())
                await asyncio.sleep(0)
            with pytest.raises(OutcomeUnknown):
                await sending
        assert ended.done()
        with pytest.raises(NotSent):
            await session.send(HOLA)

    asyncio.run(told())


def test_what_is_told_waits_for_no_call_and_the_other_way_round(tmp_path: Path) -> None:
    """An answer arrives though nobody takes what was told before it."""
    many = "for _ in range(frames.WINDOW): say(Told(SessionStep(step=Step.CONNECTED)))"
    messaging = play(tmp_path, many, "say(Answered(asked().number, b'file'))", "hear()")

    async def story(session: Session, ear: Ear) -> None:
        assert await session.fetch(b"source") == b"file"
        await ear.step(Step.CONNECTED)

    tell(messaging, story)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NeonizeMessaging:
    """Return messaging over the library itself, which reaches nobody."""
    require_library()
    cut_off(monkeypatch)
    return NeonizeMessaging(tmp_path / "devices")


async def is_cut_off(messaging: Messaging, jid: str | None) -> None:
    async with opened(messaging, jid) as (session, ear):
        assert (await ear.step(Step.DISCONNECTED)).reason == "WhatsApp cannot be reached"
        await ear.end()
        with pytest.raises(NotSent):
            await session.send(HOLA)


def test_the_library_says_that_it_reaches_nobody(offline: NeonizeMessaging, tmp_path: Path) -> None:
    """A new device as well as a linked one; and its process ends, or leaving would not."""

    async def told() -> None:
        await is_cut_off(offline, None)
        link(tmp_path / "devices" / "1-1.db", JID)
        await is_cut_off(offline, JID)

    asyncio.run(told())


@pytest.mark.parametrize("has_file", [True, False])
def test_a_device_whose_keys_are_elsewhere_stays(has_file: bool, offline: NeonizeMessaging) -> None:
    """The library would abort its process; another machine may still have the keys."""

    async def told() -> None:
        if has_file:
            await is_cut_off(offline, None)
        async with opened(offline, JID) as (_, ear):
            told = await ear.step(Step.DISCONNECTED)
            assert "its keys are not on this machine" in (told.reason or "")
            await ear.end()

    asyncio.run(told())


def test_calls_of_a_device_that_never_connected_are_not_sent(offline: NeonizeMessaging) -> None:
    """They hang as little as they abort anything."""

    async def told() -> None:
        async with opened(offline) as (session, _):
            for call in (session.send(HOLA), session.pair_code(PhoneNumber("+51900000000"))):
                with pytest.raises((NotSent, OutcomeUnknown)):
                    await call

    asyncio.run(told())
