"""What is known of files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import structs

from clarin_core.domain.ids import MediaId
from clarin_core.domain.media import Media, MediaDraft
from clarin_core.errors import NotFound
from clarin_core.ports.inbox import MediaStore
from clarin_memory.reader import Reader
from clarin_memory.state import AccountTables, Scope


@dataclass(frozen=True, slots=True)
class MemoryMediaStore(MediaStore):
    """What is known of the files of one account."""

    scope: Scope

    async def get(self, media_id: MediaId) -> Media:
        """Return a file; raises NotFound."""
        return _media(self.scope.tables, media_id)

    async def add(self, drafts: Sequence[MediaDraft], *, at: datetime) -> list[Media]:
        """Store files, and return them in the order given."""
        return [self._add(draft, at) for draft in drafts]

    async def save(self, media: Media) -> None:
        """Store a changed file; raises NotFound."""
        _media(self.scope.tables, media.id)
        self.scope.tables.media.put(media.id, media)

    def _add(self, draft: MediaDraft, at: datetime) -> Media:
        media_id = MediaId(self.scope.ids.next("media"))
        values = structs.asdict(draft)
        media = Media(id=media_id, created_at=at, updated_at=at, version=1, **values)
        self.scope.tables.media.put(media_id, media)
        return media


class MediaViews(Reader):
    """What an account reads of its files."""

    async def media(self, media_id: MediaId) -> Media:
        """Return what is known of a file; raises NotFound."""
        return _media(self._tables, media_id)


def _media(tables: AccountTables, media_id: MediaId) -> Media:
    media = tables.media.find(media_id)
    if media is None:
        raise NotFound("media", media_id)
    return media
