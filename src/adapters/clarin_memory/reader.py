"""What all views of an account share."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from clarin_core.domain.accounts import Account
from clarin_core.domain.ids import AccountId
from clarin_core.domain.paging import Page, Paged
from clarin_core.errors import NotFound
from clarin_memory.paging import Order, page_of
from clarin_memory.state import AccountTables, SharedTables, Space

R = TypeVar("R")
V = TypeVar("V")


class Reader:
    """An account's committed rows. A view never waits, and so it sees one snapshot."""

    def __init__(self, shared: SharedTables, account_id: AccountId) -> None:
        self._shared = shared
        self._account_id = account_id

    @property
    def _space(self) -> Space:
        space = self._shared.spaces.peek(self._account_id)
        if space is None:
            raise NotFound("account", self._account_id)
        return space

    @property
    def _tables(self) -> AccountTables:
        return self._space.tables

    @property
    def _account(self) -> Account:
        account = self._shared.accounts.peek(self._account_id)
        if account is None:
            raise NotFound("account", self._account_id)
        return account

    def _page(
        self, rows: Iterable[R], order: Order[R], query: Paged, show: Callable[[R], V]
    ) -> Page[V]:
        page = page_of(rows, order, query, self._account_id, show)
        page.seq = self._space.log.seq
        return page
