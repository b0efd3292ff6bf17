"""One device at work, from its session's beginning to its end."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from clarin_core.domain.devices import Device, DeviceLease
from clarin_core.errors import ClarinError
from clarin_core.pool.address_book import AddressBook
from clarin_core.pool.ears import Ears
from clarin_core.pool.files import Files
from clarin_core.pool.lane import Lane
from clarin_core.pool.parts import Parts, is_lost
from clarin_core.pool.rounds import Rounds
from clarin_core.ports.devices import Call
from clarin_core.ports.messaging import CodeShown, Paired, Session, SessionStep, Step

_GRACE_S = 5.0
_CODE_LASTS = timedelta(seconds=160)


@dataclass(slots=True, eq=False)
class DeviceRun:
    """A device that this process runs.

    `begun` is called when WhatsApp says something for the first time, be it no. At the end,
    `is_wanted` tells whether it is to be run again.
    """

    lease: DeviceLease
    parts: Parts
    begun: Callable[[], None]
    has_begun: bool = False
    is_wanted: bool = True
    offline_since: float | None = None
    _rounds: tuple[Rounds, ...] = ()
    _session: Session | None = None
    _book: AddressBook | None = None
    _phone_asked: bool = False
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Come to an end in order."""
        self._stopping.set()

    def heed(self, call: Call) -> None:
        """Do what somebody wants, or what is due."""
        if not call.is_wanted:
            self.stop()
        if call.wants_contacts and self._book is not None:
            self._book.is_wanted = True
        due = call.has_errands, call.wants_contacts, call.has_files
        for rounds, is_due in zip(self._rounds, due, strict=False):  # None before the session.
            if is_due:
                rounds.stir()

    async def work(self) -> None:
        """Hear and send until the session is over, or the device is not wanted any more.

        Raises Conflict `lease_lost` when somebody else has it, and whatever keeps the session
        from being opened.
        """
        device = await self.parts.sessions.begin(self.lease)
        self.is_wanted = device.is_wanted
        if not device.is_wanted:
            return
        reason: str | None = None
        try:
            await self._recover()
            await self._live(device)
        except Exception as error:
            reason = str(error) if isinstance(error, ClarinError) else "an error within"
            raise
        finally:
            await self._end(reason)

    async def _recover(self) -> None:
        """Go on where another run, or another process, left off."""
        honours_ids = self.parts.messaging.honours_ids
        await self.parts.sending.recover(self.lease, honours_ids=honours_ids)
        await Ears(self.lease, self.parts, self._told).try_again()

    async def _live(self, device: Device) -> None:
        """Have a session. What it had heard when it ended is still stored."""
        ears = Ears(self.lease, self.parts, self._told)
        tasks: list[asyncio.Task[None]] = []
        parts = self.parts
        self.offline_since = self.parts.now()
        try:
            async with self.parts.messaging.session(self.lease.key, jid=device.jid) as session:
                self._session = session
                self._book = AddressBook(self.lease, session, parts)
                self._rounds = (
                    Rounds(Lane(self.lease, session, parts).send_one),
                    Rounds(self._book.read_once),
                    Rounds(Files(self.lease, session, parts.files, parts.watch).fetch_one),
                )
                tasks += [asyncio.create_task(ears.hear(session))]
                tasks += [asyncio.create_task(rounds.work()) for rounds in self._rounds]
                await self._until_over(tasks)
                for rounds in self._rounds:
                    rounds.close()
                await _within_grace(tasks[1:])
                await self._leave(session)
            await _within_grace(tasks[:1])
        finally:
            self._rounds = ()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for error in results:
            if isinstance(error, Exception):
                raise error

    async def _until_over(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()

    async def _leave(self, session: Session) -> None:
        """Unlink the device from its phone, if that is why it ends."""
        device = await self.parts.sessions.look(self.lease)
        if not device.is_leaving:
            return
        try:
            await session.log_out()
        except ClarinError as error:
            self.parts.watch.failed("unlink a device", error, self.lease.key)
        else:
            await self.parts.sessions.hear(self.lease, SessionStep(step=Step.LOGGED_OUT))

    async def _told(self, heard: SessionStep | CodeShown | Paired) -> None:
        """Let be so what the session says of itself."""
        if not self.has_begun:
            self.has_begun = True
            self.begun()
        device = await self.parts.until_stored(lambda: self.parts.sessions.hear(self.lease, heard))
        match heard:
            case SessionStep():
                self._step(heard.step)
            case CodeShown(is_qr=True) if device.pairing_phone is not None:
                await self._ask_phone(device)
            case _:
                pass

    def _step(self, step: Step) -> None:
        is_online = step is Step.CONNECTED
        self.offline_since = None if is_online else self.parts.now()
        for rounds in self._rounds:
            rounds.go_online(is_online)

    async def _ask_phone(self, device: Device) -> None:
        """Have a code to be typed on a phone, too; once, since the phone shows each request."""
        if self._phone_asked or self._session is None or device.pairing_phone is None:
            return
        self._phone_asked = True
        try:
            code = await self._session.pair_code(device.pairing_phone)
        except ClarinError as error:
            self.parts.watch.failed("ask for a code to be typed", error, self.lease.key)
            return
        expires_at = self.parts.clock() + _CODE_LASTS
        shown = CodeShown(code=code, is_qr=False, expires_at=expires_at)
        await self.parts.sessions.hear(self.lease, shown)

    async def _end(self, reason: str | None) -> None:
        try:
            self.is_wanted = (await self.parts.sessions.end(self.lease, reason)).is_wanted
        except ClarinError as error:
            if not is_lost(error):
                self.parts.watch.failed("say that a device has ended", error, self.lease.key)


async def _within_grace(tasks: list[asyncio.Task[None]]) -> None:
    """Wait for some tasks, but not for ever."""
    await asyncio.wait(tasks, timeout=_GRACE_S)
