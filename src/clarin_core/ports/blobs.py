"""Where the bytes of files are kept."""

from collections.abc import AsyncIterator
from typing import Protocol

from clarin_core.domain.ids import AccountId


class BlobStore(Protocol):
    """Bytes by account and key; what they are is the `MediaStore`'s business.

    Every method raises Unavailable when the place cannot be reached.
    """

    async def put(self, account_id: AccountId, key: str, content: AsyncIterator[bytes]) -> None:
        """Keep some bytes, wholly or not at all; replaces what was there."""
        ...

    def read(
        self, account_id: AccountId, key: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Give the bytes from `start` up to `stop`, in pieces; raises NotFound."""
        ...

    async def remove(self, account_id: AccountId, key: str) -> None:
        """Keep them no longer; what is not there is removed."""
        ...
