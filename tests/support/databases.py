"""Databases on the throwaway server: one template that is migrated once, and copies of it."""

import asyncio
import time
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from clarin_postgres import migrate

_TEMPLATE = "clarin_template"
_LOCK = 1
_PATIENCE_S = 30
_STATEMENT_S = 60


def in_database(dsn: str, name: str) -> str:
    """Return the address of another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def migrated_template(dsn: str) -> str:
    """Return the name of a migrated database; the first worker that asks makes it."""
    connection = await asyncpg.connect(dsn, command_timeout=_STATEMENT_S)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        known = "select true from pg_database where datname = $1"
        if not await connection.fetchval(known, _TEMPLATE):
            making = f"{_TEMPLATE}_{uuid4().hex}"
            await connection.execute(f"create database {making}")
            await migrate(in_database(dsn, making))
            await _alone(connection, f"alter database {making} rename to {_TEMPLATE}")
    finally:
        await connection.close()
    return _TEMPLATE


async def fresh_database(dsn: str, *, template: str = "template1") -> str:
    """Return the address of a new database."""
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(dsn, command_timeout=_STATEMENT_S)
    try:
        await _alone(connection, f"create database {name} template {template}")
    finally:
        await connection.close()
    return in_database(dsn, name)


async def drop_database(dsn: str, address: str) -> None:
    """Remove a database, whoever is still in it."""
    name = urlsplit(address).path.removeprefix("/")
    connection = await asyncpg.connect(dsn, command_timeout=_STATEMENT_S)
    try:
        await connection.execute(f"drop database {name} with (force)")
    finally:
        await connection.close()


async def _alone(connection: "asyncpg.Connection[asyncpg.Record]", statement: str) -> None:
    """Run what needs a database that nobody uses; a back end takes a moment to leave."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            await connection.execute(statement)
            return
        except asyncpg.ObjectInUseError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)
