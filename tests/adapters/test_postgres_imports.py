"""Imports on PostgreSQL: as in memory, at a constant number of statements, side by side."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from clarin_core.errors import Unavailable
from clarin_core.testing.tenants import NOON, settle
from clarin_core.usecases.imports import ImportUseCases
from clarin_postgres import PostgresStorage
from support.importing import FILE, PHONE, Office, open_office, table


def at_noon(database: str, story: Callable[[Office, PostgresStorage], Awaitable[None]]) -> None:
    """Run a story in a fresh account of a database."""

    async def told() -> None:
        async with PostgresStorage(database, clock=lambda: NOON) as storage:
            await story(Office(await settle(storage), lambda: NOON), storage)

    asyncio.run(told())


@pytest.mark.parametrize("batch_rows", [1, 2, 500])
def test_a_file_becomes_what_it_becomes_in_memory(database: str, batch_rows: int) -> None:
    """IM3, IM4: an import, one that overwrites, and one of contacts alone."""
    files = [FILE, table({"kommo_id": 1, "name": "Lucha", "stage": "Cerrado", "tags": "nuevo"})]

    async def become(here: Office) -> object:
        results = [await here.results(content, overwrite=True) for content in files]
        return results, await here.records(), await here.progress()

    async def story(here: Office, _: PostgresStorage) -> None:
        here.batch_rows = batch_rows
        assert await become(here) == await become(await open_office())

    at_noon(database, story)


@pytest.mark.parametrize("fields", [("kommo_id", "phone"), ("phone",), ("name",)])
def test_a_batch_costs_the_same_whatever_its_rows(database: str, fields: tuple[str, ...]) -> None:
    """R2: ten rows or a hundred, new or known, each kind of record is read and stored at once."""

    def rows(count: int, *, first: int) -> bytes:
        numbers = range(first, first + count)
        every = [
            {"kommo_id": n, "name": f"Luz {n}", "phone": f"9{n:08}", "tags": f"t{n}"}
            for n in numbers
        ]
        kept = {*fields, "tags"}
        return table(*({k: v for k, v in row.items() if k in kept} for row in every))

    async def story(here: Office, storage: PostgresStorage) -> None:
        async def cost(content: bytes) -> int:
            await here.upload(content)
            before = storage.statements_run()
            await here.imports.run_pending()
            return storage.statements_run() - before

        assert await cost(rows(10, first=1)) == await cost(rows(100, first=100))
        again = [rows(10, first=1) + b"\n", rows(100, first=100) + b"\n"]
        assert await cost(again[0]) == await cost(again[1])

    at_noon(database, story)


def test_runners_at_the_same_time_do_the_work_of_one(database: str) -> None:
    """R18: batches of one import, and two imports that speak of the same people."""
    other = table({"name": "eva", "last_name": "paz", "email": "e@x.pe"}, {"phone": PHONE})

    async def story(here: Office, storage: PostgresStorage) -> None:
        for content in (FILE, other):
            await here.upload(content)
        runners = [ImportUseCases(storage, here.clock, rows) for rows in (1, 1, 2, 3)]
        await asyncio.gather(*map(_run_all, runners))
        alone = await open_office()
        for content in (FILE, other):
            await alone.results(content)
        assert len(await here.leads()) == len(await alone.leads())
        names = [contact.full_name for contact in await here.contacts()]
        assert sorted(names) == sorted(one.full_name for one in await alone.contacts())

    at_noon(database, story)


async def _run_all(runner: ImportUseCases) -> None:
    """Run imports as a worker does: what the store refuses is tried again."""
    waiting = True
    while waiting:
        try:
            waiting = await runner.run_pending()
        except Unavailable:
            continue
