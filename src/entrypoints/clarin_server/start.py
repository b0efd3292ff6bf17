"""From settings to a service that listens, and back without a process left behind.

All of it happens in one event loop and one stack of contexts, so that there is one order in
which things are opened, its reverse in which they are closed, and one place that hears signals.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import uvloop

from clarin_security import system_random
from clarin_server.data_folder import make_media_folder, signing_secret
from clarin_server.database import identity_of, ready_redis, ready_storage
from clarin_server.errors import CannotStart
from clarin_server.http.app import create_app
from clarin_server.http.serving import listen
from clarin_server.jobs import working
from clarin_server.listening import cannot_listen, check_address
from clarin_server.process import settle_memory
from clarin_server.progress import Progress
from clarin_server.runtime import running
from clarin_server.services import Services
from clarin_server.settings import Settings
from clarin_server.signals import StopSignals
from clarin_server.supervisor import supervised
from clarin_server.worker import HandOver, container_for


def serve(settings: Settings, progress: Progress, *, workers: int = 1) -> None:
    """Serve until somebody asks to stop; raises CannotStart."""
    part = _in_one(settings, progress) if workers == 1 else _in_several(settings, progress, workers)
    until_stopped(part, progress)


def work(settings: Settings, progress: Progress) -> None:
    """Do the background work until somebody asks to stop; raises CannotStart."""
    until_stopped(_at_work(settings, progress), progress)


@asynccontextmanager
async def services_of(settings: Settings, progress: Progress) -> AsyncIterator[Services]:
    """Have what an entrypoint may use, for a command, while inside."""
    async with (
        _prepared(settings, progress) as prepared,
        running(container_for(settings, prepared)) as services,
    ):
        yield services


def until_stopped(
    part: AbstractAsyncContextManager[None], progress: Progress, *, after_s: float | None = None
) -> None:
    """Be inside of a part until somebody asks to stop, or for so long once it is ready."""
    # Its advice to use --debug means Sanic's own command.
    os.environ["SANIC_IGNORE_PRODUCTION_WARNING"] = "1"
    if uvloop.run(_until_stopped(part, progress, after_s)).is_urgent:
        sys.exit(1)


async def _until_stopped(
    part: AbstractAsyncContextManager[None], progress: Progress, after_s: float | None
) -> StopSignals:
    signals = StopSignals()
    try:
        async with part:
            settle_memory()
            if after_s is not None:
                asyncio.get_running_loop().call_later(after_s, signals.heed)
            await signals.wait()
            progress.say("stopping: what was asked is still answered")
    except asyncio.CancelledError:
        if not signals.came:
            raise
    progress.say("stopped")
    return signals


@asynccontextmanager
async def _prepared(settings: Settings, progress: Progress) -> AsyncIterator[HandOver]:
    """Have the servers, the secret and what else all processes must know while inside."""
    async with (
        ready_storage(settings, progress.say) as storage_url,
        ready_redis(settings, progress.say) as redis_url,
    ):
        make_media_folder(settings.media_address(storage_url))
        yield HandOver(
            number=0,
            storage_url=storage_url,
            storage_id=await identity_of(storage_url, system_random),
            redis_url=redis_url or "",
            signing_secret=signing_secret(settings, system_random),
        )


class Served(NamedTuple):
    """A service in this process; the password is told if it was made here."""

    services: Services
    address: tuple[str, int]
    password: str | None


@asynccontextmanager
async def _in_one(settings: Settings, progress: Progress) -> AsyncIterator[None]:
    async with serving(settings, progress) as served:
        progress.greet(served.address, served.password)
        yield


@asynccontextmanager
async def serving(settings: Settings, progress: Progress) -> AsyncIterator[Served]:
    """Serve and do the jobs in this process while inside; raises CannotStart.

    The address is tried first, and taken when everything is ready.
    """
    check_address(settings.host, settings.port)
    async with AsyncExitStack() as stack:
        prepared = await stack.enter_async_context(_prepared(settings, progress))
        container = container_for(settings, prepared)
        services = await stack.enter_async_context(running(container))
        password = await container.first_start().make_account(settings)
        await stack.enter_async_context(working(services, container.metrics()))
        await stack.enter_async_context(container.pool().running())
        app = create_app(services, settings, container.metrics())
        try:
            address = await stack.enter_async_context(listen(app, settings.host, settings.port))
        except OSError as error:
            raise cannot_listen(settings.host, settings.port, error) from error
        yield Served(services, address, password)


@asynccontextmanager
async def _in_several(settings: Settings, progress: Progress, count: int) -> AsyncIterator[None]:
    """Serve in several processes, and do the jobs in one more, while inside."""
    check_address(settings.host, settings.port)
    async with _prepared(settings, progress) as prepared:
        if prepared.storage_url.startswith("memory"):
            raise CannotStart("Storage in memory is in one process: leave --workers out.")
        container = container_for(settings, prepared)
        async with running(container):
            password = await container.first_start().make_account(settings)
        progress.say(f"starting {count} workers")
        async with supervised(settings, prepared, count) as address:
            progress.greet(address, password)
            yield


@asynccontextmanager
async def _at_work(settings: Settings, progress: Progress) -> AsyncIterator[None]:
    async with _prepared(settings, progress) as prepared:
        container = container_for(settings, prepared)
        async with (
            running(container) as services,
            working(services, container.metrics()),
            container.pool().running(),
        ):
            progress.say("doing the background work; Ctrl-C stops it")
            yield
