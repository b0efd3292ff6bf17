"""Several processes that serve one address, and one that does the jobs.

The supervisor starts what all need and keeps the address; each worker listens on it with a
socket of its own, and the kernel spreads connections over those that do. Nobody else has a copy
of such a socket. So it is gone the moment its worker closes it or dies: connections go to the
other workers, or are refused when there are none, and never wait in a queue that nobody takes
them from. A worker that ends is started again after a second, however often: that is a break for
the machine, and what they all waited for, such as the database, has them back at once (R29).
A worker says each second that its loop turns; one that says nothing for long is killed.

The workers are in sessions of their own, so that Ctrl-C reaches the supervisor alone, which then
stops them in order. They in turn stop when the supervisor is gone.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec
import structlog
from msgspec.structs import replace
from prometheus_client.multiprocess import mark_process_dead

from clarin_server.errors import CannotStart
from clarin_server.listening import share_address
from clarin_server.metrics import SHARED_IN
from clarin_server.settings import Settings
from clarin_server.temporary_folder import temporary_folder
from clarin_server.worker import READY, HandOver

_STOP_S = 20.0  # R28
_START_S = 60.0
_PAUSE_S = 1.0
_SILENCE_S = 30.0
_SAID_AT_ONCE = 4096

_log = structlog.get_logger(component="CLI")


@asynccontextmanager
async def supervised(
    settings: Settings,
    hand_over: HandOver,
    count: int,
    *,
    start_s: float = _START_S,
    silence_s: float = _SILENCE_S,
) -> AsyncIterator[tuple[str, int]]:
    """Run `count` serving workers and one for the jobs while inside; yield the address.

    Raises CannotStart when the address cannot be had, or when one of them is not ready within
    `start_s` seconds; then none is left. One that is silent for `silence_s` seconds is replaced.
    """
    async with AsyncExitStack() as stack:
        # It does not listen, so the kernel gives it nobody: it only keeps the address.
        kept = stack.enter_context(share_address(settings.host, settings.port))
        address: tuple[str, int] = kept.getsockname()[:2]
        metrics = stack.enter_context(temporary_folder("metrics"))
        told = [replace(hand_over, number=0)]
        told += [replace(hand_over, number=1 + at, address=address) for at in range(count)]
        workers = [_Worker(each, metrics, start_s, silence_s) for each in told]
        stack.push_async_callback(_stop, workers)
        await _start(workers)
        for worker in workers:
            worker.watch()
        yield address


async def _start(workers: "list[_Worker]") -> None:
    """Start all; the first one that fails keeps the others from it."""
    try:
        async with asyncio.TaskGroup() as starting:
            for worker in workers:
                starting.create_task(worker.start())
    except ExceptionGroup as several:
        raise several.exceptions[0] from None


async def _stop(workers: "list[_Worker]") -> None:
    await asyncio.gather(*(worker.stop() for worker in workers))


class _Worker:
    """One worker process, and what it takes to have it back."""

    def __init__(self, told: HandOver, metrics: Path, start_s: float, silence_s: float) -> None:
        self._told = told
        self._number = told.number
        self._metrics = metrics
        self._start_s = start_s
        self._silence_s = silence_s
        self._process: Process | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready; raises CannotStart, and then nothing is left."""
        async with AsyncExitStack() as undo:
            try:
                process = await self._spawn()
                undo.push_async_callback(self._kill, process)
                async with asyncio.timeout(self._start_s):
                    await self._introduce(process)
            except TimeoutError:
                raise self._cannot_start("it takes too long") from None
            except OSError as error:
                raise self._cannot_start(str(error)) from error
            undo.pop_all()
        self._process = process

    def watch(self) -> None:
        """See to it that it is there from now on."""
        self._watching = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ask it to stop in order, and wait; one that takes too long is killed."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        try:
            if self._process is not None:
                self._signal(signal.SIGTERM)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_STOP_S):
                        await self._process.wait()
        finally:  # Who is in a hurry cancels the waiting.
            self._signal(signal.SIGKILL)

    async def _spawn(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "clarin_server.worker",
            stdin=PIPE, stdout=PIPE, start_new_session=True,
            env={**os.environ, SHARED_IN: str(self._metrics)},
        )  # fmt: skip

    async def _introduce(self, process: Process) -> None:
        """Tell it what to do, and hear that it is ready, or else why it is not."""
        assert process.stdin is not None
        assert process.stdout is not None
        if not process.stdin.is_closing():  # Else it has ended already.
            process.stdin.write(msgspec.json.encode(self._told) + b"\n")
        said = b""
        async for line in process.stdout:
            if line == READY:
                return
            said += line
        why = said.decode(errors="replace").strip()
        raise self._cannot_start(why or f"it ended with code {await process.wait()}, see its log")

    def _cannot_start(self, why: str) -> CannotStart:
        return CannotStart(f"Worker {self._number} did not start: {why}")

    async def _kill(self, process: Process) -> None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        self._forget()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _keep(self) -> None:
        """Wait for its end and start it again, whatever fails."""
        while True:
            try:
                if self._process is None:
                    await self.start()
                await self._is_gone()
            except CannotStart as error:
                _log.error("a worker did not start", worker=self._number, reason=str(error))
            except Exception as error:
                _log.error("watching a worker failed", worker=self._number, exc_info=error)
            await asyncio.sleep(_PAUSE_S)

    async def _is_gone(self) -> None:
        assert self._process is not None
        await self._is_silent(self._process)
        code = await self._process.wait()
        self._process = None
        self._forget()
        _log.error("a worker ended by itself", worker=self._number, code=code)

    async def _is_silent(self, process: Process) -> None:
        """Wait until it has no more to say; one whose loop hangs says nothing, and is killed."""
        assert process.stdout is not None
        try:
            while True:
                async with asyncio.timeout(self._silence_s):
                    if not await process.stdout.read(_SAID_AT_ONCE):
                        return
        except TimeoutError:
            _log.error("a worker hangs", worker=self._number)
            self._signal(signal.SIGKILL)

    def _forget(self) -> None:
        """Count no longer what only the living have, such as open sockets."""
        mark_process_dead(self._number, str(self._metrics))
