"""The hub: every committed change reaches every socket of its account, once and in order.

The log in the storage is the truth; this module only follows it. A *room* is one account with
sockets on this process. It knows how far it has delivered (`cursor`) and keeps the frames of
the last events, each encoded once (`ring`).

What makes a room look at the log is a *hint*: the publisher's word that the account has news,
or the poll of every second, which asks for the position of all rooms in one statement. Hints
may be lost, doubled or early. The read decides: events after the cursor, in order, until the
log has no more. One read at a time per room, whatever the number of hints and sockets.

A socket joins at the room's cursor, which its `hello` names. Until it is live nothing but the
hello is written to it. It becomes live by catching up: from the number it resumes after, or
from its hello, through the ring or the log, up to the cursor, and the step from "caught up"
to "live" has no await in it. So there is neither gap nor double between the two. A client has
one second to say `resume` before it is made live without it; a later resume repeats what the
client says it has not seen. A client may even be ahead of the room, when it read the state
before the hint came: then it is live at once, and gets what comes after its number.

Writing to a live socket never waits: the frame goes to the transport, and a transport whose
buffer has grown beyond the bound belongs to a client that does not read. That socket is
closed with 4008; it comes back, resumes by number and loses nothing. Nobody waits for it.

A log that was trimmed beyond a resumed number, or has another epoch (a restored backup),
cannot be caught up with: the client gets `resync` and loads the state again. A room that finds
its log replaced under it begins a new *history*. Whatever awaited the log meanwhile compares
the history afterwards, so that nothing of the old one is taken for the new one's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from clarin_core.domain.events import EventQuery, Position, Recorded
from clarin_core.domain.ids import AccountId
from clarin_core.errors import ClarinError, TooOld
from clarin_core.ports.small import Clock, EventPublisher
from clarin_core.ports.storage import Storage
from clarin_server.http.frames import frame_of, text_frame
from clarin_server.http.ring import Numbered, Ring
from clarin_server.http.socket import ENDED, RESTART, Socket
from clarin_server.metrics import Metrics

_POLL_S = 1.0
_CHECK_S = 4.0  # R24: an ended sign-in loses its sockets within 5 seconds.
_PAGE = 100  # It is delivered without a pause: transports must get their turn in between.
_CHECKED_AT_ONCE = 1000

_log = structlog.get_logger(component="WS")


class Room:
    """One account's sockets on this process, those that are still joining included."""

    def __init__(self, account_id: AccountId, storage: Storage, metrics: Metrics) -> None:
        self.account_id = account_id
        self.sockets: set[Socket] = set()
        self.cursor = 0
        self._wanted = 0
        self._epoch = ""  # Until the first socket has asked the log.
        self._trimmed_to = 0
        self._history = 0
        self._ring = Ring()
        self._views = storage.views(account_id)
        self._metrics = metrics
        self._opening = asyncio.Lock()
        self._following = asyncio.Lock()

    @property
    def is_behind(self) -> bool:
        """Whether somebody has to follow the log."""
        is_open = bool(self._epoch)
        return is_open and self.cursor < self._wanted and not self._following.locked()

    async def join(self, socket: Socket) -> None:
        """Greet a socket with the cursor; the first one opens the room at the log's end."""
        async with socket.catching_up:
            async with self._opening:
                if not self._epoch:
                    position = await self._views.position()
                    self._epoch, self.cursor = position.epoch, position.seq
                    self._trimmed_to = position.trimmed_to
            socket.seq = self.cursor
            place = {"epoch": self._epoch, "seq": self.cursor, "trimmed_to": self._trimmed_to}
            socket.write(text_frame({"event": "hello", "data": place}))

    async def resume(self, socket: Socket, epoch: str | None, after: int) -> None:
        """Send what came after a number, then go live; `resync` if that cannot be."""
        if epoch not in (None, self._epoch):
            self._resync(socket, "epoch")
        else:
            await self.catch_up(socket, after)

    async def catch_up(self, socket: Socket, after: int) -> None:
        """Send everything after a number up to the cursor, then go live."""
        async with socket.catching_up:
            socket.live, socket.seq, history = False, after, self._history
            try:
                if after > self.cursor:
                    await self._read(after)  # To learn whether the log reaches that far.
                while socket.seq < self.cursor and socket.is_open:
                    for seq, frame in await self._frames(socket.seq):
                        await socket.send(frame)
                        socket.seq = seq
            except TooOld:
                self._resync(socket, "too_old")
            else:
                if history != self._history:
                    self._resync(socket, "epoch")
            socket.live = socket.is_open

    def hear(self, seq: int) -> None:
        """Take a hint that the log reached a number."""
        self._wanted = max(self._wanted, seq)

    def meet(self, position: Position, *, asked_at: int) -> None:
        """Compare with the log's position, asked for when the cursor was `asked_at`.

        The cursor may have passed the position since: only a log that is shorter than what
        was delivered before the question is another one.
        """
        if not self._epoch:
            return
        if position.epoch != self._epoch or position.seq < asked_at:
            self._begin_anew(position, "epoch")
        elif position.trimmed_to > self.cursor:
            self._begin_anew(position, "too_old")
        self._trimmed_to = position.trimmed_to
        self.hear(position.seq)

    async def follow(self) -> None:
        """Deliver what the log has beyond the cursor; one reader at a time."""
        if self._following.locked():
            return  # It reads as far as the last hint, and sees those that come meanwhile.
        async with self._following:
            while self.cursor < self._wanted:
                history = self._history
                events = await self._read(self.cursor)
                if history != self._history:
                    continue
                for recorded in events:
                    self._deliver(recorded.seq, frame_of(self.account_id, recorded))
                if not events:
                    self._wanted = self.cursor  # The hint was early; the poll will see it.
                await asyncio.sleep(0)

    def _deliver(self, seq: int, frame: bytes) -> None:
        self.cursor = seq
        self._ring.append(seq, frame)
        due = [socket for socket in self.sockets if socket.live and socket.seq < seq]
        for socket in due:
            socket.write(frame)
            socket.seq = seq
        self._metrics.frames_sent(len(due))

    async def _frames(self, after: int) -> list[Numbered]:
        """Return some frames after a number that the cursor has passed."""
        if kept := self._ring.after(after, limit=_PAGE):
            return kept
        events = await self._read(after)
        if not events:
            raise TooOld(after)
        return [(event.seq, frame_of(self.account_id, event)) for event in events]

    async def _read(self, after: int) -> list[Recorded]:
        """Return some events after a number; raises TooOld unless they are of this history."""
        page = await self._views.events(EventQuery(after=after, limit=_PAGE))
        if page.position.epoch != self._epoch:
            raise TooOld(after)
        return page.data

    def _begin_anew(self, position: Position, reason: str) -> None:
        """Follow another history: what the sockets have seen counts for nothing."""
        self._history += 1
        self._epoch, self.cursor, self._wanted = position.epoch, position.seq, position.seq
        self._ring.clear()
        for socket in self.sockets:
            if not socket.catching_up.locked():  # Else it finds out by itself.
                self._resync(socket, reason)

    def _resync(self, socket: Socket, reason: str) -> None:
        socket.seq = self.cursor
        data = {"reason": reason, "epoch": self._epoch, "seq": self.cursor}
        socket.write(text_frame({"event": "resync", "data": data}))
        socket.live = socket.is_open


