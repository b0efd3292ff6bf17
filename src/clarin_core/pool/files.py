"""The files that a device was offered, fetched one after the other.

Beside what it sends: a large file holds up no message. A fetch that is cut off changes nothing,
and whoever has the device next finds the file due.
"""

from dataclasses import dataclass

from clarin_core.domain.devices import DeviceLease
from clarin_core.domain.media import Media
from clarin_core.errors import Unavailable
from clarin_core.pool.parts import Watch
from clarin_core.ports.messaging import NotSent, OutcomeUnknown, Refused, Session
from clarin_core.usecases.media_fetch import MediaFetchUseCases


@dataclass(frozen=True, slots=True)
class Files:
    """What one device has to fetch while its session lasts."""

    lease: DeviceLease
    session: Session
    files: MediaFetchUseCases
    watch: Watch

    async def fetch_one(self) -> bool:
        """Fetch what is due for the longest; False when nothing is. Raises `lease_lost`.

        While the store, or the place for the bytes, is away nothing is fetched, and no try lost.
        """
        try:
            return await self._fetch_next()
        except Unavailable as error:
            self.watch.failed("fetch a file", error, self.lease.key)
            return False

    async def _fetch_next(self) -> bool:
        files = self.files
        media = await files.next(self.lease)
        if media is None:
            return False
        try:
            content = await self._bytes_of(media)
        except (NotSent, OutcomeUnknown):
            await files.miss(self.lease, media)
            return True
        if content is None:
            await files.expire(self.lease, media)
        else:
            await files.keep(self.lease, media, content)
        return True

    async def _bytes_of(self, media: Media) -> bytes | None:
        """Return what WhatsApp gives, None for what it has no more."""
        if media.source is None:
            return None
        try:
            return await self.session.fetch(media.source)
        except Refused:
            return None
