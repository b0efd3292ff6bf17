"""What Kommo allows: seven requests in any second; who does not keep to it is shut out."""

from collections import deque
from collections.abc import Callable

PER_SECOND = 7
_VIOLATIONS_UNTIL_BLOCKED = 5
_BLOCKED_S = 300.0
_MEMORY_S = 60.0


class Gate:
    """Counts the requests that arrive, by the other side's clock."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._recent: deque[float] = deque()
        self._violations: deque[float] = deque()
        self._blocked_until = 0.0
        self.arrivals: list[float] = []
        self.violations = 0
        self.knocks_while_blocked = 0

    @property
    def most(self) -> int:
        """The most that ever arrived within one second."""
        return max((self._within(at) for at in self.arrivals), default=0)

    def arrive(self) -> int:
        """Return 200, or 429, or 403."""
        at = self._seconds()
        self.arrivals.append(at)
        if at < self._blocked_until:
            self.knocks_while_blocked += 1
            self._blocked_until = at + _BLOCKED_S  # Hammering prolongs it.
            return 403
        while self._recent and self._recent[0] <= at - 1:
            self._recent.popleft()
        self._recent.append(at)
        if len(self._recent) <= PER_SECOND:
            return 200
        return self._violated(at)

    def _violated(self, at: float) -> int:
        self.violations += 1
        self._violations.append(at)
        while self._violations[0] <= at - _MEMORY_S:
            self._violations.popleft()
        if len(self._violations) < _VIOLATIONS_UNTIL_BLOCKED:
            return 429
        self._blocked_until = at + _BLOCKED_S
        return 403

    def _within(self, start: float) -> int:
        return sum(start <= at < start + 1 for at in self.arrivals)
