"""Many WebSocket clients in one process, which count what they hear and look at little of it.

A driver must cost less than what it measures. So a client here is one protocol on the event
loop, without a task: it takes the bytes of a read apart once for all clients that get the same
ones, and of an event it knows the number and the time.
"""

import asyncio
import base64
import random
from array import array
from datetime import datetime
from multiprocessing.connection import Connection
from time import monotonic, time
from typing import Literal, NamedTuple, cast

import msgspec
import uvloop
from msgspec import Struct

_AGAIN_S, _AGAIN_S_MAX = 0.5, 30.0  # As the clients of Clarin do it: doubling, full jitter.
_HANDSHAKE_S = 30.0
_PER_SOURCE = 20_000  # Fewer than there are ephemeral ports for one address.
_READINGS_MAX = 4096
_KEY = base64.b64encode(b"clarin-benchmark").decode()
_CLOSE, _PING = 8, 9

Order = Literal["open", "heard", "storm", "end"]
State = Literal["away", "asked", "upgraded", "live"]


class Seat(Struct, frozen=True, kw_only=True):
    """A client to be: its account, and the credential that its upgrade carries."""

    account: int
    token: str
    ticket: str = ""


class Plan(Struct, frozen=True, kw_only=True):
    """What one process of clients is told."""

    host: str
    port: int
    seats: list[Seat]
    first: int  # The number of its first client among those of all processes.
    at_once: int = 100


class Heard(Struct, kw_only=True):
    """What the clients of a process heard since they were asked last, each time in seconds."""

    events: int = 0
    doubled: int = 0
    gaps: int = 0
    resyncs: int = 0
    drops: int = 0  # Connections that ended without our doing.
    refusals: int = 0  # Upgrades that were put off with 429 or 503.
    failures: int = 0  # Upgrades that failed otherwise, and were tried again.
    live: int = 0
    late: bytes = b""  # Doubles: the time from an event's commit to its arrival.
    took: bytes = b""  # Doubles: the time until each client was live, from the order on.


class Reading(NamedTuple):
    """What one read of a connection brought."""

    events: list[tuple[int, float]]
    others: list[tuple[int, bytes]]
    rest: bytes


class _Frame(Struct):
    event: str
    seq: int | None = None
    at: datetime | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Hello(Struct):
    epoch: str
    seq: int


_frame = msgspec.json.Decoder(_Frame).decode


def read_frames(data: bytes) -> Reading:
    """Take unmasked frames apart: events by number and time, others by opcode and body."""
    found = Reading([], [], b"")
    at, end = 0, len(data)
    while end - at >= 2:
        size, body = data[at + 1], at + 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, body = int.from_bytes(data[body : body + wide], "big"), body + wide
        if body + size > end:
            break
        _take(found, data[at] & 15, data[body : body + size])
        at = body + size
    return found._replace(rest=data[at:])


def _take(found: Reading, opcode: int, body: bytes) -> None:
    frame = _frame(body) if opcode == 1 else None
    if frame and frame.seq is not None and frame.at is not None:
        found.events.append((frame.seq, frame.at.timestamp()))
    else:
        found.others.append((opcode, body))


def masked(text: bytes, *, opcode: int = 1) -> bytes:
    """Return a frame as clients send it; a mask of zeros is one."""
    size = len(text)
    assert size < 126
    return bytes((0x80 | opcode, 0x80 | size)) + b"\0\0\0\0" + text


class Screen(asyncio.Protocol):
    """One client, over all of its connections."""

    __slots__ = ("_crowd", "_rest", "_transport", "epoch", "retry_after_s", "seat", "seq", "state",
                 "waiting")  # fmt: skip

    def __init__(self, crowd: "Crowd", seat: Seat) -> None:
        self.seat = seat
        self.epoch = ""
        self.seq = 0
        self.state: State = "away"
        self.retry_after_s: float | None = None
        self.waiting: asyncio.Future[None] | None = None
        self._crowd = crowd
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.Transport", transport)
        self._rest, self.state = b"", "asked"
        path = f"/ws?ticket={self.seat.ticket}" if self.seat.ticket else "/ws"
        who = "" if self.seat.ticket else f"Authorization: Bearer {self.seat.token}\r\n"
        self._transport.write(
            f"GET {path} HTTP/1.1\r\nHost: clarin\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {_KEY}\r\n"
            f"Sec-WebSocket-Version: 13\r\n{who}\r\n".encode()
        )

    def connection_lost(self, _: Exception | None) -> None:
        """Tell whoever waits for this client that it is away."""
        self._transport = None
        if self.state == "live":
            self._crowd.heard.live -= 1
            self._crowd.heard.drops += 1
        self.state = "away"
        self._tell()

    def data_received(self, data: bytes) -> None:
        """Hear the answer to the upgrade, then frames."""
        data = self._rest + data if self._rest else data
        if self.state == "asked":
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._rest = b""
            if not self._is_upgraded(head):
                return
        reading = self._crowd.reading(data)
        self._rest = reading.rest
        if reading.events:
            self._count(reading.events)
        for opcode, body in reading.others:
            self._heed(opcode, body)

    def drop(self) -> None:
        """Be gone without a word, as in a power cut."""
        if self.state == "live":
            self._crowd.heard.live -= 1
        self.state = "away"
        if self._transport is not None:
            self._transport.abort()

    def _is_upgraded(self, head: bytes) -> bool:
        if head.startswith(b"HTTP/1.1 101"):
            self.state = "upgraded"
            return True
        status = head[9:12]
        if status in (b"429", b"503"):
            self.retry_after_s = _retry_after(head)
        self.drop()
        return False

    def _count(self, events: list[tuple[int, float]]) -> None:
        heard, now = self._crowd.heard, time()
        for seq, at in events:
            if seq <= self.seq:
                heard.doubled += 1
                continue
            heard.gaps += seq - self.seq - 1
            self.seq = seq
            heard.events += 1
            self._crowd.late.append(now - at)

    def _heed(self, opcode: int, body: bytes) -> None:
        assert self._transport is not None
        if opcode == _PING:
            self._transport.write(masked(body, opcode=10))
        elif opcode == _CLOSE:
            self._transport.close()
        elif opcode == 1:
            frame = _frame(body)
            if frame.event == "hello":
                self._resume(msgspec.json.decode(frame.data, type=_Hello))
            elif frame.event == "resync":
                hello = msgspec.json.decode(frame.data, type=_Hello)
                self.epoch, self.seq = hello.epoch, hello.seq
                self._crowd.heard.resyncs += 1
            elif frame.event == "pong":
                self._crowd.heard.live += self.state != "live"
                self.state = "live"
                self._tell()

    def _resume(self, hello: _Hello) -> None:
        """Say what was seen last. The ping's answer comes when all of that has been sent."""
        assert self._transport is not None
        if not self.epoch:
            self.epoch, self.seq = hello.epoch, hello.seq
        said = {"event": "resume", "data": {"epoch": self.epoch, "after": self.seq}}
        self._transport.write(masked(msgspec.json.encode(said)) + masked(b'{"event":"ping"}'))

    def _tell(self) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)


