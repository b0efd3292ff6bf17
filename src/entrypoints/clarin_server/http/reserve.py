"""Memory that large requests may hold at once: an account's share, and all of it."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clarin_core.domain.ids import AccountId
from clarin_core.errors import RateLimited, Unavailable

_RETRY_S = 5

Take = Callable[[int], None]


class Reserve:
    """Counts bytes; what does not fit is refused at once, since waiting would hold them too."""

    def __init__(self, *, total: int, per_account: int) -> None:
        self._total = total
        self._per_account = per_account
        self._held = Counter[AccountId]()

    @contextmanager
    def share(self, account_id: AccountId) -> Iterator[Take]:
        """Let an account take bytes while inside, as they come; then all are given back.

        Taking raises RateLimited for an account that holds too much, Unavailable when all do.
        """
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if self._held[account_id] + size > self._per_account:
                raise RateLimited(_RETRY_S, "uploads of the account are under way")
            if self._held.total() + size > self._total:
                raise Unavailable("the service", "has too much to do", retry_after_s=_RETRY_S)
            self._held[account_id] += size
            taken += size

        try:
            yield take
        finally:
            self._held[account_id] -= taken
            self._held += Counter()  # Drops the accounts that hold nothing.
