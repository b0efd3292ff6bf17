"""Bytes in a folder, or in an object store that speaks S3, through one library for both.

An object's name is made of the account's number and the file's key, and of nothing that anybody
sent. Small content goes in one request; more goes in parts, of which a few are in memory at a
time, and is there when the last one is, or not at all. The caller's own task takes the content in:
were the library given it to iterate, who is cancelled would leave a task of the library behind.
Content is read by ranges: a reader that is slow holds no connection, and each piece is the answer
to a request of its own.
"""

import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from clarin_core.domain.ids import AccountId
from clarin_core.errors import Invalid, NotFound, Unavailable
from clarin_core.ports.blobs import BlobStore
from clarin_media.breaker import MEDIA_STORE, Breaker

PART_BYTES: Final = 5 * 1024 * 1024  # The least that S3 takes for a part.
PARTS_AT_ONCE: Final = 2
PIECE_BYTES: Final = 512 * 1024

_KEY = re.compile(r"[0-9a-f]{16,128}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FOLDER_MODE = 0o700  # What customers send is for nobody else on the machine.

_log = logging.getLogger("clarin_media")


class ObjectBlobs(BlobStore):
    """Bytes in a store that the library knows; a folder is made when it is opened."""

    def __init__(self, store: ObjectStore | Path) -> None:
        self._place = store
        self._store = store if not isinstance(store, Path) else None
        self._breaker = Breaker()

    async def __aenter__(self) -> Self:
        """Prepare; an object store need not be there yet. Raises Unavailable for a folder."""
        if isinstance(self._place, Path):
            try:
                self._place.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            except OSError as error:
                raise Unavailable(MEDIA_STORE, f"cannot be made: {error.strerror}") from error
            self._store = LocalStore(self._place)
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def put(self, account_id: AccountId, key: str, content: AsyncIterator[bytes]) -> None:
        """Keep some bytes, wholly or not at all."""
        name = _name(account_id, key)
        with self._asking("put"):
            async with obstore.open_writer_async(
                self._open, name, buffer_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            ) as writer:
                async for piece in content:
                    await writer.write(piece)

    async def read(
        self, account_id: AccountId, key: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Give the bytes from `start` up to `stop`, piece by piece; raises NotFound."""
        name = _name(account_id, key)
        with self._asking("head"):
            size = (await obstore.head_async(self._open, name))["size"]
        end = size if stop is None else min(stop, size)
        while start < end:
            piece_end = min(start + PIECE_BYTES, end)
            with self._asking("read"):
                piece = await obstore.get_range_async(self._open, name, start=start, end=piece_end)
            yield bytes(piece)
            start = piece_end

    async def remove(self, account_id: AccountId, key: str) -> None:
        """Keep them no longer; what is not there is removed."""
        try:
            with self._asking("remove"):
                await obstore.delete_async(self._open, _name(account_id, key))
        except NotFound:
            pass

    @property
    def _open(self) -> ObjectStore:
        if self._store is None:
            raise Unavailable(MEDIA_STORE)
        return self._store

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Translate the library's errors, whose texts are for the log."""
        is_there = True
        with self._breaker.trying():
            try:
                yield
            except FileNotFoundError as error:
                if what == "put":  # The place itself is not there.
                    raise _away(what, error) from None
                is_there = False
            except (BaseError, OSError) as error:
                raise _away(what, error) from None
        if not is_there:
            raise NotFound("file", "with this key")


def blobs_from_url(url: str) -> ObjectBlobs:
    """Return a store, not yet open, for `file:///folder` or `s3://bucket/prefix`.

    Credentials, region and endpoint of S3 are those of the usual environment variables. Raises
    Invalid for an address that is neither.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return ObjectBlobs(Path(unquote(parts.path)))
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc):
        return ObjectBlobs(_s3(parts.netloc, unquote(parts.path).strip("/")))
    raise Invalid("media", "lie at an address like file:///folder or s3://bucket/prefix")


def _s3(bucket: str, prefix: str) -> S3Store:
    """Return a bucket; who names an endpoint without TLS is believed."""
    return S3Store(
        bucket,
        prefix=prefix or None,
        client_options={"allow_http": True, "connect_timeout": "3s", "timeout": "15s"},
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
    )


def _name(account_id: AccountId, key: str) -> str:
    """Return an object's name; nothing lies under a key that is not one of ours."""
    if not _KEY.fullmatch(key):
        raise NotFound("file", "with this key")
    return f"{account_id:d}/{key[:2]}/{key}"


def _away(what: str, error: Exception) -> Unavailable:
    _log.warning("media store: %s failed: %s", what, str(error).partition("\n")[0])
    return Unavailable(MEDIA_STORE)
