"""A publisher that only remembers, so that laws can ask what a storage announced."""

from collections import defaultdict
from collections.abc import AsyncIterator

from clarin_core.domain.ids import AccountId
from clarin_core.ports.small import EventPublisher


class RecordingPublisher(EventPublisher):
    """Keeps every hint by account, in the order in which it came."""

    def __init__(self) -> None:
        self._hints: defaultdict[AccountId, list[int]] = defaultdict(list)

    def announce(self, account_id: AccountId, seq: int) -> None:
        """Remember the hint."""
        self._hints[account_id].append(seq)

    async def listen(self) -> AsyncIterator[tuple[AccountId, int]]:
        """Yield nothing: a storage announces and does not listen."""
        for hint in list[tuple[AccountId, int]]():
            yield hint

    def announced(self, account_id: AccountId) -> list[int]:
        """Return the numbers that were announced for an account."""
        return list(self._hints[account_id])
