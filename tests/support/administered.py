"""Stories told against a PostgreSQL whose administrator has a hand in them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import asyncpg

from clarin_core.ports.event_publisher import EventPublisher
from clarin_core.testing.tenants import NOON, Tenant, settle
from clarin_postgres import PostgresStorage
from clarin_postgres.connection import say_nothing

END_ALL = """
    select pg_terminate_backend(a.pid, 5000) from pg_stat_activity a
    where a.datname = current_database() and a.application_name = $1"""
IS_WAITING = """
    select exists (
        select from pg_locks k join pg_database d on d.oid = k.database
        where d.datname = current_database() and not k.granted
    ) or exists (
        select from pg_stat_activity a
        where a.datname = current_database() and a.wait_event_type = 'Lock')"""

Admin: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Story = Callable[[Tenant, Admin], Awaitable[None]]


def tell(
    database: str,
    story: Story,
    *,
    publisher: EventPublisher | None = None,
    guarded_reads: bool = False,
    watch: Callable[[str], None] = say_nothing,
) -> None:
    """Run a story with a fresh account and a connection of the server's administrator."""

    async def told() -> None:
        admin = await asyncpg.connect(database)
        try:
            async with PostgresStorage(
                database,
                clock=lambda: NOON,
                publisher=publisher,
                guarded_reads=guarded_reads,
                watch=watch,
            ) as storage:
                await story(await settle(storage), admin)
        finally:
            await admin.close()

    asyncio.run(told())


async def someone_waits(admin: Admin) -> None:
    """Come back once a statement waits for a lock."""
    async with asyncio.timeout(10):
        while not await admin.fetchval(IS_WAITING):
            pass
