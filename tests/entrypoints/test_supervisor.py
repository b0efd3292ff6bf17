"""Workers that fail, in whatever way: the others serve, nobody waits, all come back."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
from prometheus_client import multiprocess
from structlog.testing import capture_logs

from clarin_server import supervisor
from clarin_server.errors import CannotStart
from clarin_server.metrics import SHARED_IN
from clarin_server.settings import Settings
from clarin_server.supervisor import supervised
from clarin_server.worker import READY, HandOver
from support.nodes import workers_of
from support.serving import SECRET

PATIENCE_S = 60
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = (
    b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
)
TOLD = HandOver(number=0, storage_url="memory", storage_id="", redis_url="", signing_secret=SECRET)

Address = tuple[str, int]
Stub = Callable[[str], str]


def tell(story: Coroutine[Any, Any, None]) -> None:
    async def patiently() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story

    uvloop.run(patiently())
    assert mine() == {}


def mine() -> dict[int, bool]:
    return workers_of(os.getpid())


@asynccontextmanager
async def two_workers(told: HandOver = TOLD, **patience: float) -> AsyncIterator[Address]:
    async with supervised(Settings(port=0), told, 2, **patience) as address:
        yield address


HUNG = """
import time
from clarin_server import worker

class StopSignals(worker.StopSignals):
    def heed(self):
        time.sleep(600)

worker.StopSignals, worker.ALONE_S = StopSignals, 1
worker.run_worker()
"""


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    """Make programs that workers may be instead of Python; each run notes its process id."""

    def make(does: str) -> str:
        program = tmp_path / "stub"
        program.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/runs\n{does}\n")
        program.chmod(0o755)
        return str(program)

    return make


def runs(tmp_path: Path) -> list[int]:
    """Return the process ids of all stubs that were started."""
    noted = tmp_path / "runs"
    return [int(line) for line in noted.read_text().splitlines()] if noted.exists() else []


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def ask(address: Address) -> bytes:
    """Ask over a connection of its own; nothing when the service hangs up."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(HEALTH)
        return await reader.readline()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def refused(address: Address) -> None:
    """Ask until nobody listens; until then each is answered, or hung up on."""
    with suppress(ConnectionRefusedError):
        while True:
            assert await ask(address) in (b"HTTP/1.1 200 OK\r\n", b"")


async def kill_one() -> None:
    """Kill a worker that serves, and wait until the supervisor has noticed."""
    pid = next(pid for pid, serves in mine().items() if serves)
    os.kill(pid, signal.SIGKILL)
    while alive([pid]):
        await asyncio.sleep(0.01)


async def all_there() -> None:
    while sorted(mine().values()) != [False, True, True]:
        await asyncio.sleep(0.05)


def test_while_workers_stop_nobody_is_left_waiting() -> None:
    """R28: who comes late is served or refused at once; who was heard before is answered."""

    async def story() -> None:
        async with AsyncExitStack() as stack:
            address = await stack.enter_async_context(two_workers())
            reader, writer = await asyncio.open_connection(*address)
            writer.write(POST)
            assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
            stopping = asyncio.create_task(stack.aclose())
            await refused(address)
            writer.write(b'{"a": 12}')
            assert b" 422 " in await reader.readline()
            writer.close()
            await stopping

    tell(story())


def test_while_a_worker_is_away_the_others_get_all_connections(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of 50 waits for it, although it takes for ever to come back; a stop ends its start."""

    async def story() -> None:
        async with two_workers() as address:
            monkeypatch.setattr(sys, "executable", stub("exec sleep 1000"))
            await kill_one()
            assert [await ask(address) for _ in range(50)] == [b"HTTP/1.1 200 OK\r\n"] * 50
            while not runs(tmp_path):
                await asyncio.sleep(0.01)
        assert not alive(runs(tmp_path))

    tell(story())


def test_a_worker_comes_back_whatever_failed_meanwhile(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No program, a bug of ours, an end before it is ready: each is said, none is the last."""

    async def story() -> None:
        python, forget = sys.executable, multiprocess.mark_process_dead

        def fail(*_: object) -> None:
            monkeypatch.setattr(supervisor, "mark_process_dead", forget)
            raise ZeroDivisionError

        async with two_workers():
            monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
            await kill_one()
            await said("a worker did not start")
            monkeypatch.setattr(supervisor, "mark_process_dead", fail)
            monkeypatch.setattr(sys, "executable", stub("exit 3"))
            await said("watching a worker failed")
            await said("it ended with code 3")
            monkeypatch.setattr(sys, "executable", python)
            await all_there()

    async def said(words: str) -> None:
        while not any(words in str(line) for line in lines):
            await asyncio.sleep(0.05)

    with capture_logs() as lines:
        tell(story())


def test_a_worker_that_is_never_ready_is_an_error_and_is_killed(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        monkeypatch.setattr(sys, "executable", stub("exec sleep 1000"))
        with pytest.raises(CannotStart, match=r"^Worker \d did not start: it takes too long$"):
            async with two_workers(start_s=3):
                pass
        assert runs(tmp_path)
        while alive(runs(tmp_path)):
            await asyncio.sleep(0.01)

    tell(story())


def test_a_worker_that_hangs_is_replaced() -> None:
    """Its share of the connections would wait for ever."""

    async def story() -> None:
        async with two_workers(silence_s=3):
            hung = next(pid for pid, serves in mine().items() if serves)
            os.kill(hung, signal.SIGSTOP)
            while alive([hung]):
                await asyncio.sleep(0.05)
            await all_there()

    tell(story())


def test_a_worker_says_why_it_does_not_start(capfd: pytest.CaptureFixture[str]) -> None:
    """In plain words, also in its log; the others end with it."""

    async def story() -> None:
        told = msgspec.structs.replace(TOLD, storage_url="nosuch:")
        with pytest.raises(CannotStart, match=r"^Worker \d did not start: .*installed: "):
            async with two_workers(told):
                pass

    tell(story())
    logged = capfd.readouterr().err
    assert "the worker ends" in logged
    assert "Traceback" not in logged


def test_what_a_worker_prints_goes_where_its_log_goes() -> None:
    """A pipe that nobody reads would hold up who prints, once it is full."""

    async def story() -> None:
        async with two_workers():
            for pid in mine():
                printed, logged = (os.readlink(f"/proc/{pid}/fd/{number}") for number in (1, 2))
                assert printed == logged

    tell(story())


def test_a_worker_goes_on_counting_where_its_predecessor_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it starts there are no more files; what only the living have is not counted."""

    def files(of: str) -> list[Path]:
        return sorted(tmp_path.rglob(f"{of}_*.db"))

    async def story() -> None:
        async with two_workers():
            counters, sockets = files("counter"), files("gauge_livesum")
            assert (len(counters), len(sockets)) == (3, 3)
            await kill_one()
            while files("gauge_livesum") == sockets:
                await asyncio.sleep(0.01)
            await all_there()
            assert (files("counter"), files("gauge_livesum")) == (counters, sockets)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tell(story())


def test_a_worker_that_hangs_does_not_outlive_its_supervisor(tmp_path: Path) -> None:
    """R28: it is to stop in order, but there is nobody left who would kill it."""
    with subprocess.Popen(
        [sys.executable, "-c", HUNG],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, SHARED_IN: str(tmp_path)},
    ) as worker:  # fmt: skip
        try:
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write(msgspec.json.encode(TOLD) + b"\n")
            worker.stdin.flush()
            assert worker.stdout.readline() == READY
            worker.stdin.close()
            assert worker.wait(PATIENCE_S) == -signal.SIGALRM
        finally:
            worker.kill()
