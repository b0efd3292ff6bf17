"""What is known of files."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import structs

from clarin_core.domain.ids import DeviceId, MediaId
from clarin_core.domain.media import Attachment, Media, MediaDraft, MediaView, attachment_of
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.inbox import MediaStore
from clarin_memory.reader import Reader
from clarin_memory.state import AccountTables, Scope
from clarin_memory.tables import copied


@dataclass(frozen=True, slots=True)
class MemoryMediaStore(MediaStore):
    """What is known of the files of one account."""

    scope: Scope

    async def get(self, media_id: MediaId) -> Media:
        """Return a file; raises NotFound."""
        return _media(self.scope.tables, media_id)

    async def next(self, device_id: DeviceId, *, at: datetime) -> Media | None:
        """Return what a device fetches next: what is due for the longest."""
        due = [
            media
            for media in self.scope.tables.media.rows()
            if media.device_id == device_id and media.not_before <= at
        ]
        return copied(min(due, key=lambda media: (media.not_before, media.id), default=None))

    async def unused(self, media_ids: Collection[MediaId]) -> list[Media]:
        """Return those of some files that no message has, by id."""
        wanted = set(media_ids) - _used(self.scope.tables)
        found = (self.scope.tables.media.find(media_id) for media_id in sorted(wanted))
        return [media for media in found if media is not None]

    async def seen(self, media_ids: Collection[MediaId]) -> list[Attachment]:
        """Return some files as messages show them, by id; unknown ones are left out."""
        found = map(self.scope.tables.media.peek, sorted(set(media_ids)))
        return [attachment_of(media) for media in found if media is not None]

    async def add(self, drafts: Sequence[MediaDraft], *, at: datetime) -> list[Media]:
        """Store files, and return them in the order given; raises NotFound for a device."""
        for draft in drafts:
            self._check_device(draft)
        return [self._add(draft, at) for draft in drafts]

    async def save(self, media: Media) -> None:
        """Store a changed file; raises NotFound."""
        _media(self.scope.tables, media.id)
        self._check_device(media)
        self.scope.tables.media.put(media.id, media)

    async def remove(self, media_id: MediaId) -> None:
        """Forget a file; raises Conflict `in_use`."""
        if media_id in _used(self.scope.tables):
            raise Conflict("in_use", "messages have the file")
        self.scope.tables.media.drop(media_id)

    def _add(self, draft: MediaDraft, at: datetime) -> Media:
        media_id = MediaId(self.scope.ids.next("media"))
        values = structs.asdict(draft)
        media = Media(id=media_id, created_at=at, updated_at=at, version=1, not_before=at, **values)
        self.scope.tables.media.put(media_id, media)
        return media

    def _check_device(self, draft: MediaDraft) -> None:
        """Raise NotFound for another account's device (TN2)."""
        if draft.device_id is not None and draft.device_id not in self.scope.tables.devices:
            raise NotFound("device", draft.device_id)


class MediaViews(Reader):
    """What an account reads of its files."""

    async def media(self, media_id: MediaId) -> MediaView:
        """Return what is known of a file; raises NotFound."""
        return _view(_media(self._tables, media_id))

    async def media_by_key(self, key: str) -> MediaView:
        """Return what is known of the file with a key; raises NotFound."""
        for media in self._tables.media.rows():
            if media.key == key:
                return _view(media)
        raise NotFound("file", "with this key")


def idle_media(tables: AccountTables, before: datetime) -> list[MediaId]:
    """Return the files that no message has and nothing changed since a time, by id."""
    used = _used(tables)
    old = (media.id for media in tables.media.rows() if media.updated_at < before)
    return sorted(media_id for media_id in old if media_id not in used)


def _used(tables: AccountTables) -> set[MediaId]:
    return {row.media_id for row in tables.messages.rows() if row.media_id is not None}


def _media(tables: AccountTables, media_id: MediaId) -> Media:
    media = tables.media.find(media_id)
    if media is None:
        raise NotFound("media", media_id)
    return media


def _view(media: Media) -> MediaView:
    shown = MediaView.__struct_fields__
    return MediaView(**{name: getattr(media, name) for name in shown})
