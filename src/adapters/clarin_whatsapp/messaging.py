"""The port Messaging over neonize, which runs in a process of its own for each device.

The library can abort its process, leaks with every connection, and may never end by itself; so a
session is a child process, and to end a session is to end it. Nothing of the library is loaded
here. What it cannot do: it names messages itself, and it tells WhatsApp that something was
received before we have it, so that what a host held when it died is lost.

The session of a device with WhatsApp, its keys, is a SQLite file of its own: it needs no server
and no connection, and what happens to it happens to one device. Whoever runs devices on several
machines keeps the folder where all of them reach it, or a device on its machine.
"""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

from clarin_core.domain.devices import DeviceKey
from clarin_core.domain.inbound import Activity, PeerSeen
from clarin_core.domain.jid import Identity
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import (
    LAST_STEPS,
    Delivery,
    Heard,
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
from clarin_whatsapp import frames
from clarin_whatsapp.frames import Answered, Asked, Failed, Failure, Opening, Taken, Told

HOST = (sys.executable, "-m", "clarin_whatsapp.host")
_CALL_S = 80.0  # The library itself gives up after 75.
_GRACE_S = 10.0

_INHERITED = frozenset({
    "HOME", "HTTPS_PROXY", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "NO_PROXY", "PATH", "PYTHONPATH",
    "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ", "VIRTUAL_ENV", "https_proxy", "no_proxy",
})  # fmt: skip
_DIED = SessionStep(step=Step.DISCONNECTED, reason="the device's process ended")
_ENDS = LAST_STEPS | {Step.DISCONNECTED}
_ERRORS = {
    Failure.NOT_SENT: (NotSent, "the device is not connected"),
    Failure.REFUSED: (Refused, "WhatsApp refused it"),
    Failure.UNKNOWN: (OutcomeUnknown, "WhatsApp did not answer"),
}


class NeonizeMessaging(Messaging):
    """Starts a host for each session; `folder` holds the keys of all devices.

    A call that takes longer than `call_s` is in doubt, a host that does not end within `grace_s`
    is killed.
    """

    honours_ids = False
    redelivers = False

    def __init__(
        self,
        folder: Path,
        *,
        host: Sequence[str] = HOST,
        call_s: float = _CALL_S,
        grace_s: float = _GRACE_S,
    ) -> None:
        self._folder = folder.absolute()
        self._host = host
        self._call_s = call_s
        self._grace_s = grace_s

    @asynccontextmanager
    async def session(self, key: DeviceKey, *, jid: str | None) -> AsyncIterator[Session]:
        """Open a device; leaving waits until its process is gone."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = self._folder / f"{key.account_id}-{key.device_id}.db"
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = await self._start(theirs)
            theirs.close()
            try:
                async with NeonizeSession(ours, call_s=self._call_s) as session:
                    session.say(Opening(str(store), jid))
                    yield session
            finally:
                await self._end(process)

    async def _start(self, theirs: socket.socket) -> Process:
        descriptor = theirs.fileno()
        return await asyncio.create_subprocess_exec(
            *self._host,
            str(descriptor),
            pass_fds=[descriptor],
            stdin=DEVNULL,
            stdout=DEVNULL,
            env=_environment(),
        )

    async def _end(self, process: Process) -> None:
        """Wait for a host, which ends when nobody listens to it."""
        try:
            async with asyncio.timeout(self._grace_s):
                await process.wait()
        except TimeoutError:
            pass
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class NeonizeSession(Session):
    """One device, as its host tells of it.

    A call that was not written yet has surely not been done; one that was written and not
    answered when the host ends is in doubt.
    """

    def __init__(self, ours: socket.socket, *, call_s: float) -> None:
        self._socket = ours
        self._call_s = call_s
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[frames.Result]] = {}
        self._heard: asyncio.Queue[Heard | None] = asyncio.Queue()
        self._is_open = True
        self._last: Step | None = None

    async def __aenter__(self) -> "NeonizeSession":
        self._reader, self._writer = await asyncio.open_connection(sock=self._socket)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end()
        self._listening.cancel()
        self._writer.transport.abort()  # A host that does not read must not keep anybody.
        await asyncio.wait([self._listening])
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def heard(self) -> AsyncIterator[Delivery]:
        """Give all that the host tells; to acknowledge it changes nothing."""
        while (heard := await self._heard.get()) is not None:
            self.say(Taken())
            yield Delivery(heard, _nothing)

    async def send(self, message: Outgoing) -> SentAs:
        """Send a message, under an id that the library chooses."""
        sent = await self._ask(frames.Send(message))
        assert isinstance(sent, SentAs)
        return sent

    async def edit(self, to: Identity, wa_message_id: str, body: str) -> None:
        """Let an own message say something else."""
        await self._ask(frames.Edit(to, wa_message_id, body))

    async def revoke(self, to: Identity, wa_message_id: str) -> None:
        """Take an own message back."""
        await self._ask(frames.Revoke(to, wa_message_id))

    async def react(self, to: Identity, wa_message_id: str, emoji: str, *, is_own: bool) -> None:
        """React to a message."""
        await self._ask(frames.React(to, wa_message_id, emoji, is_own))

    async def mark_read(self, to: Identity, wa_message_ids: list[str]) -> None:
        """Tell the other side that its messages were read."""
        await self._ask(frames.MarkRead(to, wa_message_ids))

    async def type(self, to: Identity, activity: Activity) -> None:
        """Show the other side that somebody types, or stopped to."""
        await self._ask(frames.Type(to, activity))

    async def fetch(self, source: bytes) -> bytes:
        """Return the bytes of a file."""
        content = await self._ask(frames.Fetch(source))
        assert isinstance(content, bytes)
        return content

    async def contacts(self) -> list[PeerSeen]:
        """Return whom the phone knows, as far as the library was told."""
        people = await self._ask(frames.Contacts())
        assert isinstance(people, list)
        return people

    async def pair_code(self, phone: PhoneNumber) -> str:
        """Return a code to be typed; raises NotSent before the first code to be scanned."""
        code = await self._ask(frames.PairCode(phone))
        assert isinstance(code, bytes)
        return code.decode()

    async def log_out(self) -> None:
        """Unlink the device from its phone."""
        await self._ask(frames.LogOut())

    def say(self, frame: frames.ToHost) -> None:
        """Write a frame, unless the host is gone."""
        if self._is_open:
            self._writer.write(frames.packed(frame))

    async def _ask(self, call: frames.Call) -> frames.Result:
        if not self._is_open:
            raise NotSent("the session has ended")
        number = next(self._numbers)
        answer: asyncio.Future[frames.Result] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self.say(Asked(number, call))
        try:
            async with asyncio.timeout(self._call_s):
                return await answer
        except TimeoutError:
            raise OutcomeUnknown("the device did not answer in time") from None
        finally:
            del self._answers[number]

    async def _listen(self) -> None:
        try:
            while (content := await frames.next_frame(self._reader)) is not None:
                self._take(frames.of_host.decode(content))
        finally:
            self._end([] if self._last in _ENDS else [_DIED])

    def _take(self, frame: frames.FromHost) -> None:
        match frame:
            case Told(heard):
                self._last = heard.step if isinstance(heard, SessionStep) else self._last
                self._heard.put_nowait(heard)
            case Answered(number, result) if self._is_awaited(number):
                self._answers[number].set_result(result)
            case Failed(number, failure) if self._is_awaited(number):
                error, reason = _ERRORS[failure]
                self._answers[number].set_exception(error(reason))

    def _is_awaited(self, number: int) -> bool:
        return number in self._answers and not self._answers[number].done()

    def _end(self, last: Sequence[Heard] = ()) -> None:
        self._is_open = False
        for heard in (*last, None):
            self._heard.put_nowait(heard)
        for number in filter(self._is_awaited, self._answers):
            self._answers[number].set_exception(OutcomeUnknown("the device's process ended"))


def _environment() -> dict[str, str]:
    """Return what a host may know: nothing secret, and that we are no bot."""
    known = {name: value for name, value in os.environ.items() if name in _INHERITED}
    return known | {"NEONIZE_BOT_TAG": "off"}


async def _nothing() -> None:
    """Acknowledge: there is nobody to tell."""
