"""Plans of PostgreSQL, as trees of nodes."""

import json
from collections.abc import Iterator
from typing import Any

import asyncpg

Node = dict[str, Any]


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
