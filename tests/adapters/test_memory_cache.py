"""The cache in this process: its contract, and its bounds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from sys import getsizeof

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.cache import CacheKey
from clarin_core.domain.ids import AccountId
from clarin_core.ports.cache import Cache
from clarin_core.testing import CacheContract
from clarin_core.testing.cache import KEY, entry
from clarin_core.testing.tenants import NOON
from clarin_memory import MemoryCache


class TestMemoryCache(CacheContract):
    """Bytes in a dict."""

    def open(self) -> AbstractAsyncContextManager[Cache]:
        return opened()


@asynccontextmanager
async def opened() -> AsyncIterator[Cache]:
    yield MemoryCache(lambda: datetime.now(UTC))


def key(number: int) -> CacheKey:
    return CacheKey(AccountId(1), "lead", str(number))


@given(puts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3000)), max_size=60))
def test_it_never_takes_more_than_it_may(puts: list[tuple[int, int]]) -> None:
    """R23: bounded in entries and in bytes, whatever is put; the sum is kept right."""

    async def story() -> None:
        cache = MemoryCache(lambda: NOON, entries_max=5, bytes_max=6000)
        for number, size in puts:
            await cache.put(key(number), entry(1, body=b"x" * size))
            assert len(cache) <= 5
            assert cache.size_bytes <= 6000
        sizes = [len(one.body) + 570 for n in range(10) if (one := await cache.get(key(n)))]
        assert (len(cache), cache.size_bytes) == (len(sizes), sum(sizes))

    asyncio.run(story())


def test_names_take_memory_too() -> None:
    """R23: a page of leads has hundreds of them, which are a third of it."""

    async def story() -> None:
        cache = MemoryCache(lambda: NOON)
        names = tuple(f"lead:{number}" for number in range(300))
        await cache.put(KEY, replace(entry(1), names=names))
        assert cache.size_bytes > sum(map(getsizeof, names))

    asyncio.run(story())


def test_what_was_asked_for_last_stays_longest() -> None:
    """The least recently used entry goes first."""

    async def story() -> None:
        cache = MemoryCache(lambda: NOON, entries_max=2)
        for number in (1, 2):
            await cache.put(key(number), entry(1))
        await cache.get(key(1))
        await cache.put(key(3), entry(1))
        assert [await cache.get(key(n)) is not None for n in (1, 2, 3)] == [True, False, True]

    asyncio.run(story())


def test_everything_is_forgotten_after_its_time() -> None:
    """Section 14: five minutes, as a last net."""

    async def story() -> None:
        at = NOON
        cache = MemoryCache(lambda: at)
        await cache.put(KEY, entry(1))
        at += timedelta(seconds=299)
        assert await cache.get(KEY) == entry(1)
        cache.renew(KEY, entry(2))
        assert cache.peek(KEY) == entry(2)
        at += timedelta(seconds=1)
        assert await cache.get(KEY) is None
        assert (len(cache), cache.size_bytes) == (0, 0)

    asyncio.run(story())
