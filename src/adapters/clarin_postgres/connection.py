"""Connections: how long they may take, which role they work in, and the one way to the driver.

Every statement of this package goes through `Line`. It names itself in its first line, as in
`-- leads.add`, so that PostgreSQL's logs and ours speak of the same thing; values are in no
log. Errors are translated around the driver's call alone, so that what a caller raises in the
middle of a transaction is never taken for ours.

A connection takes its role when it is made, and nobody changes the state of a session after
that: an account is set for one transaction, and there is no LISTEN, no advisory lock and no
temporary table on a pooled connection. So there is nothing to reset when one is given back,
and the reset that asyncpg sends by default, a round trip, is left out.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import asyncpg
import msgspec
from asyncpg.connect_utils import SessionAttribute
from asyncpg.pool import PoolConnectionProxy

from clarin_core.errors import Unavailable
from clarin_postgres.errors import DRIVER_ERRORS, POSTGRES, ConnectionLost, refusal, translated

_log = logging.getLogger("clarin_postgres")

CONNECT_S = 3
_ACQUIRE_S = 2
_COMMAND_S = 5
_CLOSE_S = 5
_SLOW_S = 0.25
_STATEMENTS_MAX = 300  # More than there are: what is in use stays prepared.
_SETTINGS = {
    "statement_timeout": "4s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
    "timezone": "UTC",
    "jit": "off",  # It costs more than the longest statement here takes.
}

Row = asyncpg.Record
T = TypeVar("T")


def say_nothing(_: str) -> None:
    """Hear a text, and do nothing."""


@dataclass(slots=True)
class Meter:
    """Counts statements and tells `watch` the text of each; BEGIN and COMMIT do not count."""

    watch: Callable[[str], None] = say_nothing
    statements: int = 0


if TYPE_CHECKING:
    _Driver = asyncpg.Connection[Row]
else:
    _Driver = asyncpg.Connection  # Generic for type checkers alone.


class _Connection(_Driver):
    def get_reset_query(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Line:
    """One connection, as the stores see it. Raises errors of the core only."""

    connection: "PoolConnectionProxy[Row]"
    meter: Meter

    async def fetch(
        self, text: str, *arguments: object, timeout_s: float | None = None
    ) -> list[Row]:
        """Run a statement and return its rows."""
        self.meter.statements += 1
        self.meter.watch(text)
        started = perf_counter()
        rows = await _asked(
            text, lambda: self.connection.fetch(text, *arguments, timeout=timeout_s)
        )
        if (taken := perf_counter() - started) > _SLOW_S:
            _log.warning("%s took %.0f ms", name_of(text), taken * 1000)
        return rows

    async def first(self, text: str, *arguments: object) -> Row | None:
        """Run a statement and return its first row, None if there is none."""
        rows = await self.fetch(text, *arguments)
        return rows[0] if rows else None

    async def control(self, text: str) -> str:
        """Begin or end a transaction; return what PostgreSQL calls that which it did."""
        return await _asked(text, lambda: self.connection.execute(text))

    @asynccontextmanager
    async def transaction(self, begin: str) -> AsyncIterator[None]:
        """Commit what is done inside, or undo it when anything is raised."""
        try:
            await self.control(begin)
            yield
            if await self.control("-- commit\ncommit") != "COMMIT":
                raise RuntimeError("a statement failed, and what went on was not committed")
        except BaseException:
            with suppress(Unavailable):  # A connection that is gone has undone it.
                await self.control("-- rollback\nrollback")
            raise


class Pool:
    """A few connections in one role."""

    def __init__(self, dsn: str, role: str, *, size: int, meter: Meter) -> None:
        self._dsn = dsn
        self._role = role
        self._size = size
        self._meter = meter
        self._pool: asyncpg.Pool[Row] | None = None

    async def open(self) -> None:
        """Connect; raises Unavailable, or PostgresSetupError with what helps."""
        pool = asyncpg.create_pool(
            self._dsn,
            min_size=0,  # Nothing is connected in the background, where errors reach nobody.
            max_size=self._size,
            timeout=CONNECT_S,
            command_timeout=_COMMAND_S,
            statement_cache_size=_STATEMENTS_MAX,
            connection_class=_Connection,
            init=_speak_json,
            target_session_attrs=SessionAttribute.primary,
            server_settings={
                **_SETTINGS, "role": self._role, "application_name": self._role.replace("_", "-")
            },
        )  # fmt: skip
        try:
            await pool
            await pool.release(await pool.acquire(timeout=CONNECT_S))
        except (*DRIVER_ERRORS, ValueError) as error:
            raise refusal(error) from None
        self._pool = pool

    async def close(self) -> None:
        """Disconnect; whoever still works gets a few seconds."""
        pool, self._pool = self._pool, None
        if pool is not None:
            with suppress(TimeoutError):  # The driver has cut the connections off by then.
                await asyncio.wait_for(pool.close(), _CLOSE_S)

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """Lend a connection; raises Unavailable when none is free for two seconds.

        When one is lost, all are made anew: what cut it off has most likely cut off all, and a
        server that may no longer write keeps its connections open.
        """
        if self._pool is None:
            raise Unavailable(POSTGRES)
        pool = self._pool
        connection = await _asked("-- pool.acquire", lambda: pool.acquire(timeout=_ACQUIRE_S))
        try:
            yield Line(connection, self._meter)
        except ConnectionLost:
            await pool.expire_connections()
            raise
        finally:
            with suppress(*DRIVER_ERRORS):  # A connection that cannot be given back is dropped.
                await pool.release(connection)

    async def fetch(self, text: str, *arguments: object) -> list[Row]:
        """Run one reading statement, a second time if the connection turned out to be dead."""
        with suppress(ConnectionLost):
            async with self.line() as line:
                return await line.fetch(text, *arguments)
        async with self.line() as line:
            return await line.fetch(text, *arguments)


def name_of(text: str) -> str:
    """Return the name in a statement's first line."""
    return text.lstrip().partition("\n")[0].removeprefix("-- ")


async def _asked(text: str, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the driver; raise its errors in the core's words, without a trace of values.

    A dead connection raises before there is anything to wait for.
    """
    try:
        return await ask()
    except DRIVER_ERRORS as error:
        raise translated(error, name_of(text)) from None


async def _speak_json(connection: "asyncpg.Connection[Row]") -> None:
    await connection.set_type_codec(
        "json",
        schema="pg_catalog",
        format="binary",
        encoder=msgspec.json.encode,
        decoder=msgspec.json.decode,
    )
