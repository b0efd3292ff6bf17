"""Opening what the container built, and closing it in reverse."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog

from clarin_server.container import Container
from clarin_server.metrics import SHARED_IN, Metrics
from clarin_server.services import Services

_MEASURED_EVERY_S = 1.0

_log = structlog.get_logger(component="METRICS")


@asynccontextmanager
async def running(container: Container) -> AsyncIterator[Services]:
    """Open every part in its order; on the way out close all, even when one fails to."""
    container.check_dependencies()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(measured(container.metrics()))
        for part in container.opened_in_order():
            await stack.enter_async_context(part)
        yield container.services()


@asynccontextmanager
async def measured(metrics: Metrics) -> AsyncIterator[None]:
    """Measure how late the loop of this process is, and write down what is held, while inside."""
    task = asyncio.create_task(_measure(metrics))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        with suppress(OSError):  # What is lost is the last second.
            metrics.write_down()


async def _measure(metrics: Metrics) -> None:
    loop = asyncio.get_running_loop()
    is_written = True
    while True:
        due = loop.time() + _MEASURED_EVERY_S
        await asyncio.sleep(_MEASURED_EVERY_S)
        was_written, is_written = is_written, _write_down(metrics, loop.time() - due)
        if was_written and not is_written:
            _log.error("figures are not written down", folder=os.environ.get(SHARED_IN))


def _write_down(metrics: Metrics, lag_s: float) -> bool:
    try:
        metrics.loop_lag(max(0.0, lag_s))
        metrics.write_down()
    except OSError:  # The folder that processes share is full, or gone.
        return False
    return True
