"""The schema of PostgreSQL: reached from anywhere, by many at once, and never by guessing."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from clarin_core.errors import Invalid, Unavailable
from clarin_embedded import EmbeddedPostgres
from clarin_postgres import PostgresSetupError, PostgresStorage, identify, migrate
from clarin_postgres.migrations import Step, steps
from support.databases import drop_database, fresh_database, in_database

TABLES = """
    select c.table_name, c.column_name, c.data_type, c.is_nullable, c.column_default
    from information_schema.columns c where c.table_schema = 'public' order by 1, 2"""
INDEXES = "select i.indexdef from pg_indexes i where i.schemaname = 'public' order by 1"
POLICIES = """
    select p.tablename, p.policyname, p.roles, p.cmd, p.qual, p.with_check
    from pg_policies p order by 1, 2"""
GRANTS = """
    select g.table_name, g.grantee, g.privilege_type from information_schema.role_table_grants g
    where g.grantee like 'clarin%' and g.table_schema = 'public' order by 1, 2, 3"""
APPLIED = "select m.number, m.name, m.sha256 from schema_migrations m order by 1"


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Return the address of an empty database."""
    address = asyncio.run(fresh_database(postgres.dsn))
    yield address
    asyncio.run(drop_database(postgres.dsn, address))


async def run(address: str, *statements: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def in_schema(address: str, name: str) -> str:
    sign = "&" if "?" in address else "?"
    return f"{address}{sign}options=-csearch_path%3D{name}"


async def shape(address: str) -> list[list[tuple[object, ...]]]:
    """Return all that the steps make."""
    connection = await asyncpg.connect(address)
    try:
        looks = (TABLES, INDEXES, POLICIES, GRANTS, APPLIED)
        return [[tuple(row) for row in await connection.fetch(look)] for look in looks]
    finally:
        await connection.close()


async def open_storage(address: str) -> None:
    async with PostgresStorage(address, clock=lambda: datetime.now(UTC)):
        pass


def test_a_database_is_known_by_more_than_its_address(
    empty: str, database: str, postgres: EmbeddedPostgres, template: str
) -> None:
    """Each has an identity, a copy too, and a schema; it is the same after a new name."""

    async def story() -> None:
        copy = await fresh_database(postgres.dsn, template=template)
        await run(copy, "create schema other")
        found = [await identify(each) for each in (empty, database, copy)]
        found.append(await identify(in_schema(copy, "other")))
        assert len(set(found)) == len(found)
        name = f"renamed_{uuid4().hex}"
        await run(postgres.dsn, f"alter database {urlsplit(copy).path[1:]} rename to {name}")
        renamed = in_database(postgres.dsn, name)
        assert await identify(renamed) == found[2]
        await drop_database(postgres.dsn, renamed)

    asyncio.run(story())


def test_a_server_that_is_away_has_no_identity(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(Unavailable):
        asyncio.run(identify("postgresql://ana@127.0.0.1:1/clarin"))


def test_every_step_is_a_file_with_the_next_number() -> None:
    assert [step.number for step in steps()] == list(range(1, len(steps()) + 1))


@pytest.mark.parametrize("done", range(len(steps()) + 1))
def test_many_at_once_reach_the_same_schema(empty: str, database: str, done: int) -> None:
    """From nothing, and from each older schema: one does each step, the others wait."""

    async def story() -> None:
        said: list[str] = []
        await migrate(empty, wanted=steps()[:done])
        await asyncio.gather(*(migrate(empty, say=said.append) for _ in range(4)))
        assert said == [f"migrating the database: {step.name}" for step in steps()[done:]]
        assert await shape(empty) == await shape(database)
        await open_storage(empty)

    asyncio.run(story())


def test_two_databases_of_one_server_do_not_meet(postgres: EmbeddedPostgres) -> None:
    """Roles belong to the server: whoever comes second finds them there."""

    async def story() -> None:
        addresses = [await fresh_database(postgres.dsn) for _ in range(3)]
        await asyncio.gather(*map(migrate, addresses))
        await asyncio.gather(*map(open_storage, addresses))
        await asyncio.gather(*(drop_database(postgres.dsn, address) for address in addresses))

    asyncio.run(story())


def test_a_changed_step_is_refused(empty: str) -> None:
    """What ran is what the file says, or nobody knows what the schema is."""

    async def story() -> None:
        first, *rest = steps()
        await migrate(empty, wanted=[Step(first.number, first.name, f"{first.text} "), *rest])
        with pytest.raises(PostgresSetupError, match=f"{first.name} is not the file"):
            await migrate(empty)
        with pytest.raises(PostgresSetupError, match=f"{first.name} is not the file"):
            await open_storage(empty)

    asyncio.run(story())


def test_a_database_of_a_newer_release_is_refused(empty: str) -> None:
    """An old process must not write into a schema that it does not know."""

    async def story() -> None:
        await migrate(empty)
        later = "insert into schema_migrations (number, name, sha256) values (9999, 'later', '')"
        await run(empty, later)
        for attempt in (migrate, open_storage):
            with pytest.raises(PostgresSetupError, match="a newer one"):
                await attempt(empty)

    asyncio.run(story())


def test_a_failing_step_leaves_nothing(empty: str, database: str) -> None:
    """A step is a transaction: it is done or it is not, and it can be tried again."""

    async def story() -> None:
        first, *rest = steps()
        broken = Step(first.number, first.name, f"{first.text}; select 1 / 0")
        with pytest.raises(Invalid):
            await migrate(empty, wanted=[broken, *rest])
        await migrate(empty)
        assert await shape(empty) == await shape(database)

    asyncio.run(story())


@pytest.mark.parametrize("done", range(len(steps())))
def test_a_storage_does_not_open_before_all_steps(empty: str, done: int) -> None:
    """The text says what to run."""

    async def story() -> None:
        await migrate(empty, wanted=steps()[:done])
        with pytest.raises(PostgresSetupError, match="run clarin migrate"):
            await open_storage(empty)

    asyncio.run(story())


def test_who_may_not_make_roles_is_told_what_to_run(postgres: EmbeddedPostgres) -> None:
    """The text holds the statements for an administrator; with them, it works."""

    async def story() -> None:
        address = await fresh_database(postgres.dsn)
        user = f"plain_{uuid4().hex}"
        name = address.partition("?")[0].rpartition("/")[2]
        await run(address, f"create role {user} login", f"alter database {name} owner to {user}")
        own = address.replace("//clarin@", f"//{user}@")
        with pytest.raises(PostgresSetupError, match=f"grant clarin_service to {user};") as refused:
            await migrate(own)
        granted = [line.partition(";")[2] for line in str(refused.value).splitlines()[1:]]
        await run(address, *granted)
        await migrate(own)
        await open_storage(own)
        assert await identify(own) == await identify(address)
        await run(address, "revoke execute on function pg_control_system() from public")
        assert (await identify(address)).endswith(await identify(own))
        await drop_database(postgres.dsn, address)
        await run(postgres.dsn, f"drop role {user}")

    asyncio.run(story())


@pytest.mark.parametrize(
    "address",
    ["postgresql://nobody:secret@127.0.0.1:1/clarin", "postgresql:///clarin?host=/nowhere"],
)
def test_a_server_that_is_not_there_is_unavailable(address: str) -> None:
    """R29: it may come; whoever starts the service tries again."""
    for attempt in (migrate, open_storage):
        with pytest.raises(Unavailable):
            asyncio.run(attempt(address))


def test_an_address_that_makes_no_sense_is_told(postgres: EmbeddedPostgres) -> None:
    """No trying again helps; the text names no secret of the address."""
    for wrong in (
        "postgresql://u:secret@host:port/clarin",
        postgres.dsn.replace("/clarin?", "/?no="),
    ):
        with pytest.raises((PostgresSetupError, Unavailable)) as refused:
            asyncio.run(migrate(wrong))
        assert "secret" not in str(refused.value)
