"""Lists in pages: where one begins, how its rows are ordered, and how it becomes an answer.

The page is cut first, by an index that begins with the account and has the list's order. What
the rows show of other tables is joined to the few that are left. Total, number of the last
event and rows come from one statement, and so from one snapshot. A filtered list is counted;
the total of a whole one is kept beside the log (`totals`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from types import GenericAlias
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from clarin_core.domain.ids import ID_MAX
from clarin_core.domain.paging import LIMIT_MAX, Page, Paged
from clarin_core.errors import Malformed, NotFound
from clarin_postgres.conditions import Conditions
from clarin_postgres.connection import Row
from clarin_postgres.totals import KEPT, whole

S = TypeVar("S", bound=Struct)
Fields = Callable[[dict[str, Any]], dict[str, Any]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INSTANT = re.compile(r"\w+\.(\w+_at)\b")
_SIZES = (11, 26, 51, 101, LIMIT_MAX + 1)
_KEPT_INSTANTS = range(-(2**53), 2**53)


@dataclass(frozen=True)
class Order:
    """A total order by some columns, all in one direction; they also mark a place in a cursor."""

    columns: tuple[str, ...]
    types: tuple[type, ...]
    descending: bool = False

    def by(self, alias: str) -> str:
        """Return what follows ORDER BY."""
        direction = " desc" if self.descending else ""
        return ", ".join(f"{alias}.{column}{direction}" for column in self.columns)

    def beyond(self, alias: str, key: list[Any], conditions: Conditions) -> str:
        """Return the condition for what comes after `key`; raises Malformed."""
        if len(key) != len(self.types):
            raise _foreign_cursor()
        values = [_from_cursor(kind, part) for kind, part in zip(self.types, key, strict=True)]
        columns = ", ".join(f"{alias}.{column}" for column in self.columns)
        bound = ", ".join(map(conditions.bind, values))
        return f"({columns}) {'<' if self.descending else '>'} ({bound})"

    def key(self, row: Row) -> list[Any]:
        """Return a row's place."""
        return [_to_cursor(row[column]) for column in self.columns]


NEWEST = Order(("created_at", "id"), (datetime, int), descending=True)
OLDEST = Order(("created_at", "id"), (datetime, int))
UPDATED = Order(("updated_at", "id"), (datetime, int), descending=True)
BY_ID = Order(("id",), (int,))

NO_ACCOUNT = 0
ABOVE_ACCOUNTS = "select null::bigint as last_seq"
"""What stands beside a list that belongs to no account, and so has no log."""


@dataclass(frozen=True)
class Listing:
    """The unchanging parts of a statement that reads pages.

    `cut` are the columns read from `source` while the page is cut, `shown` what is shown of its
    rows, and `joins` brings what else they show; `alias` is the rows' name in all of them.
    `beside` is one row, which is there even if the page is empty; it has the total of the whole
    list, too, if there is a `kept` one. A list of one thing is `keyed_by` that, with which its
    index begins behind the account.
    """

    name: str
    source: str
    alias: str
    cut: str
    shown: str
    joins: str = ""
    beside: str = f"select s.last_seq, {KEPT} from account_stream s where s.account_id = $1"
    kept: str | None = None
    keyed_by: int = 0

    def statement(
        self,
        query: Paged,
        order: Order,
        where: Conditions,
        *,
        account_id: int,
        told: str = "",
        know_totals: bool = False,
    ) -> str:
        """Return the text that reads a page, and bind its parameters.

        `told` are columns that every row repeats, even the one row of an empty page.
        `know_totals` tells whether kept totals may be taken, as `Reads` says.
        """
        start = query.start(account_id)
        total = self._total(where, know_totals=know_totals)
        is_filtered = len(where.arguments) > self.keyed_by
        after = [] if start is None else [order.beyond(self.alias, start, where)]
        bounds = self._bounds(query, where, is_filtered=is_filtered)
        return f"""-- {self.name}
            {where.before()}
            select s.last_seq, {"null" if query.by_cursor else total} as total, {told}{self.shown}
            from ({self.beside}) s
            left join (
                select {self.cut} from {self.source}
                where {where.joined(*after)}
                order by {order.by(self.alias)} {bounds}
            ) {self.alias} on true
            {self.joins}
            order by {order.by(self.alias)}"""

    def _bounds(self, query: Paged, where: Conditions, *, is_filtered: bool) -> str:
        """Return the page's bounds; there may be more rows in them.

        Of a limit that it does not know the server expects a tenth of the table, and so plans the
        statement anew each time. That is right for a filter, which matches many rows or few; where
        there is none, it takes longer than to read the page, which then has one of a few sizes.
        """
        size = query.size + query.by_cursor
        if query.offset and not query.by_cursor:
            return f"limit {where.bind(size)} offset {where.bind(query.offset)}"
        if is_filtered:
            return f"limit {where.bind(size)}"
        return f"limit {next(known for known in _SIZES if known >= size)}"

    def _total(self, where: Conditions, *, know_totals: bool) -> str:
        """Return what tells how many rows there are on all pages."""
        if know_totals and self.kept and str(where) == whole(self.kept, self.alias):
            return f"s.{self.kept}"
        return f"(select count(*) from {self.source} where {where})"


