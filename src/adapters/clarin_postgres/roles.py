"""The roles that the service works in, which are none of those that own anything."""

from contextlib import suppress

import asyncpg

from clarin_postgres.connection import Line, Row
from clarin_postgres.errors import PostgresSetupError

WRITER = "clarin_service"
READER = "clarin_reader"
DIRECTORY = "clarin_directory"
ROLES = (WRITER, READER, DIRECTORY)

_TRIES = 5

_CHECK = """-- roles.check
    select current_user::text as role, r.rolsuper or r.rolbypassrls as is_free, exists (
        select from pg_class c
        where c.relnamespace = current_schema()::regnamespace and pg_has_role(c.relowner, 'usage')
    ) as owns
    from pg_roles r where r.rolname = current_user"""


async def check_role(line: Line) -> None:
    """Raise PostgresSetupError for a role that no wall would hold (R27)."""
    row = await line.first(_CHECK)
    if row is None or row["is_free"] or row["owns"]:
        name = row["role"] if row else "unknown"
        raise PostgresSetupError(
            f"The role {name} is a superuser, passes row-level security, or owns tables. "
            f"Make it a plain role: alter role {name} nosuperuser nobypassrls; "
            "and give its tables to another owner."
        )


async def make_roles(connection: "asyncpg.Connection[Row]") -> None:
    """See to it that the roles exist and can be taken; raises PostgresSetupError.

    Roles belong to the whole server, on which others may prepare databases at the same time.
    """
    for _ in range(_TRIES):
        try:
            for role in ROLES:
                await _make_role(connection, role)
        except (asyncpg.UniqueViolationError, asyncpg.InternalServerError):
            continue  # Another one was quicker, or changed the same row of the catalogue.
        except asyncpg.InsufficientPrivilegeError as error:
            raise await _needs_help(connection) from error
        return
    raise PostgresSetupError("Others keep changing the roles of this server; try again.")


async def _make_role(connection: "asyncpg.Connection[Row]", role: str) -> None:
    if not await connection.fetchval("select true from pg_roles where rolname = $1", role):
        with suppress(asyncpg.DuplicateObjectError):
            await connection.execute(f"create role {role} nologin")
    if not await _can_take(connection, role):
        await connection.execute(f"grant {role} to current_user")


async def _can_take(connection: "asyncpg.Connection[Row]", role: str) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(f"set local role {role}")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


async def _needs_help(connection: "asyncpg.Connection[Row]") -> PostgresSetupError:
    user = await connection.fetchval("select quote_ident(current_user)")
    statements = [f"create role {role} nologin; grant {role} to {user};" for role in ROLES]
    return PostgresSetupError(
        f"The user {user} may not make the roles that the service works in. "
        "Let an administrator of the server run once:\n" + "\n".join(statements)
    )
