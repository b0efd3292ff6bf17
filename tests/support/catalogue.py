"""A look into a database past the storage, as its superuser."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

T = TypeVar("T")

ABOVE_ACCOUNTS = {
    "accounts": "the account itself",
    "users": "people may work in several accounts",
    "user_logins": "a login names one person of all",
    "default_accounts": "one a user, in whichever account",
    "sessions": "a sign-in may change its account",
    "tickets": "belongs to a sign-in",
    "schema_migrations": "belongs to the database",
}
"""The tables that belong to no account, and why."""

_TABLES = """
    select c.relname from pg_class c
    where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace"""


def look(address: str, at: "Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[T]]") -> T:
    """Return what a function finds in a database."""

    async def looking() -> T:
        connection = await asyncpg.connect(address)
        try:
            return await at(connection)
        finally:
            await connection.close()

    return asyncio.run(looking())


def rows(address: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    """Return the rows of one statement."""
    return look(address, lambda connection: connection.fetch(statement, *arguments))


def tenant_tables(address: str) -> set[str]:
    """Return the tables whose rows belong to an account each."""
    return {row["relname"] for row in rows(address, _TABLES)} - ABOVE_ACCOUNTS.keys()
