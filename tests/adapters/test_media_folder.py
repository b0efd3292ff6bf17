"""The place for bytes in a folder keeps the contract, and the folder to itself."""

import asyncio
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from clarin_core.errors import Invalid, Unavailable
from clarin_core.ports.blobs import BlobStore
from clarin_core.testing import BlobStoreContract
from clarin_core.testing.blobs import KEY, OURS, given_in, pattern, whole
from clarin_media import blobs_from_url


class TestFolder(BlobStoreContract):
    """Files in a folder."""

    def open(self) -> AbstractAsyncContextManager[BlobStore]:
        return opened()


@asynccontextmanager
async def opened() -> AsyncIterator[BlobStore]:
    with tempfile.TemporaryDirectory() as folder:
        async with blobs_from_url(f"file://{folder}/media") as blobs:
            yield blobs


def files(folder: Path) -> list[str]:
    """Return the files below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def test_files_lie_by_account_and_key_for_us_alone(tmp_path: Path) -> None:
    """A folder with blanks, too; nobody else on the machine may look."""

    async def story() -> None:
        async with blobs_from_url(f"file://{tmp_path}/los%20medios") as blobs:
            await blobs.put(OURS, KEY, given_in(b"foto"))

    asyncio.run(story())
    folder = tmp_path / "los medios"
    assert files(folder) == [f"7/{KEY[:2]}/{KEY}"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_breaks_off_leaves_no_rest_behind(tmp_path: Path) -> None:
    """Neither an error nor a cancellation costs a disk."""

    async def story() -> None:
        async with blobs_from_url(f"file://{tmp_path}") as blobs:
            is_stuck = asyncio.Event()

            async def stuck() -> None:
                is_stuck.set()
                await asyncio.Event().wait()

            content = given_in(*[pattern(1_000_000)] * 12, end=stuck)
            putting = asyncio.ensure_future(blobs.put(OURS, KEY, content))
            await is_stuck.wait()
            putting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await putting
            while files(tmp_path):
                await asyncio.sleep(0.01)

    asyncio.run(story())


def test_a_folder_stays_when_it_is_closed(tmp_path: Path) -> None:
    """The next start finds what the last one kept."""

    async def story() -> None:
        for content in (b"one", None):
            async with blobs_from_url(f"file://{tmp_path}/media") as blobs:
                if content is not None:
                    await blobs.put(OURS, KEY, given_in(content))
                assert await whole(blobs, KEY) == b"one"

    asyncio.run(story())


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    """Before anything is asked of it."""
    (tmp_path / "file").touch()

    async def story() -> None:
        with pytest.raises(Unavailable, match="cannot be made: Not a directory"):
            async with blobs_from_url(f"file://{tmp_path}/file/media"):
                raise AssertionError("it is open")

    asyncio.run(story())


@pytest.mark.parametrize(
    "url",
    ["", "media", "file:media", "file://host/media", "s3://", "s3://B", "ftp://x/y", "/media"],
)
def test_an_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="file:///folder or s3://bucket/prefix"):
        blobs_from_url(url)
