"""Totals that are not counted: how much an account lists of leads, contacts and chats.

They stand in the row that numbers the account's events, which a transaction writes last of all.
So keeping them costs no statement, and a page reads them beside its rows, in the same snapshot.

What a transaction adds is told by the statements that write the rows, not by its events. Those
do not say what a chat was before, nor has every row that is written an event; and a total that
is wrong once stays wrong. A statement sees the row that it replaces, and cannot err.
"""

from dataclasses import dataclass

LISTED = {
    "leads": "{0}.deleted_at is null",
    "contacts": "{0}.deleted_at is null",
    "chats": "{0}.deleted_at is null and not {0}.is_archived",
}
"""Which rows of a table its list has when nothing is asked for, and the total counts."""

KEPT = ", ".join(f"s.{table}" for table in LISTED)
"""The totals, as they stand beside the log `s`."""


@dataclass(slots=True)
class Gains:
    """How many more rows each list of an account will have after a transaction."""

    leads: int = 0
    contacts: int = 0
    chats: int = 0

    @property
    def values(self) -> tuple[int, int, int]:
        """The gains in the order of the columns."""
        return self.leads, self.contacts, self.chats


def whole(table: str, alias: str) -> str:
    """Return the conditions for all that the list of a table has."""
    return f"{alias}.account_id = $1 and {LISTED[table].format(alias)}"


def gain(table: str, alias: str) -> str:
    """Return what tells, as an UPDATE's RETURNING, by how many rows it made the list longer."""
    return f"""({LISTED[table].format(alias)})::int - (
            select ({LISTED[table].format("b")})::int from {table} b
            where b.account_id = $1 and b.id = {alias}.id)"""


def loss(table: str, alias: str) -> str:
    """Return what tells, as a DELETE's RETURNING, by how many rows it made the list shorter."""
    return f"({LISTED[table].format(alias)})::int"
