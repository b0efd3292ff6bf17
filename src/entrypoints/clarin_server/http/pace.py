"""How fast somebody may go: so many steps in a second."""

from collections.abc import Callable
from time import monotonic


class Pace:
    """Counts steps, second by second."""

    def __init__(self, per_second: int, clock: Callable[[], float] = monotonic) -> None:
        self._most = per_second
        self._clock = clock
        self._since = clock()
        self._steps = 0

    def is_exceeded(self) -> bool:
        """Count a step; True when it is one too many."""
        now = self._clock()
        if now - self._since >= 1:
            self._since, self._steps = now, 0
        self._steps += 1
        return self._steps > self._most
