"""Opening what the container built, and closing it in reverse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from clarin_server.container import Container
from clarin_server.metrics import Metrics
from clarin_server.services import Services

_MEASURED_EVERY_S = 1.0


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
        metrics.write_down()


async def _measure(metrics: Metrics) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _MEASURED_EVERY_S
        await asyncio.sleep(_MEASURED_EVERY_S)
        metrics.loop_lag(max(0.0, loop.time() - due))
        metrics.write_down()
