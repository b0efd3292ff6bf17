"""The hub: every committed change reaches every socket of its account, once and in order.

The feed follows the logs (see `clarin_core.reads.feed`). A *room* is one account with sockets
on this process. It hears the account's stream, encodes each event once, and keeps the frames of
the last ones (`ring`).

A socket joins at the stream's cursor, which its `hello` names. Until it is live nothing but the
hello is written to it. It becomes live by catching up: from the number it resumes after, or
from its hello, through the ring or the log, up to the cursor, and the step from "caught up"
to "live" has no await in it. So there is neither gap nor double between the two. A client has
one second to say `resume` before it is made live without it; a later resume repeats what the
client says it has not seen. A client may even be ahead of the stream, when it read the state
before the hint came: then it is live at once, and gets what comes after its number.

Writing to a live socket never waits: frames go to the transport, several at once where many come
(see `joining`), and a transport whose buffer has grown beyond the bound belongs to a client that
does not read. That socket is closed with 4008; it comes back, resumes by number and loses
nothing. Nobody waits for it.

A log that was trimmed beyond a resumed number, or has another epoch (a restored backup),
cannot be caught up with: the client gets `resync` and loads the state again.

What passes, such as that somebody types, goes past all this: it has no number, is in no log, and
reaches whoever is live.

No task and no timer belongs to one socket alone: one loop sends the pings and misses the dead,
one looks whether sign-ins still count. Who stops says `reconnect` with a time of its own to each
client, so that they do not all come back at once.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from math import inf
from typing import Any

import structlog

from clarin_core.domain.events import Recorded
from clarin_core.domain.ids import AccountId
from clarin_core.errors import ClarinError, TooOld
from clarin_core.ports.event_publisher import Aside, EventPublisher, Hint
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.reads.feed import PAGE, Feed, Listener, Stream
from clarin_server.http.frames import Frame, frame_of, framed, text_frame, text_of
from clarin_server.http.joining import Bundle, Window
from clarin_server.http.ring import Numbered, Ring
from clarin_server.http.socket import DEAD, RESTART, Socket
from clarin_server.metrics import Metrics

_CHECK_S = 4.0  # R24: an ended sign-in loses its sockets within 5 seconds.
_PING_S = 25.0
_SILENCE_S = 60.0
_AT_ONCE = 1000
_GOODBYE_S = 3.0
_GOODBYES = 20
_COME_BACK_MS_MAX = 10_000

_log = structlog.get_logger(component="WS")


class Room(Listener):
    """One account's sockets on this process, those that are still joining included."""

    def __init__(self, feed: Feed, account_id: AccountId, metrics: Metrics, window: Window) -> None:
        self.sockets: set[Socket] = set()
        self.flushed_at = -inf
        self._window = window
        self._bundle = Bundle()
        self._feed = feed
        self._stream: Stream = feed.attach(account_id, self)
        self._ring = Ring()
        self._metrics = metrics

    def close(self) -> None:
        """Hear no more."""
        self._feed.detach(self._stream, self)

    async def join(self, socket: Socket) -> None:
        """Greet a socket with the cursor; the first one opens the stream at the log's end."""
        async with socket.catching_up:
            await self._stream.open()
            socket.seq = self._stream.cursor
            socket.write(text_frame({"event": "hello", "data": {
                "epoch": self._stream.epoch,
                "seq": self._stream.cursor,
                "trimmed_to": self._stream.trimmed_to,
            }}))  # fmt: skip

    async def resume(self, socket: Socket, epoch: str | None, after: int) -> None:
        """Send what came after a number, then go live; `resync` if that cannot be."""
        if epoch not in (None, self._stream.epoch):
            self._resync(socket, "epoch")
        else:
            await self.catch_up(socket, after)

    async def catch_up(self, socket: Socket, after: int) -> None:
        """Send everything after a number up to the cursor, then go live."""
        async with socket.catching_up:
            socket.live, socket.seq, history = False, after, self._stream.history
            try:
                if after > self._stream.cursor:
                    await self._stream.read(after)  # To learn whether the log reaches that far.
                while socket.seq < self._stream.cursor and socket.is_open:
                    for seq, frame in await self._frames(socket.seq):
                        await socket.send(frame.shown_to(is_admin=socket.is_admin))
                        socket.seq = seq
            except TooOld:
                self._resync(socket, "too_old")
            else:
                if history != self._stream.history:
                    self._resync(socket, "epoch")
            socket.live = socket.is_open

    def take(self, events: Sequence[Recorded]) -> None:
        """Deliver the next events to every live socket that has not seen them."""
        for recorded in events:
            frame = frame_of(self._stream.account_id, recorded)
            self._ring.append(recorded.seq, frame)
            self._bundle.add(frame, seq=recorded.seq)
            if self._bundle.is_full:
                self.flush()
        self._window.offer(self)

    def overhear(self, aside: Aside) -> None:
        """Tell the live sockets but the speaker's own; the others miss nothing."""
        frame = framed(aside.told)
        self._bundle.add(Frame(frame, frame), speaker=aside.speaker)
        self._window.offer(self)

    def flush(self) -> int:
        """Write what waits; return how many writes that were."""
        if not self._bundle:
            return 0
        writes, events = self._bundle.write_to(self.sockets)
        self._metrics.frames_sent(events)
        return writes

    def begin_anew(self, reason: str) -> None:
        """Send all back to the state: what they have seen counts for nothing."""
        self.flush()
        self._ring.clear()
        for socket in self.sockets:
            if not socket.catching_up.locked():  # Else it finds out by itself.
                self._resync(socket, reason)

    async def _frames(self, after: int) -> list[Numbered]:
        """Return some frames after a number that the cursor has passed."""
        if kept := self._ring.after(after, limit=PAGE):
            return kept
        events = await self._stream.read(after)
        if not events:
            raise TooOld(after)
        return [(event.seq, frame_of(self._stream.account_id, event)) for event in events]

    def _resync(self, socket: Socket, reason: str) -> None:
        socket.seq = self._stream.cursor
        data = {"reason": reason, "epoch": self._stream.epoch, "seq": self._stream.cursor}
        socket.write(text_frame({"event": "resync", "data": data}))
        socket.live = socket.is_open


