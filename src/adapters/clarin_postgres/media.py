"""What is known of files."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.ids import DeviceId, MediaId
from clarin_core.domain.media import Attachment, Media, MediaDraft, MediaView
from clarin_core.errors import NotFound
from clarin_core.ports.inbox import MediaStore
from clarin_postgres.columns import Columns
from clarin_postgres.paging import struct, structs
from clarin_postgres.reader import Reader
from clarin_postgres.scope import Scope

_SHOWN = (
    "f.id, f.key, f.type, f.mimetype, f.filename, f.size, f.sha256, f.state, "
    "f.created_at, f.updated_at, f.version"
)
_MEDIA = f"{_SHOWN}, f.source, f.device_id, f.attempts, f.not_before"
_ATTACHED = Attachment.__struct_fields__
_PAIRS = ", ".join(f"'{name}', f.{name}" for name in _ATTACHED)
_COLUMNS = ", ".join(f"f.{name}" for name in _ATTACHED)
SHOWN = f"json_build_object({_PAIRS})"
"""What a message shows of its file `f`."""

_DRAFT = {
    "key": "text",
    "type": "text",
    "mimetype": "text",
    "filename": "text",
    "size": "bigint",
    "sha256": "text",
    "state": "text",
    "source": "bytea",
    "device_id": "bigint",
}
_LIFE = {
    "id": "bigint",
    "attempts": "smallint",
    "not_before": "timestamptz",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "version": "integer",
}
_NEW = Columns(_DRAFT)
_CHANGED = Columns({**_DRAFT, **_LIFE})

_VIEW = f"""-- media.view
    select {_SHOWN} from media f where f.account_id = $1 and f.id = $2"""
_VIEW_BY_KEY = f"""-- media.view_by_key
    select {_SHOWN} from media f where f.account_id = $1 and f.key = $2"""
_GET = f"""-- media.get
    select {_MEDIA} from media f where f.account_id = $1 and f.id = $2 for no key update"""
_NEXT = f"""-- media.next
    select {_MEDIA} from media f
    where f.account_id = $1 and f.device_id = $2 and f.not_before <= $3
    order by f.not_before, f.id limit 1 for no key update"""
# First the locks, then a look: what was given to a message meanwhile is seen by the second one.
_LOCK = """-- media.lock
    select f.id from media f where f.account_id = $1 and f.id = any($2)
    order by f.id for update"""
_UNUSED = f"""-- media.unused
    select {_MEDIA} from media f
    where f.account_id = $1 and f.id = any($2) and not exists (
        select from messages m where m.account_id = $1 and m.media_id = f.id)
    order by f.id"""
_SEEN = f"""-- media.seen
    select {_COLUMNS} from media f
    where f.account_id = $1 and f.id = any($2) order by f.id"""
_ADD = f"""-- media.add
    with {_NEW.rows(3)},
    born as (
        insert into media as f (
            account_id, {_NEW.names}, attempts, not_before, created_at, updated_at, version)
        select $1, {_NEW.values}, 0, $2, $2, $2, 1 from n order by n.place
        returning {_MEDIA}
    )
    select {_MEDIA} from born f order by f.id"""
_SAVE = f"""-- media.save
    with {_CHANGED.rows(2)}
    update media f set {_CHANGED.assignments} from n
    where f.account_id = $1 and f.id = n.id
    returning f.id"""
_REMOVE = """-- media.remove
    delete from media f where f.account_id = $1 and f.id = $2"""


@dataclass(frozen=True, slots=True)
class PostgresMediaStore(MediaStore):
    """What is known of the files of one account."""

    scope: Scope

    async def get(self, media_id: MediaId) -> Media:
        """Return a file, locked; raises NotFound."""
        row = await self.scope.first(_GET, media_id)
        if row is None:
            raise NotFound("media", media_id)
        return struct(row, Media)

    async def next(self, device_id: DeviceId, *, at: datetime) -> Media | None:
        """Return what a device fetches next, locked: what is due for the longest."""
        row = await self.scope.first(_NEXT, device_id, at)
        return None if row is None else struct(row, Media)

    async def unused(self, media_ids: Collection[MediaId]) -> list[Media]:
        """Return those of some files that no message has, locked, by id."""
        ids = list(media_ids)
        await self.scope.fetch(_LOCK, ids)
        return structs(await self.scope.fetch(_UNUSED, ids), Media)

    async def seen(self, media_ids: Collection[MediaId]) -> list[Attachment]:
        """Return some files as messages show them, by id; unknown ones are left out."""
        return structs(await self.scope.fetch(_SEEN, list(media_ids)), Attachment)

    async def add(self, drafts: Sequence[MediaDraft], *, at: datetime) -> list[Media]:
        """Store files, and return them in the order given, ids in that order, too."""
        if not drafts:
            return []
        return structs(await self.scope.fetch(_ADD, at, *_NEW.arrays(drafts)), Media)

    async def save(self, media: Media) -> None:
        """Store a changed file; raises NotFound."""
        if await self.scope.first(_SAVE, *_CHANGED.arrays([media])) is None:
            raise NotFound("media", media.id)

    async def remove(self, media_id: MediaId) -> None:
        """Forget a file; raises Conflict `in_use`."""
        await self.scope.fetch(_REMOVE, media_id)


class MediaViews(Reader):
    """What an account reads of its files."""

    async def media(self, media_id: MediaId) -> MediaView:
        """Return what is known of a file; raises NotFound."""
        rows = await self._fetch(_VIEW, media_id)
        if not rows:
            raise NotFound("media", media_id)
        return struct(rows[0], MediaView)

    async def media_by_key(self, key: str) -> MediaView:
        """Return what is known of the file with a key; raises NotFound."""
        rows = await self._fetch(_VIEW_BY_KEY, key)
        if not rows:
            raise NotFound("file", "with this key")
        return struct(rows[0], MediaView)
