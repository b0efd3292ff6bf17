"""Faults of files to plant in the memory storage, each of which some law must find."""

from collections.abc import Collection
from datetime import datetime

from clarin_core.domain.ids import DeviceId, MediaId
from clarin_core.domain.media import Media
from clarin_core.errors import NotFound
from clarin_memory import devices, media, storage
from clarin_memory.state import AccountTables
from support.faults import Patch

Store = media.MemoryMediaStore


def any_device_fetches_anything(patch: Patch) -> None:
    async def next_(store: Store, device_id: DeviceId, *, at: datetime) -> Media | None:
        rows = store.scope.tables.media.rows()
        due = [row for row in rows if row.device_id is not None and row.not_before <= at]
        return min(due, key=lambda row: (row.not_before, row.id), default=None)

    patch.setattr(Store, "next", next_)


def what_was_missed_stays_the_first(patch: Patch) -> None:
    async def next_(store: Store, device_id: DeviceId, *, at: datetime) -> Media | None:
        rows = store.scope.tables.media.rows()
        due = (row for row in rows if row.device_id == device_id)
        return min(due, key=lambda row: row.id, default=None)

    patch.setattr(Store, "next", next_)


def every_file_is_unused(patch: Patch) -> None:
    patch.setattr(media, "_used", lambda tables: set())


def files_are_idle_at_once(patch: Patch) -> None:
    right = media.idle_media

    def idle(tables: AccountTables, before: datetime) -> list[MediaId]:
        return right(tables, datetime.max.replace(tzinfo=before.tzinfo))

    patch.setattr(storage, "idle_media", idle)


def nothing_is_forgotten(patch: Patch) -> None:
    async def remove(store: Store, media_id: MediaId) -> None:
        pass

    patch.setattr(Store, "remove", remove)


def keys_find_nothing(patch: Patch) -> None:
    async def media_by_key(views: media.MediaViews, key: str) -> None:
        raise NotFound("file", "with this key")

    patch.setattr(media.MediaViews, "media_by_key", media_by_key)


def unused_files_are_looked_up_nowhere(patch: Patch) -> None:
    async def unused(store: Store, media_ids: Collection[MediaId]) -> list[Media]:
        return []

    patch.setattr(Store, "unused", unused)


def files_of_any_device_are_accepted(patch: Patch) -> None:
    patch.setattr(Store, "_check_device", lambda *_: None)


def files_stay_with_a_device_that_is_gone(patch: Patch) -> None:
    patch.setattr(devices, "replace", lambda row, **_: row)
