"""Files that no message has: uploads that nobody sent, and what was left when a message went.

First a file is expired, so that no message can get it any more; then its bytes go, and at last
its row. Whatever is cut off in between leaves the row, and the next purge finds it again. One that
a device may be fetching this very moment is only expired: its bytes would come after.
"""

from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.ids import AccountId, MediaId
from clarin_core.domain.media import Media
from clarin_core.ports.blobs import BlobStore
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage

BATCH = 500


@dataclass(frozen=True, slots=True)
class MediaPurgeUseCases:
    """Removes files, of all accounts."""

    storage: Storage
    clock: Clock
    blobs: BlobStore

    async def run(self, *, before: datetime) -> int:
        """Remove what no message has and nothing changed since a time; return how many went.

        Raises Unavailable when the bytes cannot be removed; call again then.
        """
        gone = 0
        while found := await self.storage.unused_media(before=before, limit=BATCH):
            for account_id, media_id in found:
                gone += await self._remove(account_id, media_id)
        return gone

    async def _remove(self, account_id: AccountId, media_id: MediaId) -> bool:
        media, may_be_coming = await self._expire(account_id, media_id)
        if media is None or may_be_coming:
            return False
        await self.blobs.remove(account_id, media.key)
        async with self.storage.begin(account_id) as tx:
            await tx.media.remove(media_id)
        return True

    async def _expire(self, account_id: AccountId, media_id: MediaId) -> tuple[Media | None, bool]:
        """Expire a file that is still unused; also return whether its bytes may yet come."""
        async with self.storage.begin(account_id) as tx:
            for media in await tx.media.unused([media_id]):
                may_be_coming = media.device_id is not None
                media.expire(at=self.clock())
                await tx.media.save(media)
                return media, may_be_coming
        return None, False
