"""Reactions and votes: of each that which counts, whatever the order in which they came."""

from collections.abc import Iterable

from clarin_core.domain.replies import ByWhom, Reply, counting
from clarin_memory.tables import Table


def keep(table: Table[ByWhom, Reply], replies: Iterable[Reply]) -> list[Reply]:
    """Keep those that count, and return those that changed something, in the order given."""
    changed = []
    for key, reply in counting(replies).items():
        known = table.peek(key)
        if known is None or reply.rank > known.rank:
            table.put(key, reply)
            changed.append(reply)
    return changed
