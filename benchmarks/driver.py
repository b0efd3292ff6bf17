"""Load over real sockets, by processes of their own that cost less than what they drive.

Requests are made before, as bytes, and written as they are. A line is one connection that stays
open, as a protocol without a task: of an answer it knows the status and the length. The loop is
closed (each line asks again when it is answered) or open (requests are due at a fixed rate, whether
or not others are answered, and take from when they are due).
"""

import asyncio
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import monotonic
from typing import cast

import uvloop
from msgspec import Struct

_LAST_S = 60.0  # So long the last answers may take.
_SAMPLE_BYTES = 400
_HEAD_END, _LENGTH = b"\r\n\r\n", b"\r\ncontent-length:"


class Address(Struct, frozen=True, kw_only=True):
    """Whom one process asks, over how many lines."""

    host: str
    port: int
    lines: int


class Task(Struct, frozen=True, kw_only=True):
    """What one process does: requests, in their order and then again, for some time."""

    requests: list[bytes]
    seconds: float
    rate: float = 0.0


class Outcome(Struct, kw_only=True):
    """What came of it: the time that each answer took, and what was not a success."""

    took: bytes = b""
    lasted_s: float = 0.0
    refused: dict[str, int] = {}
    sample: str = ""

    @property
    def times(self) -> "array[float]":
        """The times in seconds."""
        times = array("d")
        times.frombytes(self.took)
        return times


class _Line(asyncio.Protocol):
    __slots__ = ("_crowd", "_due", "_head", "_missing", "_transport")

    def __init__(self, crowd: "Crowd") -> None:
        self._crowd = crowd
        self._due = 0.0
        self._head = b""
        self._missing = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._crowd.lose()

    def ask(self, request: bytes, due: float) -> None:
        assert self._transport is not None
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        elif not self._begin(self._head + data if self._head else data):
            return
        if self._missing < 0:
            raise ValueError("an answer is longer than it says")  # Which ends the connection.
        if not self._missing:
            self._crowd.hear(self, self._due)

    def _begin(self, data: bytes) -> bool:
        """Read the head of an answer; False until all of it is there."""
        end = data.find(_HEAD_END)
        self._head = data if end < 0 else b""
        if end < 0:
            return False
        _, _, length = data[:end].lower().partition(_LENGTH)
        body = int(length.partition(b"\r\n")[0] or 0)
        self._missing = end + len(_HEAD_END) + body - len(data)
        if data[9] != ord("2"):
            self._crowd.refuse(data)
        return True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Crowd:
    """All lines of a process, which do one task at a time."""

    def __init__(self) -> None:
        self._free: deque[_Line] = deque()
        self._late: deque[float] = deque()
        self._lines: list[_Line] = []
        self._refused: Counter[str] = Counter()
        self._requests: Iterator[bytes] = iter(())
        self._sample = ""
        self._took = array("d")
        self._until = 0.0
        self._is_paced = self._has_more = self._is_closing = self._has_lost = False
        self._done: asyncio.Future[None] | None = None

    async def connect(self, address: Address) -> None:
        """Open the lines."""
        loop = asyncio.get_running_loop()
        for _ in range(address.lines):
            _, line = await loop.create_connection(lambda: _Line(self), address.host, address.port)
            self._lines.append(line)

    async def run(self, task: Task) -> Outcome:
        """Do a task; raises ConnectionError when the service closes a connection."""
        if self._has_lost:
            raise _lost()
        began = monotonic()
        self._requests, self._until = cycle(task.requests), began + task.seconds
        self._took, self._refused, self._sample = array("d"), Counter(), ""
        self._free, self._late = deque(self._lines), deque()
        self._is_paced = self._has_more = task.rate > 0
        self._done = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(task.seconds + _LAST_S):
            if self._is_paced:
                await self._keep_pace(task.rate, began)
            else:
                while self._free:
                    self._free.popleft().ask(next(self._requests), monotonic())
            await self._done
        return Outcome(
            took=self._took.tobytes(), lasted_s=monotonic() - began,
            refused=dict(self._refused), sample=self._sample,
        )  # fmt: skip

    def hear(self, line: _Line, due: float) -> None:
        """Note an answer, and ask the next thing if one is due."""
        now = monotonic()
        self._took.append(now - due)
        if self._late:
            line.ask(next(self._requests), self._late.popleft())
        elif not self._is_paced and now < self._until:
            line.ask(next(self._requests), now)
        else:
            self._free.append(line)
            self._end_if_idle()

    def refuse(self, answer: bytes) -> None:
        """Note an answer that is no success."""
        self._refused[answer[9:12].decode()] += 1
        self._sample = self._sample or answer[:_SAMPLE_BYTES].decode(errors="replace")

    def lose(self) -> None:
        """Note that a connection ended; unless it was us, no figure counts."""
        self._has_lost = not self._is_closing
        if self._has_lost and self._done is not None and not self._done.done():
            self._done.set_exception(_lost())

    def close(self) -> None:
        """Close the lines."""
        self._is_closing = True
        for line in self._lines:
            line.close()

    async def _keep_pace(self, rate: float, began: float) -> None:
        number = 0
        while (due := began + number / rate) < self._until:
            if (wait_s := due - monotonic()) > 0:
                await asyncio.sleep(wait_s)
            if self._free:
                self._free.popleft().ask(next(self._requests), due)
            else:
                self._late.append(due)
            number += 1
        self._has_more = False
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        assert self._done is not None
        is_idle = len(self._free) == len(self._lines) and not self._has_more
        if is_idle and not self._done.done():
            self._done.set_result(None)


def _lost() -> ConnectionError:
    return ConnectionError("the service closed a connection")


class Drivers:
    """Processes that wait for tasks."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    async def run(self, task: Task) -> Outcome:
        """Have all do their share of a task, and return what came of it together."""
        count = len(self._pipes)
        for number, pipe in enumerate(self._pipes):
            share = task.requests[number::count]
            pipe.send(Task(requests=share, seconds=task.seconds, rate=task.rate / count))
        parts: list[Outcome] = [await asyncio.to_thread(pipe.recv) for pipe in self._pipes]
        refused = sum((Counter(part.refused) for part in parts), Counter[str]())
        return Outcome(
            took=b"".join(part.took for part in parts),
            lasted_s=max(part.lasted_s for part in parts),
            refused=dict(refused),
            sample=next((part.sample for part in parts if part.sample), ""),
        )


@contextmanager
def drivers(host: str, port: int, *, lines: int, processes: int) -> Iterator[Drivers]:
    """Run processes that share so many lines."""
    context = get_context("spawn")
    with ExitStack() as stack:
        pipes = []
        for number in range(processes):
            share = lines // processes + (number < lines % processes)
            ours, theirs = context.Pipe()
            address = Address(host=host, port=port, lines=share)
            process = context.Process(target=work, args=(theirs, address))
            process.start()
            theirs.close()
            stack.callback(process.join)
            stack.callback(ours.close)  # Which the process takes for the end.
            pipes.append(ours)
        yield Drivers(pipes)


def work(pipe: Connection, address: Address) -> None:
    """Be a process of lines that does what the other end of the pipe says, until it is gone."""
    uvloop.run(_work(pipe, address))


async def _work(pipe: Connection, address: Address) -> None:
    crowd = Crowd()
    await crowd.connect(address)
    while (task := await asyncio.to_thread(_next, pipe)) is not None:
        pipe.send(await crowd.run(task))
    crowd.close()


def _next(pipe: Connection) -> Task | None:
    try:
        task: Task = pipe.recv()
    except EOFError:
        return None
    return task
