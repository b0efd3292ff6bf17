"""What the stores of one account work on, inside a transaction."""

from dataclasses import dataclass, field
from typing import Protocol

from clarin_core.domain.ids import AccountId
from clarin_postgres.connection import Row
from clarin_postgres.reader import Reads
from clarin_postgres.totals import Gains


class Statements(Protocol):
    """Runs statements in a transaction. Raises errors of the core only."""

    async def fetch(self, text: str, *arguments: object) -> list[Row]:
        """Run a statement and return its rows."""
        ...

    async def first(self, text: str, *arguments: object) -> Row | None:
        """Run a statement and return its first row, None if there is none."""
        ...


class Focus(Protocol):
    """A transaction that may be in several accounts, one at a time."""

    line: Statements

    async def turn_to(self, account_id: AccountId) -> None:
        """Make an account the one that row-level security lets through."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """One account in a transaction; its id is the first parameter of every statement."""

    account_id: AccountId
    focus: Focus
    gains: Gains = field(default_factory=Gains)

    async def fetch(self, text: str, *arguments: object) -> list[Row]:
        """Run a statement and return its rows."""
        await self.focus.turn_to(self.account_id)
        return await self.focus.line.fetch(text, self.account_id, *arguments)

    async def first(self, text: str, *arguments: object) -> Row | None:
        """Run a statement and return its first row, None if there is none."""
        rows = await self.fetch(text, *arguments)
        return rows[0] if rows else None

    async def one(self, text: str, *arguments: object) -> Row:
        """Run a statement that always returns a row, and return it."""
        return (await self.fetch(text, *arguments))[0]


class OwnReads(Reads):
    """Reads of an open transaction, under row-level security like all that it does."""

    know_totals = False  # They do not have yet what the transaction adds.

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def fetch(self, account_id: AccountId, text: str, *arguments: object) -> list[Row]:
        """Return the rows of the scope's account, which is the one meant."""
        return await self._scope.fetch(text, *arguments)
