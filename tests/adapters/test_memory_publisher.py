"""Hints within one process."""

from contextlib import AbstractAsyncContextManager

from clarin_core.testing import EventPublisherContract
from clarin_core.testing.event_publisher import Publishers, alone
from clarin_memory import MemoryPublisher


class TestMemoryPublisher(EventPublisherContract):
    """One process, which hears itself."""

    def open(self) -> AbstractAsyncContextManager[Publishers]:
        return alone(MemoryPublisher())