def _retry_after(head: bytes) -> float:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"retry-after:"):
            return float(line.partition(b":")[2])
    return _AGAIN_S


class Crowd:
    """All clients of one process."""

    def __init__(self, plan: Plan) -> None:
        self.heard = Heard()
        self.late = array("d")
        self._plan = plan
        self._took = array("d")
        self._readings: dict[bytes, Reading] = {}
        self._screens = [Screen(self, seat) for seat in plan.seats]
        self._gate = asyncio.Semaphore(plan.at_once)

    def reading(self, data: bytes) -> Reading:
        """Take a read apart, unless another client got the same."""
        known = self._readings.get(data)
        if known is None:
            known = read_frames(data)
            if len(self._readings) >= _READINGS_MAX:
                self._readings.clear()
            self._readings[data] = known
        return known

    async def open(self) -> Heard:
        """Open all, so many at a time."""

        async def one(number: int, screen: Screen) -> None:
            async with self._gate:
                await self._come(number, screen, monotonic(), first_wait_s=0.0)

        await asyncio.gather(*(one(*numbered) for numbered in enumerate(self._screens)))
        return await self.tell()

    async def storm(self) -> Heard:
        """Lose all at once, and let each come back at a time of its own."""
        began = monotonic()
        for screen in self._screens:
            screen.drop()
        await asyncio.gather(
            *(
                self._come(number, screen, began, first_wait_s=_AGAIN_S)
                for number, screen in enumerate(self._screens)
            )
        )
        return await self.tell()

    async def tell(self) -> Heard:
        """Return what was heard since this was asked last."""
        heard, self.heard = self.heard, Heard(live=self.heard.live)
        heard.late, heard.took = self.late.tobytes(), self._took.tobytes()
        self.late, self._took = array("d"), array("d")
        return heard

    async def _come(
        self, number: int, screen: Screen, began: float, *, first_wait_s: float
    ) -> None:
        """Connect until the client is live."""
        wait_s = random.random() * first_wait_s
        bound_s = _AGAIN_S
        while True:
            await asyncio.sleep(wait_s)
            if await self._try(number, screen):
                self._took.append(monotonic() - began)
                return
            bound_s = min(_AGAIN_S_MAX, bound_s * 2)
            least_s, screen.retry_after_s = screen.retry_after_s, None
            self.heard.refusals += least_s is not None
            self.heard.failures += least_s is None
            wait_s = (least_s or 0) + random.random() * bound_s

    async def _try(self, number: int, screen: Screen) -> bool:
        loop = asyncio.get_running_loop()
        screen.waiting = loop.create_future()
        source = f"127.0.0.{1 + (self._plan.first + number) // _PER_SOURCE}"
        local = (source, 0) if self._plan.host == "127.0.0.1" else None
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                await loop.create_connection(
                    lambda: screen, self._plan.host, self._plan.port, local_addr=local
                )
                await screen.waiting
        except (OSError, TimeoutError):
            screen.drop()
        screen.waiting = None
        return screen.state == "live"


def work(pipe: Connection, plan: Plan) -> None:
    """Be a process of clients that does what the other end of the pipe says."""
    uvloop.run(_work(pipe, plan))


async def _work(pipe: Connection, plan: Plan) -> None:
    crowd = Crowd(plan)
    todo = {"open": crowd.open, "heard": crowd.tell, "storm": crowd.storm}
    while (order := await asyncio.to_thread(pipe.recv)) != "end":
        pipe.send(await todo[order]())