def page_of(
    rows: list[Row],
    query: Paged,
    order: Order,
    account_id: int,
    kind: type[S],
    *,
    fields: Fields | None = None,
) -> Page[S]:
    """Make the answer of what a listing's statement returned; raises NotFound for the account."""
    if not rows:
        raise NotFound("account", account_id)
    found = [row for row in rows if row[order.columns[-1]] is not None]
    picked = found[: query.size]
    keys = order.key(picked[-1]) if len(found) > query.size else None
    page = query.answer(account_id, structs(picked, kind, fields), keys, rows[0]["total"])
    if (seq := rows[0]["last_seq"]) is not None:
        page.seq = seq
    return page


def structs(rows: list[Row], kind: type[S], fields: Fields | None = None) -> list[S]:
    """Return rows as structs; NULL is the default of a field.

    Fields are named as the columns, unless `fields` makes them of a row's columns. Instants may
    be `in_seconds`.
    """
    needed = _without_default(kind)
    found = [
        {name: value for name, value in row.items() if value is not None or name in needed}
        for row in rows
    ]
    if fields:
        found = list(map(fields, found))
    made: list[S] = msgspec.convert(found, GenericAlias(list, (kind,)), strict=False)
    return made


@cache
def _without_default(kind: type[Struct]) -> frozenset[str]:
    return frozenset(field.name for field in msgspec.structs.fields(kind) if field.required)


def struct(row: Row, kind: type[S], fields: Fields | None = None) -> S:
    """Return a row as a struct."""
    return structs([row], kind, fields)[0]


def in_seconds(columns: str) -> str:
    """Return a list of columns with its instants as seconds since 1970, exact until 2242.

    The driver makes an object of each instant, and takes ten times as long for it.
    """
    return _INSTANT.sub(r"date_part('epoch', \g<0>) as \1", columns)


def _to_cursor(value: object) -> object:
    """Return a time as microseconds, which JSON keeps exactly; other values as they are."""
    if isinstance(value, float):  # It was read in seconds.
        return round(value * 1_000_000)
    return (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value


def _from_cursor(kind: type, part: object) -> object:
    if kind is bool and type(part) is bool:
        return part
    if kind is datetime and type(part) is int and part in _KEPT_INSTANTS:
        return _EPOCH + part * _MICROSECOND
    if kind is int and type(part) is int and abs(part) <= ID_MAX:
        return part
    if kind is str and type(part) is str and "\0" not in part:
        return part
    raise _foreign_cursor()


def _foreign_cursor() -> Malformed:
    return Malformed("after", "is not a cursor of this list")
