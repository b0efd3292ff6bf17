"""From settings to a service that listens, and back without a process left behind.

All of it happens in one event loop and one stack of contexts, so that there is one order in
which things are opened, its reverse in which they are closed, and one place that hears signals.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import uvloop

from clarin_security import system_random
from clarin_server.container import Container
from clarin_server.data_folder import signing_secret
from clarin_server.database import ready_storage
from clarin_server.http.app import create_app
from clarin_server.http.serving import listen
from clarin_server.listening import cannot_listen, check_address
from clarin_server.progress import Progress
from clarin_server.runtime import running
from clarin_server.settings import Settings
from clarin_server.signals import StopSignals
from clarin_server.worker import working


def serve(settings: Settings, progress: Progress) -> None:
    """Serve until somebody asks to stop; raises CannotStart."""
    # Its advice to use --debug means Sanic's own command.
    os.environ["SANIC_IGNORE_PRODUCTION_WARNING"] = "1"
    if uvloop.run(_until_stopped(settings, progress)).is_urgent:
        sys.exit(1)


async def _until_stopped(settings: Settings, progress: Progress) -> StopSignals:
    signals = StopSignals()
    try:
        async with _serving(settings, progress):
            await signals.wait()
            progress.say("stopping: what was asked is still answered")
    except asyncio.CancelledError:
        if not signals.came:
            raise
    progress.say("stopped")
    return signals


@asynccontextmanager
async def _serving(settings: Settings, progress: Progress) -> AsyncIterator[None]:
    """Listen while inside; the address is tried first, and taken when everything is ready."""
    check_address(settings.host, settings.port)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(ready_storage(settings, progress.say))
        secret = signing_secret(settings, system_random)
        container = Container(settings=settings, storage_url=url, signing_secret=secret)
        services = await stack.enter_async_context(running(container))
        password = await container.first_start().make_account(settings)
        await stack.enter_async_context(working(services, container.metrics()))
        app = create_app(services, settings, container.metrics())
        try:
            address = await stack.enter_async_context(listen(app, settings.host, settings.port))
        except OSError as error:
            raise cannot_listen(settings.host, settings.port, error) from error
        progress.greet(address, password)
        yield
