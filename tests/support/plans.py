"""Plans of PostgreSQL, as trees of nodes."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from clarin_postgres.connection import Line, Row

Node = dict[str, Any]
Sent = tuple[str, tuple[object, ...]]
"""A statement with its parameters."""


def nodes(node: Node) -> Iterator[Node]:
    """Give a node and all below it."""
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


def indexes(node: Node) -> set[str]:
    """Return the indexes that are used from a node on."""
    return {one["Index Name"] for one in nodes(node) if "Index Name" in one}


def touched(node: Node) -> int:
    """Return how many rows were read from tables and indexes, thrown away or not."""
    scans = [one for one in nodes(node) if "Relation Name" in one and "Scan" in one["Node Type"]]
    return sum(
        one["Actual Loops"]
        * (one["Actual Rows"] + one.get("Rows Removed by Filter", 0)
            + one.get("Rows Removed by Index Recheck", 0))
        for one in scans
    )  # fmt: skip


async def plan_of(
    connection: "asyncpg.Connection[asyncpg.Record]", text: str, arguments: tuple[object, ...]
) -> Node:
    """Return the plan of a statement that was run, and undone."""
    transaction = connection.transaction()
    await transaction.start()
    answer = await connection.fetchval(f"explain (analyze, format json) {text}", *arguments)
    await transaction.rollback()
    (tree,) = json.loads(answer)
    return dict(tree["Plan"])


async def times_planned(database: str, sent: Sent) -> int:
    """Return how often a statement is planned for its parameters when it is run twenty times."""
    text, arguments = sent
    connection = await asyncpg.connect(database)
    try:
        for _ in range(20):
            await connection.fetch(text, *arguments)
        return int(await connection.fetchval(_TIMES_PLANNED, text))
    finally:
        await connection.close()


_TIMES_PLANNED = "select custom_plans from pg_prepared_statements where statement = $1"


@contextmanager
def overheard() -> Iterator[list[Sent]]:
    """Give what is sent to PostgreSQL while inside."""
    sent: list[Sent] = []
    fetch = Line.fetch

    async def spied(self: Line, text: str, *arguments: object, **options: Any) -> list[Row]:
        sent.append((text, arguments))
        return await fetch(self, text, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Line, "fetch", spied)
        yield sent


async def generic_plans(database: str, sent: Sequence[Sent]) -> list[Node]:
    """Return the plans of statements, for any parameters; each of them was run, and undone."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("set plan_cache_mode = force_generic_plan")
        return [await plan_of(connection, text, arguments) for text, arguments in sent]
    finally:
        await connection.close()
