"""A storage in front of which reads are kept keeps the contract of a storage."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

from clarin_core.ports.storage import Storage
from clarin_core.reads.cached import CachedStorage
from clarin_core.reads.feed import Feed
from clarin_core.testing import StorageContract
from clarin_memory import MemoryCache, MemoryPublisher, MemoryStorage


class TestCachedMemoryStorage(StorageContract):
    """Memory, with a cache of this process before it."""

    @classmethod
    def open(cls) -> AbstractAsyncContextManager[Storage]:
        return opened(cls)


@asynccontextmanager
async def opened(contract: type[StorageContract]) -> AsyncIterator[Storage]:
    publisher = MemoryPublisher()
    storage = MemoryStorage(clock=lambda: datetime.now(UTC), publisher=publisher)
    feed = Feed(storage, publisher, fail)
    cached = CachedStorage(storage, feed, publisher, MemoryCache(lambda: datetime.now(UTC)))
    with publisher.heard_by(contract.publisher.announce):
        async with feed, cached as opened:
            yield opened


def fail(error: Exception, _: object) -> None:
    raise error
