"""Bytes of files in this process."""

from collections.abc import AsyncIterator
from typing import Self

from clarin_core.domain.ids import AccountId
from clarin_core.errors import NotFound
from clarin_core.ports.blobs import BlobStore

PIECE_BYTES = 64 * 1024


class MemoryBlobs(BlobStore):
    """Bytes in a dict, gone with the process."""

    def __init__(self) -> None:
        self._kept: dict[tuple[AccountId, str], bytes] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def put(self, account_id: AccountId, key: str, content: AsyncIterator[bytes]) -> None:
        """Keep some bytes, wholly or not at all."""
        parts = [part async for part in content]
        self._kept[account_id, key] = b"".join(parts)

    async def read(
        self, account_id: AccountId, key: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Give the bytes from `start` up to `stop`, piece by piece; raises NotFound."""
        if (account_id, key) not in self._kept:
            raise NotFound("file", "with this key")
        content = self._kept[account_id, key][start:stop]
        for at in range(0, len(content), PIECE_BYTES):
            yield content[at : at + PIECE_BYTES]

    async def remove(self, account_id: AccountId, key: str) -> None:
        """Keep them no longer; what is not there is removed."""
        self._kept.pop((account_id, key), None)
