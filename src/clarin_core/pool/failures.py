"""Failures in a row: each is waited for longer than the one before, but never for ever."""

from dataclasses import dataclass

PAUSE_S_MAX = 300.0
_DOUBLINGS_MAX = 10


@dataclass(slots=True)
class Failures:
    """How often something failed in a row, and `until` when it is left alone."""

    count: int = 0
    until: float = 0.0

    def add(self, *, now: float, chance: float) -> None:
        """Wait twice as long as the last time; half of it is chance."""
        pause = min(2.0 ** min(self.count, _DOUBLINGS_MAX), PAUSE_S_MAX)
        self.count += 1
        self.until = now + pause * (0.5 + chance)
