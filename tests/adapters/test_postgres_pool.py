"""The pool on a real server: what people leave behind, whenever they go, is in nobody's way."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
import pytest

from clarin_core.errors import Unavailable
from clarin_postgres.connection import Meter, Pool
from clarin_postgres.errors import StatementFailed
from clarin_postgres.roles import READER, WRITER
from support.administered import Admin, someone_waits

ONE = "-- test.one\nselect 1 as n"
SLOW = "-- test.slow\nselect 2 as n from pg_sleep(0.02)"
WHO = "-- test.who\nselect pg_backend_pid() as n"
BEGIN = "-- begin\nbegin"
OTHERS = """
    select count(*) from pg_stat_activity a
    where a.datname = current_database() and a.application_name = 'clarin-service'"""


def tell(address: str, story: Callable[[Pool, Admin], Awaitable[None]], *, size: int = 1) -> None:
    async def told() -> None:
        failed: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: failed.append(told))
        admin: Admin = await asyncpg.connect(address)
        pool = Pool(address, WRITER, size=size, meter=Meter())
        try:
            await pool.open()
            await story(pool, admin)
        finally:
            await pool.close()
            await admin.close()
        assert failed == []

    asyncio.run(told())


async def turn(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def read(pool: Pool) -> None:
    (row,) = await pool.fetch(SLOW)
    assert row["n"] == 2


async def write(pool: Pool) -> None:
    async with pool.line() as line, line.transaction(BEGIN):
        (row,) = await line.fetch(SLOW)
        assert row["n"] == 2
        await line.fetch(ONE)


async def leave_open(pool: Pool) -> None:
    async with pool.line() as line:
        await line.control(BEGIN)
        with suppress(Unavailable):
            await line.fetch(SLOW, timeout_s=0.001)


async def leave_failed(pool: Pool) -> None:
    async with pool.line() as line:
        await line.control(BEGIN)
        with suppress(StatementFailed):
            await line.fetch("-- test.wrong\nselect wrong")


async def leave_begun(pool: Pool) -> None:
    async with pool.line() as line:
        await line.control(BEGIN)


async def check_is_usable(pool: Pool, admin: Admin, *, size: int) -> None:
    """All can be had at once, none has a transaction of before, and there are no more."""
    ready = asyncio.Barrier(size)

    async def use() -> None:
        async with pool.line() as line:
            await ready.wait()
            (row,) = await line.fetch(ONE)
            assert row["n"] == 1
            assert not line.connection.is_in_transaction()

    await asyncio.gather(*(use() for _ in range(size)))
    assert await admin.fetchval(OTHERS) <= size


@pytest.mark.parametrize("work", [read, write, leave_open])
def test_whoever_is_cancelled_when_leaves_a_connection_that_works(
    work: Callable[[Pool], Awaitable[None]], database: str
) -> None:
    """Section 2.12: from the first turn of the loop on, until nobody is cancelled any more."""

    async def story(pool: Pool, admin: Admin) -> None:
        turns, is_done = 0, False
        while not is_done:
            tasks = [asyncio.ensure_future(work(pool)) for _ in range(3)]
            await turn(turns)
            is_done = not any([task.cancel() for task in tasks])
            await asyncio.wait(tasks)
            await check_is_usable(pool, admin, size=2)
            turns += 1 + turns // 4

    tell(database, story, size=2)


def test_whoever_is_cancelled_while_connecting_leaves_no_connection(database: str) -> None:
    """From the first turn of the loop on, until the connection is there."""

    async def story(_: Pool, admin: Admin) -> None:
        turns, is_done = 0, False
        while not is_done:
            pool = Pool(database, READER, size=1, meter=Meter())
            opening = asyncio.create_task(pool.open())
            await turn(turns)
            is_done = not opening.cancel()
            await asyncio.wait([opening])
            await pool.close()
            gc.collect()  # It warns of one that nobody has closed.
            turns += 1 + turns // 20

    tell(database, story)


@pytest.mark.parametrize("leave", [leave_open, leave_failed, leave_begun])
def test_what_is_left_in_the_middle_is_undone(
    leave: Callable[[Pool], Awaitable[None]], database: str
) -> None:
    """And the connection is lent again, not made anew."""

    async def story(pool: Pool, admin: Admin) -> None:
        (before,) = await pool.fetch(WHO)
        await leave(pool)
        async with pool.line() as line:
            assert not line.connection.is_in_transaction()
            assert await line.first(WHO) == before

    tell(database, story)


def test_a_statement_that_was_cut_off_is_over_before_the_next(database: str) -> None:
    """It waits for a lock; who comes next neither waits for that, nor is taken for it."""

    async def story(pool: Pool, admin: Admin) -> None:
        async with admin.transaction():
            await admin.execute("lock table leads in access exclusive mode")
            locked = "-- test.locked\nselect count(*) as n from leads l where l.account_id = 1"
            reading = asyncio.create_task(pool.fetch(locked))
            await someone_waits(admin)
            reading.cancel()
            await asyncio.wait([reading])
            (row,) = await pool.fetch(ONE)
            assert row["n"] == 1
            assert await admin.fetchval(OTHERS) == 1

    tell(database, story)


def test_what_was_prepared_for_other_tables_is_let_go(database: str) -> None:
    """A migration under way costs a write that comes back, and then all connections know."""

    async def story(pool: Pool, admin: Admin) -> None:
        look = "-- test.look\nselect t.n from changed t"

        async def all_look() -> None:
            ready = asyncio.Barrier(2)

            async def look_once() -> None:
                async with pool.line() as line, line.transaction(BEGIN):
                    await ready.wait()
                    await line.fetch(look)

            async with asyncio.TaskGroup() as group:
                group.create_task(look_once())
                group.create_task(look_once())

        await admin.execute(f"create table changed (n int); grant select on changed to {WRITER}")
        await all_look()
        await admin.execute("alter table changed alter column n type text")
        with pytest.raises(Unavailable):
            async with pool.line() as line, line.transaction(BEGIN):
                await line.fetch(look)
        await all_look()
        await admin.execute("drop table changed")

    tell(database, story, size=2)
