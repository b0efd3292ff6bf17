"""A storage that is ready for use: started if it is our own, migrated if it is PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from clarin_core.errors import Unavailable
from clarin_core.ports.small import Random
from clarin_embedded import EmbeddedPostgres, EmbeddedServerError, EmbeddedValkey
from clarin_postgres import identify, migrate
from clarin_server.data_folder import make_data_folder
from clarin_server.errors import CannotStart
from clarin_server.settings import DATABASE_WAIT_S_MAX, Settings

_TRY_AGAIN_S = 2.0
_IDENTITY_BYTES = 16

Say = Callable[[str], None]


@asynccontextmanager
async def ready_storage(settings: Settings, say: Say) -> AsyncIterator[str]:
    """Yield the address of the storage; raises CannotStart or EmbeddedServerError."""
    async with AsyncExitStack() as stack:
        url = settings.storage_url
        if url is None:
            url = await stack.enter_async_context(embedded_postgres(settings.folder, say))
        if url.startswith("postgres"):
            await _migrate_with_patience(url, say)
        yield url


async def identity_of(url: str, random: Random) -> str:
    """Return what tells a storage from others that are beside the same Redis.

    Storage in memory is never another process's; of what we do not know the address must do.
    """
    if url.startswith("memory"):
        return random(_IDENTITY_BYTES).hex()
    return await identify(url) if url.startswith("postgres") else url


@asynccontextmanager
async def embedded_postgres(folder: Path, say: Say) -> AsyncIterator[str]:
    """Run our own PostgreSQL while inside, and yield its address.

    Raises CannotStart for the folder and EmbeddedServerError for the server.
    """
    make_data_folder(folder)
    server = EmbeddedPostgres(folder / "postgres", say=say)
    try:
        await _to_its_end(server.start)
        yield server.dsn
    finally:
        await _to_its_end(server.stop)


@asynccontextmanager
async def ready_redis(settings: Settings, say: Say) -> AsyncIterator[str | None]:
    """Yield the address of a Redis, None to run without; it may not answer (yet, or any more).

    Our own one is started beside any PostgreSQL; what keeps it from starting is said, and then
    we run without.
    """
    known = settings.redis_url
    is_elsewhere = settings.storage_url is not None and "postgres" not in settings.storage_url[:8]
    if known is not None or is_elsewhere:
        yield None if known == "off" else known
        return
    server = EmbeddedValkey(settings.folder / "valkey", say=say)
    async with AsyncExitStack() as stack:
        try:
            make_data_folder(settings.folder)
            stack.push_async_callback(_leave, server, say)
            await _to_its_end(server.start)
        except (CannotStart, EmbeddedServerError) as error:
            say(f"running without Redis: {error}")
            yield None
        else:
            yield server.url


async def _leave(server: EmbeddedValkey, say: Say) -> None:
    try:
        await _to_its_end(server.stop)
    except EmbeddedServerError as error:
        say(str(error))


async def _to_its_end(work: Callable[[], None]) -> None:
    """Do blocking work in a thread; who is cancelled meanwhile, and be it twice, waits for it."""
    doing, is_cancelled = asyncio.ensure_future(asyncio.to_thread(work)), False
    while not doing.done():
        try:
            await asyncio.wait([doing])
        except asyncio.CancelledError:
            is_cancelled = True
    doing.result()
    if is_cancelled:
        raise asyncio.CancelledError


async def _migrate_with_patience(url: str, say: Say) -> None:
    """Migrate; a database that does not answer is asked again for half a minute."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DATABASE_WAIT_S_MAX
    while True:
        try:
            await migrate(url, say=say)
        except Unavailable as error:
            if loop.time() > deadline:
                raise CannotStart(
                    f"The database does not answer: {error}. Check DATABASE_URL and its server, "
                    "or leave it out: Clarin then runs a PostgreSQL of its own."
                ) from error
            say(f"waiting for the database: {error}")
            await asyncio.sleep(_TRY_AGAIN_S)
        else:
            return
