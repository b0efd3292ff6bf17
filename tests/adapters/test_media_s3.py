"""The place for bytes in an object store keeps the contract, over its real client at the wire."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from clarin_core.errors import Unavailable
from clarin_core.ports.blobs import BlobStore
from clarin_core.testing import BlobStoreContract
from clarin_core.testing.blobs import KEY, OURS, ContentLost, breaking, given_in, pattern, whole
from clarin_media import blobs_from_url
from support import object_store
from support.object_store import BUCKET, PREFIX, ObjectStore

URL = f"s3://{BUCKET}/{PREFIX}/"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """Have a store that the environment names."""
    with object_store.running() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


class TestObjectStore(BlobStoreContract):
    """Objects in a bucket."""

    def open(self) -> AbstractAsyncContextManager[BlobStore]:
        return opened()


@asynccontextmanager
async def opened() -> AsyncIterator[BlobStore]:
    with object_store.running() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        async with blobs_from_url(URL) as blobs:
            yield blobs


def test_objects_lie_below_the_prefix_and_are_signed_for(store: ObjectStore) -> None:
    """Credentials and endpoint are those of the environment; a small file is one request."""

    async def story() -> None:
        async with blobs_from_url(URL) as blobs:
            await blobs.put(OURS, KEY, given_in(b"foto"))

    asyncio.run(story())
    assert store.kept == {f"{PREFIX}/7/{KEY[:2]}/{KEY}": b"foto"}
    assert store.asked == {"PUT": 1}


def test_a_wrong_credential_is_no_answer(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is for who runs the service to see, and not for who asked."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")

    async def story() -> None:
        async with blobs_from_url(URL) as blobs:
            with pytest.raises(Unavailable, match="the media store does not answer"):
                await blobs.put(OURS, KEY, given_in(b"foto"))

    asyncio.run(story())
    assert store.kept == {}


def test_a_large_upload_that_breaks_off_is_aborted(store: ObjectStore) -> None:
    """No parts are left that nobody sees and somebody pays for."""

    async def story() -> None:
        async with blobs_from_url(URL) as blobs:
            content = given_in(*[pattern(1_000_000)] * 12, end=breaking)
            with pytest.raises(ContentLost):
                await blobs.put(OURS, KEY, content)
            while store.parts:
                await asyncio.sleep(0.01)

    asyncio.run(story())
    assert store.kept == {}


def test_a_store_that_is_away_is_left_alone(store: ObjectStore) -> None:
    """Section 2.12: after five failures in a short time nobody waits for it."""
    store.is_broken = True

    async def fails(blobs: BlobStore) -> None:
        with pytest.raises(Unavailable):
            await whole(blobs, KEY)

    async def story() -> None:
        async with blobs_from_url(URL) as blobs:
            for _ in range(5):
                await fails(blobs)
            asked = store.asked.total()
            for _ in range(20):
                await fails(blobs)
            assert store.asked.total() == asked

    asyncio.run(story())
