"""The driver counts each answer once, however it arrives, and looks at how it went."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from benchmarks.driver import Address, Crowd, Outcome, Task
from benchmarks.rounds import Refused, check

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
EMPTY = b"HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def lines_to(serve: Serve, count: int) -> AsyncIterator[Crowd]:
    """Yield a crowd of so many lines, to a server that does this with each."""
    ended = asyncio.Semaphore(0)

    async def serve_to_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()
        await writer.wait_closed()
        ended.release()

    server, crowd = await asyncio.start_server(serve_to_the_end, "127.0.0.1", 0), Crowd()
    async with server:
        host, port = server.sockets[0].getsockname()
        await crowd.connect(Address(host=host, port=port, lines=count))
        yield crowd
        crowd.close()
        for _ in range(count):
            await ended.acquire()


def drive(parts: Sequence[bytes], **task: Any) -> tuple[Outcome, int]:
    """Answer two lines in such parts; return what they counted, and how much was asked."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.append(line)
            await reader.readline()
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)

    async def try_it() -> Outcome:
        async with lines_to(serve, 2) as crowd:
            return await crowd.run(Task(requests=[REQUEST], seconds=0.05, **task))

    return asyncio.run(try_it()), len(heard)


@pytest.mark.parametrize(
    "parts",
    [[ANSWER], [EMPTY], [ANSWER[:9], ANSWER[9:]], [ANSWER[:-3], ANSWER[-3:]],
     [ANSWER[at : at + 1] for at in range(len(ANSWER))]],
    ids=["whole", "without a body", "split head", "split body", "byte by byte"],
)  # fmt: skip
def test_each_answer_counts_once(parts: Sequence[bytes]) -> None:
    outcome, heard = drive(parts)
    assert len(outcome.times) == heard >= 2
    assert not outcome.refused
    check("it", outcome)


def test_a_fixed_rate_asks_as_often_as_is_due() -> None:
    """Ten in a twentieth of a second, all answered, none twice."""
    outcome, heard = drive([ANSWER], rate=200.0)
    assert len(outcome.times) == heard == 10


def test_what_is_no_success_ends_a_run() -> None:
    outcome, heard = drive([BUSY])
    assert outcome.refused == {"503": heard}
    with pytest.raises(Refused, match="busy"):
        check("it", outcome)


def test_a_connection_that_ends_is_told() -> None:
    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readline()

    async def try_it() -> None:
        async with lines_to(hang_up, 1) as crowd:
            with pytest.raises(ConnectionError, match="closed"):
                await crowd.run(Task(requests=[REQUEST], seconds=5.0))

    asyncio.run(try_it())
