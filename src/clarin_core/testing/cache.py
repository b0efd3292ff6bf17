"""The contract of a cache: it may forget, and never tells what was not put there."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from clarin_core.domain.cache import CacheKey, Entry
from clarin_core.domain.ids import ID_MAX, AccountId
from clarin_core.ports.cache import Cache

T = TypeVar("T")

KEY = CacheKey(AccountId(7), "lead", "8")
OTHERS = (
    CacheKey(AccountId(8), "lead", "7"), CacheKey(AccountId(7), "lead", "88"),
    CacheKey(AccountId(7), "tags", "8"), CacheKey(AccountId(7), "lead"),
    CacheKey(AccountId(78), "lead", ""), CacheKey(AccountId(7), "lead:8"),
)  # fmt: skip


def entries() -> SearchStrategy[Entry]:
    """Entries of any history, event and size."""
    names = st.lists(st.text("abz:7é", max_size=9), max_size=4)
    return st.builds(
        Entry,
        epoch=st.sampled_from(["", "one", "f" * 32]),
        seq=st.integers(0, ID_MAX),
        names=names.map(tuple),
        body=st.binary(max_size=300),
    )


def entry(seq: int, *, epoch: str = "one", body: bytes = b"{}") -> Entry:
    """Return an entry of an event."""
    return Entry(epoch, seq, ("lead:8",), body)


class CacheContract:
    """What a cache must keep; extend it, and say in `open` how to open an empty one."""

    settings = settings(
        deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
    )
    patience_s = 30.0

    def open(self) -> AbstractAsyncContextManager[Cache]:
        """Return a cache that nobody else uses, and that has room for a few entries at least."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to open its cache")

    def tell(self, story: Callable[[Cache], Awaitable[T]]) -> T:
        """Run a story on a loop of its own and return what it returns."""

        async def told() -> T:
            async with asyncio.timeout(self.patience_s), self.open() as cache:
                return await story(cache)

        return asyncio.run(told())

    def test_what_was_put_is_there(self) -> None:
        """Byte for byte, with its stamp and its names."""

        async def story(cache: Cache, kept: Entry) -> None:
            assert await cache.get(KEY) is None
            await cache.put(KEY, kept)
            assert await cache.get(KEY) == kept

        self._prove(story)

    def test_keys_do_not_meet(self) -> None:
        """R22: neither other accounts, nor other kinds, nor what looks alike when written down."""

        async def story(cache: Cache, kept: Entry) -> None:
            await cache.put(KEY, kept)
            assert [await cache.get(other) for other in OTHERS] == [None] * len(OTHERS)

        self._prove(story)

    def test_a_newer_entry_takes_the_place_of_an_older_one(self) -> None:
        """One of the same event does so, too: it may have been read later."""

        async def story(cache: Cache) -> None:
            for kept in (entry(1), entry(2), entry(2, body=b"later")):
                await cache.put(KEY, kept)
                assert await cache.get(KEY) == kept

        self.tell(story)

    def test_a_late_put_of_an_older_one_changes_nothing(self) -> None:
        """Section 14: a reader that was slow does not overwrite what is newer."""

        async def story(cache: Cache) -> None:
            await cache.put(KEY, entry(2**53 + 1))
            for late in (1, 2**53 - 1, 2**53):
                await cache.put(KEY, entry(late, body=b"late"))
                assert await cache.get(KEY) == entry(2**53 + 1)

        self.tell(story)

    def test_another_history_replaces_whatever_its_numbers_are(self) -> None:
        """R30: after a restore numbers begin lower, and the old ones mean nothing."""

        async def story(cache: Cache) -> None:
            await cache.put(KEY, entry(9))
            await cache.put(KEY, entry(3, epoch="two"))
            assert await cache.get(KEY) == entry(3, epoch="two")

        self.tell(story)

    def test_many_may_ask_and_put_at_once(self) -> None:
        """Whatever comes of it is something that was put."""

        async def story(cache: Cache) -> None:
            put = [entry(seq, body=b"x" * seq) for seq in range(1, 60)]
            got = await asyncio.gather(
                *(cache.put(KEY, one) for one in put), *(cache.get(KEY) for _ in range(60))
            )
            assert all(found is None or found in put for found in got)
            assert await cache.get(KEY) in (None, *put)

        self.tell(story)

    def _prove(self, story: Callable[[Cache, Entry], Awaitable[None]]) -> None:
        @self.settings
        @given(kept=entries())
        def example(kept: Entry) -> None:
            self.tell(lambda cache: story(cache, kept))

        example()
