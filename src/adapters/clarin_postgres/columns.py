"""Many rows in one statement: each column travels as one array."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

import msgspec

_AS_JSON = ("json", "text[]", "bigint[]")


class Columns:
    """Columns that a statement writes, with their types, in the order of its parameters.

    A column's value is the field of its name, unless `derived` says how to make it.
    """

    def __init__(
        self, types: Mapping[str, str], *, derived: Mapping[str, Callable[[Any], Any]] | None = None
    ) -> None:
        self._types = types
        self._derived = derived or {}

    @property
    def names(self) -> str:
        """The columns, as an INSERT lists them."""
        return ", ".join(self._types)

    @property
    def values(self) -> str:
        """The columns of the rows `n`, as an INSERT selects them."""
        return ", ".join(f"n.{name}" for name in self._types)

    @property
    def assignments(self) -> str:
        """The columns but the id, as an UPDATE sets them from the rows `n`."""
        return ", ".join(f"{name} = n.{name}" for name in self._types if name != "id")

    def rows(self, first: int) -> str:
        """Return a WITH query `n` of the parameters from `first` on; `place` counts from 1."""
        arrays = ", ".join(
            f"${number}::{_carrier(kind)}[]"
            for number, kind in enumerate(self._types.values(), first)
        )
        read = ", ".join(_read(name, kind) for name, kind in self._types.items())
        source = f"unnest({arrays}) with ordinality as a({self.names}, place)"
        return f"n as (select {read}, a.place from {source})"

    def arrays(self, rows: Iterable[Any]) -> list[list[Any]]:
        """Return the parameters."""
        kept = list(rows)
        return [self._array(name, kind, kept) for name, kind in self._types.items()]

    def _array(self, name: str, kind: str, rows: list[Any]) -> list[Any]:
        derive = self._derived.get(name)
        values = [derive(row) for row in rows] if derive else [getattr(row, name) for row in rows]
        if kind in _AS_JSON:
            return [msgspec.json.encode(value).decode() for value in values]
        if kind == "text":
            return [value.value if isinstance(value, Enum) else value for value in values]
        return values


def _carrier(kind: str) -> str:
    """Return the type that brings a value: there are no arrays of JSON, or of arrays."""
    return "text" if kind in _AS_JSON else kind


def _read(name: str, kind: str) -> str:
    if kind == "json":
        return f"a.{name}::json as {name}"
    if kind == "text[]":
        return f"array(select json_array_elements_text(a.{name}::json)) as {name}"
    if kind == "bigint[]":
        return f"array(select json_array_elements_text(a.{name}::json)::bigint) as {name}"
    return f"a.{name}"
