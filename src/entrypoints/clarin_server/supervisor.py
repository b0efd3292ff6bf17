"""Several processes that serve one address, and one that does the jobs.

The supervisor starts what all need, binds the address once for each, and hands a bound socket
to each worker. A worker that dies is started again on the same socket: it stays open here, so
whoever connected meanwhile waits in its queue and is not refused. The workers are in sessions of
their own, so that Ctrl-C reaches the supervisor alone, which then stops them in order. They in
turn stop when the supervisor is gone.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import msgspec
import structlog
from msgspec.structs import replace
from prometheus_client.multiprocess import mark_process_dead

from clarin_server.http.serving import bind
from clarin_server.jobs import retry_delay_s
from clarin_server.listening import cannot_listen
from clarin_server.settings import Settings
from clarin_server.worker import READY, HandOver

STOP_S = 20.0  # R28
_START_S = 60.0
_LIVED_S = 60.0  # Who lived so long is started again at once.
_METRICS = "PROMETHEUS_MULTIPROC_DIR"

_log = structlog.get_logger(component="CLI")


@asynccontextmanager
async def supervised(
    settings: Settings, hand_over: HandOver, count: int
) -> AsyncIterator[tuple[str, int]]:
    """Run `count` serving workers and one for the jobs while inside; yield the address.

    Raises CannotStart when the address cannot be had, RuntimeError when a worker does not start.
    """
    async with AsyncExitStack() as stack:
        sockets = _bind(settings.host, settings.port, count)
        for listening in sockets:
            stack.callback(listening.close)
        metrics = stack.enter_context(tempfile.TemporaryDirectory(prefix="clarin-metrics-"))
        workers = [_Worker(replace(hand_over, number=0), metrics)]
        for number, listening in enumerate(sockets, 1):
            told = replace(hand_over, number=number, listening=listening.fileno())
            workers.append(_Worker(told, metrics))
        stack.push_async_callback(_stop, workers)
        await asyncio.gather(*(worker.start() for worker in workers))
        for worker in workers:
            worker.watch()
        address: tuple[str, int] = sockets[0].getsockname()[:2]
        yield address


def _bind(host: str, port: int, count: int) -> list[socket.socket]:
    """Return a socket for each worker; only Linux spreads connections over several."""
    sockets: list[socket.socket] = []
    try:
        sockets.append(bind(host, port, shared=True))
        for _ in range(1, count):
            sockets.append(bind(host, sockets[0].getsockname()[1], shared=True))
    except OSError as error:
        for listening in sockets:
            listening.close()
        raise cannot_listen(host, port, error) from error
    return sockets


async def _stop(workers: "list[_Worker]") -> None:
    await asyncio.gather(*(worker.stop() for worker in workers))


class _Worker:
    """One worker process, and what it takes to have it back."""

    def __init__(self, hand_over: HandOver, metrics: str) -> None:
        self._hand_over = hand_over
        self._metrics = metrics
        self._process: Process | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready; raises RuntimeError when it ends before."""
        listening = self._hand_over.listening
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "clarin_server.worker",
            stdin=PIPE, stdout=PIPE, start_new_session=True,
            pass_fds=() if listening is None else (listening,),
            env={**os.environ, _METRICS: self._metrics},
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(self._hand_over) + b"\n")
        async with asyncio.timeout(_START_S):
            said = await self._process.stdout.readline()
        if said != READY:
            raise RuntimeError(f"worker {self._hand_over.number} did not start")

    def watch(self) -> None:
        """See to it that it is there from now on."""
        self._watching = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ask it to stop in order, and wait; one that takes too long is killed."""
        if self._watching is not None:
            self._watching.cancel()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await process.wait()
        finally:  # Who is in a hurry cancels the waiting.
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _keep(self) -> None:
        loop, deaths = asyncio.get_running_loop(), 0
        while True:
            born = loop.time()
            await self._is_gone()
            deaths = 0 if loop.time() - born > _LIVED_S else deaths + 1
            await asyncio.sleep(retry_delay_s(deaths, chance=1.0) if deaths > 1 else 0)
            with suppress(RuntimeError, TimeoutError):  # It is gone again, and counts as that.
                await self.start()

    async def _is_gone(self) -> None:
        assert self._process is not None
        code = await self._process.wait()
        mark_process_dead(self._process.pid, self._metrics)
        _log.error("a worker ended by itself", worker=self._hand_over.number, code=code)
