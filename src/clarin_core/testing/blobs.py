"""The contract of a place for bytes: all of them, exactly these, or none."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarin_core.domain.ids import ID_MAX, AccountId
from clarin_core.domain.media import KEY_BYTES, new_key
from clarin_core.errors import NotFound
from clarin_core.ports.blobs import BlobStore

T = TypeVar("T")

OURS, THEIRS = AccountId(7), AccountId(78)
KEY, OTHER = new_key(b"k" * KEY_BYTES), new_key(b"o" * KEY_BYTES)
ODD_KEYS = ("", ".", "..", "../x", "a/b", "/etc/passwd", f"{KEY}/", f"{KEY}.", "\0", "ñ", "x" * 500)
pairs = st.tuples(st.integers(0, 70), st.integers(0, 70))
LARGE = 12 * 1024 * 1024 + 7
"""More than any store takes in one go, and no round number."""


class ContentLost(Exception):
    """What somebody's content raises in the middle."""


class BlobStoreContract:
    """What a place for bytes must keep; extend it, and say in `open` how to open an empty one."""

    settings = settings(
        deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow]
    )
    patience_s = 60.0

    def open(self) -> AbstractAsyncContextManager[BlobStore]:
        """Return a place that nobody else uses, with nothing in it."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to open its place")

    def tell(self, story: Callable[[BlobStore], Awaitable[T]]) -> T:
        """Run a story on a loop of its own and return what it returns."""

        async def told() -> T:
            async with asyncio.timeout(self.patience_s), self.open() as blobs:
                return await story(blobs)

        return asyncio.run(told())

    def test_what_was_put_is_there(self) -> None:
        """Byte for byte, however it came in, and for the greatest account, too."""

        @self.settings
        @given(parts=st.lists(st.binary(max_size=300), max_size=4))
        def example(parts: list[bytes]) -> None:
            async def story(blobs: BlobStore) -> None:
                for account in (OURS, AccountId(ID_MAX)):
                    await blobs.put(account, KEY, given_in(*parts))
                    assert await whole(blobs, KEY, account) == b"".join(parts)

            self.tell(story)

        example()

    def test_large_content_is_kept_as_it_is(self) -> None:
        """It comes back in pieces, none of which is large."""

        async def story(blobs: BlobStore) -> None:
            content = pattern(LARGE)
            await blobs.put(OURS, KEY, given_in(*cut(content, 1_000_003)))
            pieces = [piece async for piece in blobs.read(OURS, KEY)]
            assert first_difference(b"".join(pieces), content) is None
            assert max(map(len, pieces)) <= 1024 * 1024
            tail = blobs.read(OURS, KEY, start=LARGE - 9, stop=LARGE - 2)
            assert b"".join([piece async for piece in tail]) == content[-9:-2]

        self.tell(story)

    def test_a_range_is_a_part(self) -> None:
        """From one byte up to another, at most to the end."""

        @self.settings
        @given(
            content=st.binary(min_size=1, max_size=60), ends=st.tuples(*[st.integers(0, 70)] * 2)
        )
        def example(content: bytes, ends: tuple[int, int]) -> None:
            start, stop = min(ends), max(ends)

            async def story(blobs: BlobStore) -> None:
                await blobs.put(OURS, KEY, given_in(content))
                for end in (stop, None):
                    read = blobs.read(OURS, KEY, start=start, stop=end)
                    assert b"".join([part async for part in read]) == content[start:end]

            self.tell(story)

        example()

    def test_what_is_put_again_replaces(self) -> None:
        """A try that was repeated leaves one content, the last, and no rest of a longer one."""

        async def story(blobs: BlobStore) -> None:
            for content in (b"a long first content", b"short", b""):
                await blobs.put(OURS, KEY, given_in(content))
                assert await whole(blobs, KEY) == content

        self.tell(story)

    def test_places_do_not_meet(self) -> None:
        """R22: neither other accounts, whose numbers begin alike, nor other keys."""

        async def story(blobs: BlobStore) -> None:
            await blobs.put(OURS, KEY, given_in(b"ours"))
            for account, key in ((THEIRS, KEY), (OURS, OTHER)):
                await expect_nothing(blobs, key, account)
            await blobs.put(THEIRS, KEY, given_in(b"theirs"))
            await blobs.remove(THEIRS, KEY)
            assert await whole(blobs, KEY) == b"ours"

        self.tell(story)

    def test_what_was_removed_is_gone(self) -> None:
        """It may be removed twice, and be put again."""

        async def story(blobs: BlobStore) -> None:
            await blobs.put(OURS, KEY, given_in(b"one"))
            for _ in range(2):
                await blobs.remove(OURS, KEY)
                await expect_nothing(blobs, KEY)
            await blobs.put(OURS, KEY, given_in(b"two"))
            assert await whole(blobs, KEY) == b"two"

        self.tell(story)

    @pytest.mark.parametrize("size", [10, LARGE])
    def test_content_that_breaks_off_is_not_kept(self, size: int) -> None:
        """Neither instead of nothing nor instead of what was there; the error passes through."""

        async def story(blobs: BlobStore) -> None:
            for kept in (None, b"kept"):
                if kept is not None:
                    await blobs.put(OURS, KEY, given_in(kept))
                with pytest.raises(ContentLost):
                    await blobs.put(OURS, KEY, given_in(*cut(pattern(size), 500_000), end=breaking))
                if kept is None:
                    await expect_nothing(blobs, KEY)
                else:
                    assert first_difference(await whole(blobs, KEY), kept) is None

        self.tell(story)

    @pytest.mark.parametrize("size", [10, LARGE])
    def test_who_is_cancelled_keeps_nothing(self, size: int) -> None:
        """However much of it was there already; and nobody waits for the rest of it."""

        async def story(blobs: BlobStore) -> None:
            is_stuck = asyncio.Event()

            async def stuck() -> None:
                is_stuck.set()
                await asyncio.Event().wait()

            before = asyncio.all_tasks()
            content = given_in(*cut(pattern(size), 500_000), end=stuck)
            putting = asyncio.ensure_future(blobs.put(OURS, KEY, content))
            await is_stuck.wait()
            putting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await putting
            await expect_nothing(blobs, KEY)
            left = asyncio.all_tasks() - before - {asyncio.current_task()}
            assert not left, "somebody still takes the content in"

        self.tell(story)

    def test_nothing_lies_under_what_is_no_key(self) -> None:
        """Section 5: no text leads out of the place."""

        async def story(blobs: BlobStore) -> None:
            for key in ODD_KEYS:
                await expect_nothing(blobs, key)
                await blobs.remove(OURS, key)

        self.tell(story)

    def test_many_may_read_and_put_at_once(self) -> None:
        """Each gets its own."""

        async def story(blobs: BlobStore) -> None:
            keys = [new_key(bytes([number]) * KEY_BYTES) for number in range(20)]

            async def one(key: str) -> None:
                await blobs.put(OURS, key, given_in(key.encode(), b"!"))
                assert await whole(blobs, key) == key.encode() + b"!"

            await asyncio.gather(*map(one, keys))

        self.tell(story)


async def breaking() -> None:
    """Be what content ends with that breaks off."""
    raise ContentLost


async def given_in(
    *parts: bytes, end: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[bytes]:
    """Give some parts, and then do something instead of ending, if wanted."""
    for part in parts:
        yield part
    if end is not None:
        await end()


async def whole(blobs: BlobStore, key: str, account: AccountId = OURS) -> bytes:
    """Return all that lies under a key."""
    return b"".join([piece async for piece in blobs.read(account, key)])


async def expect_nothing(blobs: BlobStore, key: str, account: AccountId = OURS) -> None:
    """Check that a key has nothing, whatever is asked for of it."""
    for start in (0, 3):
        with pytest.raises(NotFound):
            await anext(aiter(blobs.read(account, key, start=start)))


def first_difference(found: bytes, wanted: bytes) -> int | None:
    """Return where two contents part; on CI, pytest takes hours to explain that of large ones."""
    if found == wanted:
        return None
    pairs = enumerate(zip(found, wanted, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(found), len(wanted)))


def pattern(size: int) -> bytes:
    """Return content in which every place looks different."""
    line = b"".join(number.to_bytes(4, "big") for number in range(4096))
    return (line * (size // len(line) + 1))[:size]


def cut(content: bytes, size: int) -> list[bytes]:
    """Return content in parts."""
    return [content[at : at + size] for at in range(0, len(content), size)]
