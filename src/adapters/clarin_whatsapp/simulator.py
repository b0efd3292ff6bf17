"""The port Messaging over a simulated WhatsApp."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from heapq import heappop, heappush
from typing import TypeVar

from clarin_core.domain.devices import DeviceKey
from clarin_core.domain.inbound import Activity, Inbound, MediaOffer, PeerSeen
from clarin_core.domain.jid import Identity
from clarin_core.domain.messages import MessageKind
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.messaging import (
    CodeShown,
    Delivery,
    Heard,
    Messaging,
    NotSent,
    OutcomeUnknown,
    Outgoing,
    Paired,
    Refused,
    SentAs,
    Session,
    SessionStep,
    Step,
)
from clarin_whatsapp.lines import Line, Mail
from clarin_whatsapp.manner import Fate
from clarin_whatsapp.people import Person, Said
from clarin_whatsapp.world import OUTDATED, World, banned

_CODE_TIMES = (timedelta(seconds=60), *[timedelta(seconds=20)] * 5)
_CONNECTED = SessionStep(step=Step.CONNECTED)
_BROKEN = SessionStep(step=Step.DISCONNECTED, reason="the connection was lost")
_UNREACHABLE = SessionStep(step=Step.DISCONNECTED, reason="nobody answers")
_UNKNOWN_DEVICE = SessionStep(step=Step.LOGGED_OUT, reason="no phone knows the device")
_NOBODY_CAME = SessionStep(step=Step.PAIRING_ENDED, reason="no phone scanned a code")
_REPLACED = SessionStep(step=Step.REPLACED, reason="another session opened the device")

T = TypeVar("T")


class SimulatedMessaging(Messaging):
    """Opens devices of a world; nothing is lost there, whatever happens."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def honours_ids(self) -> bool:
        """As the world says."""
        return self._world.honours_ids

    @property
    def redelivers(self) -> bool:
        """What was not acknowledged comes again."""
        return True

    @asynccontextmanager
    async def session(
        self, key: DeviceKey, *, jid: str | None
    ) -> AsyncIterator["SimulatedSession"]:
        """Open a device."""
        session = SimulatedSession(self._world)
        session.open(jid)
        try:
            yield session
        finally:
            session.close()


