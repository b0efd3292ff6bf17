"""Where the bytes of files are kept."""

from collections.abc import AsyncIterator
from typing import Protocol

from clarin_core.domain.ids import AccountId


class BlobStore(Protocol):
    """Bytes by account and key; what they are is the `MediaStore`'s business.

    An async context manager that is open while in use. A key is one of `new_key`; anything else
    is a key under which nothing lies. Every method raises Unavailable when the place cannot be
    reached, and `put` and `remove` may then have happened: both may be repeated.
    """

    async def put(self, account_id: AccountId, key: str, content: AsyncIterator[bytes]) -> None:
        """Keep some bytes, wholly or not at all; replaces what was there.

        What `content` raises passes through, and nothing was kept then; nor was it when the
        caller is cancelled. Holds only a few parts of it at a time.
        """
        ...

    def read(
        self, account_id: AccountId, key: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Give the bytes from `start` up to `stop`, at most to the end, in small pieces.

        Raises NotFound before the first piece. Nothing is held open between two pieces, however
        long their reader takes.
        """
        ...

    async def remove(self, account_id: AccountId, key: str) -> None:
        """Keep them no longer; what is not there is removed."""
        ...
