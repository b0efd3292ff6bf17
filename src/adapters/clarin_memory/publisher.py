"""Hints within one process."""

from collections.abc import Iterator
from contextlib import contextmanager

from clarin_core.ports.event_publisher import EventPublisher, Heed, Hint


class MemoryPublisher(EventPublisher):
    """Tells whoever listens in this process; not `is_whole` if there are others on the storage."""

    def __init__(self, *, is_whole: bool = True) -> None:
        self._is_whole = is_whole
        self._listeners: list[Heed] = []

    @property
    def is_whole(self) -> bool:
        """Whether this process is the only one."""
        return self._is_whole

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
