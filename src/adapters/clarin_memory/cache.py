"""A cache in this process, bounded by entries, bytes and time."""

from collections import OrderedDict
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from clarin_core.domain.cache import CacheKey, Entry
from clarin_core.ports.cache import NearCache
from clarin_core.ports.small import Clock

_OVERHEAD_BYTES = 500  # What Python itself takes for an entry and its key.
_NAME_BYTES = 70


class _Kept(Struct, frozen=True, gc=False):
    entry: Entry
    size: int
    until: datetime


class MemoryCache(NearCache):
    """Forgets what was not asked for longest, and everything after `ttl`."""

    def __init__(
        self,
        clock: Clock,
        *,
        entries_max: int = 50_000,
        bytes_max: int = 128 * 1024 * 1024,
        ttl: timedelta = timedelta(minutes=5),
    ) -> None:
        self._clock = clock
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._ttl = ttl
        self._kept = OrderedDict[CacheKey, _Kept]()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """About how much memory the entries take."""
        return self._bytes

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._kept)

    async def get(self, key: CacheKey) -> Entry | None:
        """Return what is kept, None for a miss."""
        return self.peek(key)

    def peek(self, key: CacheKey) -> Entry | None:
        """Return what is kept, None for a miss."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= self._clock():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.entry

    async def put(self, key: CacheKey, entry: Entry) -> None:
        """Keep an entry, unless a newer one of the same history is kept."""
        known = self._kept.get(key)
        if known and known.entry.epoch == entry.epoch and known.entry.seq > entry.seq:
            return
        size = len(entry.body) + _OVERHEAD_BYTES + _NAME_BYTES * len(entry.names)
        self._drop(key)
        self._kept[key] = _Kept(entry, size, self._clock() + self._ttl)
        self._bytes += size
        while len(self._kept) > self._entries_max or self._bytes > self._bytes_max:
            self._drop(next(iter(self._kept)))

    def renew(self, key: CacheKey, entry: Entry) -> None:
        """Keep another entry in place of the one that was peeked at, no longer than that one."""
        self._kept[key] = replace(self._kept[key], entry=entry)

    def _drop(self, key: CacheKey) -> None:
        if kept := self._kept.pop(key, None):
            self._bytes -= kept.size
