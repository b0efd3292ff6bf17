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

    def joined(self, *fragments: str) -> str:
        """Return the text with some more fragments, which bind nothing of their own."""
        return " and ".join([*self._fragments, *fragments])
