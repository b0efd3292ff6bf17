"""Connections: how long they may take, which role they work in, and the one way to the driver.

Every statement of this package goes through `Line`. It names itself in its first line, as in
`-- leads.add`, so that PostgreSQL's logs and ours speak of the same thing; values are in no
log. Errors are translated around the driver's call alone, so that what a caller raises in the
middle of a transaction is never taken for ours.

A connection takes its role when it is made, and nobody changes the state of a session after
that: an account is set for one transaction, and there is no LISTEN, no advisory lock and no
temporary table on a pooled connection. So there is nothing to reset when one is given back, as
long as whatever was asked of it was answered; see `lender`.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import asyncpg
import msgspec
from asyncpg.connect_utils import SessionAttribute

from clarin_core.errors import Unavailable
from clarin_postgres.errors import DRIVER_ERRORS, POSTGRES, ConnectionLost, refusal, translated
from clarin_postgres.lender import Lender

_log = logging.getLogger("clarin_postgres")

CONNECT_S = 3
_COMMAND_S = 5
_SLOW_S = 0.25
_STATEMENTS_MAX = 300  # More than there are: what is in use stays prepared.
_SETTINGS = {
    "statement_timeout": "4s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
    "timezone": "UTC",
    "extra_float_digits": "1",  # So that seconds in JSON are exact, whatever a role has.
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
    """A connection with what its lender notes on it."""

    generation = 0
    idle_since = 0.0

    async def settle(self) -> None:
        """Wait until what was cancelled is over, and undo what was begun.

        The driver has every statement wait for that, so one that does nothing will do.
        """
        with suppress(asyncpg.InFailedSQLTransactionError):
            await self.execute("-- pool.settle\nselect")
        if self.is_in_transaction():
            await self.execute("-- pool.undo\nrollback")


@dataclass(slots=True)
class Line:
    """One connection, as the stores see it. Raises errors of the core only.

    It `is_quiet` when all that was asked of it was answered.
    """

    connection: _Driver
    meter: Meter
    is_quiet: bool = True

    async def fetch(
        self, text: str, *arguments: object, timeout_s: float | None = None
    ) -> list[Row]:
        """Run a statement and return its rows."""
        self.meter.statements += 1
        self.meter.watch(text)
        started = perf_counter()
        rows = await self._answered(
            text, self.connection.fetch(text, *arguments, timeout=timeout_s)
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
        return await self._answered(text, self.connection.execute(text))

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

    async def _answered(self, text: str, asking: Awaitable[T]) -> T:
        """Wait for the driver; raise its errors in the core's words, without a trace of values."""
        self.is_quiet = False
        try:
            answer = await asking
        except DRIVER_ERRORS as error:
            self.is_quiet = isinstance(error, asyncpg.PostgresError)
            raise translated(error, name_of(text)) from None
        self.is_quiet = True
        return answer


class Pool:
    """A few connections in one role."""

    def __init__(self, dsn: str, role: str, *, size: int, meter: Meter) -> None:
        self._dsn = dsn
        self._role = role
        self._size = size
        self._meter = meter
        self._lender: Lender[_Connection] | None = None

    async def open(self) -> None:
        """Connect; raises Unavailable, or PostgresSetupError with what helps."""
        lender = Lender(self._connect, size=self._size)
        try:
            lender.give_back(await lender.take(), is_quiet=True)
        except (*DRIVER_ERRORS, ValueError) as error:
            raise refusal(error) from None
        self._lender = lender

    async def close(self) -> None:
        """Disconnect; whoever still works gets a few seconds."""
        lender, self._lender = self._lender, None
        if lender is not None:
            await lender.close()

    def line(self) -> AbstractAsyncContextManager[Line]:
        """Lend a connection; raises Unavailable when none is free for two seconds.

        When one is lost, all are made anew: what cut it off has most likely cut off all, and a
        server that may no longer write keeps its connections open.
        """
        if self._lender is None:
            raise Unavailable(POSTGRES)
        return _Loan(self._lender, self._meter)

    async def fetch(self, text: str, *arguments: object) -> list[Row]:
        """Run one reading statement, a second time if the connection turned out to be dead."""
        with suppress(ConnectionLost):
            async with self.line() as line:
                return await line.fetch(text, *arguments)
        async with self.line() as line:
            return await line.fetch(text, *arguments)

    async def _connect(self) -> _Connection:
        made: _Connection = await asyncpg.connect(
            self._dsn,
            timeout=CONNECT_S,
            command_timeout=_COMMAND_S,
            statement_cache_size=_STATEMENTS_MAX,
            connection_class=_Connection,
            target_session_attrs=SessionAttribute.primary,
            server_settings={
                **_SETTINGS, "role": self._role, "application_name": self._role.replace("_", "-")
            },
        )  # fmt: skip
        await _speak_json(made)
        return made


class _Loan:
    """A connection that goes back when it was used, in one step that nobody can interrupt."""

    __slots__ = ("_connection", "_lender", "_line", "_meter")

    def __init__(self, lender: Lender[_Connection], meter: Meter) -> None:
        self._lender = lender
        self._meter = meter

    async def __aenter__(self) -> Line:
        try:
            self._connection = await self._lender.take()
        except DRIVER_ERRORS as error:
            raise translated(error, "pool.acquire") from None
        self._line = Line(self._connection, self._meter)
        return self._line

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ConnectionLost):
            self._lender.expire(self._connection)
        self._lender.give_back(self._connection, is_quiet=self._line.is_quiet)


def name_of(text: str) -> str:
    """Return the name in a statement's first line."""
    return text.lstrip().partition("\n")[0].removeprefix("-- ")


async def _speak_json(connection: _Driver) -> None:
    """Have JSON taken apart by msgspec; the server is not asked about a type that it comes with."""
    await connection.set_type_codec(
        "json",
        schema="pg_catalog",
        format="binary",
        encoder=msgspec.json.encode,
        decoder=msgspec.json.decode,
    )