class Hub:
    """All rooms of this process, and the tasks that look after their sockets."""

    def __init__(
        self,
        feed: Feed,
        storage: Storage,
        publisher: EventPublisher,
        clock: Clock,
        metrics: Metrics,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._feed = feed
        self._storage = storage
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._chance = chance
        self._rooms: dict[AccountId, Room] = {}
        self._sockets: set[Socket] = set()
        self._window = Window()
        self._is_closing = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look after the sockets while inside; on the way out say goodbye to each."""
        tasks = [
            asyncio.create_task(_keep(self.check_sign_ins, pause_s=_CHECK_S)),
            asyncio.create_task(_keep(self.check_pulse, pause_s=_PING_S)),
        ]
        self._feed.watchers.append(self._tell_of_the_store)
        try:
            with self._publisher.heard_by(self._heed):
                yield
        finally:
            self._feed.watchers.remove(self._tell_of_the_store)
            self._is_closing = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._say_goodbye()

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

    def relay(self, socket: Socket, message: dict[str, Any]) -> None:
        """Tell all other screens of a socket's account something that passes."""
        told = text_of({**message, "account_id": socket.account_id})
        self._publisher.announce(Aside(socket.account_id, socket.name, told))

    async def look(self) -> None:
        """Compare every room with its log."""
        await self._feed.look()

    async def check_sign_ins(self) -> None:
        """Close the sockets whose sign-in has ended, and learn the roles of the others (R24)."""
        at = self._clock()
        for some in _some(self._sockets, _AT_ONCE):
            keys = [(socket.session_id, socket.account_id) for socket in some]
            standings = await self._storage.standings(keys, at=at)
            for socket, standing in zip(some, standings, strict=True):
                socket.follow(standing, at)

    async def check_pulse(self) -> None:
        """Ping every socket, and close those that nothing was heard of for a minute."""
        for some in _some(self._sockets, _AT_ONCE):
            for socket in some:
                if socket.silence_s > _SILENCE_S:
                    socket.close(*DEAD)
                else:
                    socket.ping()
            await asyncio.sleep(0)

    def _heed(self, hint: Hint) -> None:
        if isinstance(hint, Aside) and (room := self._rooms.get(hint.account_id)):
            room.overhear(hint)

    def _tell_of_the_store(self, is_reached: bool) -> None:
        """Let people know why nothing changes; what they miss follows by itself."""
        code, level = ("store_up", "info") if is_reached else ("store_down", "warning")
        told = text_frame({"event": "notification", "data": {"level": level, "code": code}})
        for socket in self._sockets:
            if socket.live:
                socket.write(told)

    async def _say_goodbye(self) -> None:
        """Ask all to come back, each at a time of its own; many are told bit by bit."""
        size = max(_AT_ONCE // _GOODBYES, len(self._sockets) // _GOODBYES)
        for some in _some(self._sockets, size):
            for socket in some:
                data = {"after_ms": int(self._chance() * _COME_BACK_MS_MAX)}
                socket.write(text_frame({"event": "reconnect", "data": data}))
                socket.close(*RESTART)
            await asyncio.sleep(_GOODBYE_S / _GOODBYES if len(some) == size else 0)

    def _enter(self, socket: Socket) -> Room:
        room = self._rooms.get(socket.account_id)
        if room is None:
            room = Room(self._feed, socket.account_id, self._metrics, self._window)
            self._rooms[socket.account_id] = room
        room.sockets.add(socket)
        socket.flush = room.flush
        self._sockets.add(socket)
        self._metrics.sockets_open(len(self._sockets))
        return room

    def _leave(self, room: Room, socket: Socket) -> None:
        room.sockets.discard(socket)
        self._sockets.discard(socket)
        if not room.sockets:
            del self._rooms[socket.account_id]
            room.close()
        self._metrics.sockets_open(len(self._sockets))


def _some(sockets: set[Socket], size: int) -> Iterator[list[Socket]]:
    """Yield all that are there now, so many at a time."""
    everyone = iter(list(sockets))
    while some := list(islice(everyone, size)):
        yield some


async def _keep(work: Callable[[], Awaitable[None]], *, pause_s: float) -> None:
    """Do it again and again, whatever fails."""
    while True:
        try:
            await work()
        except ClarinError as error:
            _log.warning("looking after sockets failed", reason=str(error))
        except Exception as error:
            _log.error("looking after sockets failed", exc_info=error)
        await asyncio.sleep(pause_s)