class SimulatedSession(Session):
    """One device at work.

    All that is to come stands in one heap: what is told of the session itself, and while it is
    connected what the line has for the device.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._line: Line | None = None
        self._coming: list[Mail] = []
        self._codes: list[str] = []
        self._scannable: list[str] = []
        self._is_up = False
        self._is_over = False
        self._stirred = asyncio.Event()

    def open(self, jid: str | None) -> None:
        """Begin: show codes, or connect."""
        if not self._world.is_reachable:
            self.end(_UNREACHABLE)
        elif jid is None:
            self._show_codes()
        elif jid not in self._world.lines:
            self.end(_UNKNOWN_DEVICE)
        else:
            self._take_over(self._world.lines[jid])

    def close(self) -> None:
        """Leave: whoever listens hears nothing more."""
        self._let_go()
        self._coming.clear()

    async def heard(self) -> AsyncIterator[Delivery]:
        """Give all that the device hears, and what it does not acknowledge again."""
        while (mail := await self._next()) is not None:
            yield Delivery(mail.heard, partial(self._acknowledge, mail.number))

    def hear(self, mail: Mail) -> None:
        """Take what the device is told, if it is connected."""
        if self._is_up:
            heappush(self._coming, mail)
            self._stirred.set()

    def break_off(self) -> None:
        """Lose the connection, and have another one after a while."""
        self._drop()
        self._tell(_BROKEN)
        self._tell(_CONNECTED, after=self._world.chance.delay())

    def end(self, heard: Heard) -> None:
        """Tell this as the last thing."""
        self._drop()
        self._let_go()
        self._tell(heard)

    async def send(self, message: Outgoing) -> SentAs:
        """Send a message; one that arrived before under its id does not arrive again."""
        return await self._attempt(partial(self._send, message))

    async def edit(self, to: Identity, wa_message_id: str, body: str) -> None:
        """Let an own message say something else."""
        own = partial(self._letter, to, wa_message_id, is_own=True)
        await self._attempt(lambda me, line: me.edits(own(me), body, by=line))

    async def revoke(self, to: Identity, wa_message_id: str) -> None:
        """Take an own message back."""
        own = partial(self._letter, to, wa_message_id, is_own=True)
        await self._attempt(lambda me, line: me.revokes(own(me), by=line))

    async def react(self, to: Identity, wa_message_id: str, emoji: str, *, is_own: bool) -> None:
        """React to a message."""
        letter = partial(self._letter, to, wa_message_id, is_own=is_own)
        await self._attempt(lambda me, line: me.reacts(letter(me), emoji, by=line))

    async def mark_read(self, to: Identity, wa_message_ids: list[str]) -> None:
        """Tell the other side that its messages were read."""

        def read(me: Person, line: Line) -> None:
            me.reads(*(self._letter(to, n, me, is_own=False) for n in wa_message_ids), by=line)

        await self._attempt(read)

    async def type(self, to: Identity, activity: Activity) -> None:
        """Show the other side that somebody types, or stopped to."""
        await self._attempt(lambda me, _: me.types(self._world.reached_by(to), activity))

    async def fetch(self, source: bytes) -> bytes:
        """Return the bytes of a file."""
        return await self._attempt(lambda *_: self._file(source))

    async def contacts(self) -> list[PeerSeen]:
        """Return whom the phone has talked with."""
        return self._world.owner(self._connected()).acquaintances

    async def pair_code(self, phone: PhoneNumber) -> str:
        """Return a code to be typed; raises NotSent unless codes are shown."""
        if not self._codes:
            raise NotSent("the device is not being paired")
        code = self._world.chance.name()[-8:]
        self._show(code, phone)
        return code

    async def log_out(self) -> None:
        """Unlink the device from its phone."""
        await self._attempt(lambda _, line: self._world.unlink(line.jid))

    def _show_codes(self) -> None:
        since = timedelta(0)
        for time in _CODE_TIMES:
            code = f"https://wa.me/settings/linked_devices#{self._world.chance.name()}"
            expires_at = self._world.clock() + since + time
            self._tell(CodeShown(code=code, is_qr=True, expires_at=expires_at), after=since)
            since += time
        self._tell(_NOBODY_CAME, after=since)

    def _show(self, code: str, phone: PhoneNumber | None = None) -> None:
        self._codes.append(code)
        self._world.show(code, self._paired, phone)

    def _hide(self, codes: list[str]) -> None:
        for code in codes:
            self._world.hide(code)

    def _paired(self, paired: Paired) -> None:
        self._hide(self._codes)
        self._drop()
        self._tell(paired)
        self._take_over(self._world.lines[paired.jid])

    def _take_over(self, line: Line) -> None:
        now = self._world.clock()
        if self._world.is_outdated:
            self.end(OUTDATED)
        elif line.banned_until is not None and line.banned_until > now:
            self.end(banned(line.banned_until - now))
        else:
            if line.ears is not None:
                line.ears.end(_REPLACED)
            line.ears, self._line = self, line
            self._tell(_CONNECTED)

    def _drop(self) -> None:
        """Have no connection any more; what it had not brought yet comes again."""
        self._is_up = False
        self._coming = [mail for mail in self._coming if isinstance(mail.heard, Paired)]

    def _let_go(self) -> None:
        self._is_up, self._is_over = False, True
        self._hide(self._codes)
        if self._line is not None and self._line.ears is self:
            self._line.ears = None
        self._stirred.set()

    def _tell(self, heard: Heard, *, after: timedelta = timedelta(0)) -> None:
        due = self._world.clock() + after
        heappush(self._coming, Mail(due, self._world.chance.number(), heard))
        self._stirred.set()

    async def _next(self) -> Mail | None:
        while self._coming or not self._is_over:
            if self._coming and self._coming[0].due <= self._world.clock():
                mail = heappop(self._coming)
                if self._arrives(mail.heard):
                    return mail
            else:
                await self._rest()
        return None

    def _arrives(self, heard: Heard) -> bool:
        """Let something take effect; False when the connection breaks instead."""
        if heard == _CONNECTED:
            self._connect()
        elif heard == _NOBODY_CAME:
            self._let_go()
        elif isinstance(heard, CodeShown):
            self._hide(self._scannable)
            self._show(heard.code)
            self._scannable = [heard.code]
        elif isinstance(heard, Inbound) and self._breaks():
            self.break_off()
            return False
        return True

    def _connect(self) -> None:
        self._is_up = True
        for mail in self._line.unacknowledged.values() if self._line else ():
            heappush(self._coming, mail)

    def _breaks(self) -> bool:
        return self._world.chance.happens(self._world.chance.manner.broken)

    async def _rest(self) -> None:
        """Wait until the next thing is due, or something new comes."""
        self._stirred.clear()
        waits: list[asyncio.Future[bool]] = [asyncio.ensure_future(self._stirred.wait())]
        if self._coming:
            pause = (self._coming[0].due - self._world.clock()).total_seconds()
            waits.append(asyncio.ensure_future(self._slept(pause)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _slept(self, pause: float) -> bool:
        await self._world.sleep(pause)
        return True

    async def _acknowledge(self, number: int) -> None:
        if self._line is not None:
            self._line.acknowledge(number)

    async def _attempt(self, act: Callable[[Person, Line], T]) -> T:
        """Let the owner of the device do something, if it is so fated."""
        line = self._connected()
        fate = self._world.fate()
        if fate is Fate.FAILED:
            raise NotSent("it did not leave")
        await self._world.sleep(self._world.chance.delay().total_seconds())
        if fate is Fate.LOST or not self._is_up:
            raise OutcomeUnknown("the answer did not come")
        done = act(self._world.owner(line), line)
        if fate is Fate.UNANSWERED:
            raise OutcomeUnknown("the answer did not come")
        return done

    def _connected(self) -> Line:
        if self._line is None or not self._is_up:
            raise NotSent("the device is not connected")
        return self._line

    def _send(self, message: Outgoing, me: Person, line: Line) -> SentAs:
        to = self._world.reached_by(message.to)
        named = message.wa_message_id if self._world.honours_ids else None
        letter = self._world.letter(named) if named else None
        if letter is None:
            letter = me.sends(to, self._said(message), named=named, by=line)
        return SentAs(wa_message_id=letter.id, at=letter.at)

    def _letter(self, to: Identity, name: str, me: Person, *, is_own: bool) -> str:
        """Return the id of a message in that chat; raises Refused for others."""
        other, letter = self._world.reached_by(to), self._world.letter(name)
        sides = (me, other) if is_own else (other, me)
        if letter is None or (letter.sender, letter.to) != sides:
            raise Refused("there is no such message")
        return name

    def _said(self, message: Outgoing) -> Said:
        return Said(
            kind=_kind(message),
            body=message.body,
            quoted=message.quoted,
            media=self._offer(message),
            location=message.location,
            cards=message.cards,
            poll=message.poll,
        )

    def _offer(self, message: Outgoing) -> MediaOffer | None:
        if message.media is None or message.media_type is None:
            return None
        return MediaOffer(
            type=message.media_type,
            mimetype=message.mimetype or "application/octet-stream",
            filename=message.filename,
            size=len(message.media),
            source=self._world.keep(message.media),
        )

    def _file(self, source: bytes) -> bytes:
        if source not in self._world.files:
            raise Refused("the file is gone")
        return self._world.files[source]


def _kind(message: Outgoing) -> MessageKind:
    if message.media_type is not None:
        return MessageKind(message.media_type.value)
    if message.location is not None:
        return MessageKind.LOCATION
    if message.cards:
        return MessageKind.CONTACT
    return MessageKind.TEXT if message.poll is None else MessageKind.POLL
