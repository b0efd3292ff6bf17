"""A throwaway PostgreSQL with accounts and devices, and what its processes cost."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from msgspec import Struct

from benchmarks.serving import cpu_s_of
from clarin_core.domain.actor import Actor, Cause, Origin, Role
from clarin_core.domain.devices import Device
from clarin_core.ports.event_publisher import EventPublisher
from clarin_core.testing.tenants import Tenant, settle
from clarin_embedded import EmbeddedPostgres
from clarin_postgres import PostgresStorage, migrate

_PHONES_FROM = 51_900_000_000
_PIDS = "select pid from pg_stat_activity where pid <> pg_backend_pid()"
_CONNECTED = "select count(*) from devices where status = 'connected'"


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def phone_of(number: int) -> str:
    """Return the phone of a device or of a person."""
    return f"+{_PHONES_FROM + number}"


class Store(Struct, frozen=True):
    """A storage that is open, and a connection above it that it does not count."""

    storage: PostgresStorage
    above: "asyncpg.Connection[asyncpg.Record]"

    async def postgres_cpu_s(self) -> float:
        """Return the processor time that the server's processes of now have used."""
        return cpu_s_of([row["pid"] for row in await self.above.fetch(_PIDS)])

    async def connected(self) -> int:
        """Return how many devices are connected."""
        found: int = await self.above.fetchval(_CONNECTED)
        return found


class House(Struct, frozen=True):
    """An account, somebody who works there, and its devices."""

    tenant: Tenant
    admin: Actor
    devices: list[Device]


@asynccontextmanager
async def stored(publisher: EventPublisher | None = None, *, dsn: str = "") -> AsyncIterator[Store]:
    """Open a storage: at an address, or in a PostgreSQL of its own, which writes to the disk."""
    with ExitStack() as stack:
        dsn = dsn or stack.enter_context(_throwaway()).dsn
        await migrate(dsn)
        above = await asyncpg.connect(dsn)
        async with PostgresStorage(dsn, clock=now, publisher=publisher) as storage:
            yield Store(storage, above)
        await above.close()


@contextmanager
def _throwaway() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory(prefix="clarin-bench-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "postgres") as server:
            yield server


async def house(storage: PostgresStorage) -> House:
    """Return a fresh account without devices."""
    tenant = await settle(storage)
    user_id = await tenant.hire(Role.ADMIN)
    origin = Origin(cause=Cause.USER, user_id=user_id)
    admin = Actor(account_id=tenant.id, user_id=user_id, role=Role.ADMIN, origin=origin)
    return House(tenant, admin, [])
