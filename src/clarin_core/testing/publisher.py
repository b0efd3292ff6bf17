"""A publisher that only remembers, so that laws can ask what a storage announced."""

from collections.abc import Iterator
from contextlib import contextmanager

from clarin_core.domain.ids import AccountId, UserId
from clarin_core.ports.event_publisher import EventPublisher, Heed, Hint, News, UserChanged


class RecordingPublisher(EventPublisher):
    """Keeps every hint in the order in which it came."""

    is_whole = True

    def __init__(self) -> None:
        self._hints: list[Hint] = []

    def announce(self, hint: Hint) -> None:
        """Remember the hint."""
        self._hints.append(hint)

    @contextmanager
    def heard_by(self, heed: Heed) -> Iterator[None]:
        """Tell nothing: a storage announces and does not listen."""
        yield

    def announced(self, account_id: AccountId) -> list[int]:
        """Return the numbers that were announced for an account."""
        return [hint.seq for hint in self.news(account_id)]

    def news(self, account_id: AccountId) -> list[News]:
        """Return the hints that an account has news."""
        news = [hint for hint in self._hints if isinstance(hint, News)]
        return [hint for hint in news if hint.account_id == account_id]

    def times_changed(self, user_id: UserId) -> int:
        """Return how often a user was said to have changed."""
        return self._hints.count(UserChanged(user_id))
