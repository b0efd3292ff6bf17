"""Files that WhatsApp offers, as the holder of a device's lease brings them in (CH16).

Nothing is written when a fetch begins: whoever dies, or is stopped, in the middle has changed
nothing, and the next one finds the same file due.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

from clarin_core.domain.actor import Cause, Origin
from clarin_core.domain.devices import DeviceLease
from clarin_core.domain.ids import MediaId
from clarin_core.domain.inbox_events import MediaChanged
from clarin_core.domain.media import SIZE_MAX, Kept, Media, MediaState, MediaType
from clarin_core.domain.media_types import Intake
from clarin_core.errors import Invalid, NotFound, TooLarge, Unsupported
from clarin_core.ports.blobs import BlobStore
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction

WHATSAPP = Origin(cause=Cause.WHATSAPP)
_PART_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MediaFetchUseCases:
    """What becomes of the files that a device has to fetch.

    Every method raises Conflict `lease_lost` when somebody else has the device now.
    """

    storage: Storage
    clock: Clock
    blobs: BlobStore

    async def next(self, lease: DeviceLease) -> Media | None:
        """Return what the device fetches next, None when nothing is due.

        What is offered as too large is refused at once.
        """
        at = self.clock()
        async with self.storage.begin(lease.key.account_id, WHATSAPP) as tx:
            await tx.devices.hold(lease.key.device_id, lease.token)
            while media := await tx.media.next(lease.key.device_id, at=at):
                if (media.size or 0) <= SIZE_MAX[media.type]:
                    return media
                media.refuse(at=at)
                await _save(tx, media)
        return None

    async def keep(self, lease: DeviceLease, media: Media, content: bytes) -> None:
        """Have the bytes, whatever they are; nothing and too much of it are refused."""
        try:
            kept = _inspected(content, media.type)
        except (TooLarge, Invalid):
            await self._change(lease, media.id, Media.refuse)
            return
        account_id = lease.key.account_id
        await self.blobs.put(account_id, media.key, _in_parts(content))
        is_wanted = await self._change(lease, media.id, partial(Media.store, kept=kept))
        if not is_wanted:
            await self.blobs.remove(account_id, media.key)

    async def miss(self, lease: DeviceLease, media: Media) -> None:
        """Try later what could not be fetched now; the fifth time is the last."""
        await self._change(lease, media.id, Media.miss)

    async def expire(self, lease: DeviceLease, media: Media) -> None:
        """Give up what WhatsApp has no more."""
        await self._change(lease, media.id, Media.expire)

    async def _change(
        self, lease: DeviceLease, media_id: MediaId, change: Callable[..., None]
    ) -> bool:
        """Change a file that is still waited for; return whether it was."""
        async with self.storage.begin(lease.key.account_id, WHATSAPP) as tx:
            await tx.devices.hold(lease.key.device_id, lease.token)
            try:
                media = await tx.media.get(media_id)
            except NotFound:
                return False
            if media.state is not MediaState.PENDING:
                return False
            change(media, at=self.clock())
            await _save(tx, media)
        return True


async def _save(tx: Transaction, media: Media) -> None:
    """Store a file, and announce what became of it; that it waits again is no news."""
    await tx.media.save(media)
    if media.state is not MediaState.PENDING:
        tx.emit(MediaChanged(media=media))


def _inspected(content: bytes, offered: MediaType) -> Kept:
    """Return what is known of a file by its bytes; raises TooLarge, Invalid for nothing."""
    try:
        intake = Intake(content, offered)
    except Unsupported:  # It is not what it was said to be, but something.
        intake = Intake(content)
    intake.take(content)
    return intake.end()


async def _in_parts(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), _PART_BYTES):
        yield content[at : at + _PART_BYTES]