class Hub:
    """All rooms of this process, and the tasks that keep them moving."""

    def __init__(
        self, storage: Storage, publisher: EventPublisher, clock: Clock, metrics: Metrics
    ) -> None:
        self._storage = storage
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._rooms: dict[AccountId, Room] = {}
        self._sockets: set[Socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the logs while inside; on the way out say goodbye to every socket."""
        self._spawn(_keep(self._heed_hints, pause_s=_POLL_S))
        self._spawn(_keep(self.look, pause_s=_POLL_S))
        self._spawn(_keep(self.check_sign_ins, pause_s=_CHECK_S))
        try:
            yield
        finally:
            self._is_closing = True
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for socket in self._sockets:
                socket.close(*RESTART)

    @asynccontextmanager
    async def joined(self, socket: Socket) -> AsyncIterator[Room]:
        """Take a socket into its account's room while inside; the last one closes the room."""
        if self._is_closing:
            socket.close(*RESTART)
        room = self._enter(socket)
        try:
            await room.join(socket)
            yield room
        finally:
            self._leave(room, socket)

    async def look(self) -> None:
        """Compare every room with its log."""
        asked_at = {room: room.cursor for room in self._rooms.values()}
        if not asked_at:
            return
        positions = await self._storage.positions([room.account_id for room in asked_at])
        for room, cursor in asked_at.items():
            if position := positions.get(room.account_id):
                room.meet(position, asked_at=cursor)
                self._follow_if_behind(room)

    async def check_sign_ins(self) -> None:
        """Close the sockets whose sign-in has ended (R24)."""
        at, sockets = self._clock(), list(self._sockets)
        for start in range(0, len(sockets), _CHECKED_AT_ONCE):
            some = sockets[start : start + _CHECKED_AT_ONCE]
            keys = [(socket.session_id, socket.account_id) for socket in some]
            standings = await self._storage.standings(keys, at=at)
            for socket, standing in zip(some, standings, strict=True):
                if socket.has_ended(standing, at):
                    socket.close(*ENDED)

    async def _heed_hints(self) -> None:
        async for account_id, seq in self._publisher.listen():
            if room := self._rooms.get(account_id):
                room.hear(seq)
                self._follow_if_behind(room)

    def _enter(self, socket: Socket) -> Room:
        account_id = socket.account_id
        room = self._rooms.get(account_id)
        if room is None:
            room = self._rooms[account_id] = Room(account_id, self._storage, self._metrics)
        room.sockets.add(socket)
        self._sockets.add(socket)
        self._metrics.sockets_open(len(self._sockets))
        return room

    def _leave(self, room: Room, socket: Socket) -> None:
        room.sockets.discard(socket)
        self._sockets.discard(socket)
        if not room.sockets:
            del self._rooms[room.account_id]
        self._metrics.sockets_open(len(self._sockets))

    def _follow_if_behind(self, room: Room) -> None:
        if room.is_behind and not self._is_closing:
            self._spawn(_follow(room))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _keep(work: Callable[[], Awaitable[None]], *, pause_s: float) -> None:
    """Do it again and again, whatever fails: without these loops all sockets fall silent."""
    while True:
        await _carefully(work)
        await asyncio.sleep(pause_s)


async def _follow(room: Room) -> None:
    await _carefully(room.follow, account_id=room.account_id)


async def _carefully(work: Callable[[], Awaitable[None]], **context: int) -> None:
    """Log what fails; the poll of the next second tries again."""
    try:
        await work()
    except ClarinError as error:
        _log.warning("the log does not answer", reason=str(error), **context)
    except Exception as error:
        _log.error("following the log failed", exc_info=error, **context)
