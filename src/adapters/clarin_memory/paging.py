"""Lists in pages, out of rows in memory."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from clarin_core.domain.paging import Page, Paged
from clarin_core.errors import Malformed

R = TypeVar("R")
V = TypeVar("V")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Order(Generic[R]):
    """A total, ascending order: a row's key also marks its place in a cursor."""

    key: Callable[[R], tuple[Any, ...]]
    shape: tuple[type, ...]

    def begin(self, ordered: list[R], after: list[Any] | None) -> int:
        """Return how many rows come before a page; raises Malformed for another list's cursor."""
        if after is None:
            return 0
        if tuple(map(type, after)) != self.shape:
            raise Malformed("after", "is not a cursor of this list")
        return bisect_right(ordered, tuple(after), key=self.key)


def instant(at: datetime) -> int:
    """Return a time as microseconds, which JSON keeps exactly and a minus sign reverses."""
    return (at - _EPOCH) // _MICROSECOND


BY_ID = Order[Any](lambda row: (row.id,), (int,))
NEWEST = Order[Any](lambda row: (-instant(row.created_at), -row.id), (int, int))
OLDEST = Order[Any](lambda row: (instant(row.created_at), row.id), (int, int))
UPDATED = Order[Any](lambda row: (-instant(row.updated_at), -row.id), (int, int))


def page_of(
    rows: Iterable[R], order: Order[R], query: Paged, account_id: int, show: Callable[[R], V]
) -> Page[V]:
    """Return the page that `query` asks for; `show` makes a row's copy for the caller."""
    ordered = sorted(rows, key=order.key)
    by_cursor = query.by_cursor
    begin = order.begin(ordered, query.start(account_id)) if by_cursor else query.offset
    picked = ordered[begin : begin + query.size]
    follows = begin + len(picked) < len(ordered)
    keys = list(order.key(picked[-1])) if picked and follows else None
    return query.answer(account_id, [show(row) for row in picked], keys, len(ordered))
