"""Hints within one process."""

from collections.abc import Iterator
from contextlib import contextmanager

from clarin_core.ports.event_publisher import EventPublisher, Heed, Hint


class MemoryPublisher(EventPublisher):
    """Tells whoever listens in this process."""

    is_whole = True

    def __init__(self) -> None:
        self._listeners: list[Heed] = []

    def announce(self, hint: Hint) -> None:
        """Give a hint to all who listen."""
        for heed in list(self._listeners):
            heed(hint)

    @contextmanager
    def heard_by(self, heed: Heed) -> Iterator[None]:
        """Call `heed` with every hint while inside."""
        self._listeners.append(heed)
        try:
            yield
        finally:
            self._listeners.remove(heed)
