"""One process of several: it serves requests, or does the background work, and stops when told.

It is started by the supervisor, which hands it what it has found out on its standard input and
then keeps that open: a supervisor that is gone, however it went, is a reason to stop in order.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import msgspec
import structlog
import uvloop
from msgspec import Struct

from clarin_core.errors import ClarinError
from clarin_server.container import Container
from clarin_server.errors import CannotStart
from clarin_server.http.app import create_app
from clarin_server.http.serving import listen_on
from clarin_server.jobs import working
from clarin_server.listening import share_address
from clarin_server.log import set_up_logging
from clarin_server.metrics import count_as_worker
from clarin_server.process import settle_memory
from clarin_server.runtime import running
from clarin_server.settings import Settings, read_settings
from clarin_server.signals import StopSignals

READY = b"ready\n"
_PULSE = b"."
_PULSE_S = 1.0
ALONE_S = 25

_log = structlog.get_logger(component="CLI")


class HandOver(Struct, kw_only=True):
    """What a worker is told. It serves at the address; without one it does the jobs."""

    number: int
    storage_url: str
    storage_id: str
    redis_url: str
    signing_secret: bytes
    address: tuple[str, int] | None = None


def container_for(settings: Settings, hand_over: HandOver) -> Container:
    """Return the graph of a process that was told this much."""
    return Container(
        settings=settings,
        storage_url=hand_over.storage_url,
        storage_id=hand_over.storage_id,
        redis_url=hand_over.redis_url,
        signing_secret=hand_over.signing_secret,
    )


def run_worker() -> None:
    """Work until the supervisor says stop, or is gone."""
    report = _take_stdout()
    hand_over = msgspec.json.decode(sys.stdin.buffer.readline(), type=HandOver)
    os.environ["SANIC_IGNORE_PRODUCTION_WARNING"] = "1"
    try:
        signals = uvloop.run(_until_stopped(hand_over, report))
    except (CannotStart, ClarinError) as error:
        _log.error("the worker ends", worker=hand_over.number, reason=str(error))
        with suppress(BrokenPipeError):
            os.write(report, str(error).encode())
        sys.exit(1)
    if signals.is_urgent:
        sys.exit(1)


def _take_stdout() -> int:
    """Return the pipe to the supervisor; what is printed from now on goes where the log goes.

    The supervisor reads until the worker is ready, and a pipe that nobody reads fills up.
    """
    report = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return report


async def _until_stopped(hand_over: HandOver, report: int) -> StopSignals:
    signals = StopSignals()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), _heed_end, signals)
    try:
        async with _at_work(hand_over):
            os.write(report, READY)
            os.set_blocking(report, False)
            _beat(report)
            await signals.wait()
    except asyncio.CancelledError:
        if not signals.came:
            raise
    return signals


def _beat(report: int) -> None:
    """Say each second that the loop turns; it does not matter whether anybody reads it."""
    with suppress(BlockingIOError, BrokenPipeError):
        os.write(report, _PULSE)
    asyncio.get_running_loop().call_later(_PULSE_S, _beat, report)


def _heed_end(signals: StopSignals) -> None:
    """Stop when nothing more can come from the supervisor; nobody is left who could kill us."""
    signal.alarm(ALONE_S)
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    signals.heed()


@asynccontextmanager
async def _at_work(hand_over: HandOver) -> AsyncIterator[None]:
    settings = read_settings(os.environ)
    set_up_logging(settings, worker=hand_over.number)
    count_as_worker(hand_over.number)
    container = container_for(settings, hand_over)
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(running(container))
        if hand_over.address is None:
            await stack.enter_async_context(working(services, container.metrics()))
            await stack.enter_async_context(container.pool().running())
        else:
            app = create_app(services, settings, container.metrics())
            listening = share_address(*hand_over.address)
            await stack.enter_async_context(listen_on(app, listening))
        settle_memory()
        yield


if __name__ == "__main__":
    run_worker()
