"""A place for reads that may be lost at any time."""

from typing import Protocol

from clarin_core.domain.cache import CacheKey, Entry


class Cache(Protocol):
    """Keeps entries by key for a while.

    It is never the truth: it may forget anything at any time, and whoever reads an entry judges
    by `seq` and `names` whether it still counts. It never raises: what fails is a miss, and so
    is whatever was not put under that very key as it is now (cut short, moved, forged).
    """

    async def get(self, key: CacheKey) -> Entry | None:
        """Return what is kept, None for a miss."""
        ...

    async def put(self, key: CacheKey, entry: Entry) -> None:
        """Keep an entry, unless a newer one of the same history is kept already.

        So a late put of an old read does not replace a new one.
        """
        ...


class NearCache(Cache, Protocol):
    """A cache in this process, which need not be waited for."""

    def peek(self, key: CacheKey) -> Entry | None:
        """Return what `get` would."""
        ...

    def renew(self, key: CacheKey, entry: Entry) -> None:
        """Keep another entry in place of the one that was peeked at, no longer than that one."""
        ...
