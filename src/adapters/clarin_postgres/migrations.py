"""The schema: numbered steps forward, each once and in a transaction of its own."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from clarin_postgres.connection import CONNECT_S, Line, Row, say_nothing
from clarin_postgres.errors import (
    DRIVER_ERRORS,
    PostgresSetupError,
    refusal,
    translated,
)
from clarin_postgres.roles import make_roles

_LOCK = 0x636C6172696E  # "clarin"
_OLDEST_SERVER = 14

_TABLE = """create table if not exists schema_migrations (
    number integer primary key,
    name text not null,
    sha256 text not null,
    at timestamptz not null default clock_timestamp()
);
grant select on schema_migrations to public"""
_IS_THERE = """-- migrations.is_there
    select to_regclass('schema_migrations') is not null as is_there"""
_APPLIED = """-- migrations.applied
    select m.number, m.sha256 from schema_migrations m order by m.number"""
_IDENTITY = """-- migrations.identity
    select concat_ws('/', d.oid, current_schema())
    from pg_database d where d.datname = current_database()"""
_SERVER = "select system_identifier::text from pg_control_system()"
_RECORD = "insert into schema_migrations (number, name, sha256) values ($1, $2, $3)"


class Step(NamedTuple):
    """One file of statements."""

    number: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        """What tells whether the file is the one that was applied."""
        return sha256(self.text.encode()).hexdigest()


def steps() -> list[Step]:
    """Return the steps of this release in order."""
    folder = files("clarin_postgres") / "migrations"
    texts = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir()}
    return [
        Step(int(name[:4]), name.removesuffix(".sql"), text)
        for name, text in sorted(texts.items())
        if name.endswith(".sql")
    ]


async def migrate(
    dsn: str,
    *,
    say: Callable[[str], None] = say_nothing,
    wanted: Sequence[Step] | None = None,
) -> None:
    """Bring a database to this release's schema (or to `wanted`); safe to run many at once.

    Raises PostgresSetupError with what helps, or Unavailable when the server does not answer.
    """
    async with _connected(dsn, "migrate") as connection:
        try:
            await _migrate(connection, steps() if wanted is None else wanted, say)
        except asyncpg.InsufficientPrivilegeError as error:
            raise PostgresSetupError(
                f"The user of the database may not prepare it ({error.args[0]}). "
                "Migrate as the owner of the database."
            ) from None


async def identify(dsn: str) -> str:
    """Return what tells a database from all others, the same by whatever address it is reached.

    Server, database and schema. It stays when a standby takes over; a copy of a server's files
    has it, too, while a dump that was restored has one of its own. Raises like `migrate`.
    """
    server = ""
    async with _connected(dsn, "identify") as connection:
        with suppress(asyncpg.InsufficientPrivilegeError):  # Some providers do not tell.
            server = await connection.fetchval(_SERVER)
        return f"{server}/{await connection.fetchval(_IDENTITY)}"


async def check_schema(line: Line) -> None:
    """Raise PostgresSetupError unless the database has this release's schema."""
    (row,) = await line.fetch(_IS_THERE)
    applied = await line.fetch(_APPLIED) if row["is_there"] else []
    if pending := _pending(steps(), applied):
        raise PostgresSetupError(
            f"The database lacks {', '.join(step.name for step in pending)}: run clarin migrate."
        )


@asynccontextmanager
async def _connected(dsn: str, task: str) -> "AsyncIterator[asyncpg.Connection[Row]]":
    """Connect once, for a task, as the user of the address."""
    try:
        connection: asyncpg.Connection[Row] = await asyncpg.connect(
            dsn, timeout=CONNECT_S, server_settings={"application_name": f"clarin-{task}"}
        )
    except (*DRIVER_ERRORS, ValueError) as error:
        raise refusal(error) from None
    try:
        yield connection
    except DRIVER_ERRORS as error:
        raise translated(error, task) from error
    finally:
        await connection.close(timeout=CONNECT_S)


async def _migrate(
    connection: "asyncpg.Connection[Row]", wanted: Sequence[Step], say: Callable[[str], None]
) -> None:
    await _check_server(connection)
    await connection.execute("select pg_advisory_lock($1)", _LOCK)
    if not await connection.fetchval(_IS_THERE):
        await connection.execute(_TABLE)
    pending = _pending(wanted, await connection.fetch(_APPLIED))
    await make_roles(connection)
    for step in pending:
        say(f"migrating the database: {step.name}")
        async with connection.transaction():
            await connection.execute(step.text)
            await connection.execute(_RECORD, step.number, step.name, step.digest)


async def _check_server(connection: "asyncpg.Connection[Row]") -> None:
    version = connection.get_server_version().major
    if version < _OLDEST_SERVER:
        raise PostgresSetupError(
            f"PostgreSQL {version} is too old: {_OLDEST_SERVER} or newer is needed."
        )
    if (encoding := await connection.fetchval("show server_encoding")) != "UTF8":
        raise PostgresSetupError(f"The database is encoded in {encoding}: UTF8 is needed.")


def _pending(wanted: Sequence[Step], applied: Sequence[Row]) -> list[Step]:
    """Return the steps that are still to be taken; raises PostgresSetupError."""
    known = {step.number: step for step in wanted}
    for row in applied:
        step = known.pop(row["number"], None)
        if step is None:
            raise PostgresSetupError(
                f"The database has step {row['number']:04}, which this release does not know: "
                "it was migrated by a newer one. Run that release, or restore a backup."
            )
        if step.digest != row["sha256"]:
            raise PostgresSetupError(
                f"{step.name} is not the file that was applied to this database: a step never "
                "changes. Take back the change, and put it into a new step."
            )
    return list(known.values())
