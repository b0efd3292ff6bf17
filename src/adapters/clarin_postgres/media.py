"""What is known of files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.ids import MediaId
from clarin_core.domain.media import Media, MediaDraft
from clarin_core.errors import NotFound
from clarin_core.ports.inbox import MediaStore
from clarin_postgres.columns import Columns
from clarin_postgres.paging import struct, structs
from clarin_postgres.reader import Reader
from clarin_postgres.scope import Scope

_MEDIA = (
    "f.id, f.key, f.type, f.mimetype, f.filename, f.size, f.sha256, f.state, f.source, "
    "f.attempts, f.created_at, f.updated_at, f.version"
)
_DRAFT = {
    "key": "text",
    "type": "text",
    "mimetype": "text",
    "filename": "text",
    "size": "bigint",
    "sha256": "text",
    "state": "text",
    "source": "bytea",
}
_LIFE = {
    "id": "bigint",
    "attempts": "smallint",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "version": "integer",
}
_NEW = Columns(_DRAFT)
_CHANGED = Columns({**_DRAFT, **_LIFE})

_VIEW = f"""-- media.view
    select {_MEDIA} from media f where f.account_id = $1 and f.id = $2"""
_GET = f"""-- media.get
    select {_MEDIA} from media f where f.account_id = $1 and f.id = $2 for no key update"""
_ADD = f"""-- media.add
    with {_NEW.rows(3)},
    born as (
        insert into media as f (
            account_id, {_NEW.names}, attempts, created_at, updated_at, version)
        select $1, {_NEW.values}, 0, $2, $2, 1 from n order by n.place
        returning {_MEDIA}
    )
    select {_MEDIA} from born f order by f.id"""
_SAVE = f"""-- media.save
    with {_CHANGED.rows(2)}
    update media f set {_CHANGED.assignments} from n
    where f.account_id = $1 and f.id = n.id
    returning f.id"""


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

    async def add(self, drafts: Sequence[MediaDraft], *, at: datetime) -> list[Media]:
        """Store files, and return them in the order given, ids in that order, too."""
        if not drafts:
            return []
        return structs(await self.scope.fetch(_ADD, at, *_NEW.arrays(drafts)), Media)

    async def save(self, media: Media) -> None:
        """Store a changed file; raises NotFound."""
        if await self.scope.first(_SAVE, *_CHANGED.arrays([media])) is None:
            raise NotFound("media", media.id)


class MediaViews(Reader):
    """What an account reads of its files."""

    async def media(self, media_id: MediaId) -> Media:
        """Return what is known of a file; raises NotFound."""
        rows = await self._fetch(_VIEW, media_id)
        if not rows:
            raise NotFound("media", media_id)
        return struct(rows[0], Media)
