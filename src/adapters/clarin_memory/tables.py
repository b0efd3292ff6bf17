"""Tables that never share a row with their callers, and overlays for open transactions."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from copy import copy
from typing import Generic, Protocol, TypeVar, cast

from msgspec import Struct
from msgspec.structs import force_setattr

K = TypeVar("K")
V = TypeVar("V")


class _Identified(Protocol):
    @property
    def id(self) -> int: ...


E = TypeVar("E", bound=_Identified)


class Table(Generic[K, V]):
    """Rows by key, in the order in which they came.

    `find` and `put` copy; `peek`, `items` and `rows` show what lies there, to be read only.
    """

    def __init__(self) -> None:
        self._rows: dict[K, V] = {}

    def __contains__(self, key: K) -> bool:
        return self.peek(key) is not None

    def peek(self, key: K) -> V | None:
        """Return the row itself."""
        return self._rows.get(key)

    def items(self) -> Iterator[tuple[K, V]]:
        """Give all keys with the rows themselves."""
        yield from self._rows.items()

    def rows(self) -> Iterator[V]:
        """Give the rows themselves."""
        return (row for _, row in self.items())

    def find(self, key: K) -> V | None:
        """Return a copy of the row."""
        return copied(self.peek(key))

    def put(self, key: K, row: V) -> None:
        """Keep a copy of the row, in the place of an older one."""
        self._rows[key] = copied(row)

    def drop(self, key: K) -> None:
        """Forget the row, if there is one."""
        self._rows.pop(key, None)

    def changes(self) -> Sequence[V]:
        """Return the rows that are not committed; a table of its own has none."""
        return ()


class Overlay(Table[K, V]):
    """A table as a transaction sees it: its own rows over those of the table below.

    The table below learns of nothing until `merge`, and may get new rows meanwhile.
    """

    def __init__(self, below: Table[K, V]) -> None:
        super().__init__()
        self._below = below
        self._dropped: set[K] = set()

    def peek(self, key: K) -> V | None:
        """Return the row itself."""
        if key in self._dropped:
            return None
        own = self._rows.get(key)
        return self._below.peek(key) if own is None else own

    def items(self) -> Iterator[tuple[K, V]]:
        """Give all keys with the rows themselves."""
        for key, row in self._below.items():
            if key not in self._dropped:
                yield key, self._rows.get(key, row)
        for key, row in self._rows.items():
            if key not in self._below:
                yield key, row

    def put(self, key: K, row: V) -> None:
        """Keep a copy of the row, in the place of an older one."""
        self._dropped.discard(key)
        super().put(key, row)

    def drop(self, key: K) -> None:
        """Hide the row, if there is one."""
        super().drop(key)
        self._dropped.add(key)

    def changes(self) -> Sequence[V]:
        """Return the rows that this transaction put."""
        return list(self._rows.values())

    def merge(self) -> None:
        """Bring the changes down."""
        for key in self._dropped:
            self._below.drop(key)
        self._below._rows.update(self._rows)


def copied(value: V) -> V:
    """Return an equal value that shares nothing that can change."""
    if isinstance(value, Struct):
        return cast(V, _twin(value))
    if isinstance(value, list):
        return cast(V, [copied(item) for item in value])
    if isinstance(value, dict):
        return cast(V, {key: copied(item) for key, item in value.items()})
    return value


def _twin(struct: Struct) -> Struct:
    values = ((field, getattr(struct, field)) for field in struct.__struct_fields__)
    inner = [(field, value) for field, value in values if isinstance(value, list | dict | Struct)]
    if struct.__struct_config__.frozen and not inner:
        return struct
    twin = copy(struct)
    for field, value in inner:
        force_setattr(twin, field, copied(value))
    return twin


def rival(rows: Iterable[E], batch: Sequence[E], key: Callable[[E], Hashable | None]) -> E | None:
    """Return the row that has the key of one in `batch`, which is about to be put.

    A batch replaces its own rows, and may hold a rival itself. A key of None is always free.
    """
    wanted = {key(row) for row in batch} - {None}
    if not wanted:
        return None
    replaced = {row.id for row in batch}
    taken = {key(row): row for row in rows if key(row) in wanted and row.id not in replaced}
    for row in batch:
        if key(row) is not None and taken.setdefault(key(row), row) is not row:
            return taken[key(row)]
    return None
