"""Opening what the container built, and closing it in reverse."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from clarin_server.container import Container
from clarin_server.services import Services


@asynccontextmanager
async def running(container: Container) -> AsyncIterator[Services]:
    """Open every part in its order; on the way out close all, even when one fails to."""
    container.check_dependencies()
    async with AsyncExitStack() as stack:
        for part in container.opened_in_order():
            await stack.enter_async_context(part)
        yield container.services()
