"""Plans of PostgreSQL, as trees of nodes."""

from collections.abc import Iterator
from typing import Any

Node = dict[str, Any]


def nodes(node: Node) -> Iterator[Node]:
    """Give a node and all below it."""
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


def indexes(node: Node) -> set[str]:
    """Return the indexes that are used from a node on."""
    return {one["Index Name"] for one in nodes(node) if "Index Name" in one}
