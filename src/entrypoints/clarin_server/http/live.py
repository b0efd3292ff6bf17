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
client says it has not seen.

Writing to a live socket never waits: the frame goes to the transport, and a transport whose
buffer has grown beyond the bound belongs to a client that does not read. That socket is
closed with 4008; it comes back, resumes by number and loses nothing. Nobody waits for it.

A log that was trimmed beyond a resumed number, or has another epoch (a restored backup),
cannot be caught up with: the client gets `resync` and loads the state again.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from clarin_core.domain.events import EventQuery, Position
from clarin_core.domain.ids import AccountId
from clarin_core.errors import ClarinError, TooOld
from clarin_core.ports.small import Clock, EventPublisher
from clarin_core.ports.storage import Storage
from clarin_server.http.frames import frame_of, text_frame
from clarin_server.http.socket import ENDED, RESTART, Socket
from clarin_server.metrics import Metrics

_POLL_S = 1.0
_POLLS_PER_CHECK = 5  # R24: an ended sign-in loses its sockets within 5 seconds.
_PAGE = 500
_RING = 1024
_CHECKED_AT_ONCE = 1000

_log = structlog.get_logger(component="WS")


class Room:
    """One account's sockets on this process."""

    def __init__(self, account_id: AccountId, storage: Storage, metrics: Metrics) -> None:
        self.account_id = account_id
        self.sockets: set[Socket] = set()
        self.cursor = 0
        self.wanted = 0
        self._epoch = ""
        self._ring: deque[tuple[int, bytes]] = deque(maxlen=_RING)
        self._views = storage.views(account_id)
        self._metrics = metrics
        self._opening = asyncio.Lock()
        self._following = asyncio.Lock()

    async def join(self, socket: Socket) -> None:
        """Take a socket in at the cursor and greet it."""
        async with self._opening:
            position = await self._views.position()
            if not self._epoch:
                self._epoch, self.cursor = position.epoch, position.seq
        self.sockets.add(socket)
        socket.seq = self.cursor
        hello = {"epoch": self._epoch, "seq": self.cursor, "trimmed_to": position.trimmed_to}
        socket.write(text_frame({"event": "hello", "data": hello}))

    async def resume(self, socket: Socket, epoch: str | None, after: int) -> None:
        """Send what came after a number, then go live; `resync` if that cannot be."""
        if epoch not in (None, self._epoch):
            self._resync(socket, "epoch")
        else:
            await self.catch_up(socket, after)

    async def catch_up(self, socket: Socket, after: int) -> None:
        """Send everything after a number up to the cursor, then go live."""
        async with socket.catching_up:
            socket.live, socket.seq = False, after
            try:
                while socket.seq < self.cursor and socket.is_open:
                    for seq, frame in await self._frames(socket.seq):
                        await socket.send(frame)
                        socket.seq = seq
                if socket.seq > self.cursor:
                    raise TooOld(after)
            except TooOld:
                self._resync(socket, "too_old")
            socket.live = True

    async def follow(self) -> None:
        """Deliver what the log has beyond the cursor; one reader at a time."""
        if self._following.locked():
            return  # It reads until `wanted`, which the caller has raised.
        async with self._following:
            while self.cursor < self.wanted:
                page = await self._views.events(EventQuery(after=self.cursor, limit=_PAGE))
                if not page.data:
                    return
                for recorded in page.data:
                    self._deliver(recorded.seq, frame_of(self.account_id, recorded))

    def meet(self, position: Position) -> bool:
        """Compare with the log's position; True when there is something to follow."""
        if position.epoch != self._epoch or position.seq < self.cursor:
            self._begin_anew(position)
        self.wanted = max(self.wanted, position.seq)
        return self.cursor < self.wanted

    def _deliver(self, seq: int, frame: bytes) -> None:
        self.cursor = seq
        self._ring.append((seq, frame))
        live = [socket for socket in self.sockets if socket.live]
        for socket in live:
            socket.write(frame)
            socket.seq = seq
        self._metrics.frames_sent(len(live))

    async def _frames(self, after: int) -> list[tuple[int, bytes]]:
        """Return some frames after a number: from the ring, or from the log."""
        if self._ring and self._ring[0][0] <= after + 1:
            skipped = after + 1 - self._ring[0][0]
            return list(self._ring)[skipped : skipped + _PAGE]
        page = await self._views.events(EventQuery(after=after, limit=_PAGE))
        return [(event.seq, frame_of(self.account_id, event)) for event in page.data]

    def _begin_anew(self, position: Position) -> None:
        """Follow another history: what the sockets have seen counts for nothing."""
        if self._epoch:
            self._epoch, self.cursor = position.epoch, position.seq
            self.wanted = position.seq
            self._ring.clear()
            for socket in self.sockets:
                self._resync(socket, "epoch")

    def _resync(self, socket: Socket, reason: str) -> None:
        socket.seq = self.cursor
        data = {"reason": reason, "epoch": self._epoch, "seq": self.cursor}
        socket.write(text_frame({"event": "resync", "data": data}))
        socket.live = True


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
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the logs while inside; on the way out say goodbye to every socket."""
        self._spawn(self._heed_hints())
        self._spawn(self._poll())
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for socket in self._sockets():
                socket.close(*RESTART)

    async def join(self, socket: Socket) -> Room:
        """Take a socket into its account's room."""
        account_id = socket.account_id
        room = self._rooms.get(account_id)
        if room is None:
            room = self._rooms[account_id] = Room(account_id, self._storage, self._metrics)
        await room.join(socket)
        self._metrics.sockets_open(len(self._sockets()))
        return room

    def leave(self, room: Room, socket: Socket) -> None:
        """Let a socket go; an empty room is closed."""
        room.sockets.discard(socket)
        if not room.sockets and self._rooms.get(room.account_id) is room:
            del self._rooms[room.account_id]
        self._metrics.sockets_open(len(self._sockets()))

    async def _heed_hints(self) -> None:
        async for account_id, seq in self._publisher.listen():
            if room := self._rooms.get(account_id):
                room.wanted = max(room.wanted, seq)
                self._spawn(self._follow(room))

    async def _poll(self) -> None:
        polls = 0
        while True:
            await asyncio.sleep(_POLL_S)
            polls += 1
            try:
                await self._look()
                if polls % _POLLS_PER_CHECK == 0:
                    await self._check_sign_ins()
            except ClarinError as error:
                _log.warning("the log does not answer", reason=str(error))

    async def _look(self) -> None:
        if not self._rooms:
            return
        positions = await self._storage.positions(list(self._rooms))
        for account_id, position in positions.items():
            room = self._rooms.get(account_id)
            if room and room.meet(position):
                self._spawn(self._follow(room))

    async def _check_sign_ins(self) -> None:
        """Close the sockets whose sign-in has ended (R24)."""
        at, sockets = self._clock(), self._sockets()
        for start in range(0, len(sockets), _CHECKED_AT_ONCE):
            some = sockets[start : start + _CHECKED_AT_ONCE]
            keys = [(socket.session_id, socket.account_id) for socket in some]
            standings = await self._storage.standings(keys, at=at)
            for socket, standing in zip(some, standings, strict=True):
                if socket.has_ended(standing, at):
                    socket.close(*ENDED)

    async def _follow(self, room: Room) -> None:
        try:
            await room.follow()
        except ClarinError as error:  # The poll of the next second tries again.
            account_id = room.account_id
            _log.warning("the log does not answer", account_id=account_id, reason=str(error))

    def _sockets(self) -> list[Socket]:
        return [socket for room in self._rooms.values() for socket in room.sockets]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
