"""Memory that large requests may hold at once: an account's share, and all of it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from clarin_core.domain.ids import AccountId
from clarin_core.errors import RateLimited, Unavailable

_RETRY_S = 5


class Reserve:
    """Counts bytes; what does not fit is refused at once, since waiting would hold them too."""

    def __init__(self, *, total: int, per_account: int) -> None:
        self._total = total
        self._per_account = per_account
        self._held = Counter[AccountId]()

    @contextmanager
    def held(self, account_id: AccountId, size: int) -> Iterator[None]:
        """Hold so many bytes while inside.

        Raises RateLimited for an account that holds too much, Unavailable when all do.
        """
        if self._held[account_id] + size > self._per_account:
            raise RateLimited(_RETRY_S)
        if self._held.total() + size > self._total:
            raise Unavailable("the service", retry_after_s=_RETRY_S)
        self._held[account_id] += size
        try:
            yield
        finally:
            self._held[account_id] -= size
            self._held += Counter()  # Drops the accounts that hold nothing.
