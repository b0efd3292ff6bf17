"""WHERE clauses that depend on what a caller asks for."""

from typing import Any


class Conditions:
    """Literal fragments, put together with parameters; `$1` is the account unless told otherwise.

    A value is never part of the text, so that the number of texts is small and each is prepared
    once a connection.
    """

    def __init__(self, *fragments: str, first: int = 2) -> None:
        self.arguments: list[Any] = []
        self._first = first
        self._found: list[str] = []
        self._fragments = list(fragments)

    def __str__(self) -> str:
        return " and ".join(self._fragments)

    def bind(self, value: object) -> str:
        """Take a value and return the parameter that stands for it."""
        self.arguments.append(value)
        return f"${len(self.arguments) - 1 + self._first}"

    def add(self, fragment: str, *values: object) -> None:
        """Demand one thing more; `{0}`, `{1}` … stand for the values."""
        self._fragments.append(fragment.format(*map(self.bind, values)))

    def within(self, query: str) -> "Conditions":
        """Return no conditions on `found`, which is what a query with these parameters finds."""
        conditions = Conditions("true", first=self._first)
        conditions.arguments = self.arguments
        conditions._found = [f"found as materialized ({query})"]
        return conditions

    def before(self, *queries: str) -> str:
        """Return the WITH of what was found, with some more queries behind it."""
        return f"with {', '.join([*self._found, *queries])}" if self._found or queries else ""

    def joined(self, *fragments: str) -> str:
        """Return the text with some more fragments, which bind nothing of their own."""
        return " and ".join([*self._fragments, *fragments])
