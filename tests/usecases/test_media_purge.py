"""Files that no message has go after a day, bytes and row, whatever breaks off in between."""

from datetime import datetime, timedelta

import pytest

from clarin_core.domain.ids import AccountId, MediaId
from clarin_core.domain.media import Media, MediaState
from clarin_core.errors import NotFound, Unavailable
from clarin_core.usecases import media_purge
from support.cabinet import Cabinet, given
from support.desk import tell
from support.web import PNG

DAY = timedelta(days=1)


async def purge(cabinet: Cabinet) -> int:
    """Purge as the job does."""
    return await cabinet.purging.run(before=cabinet.desk.clock.at - DAY)


async def is_gone(cabinet: Cabinet, media: Media) -> bool:
    try:
        await cabinet.stored(media.id)
    except NotFound:
        return True
    return False


def test_an_upload_that_nobody_sends_goes_after_a_day() -> None:
    """And no earlier; one that a message has stays."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        sent, unsent = await cabinet.upload(), await cabinet.upload()
        chat = await cabinet.inbox.open_one()
        await cabinet.inbox.say(cabinet.inbox.said(chat, media_id=sent.id))
        cabinet.desk.clock.at += DAY - timedelta(minutes=9)
        assert await purge(cabinet) == 0
        assert cabinet.blobs.keys == {sent.key, unsent.key}
        cabinet.desk.clock.at += timedelta(minutes=30)
        assert await purge(cabinet) == 1
        assert await is_gone(cabinet, unsent)
        assert cabinet.blobs.keys == {sent.key}
        assert await cabinet.bytes_of(sent) == PNG
        assert await purge(cabinet) == 0

    tell(story())


def test_the_file_of_a_message_goes_after_it() -> None:
    async def story() -> None:
        cabinet = await Cabinet.open()
        media = await cabinet.offer()
        await cabinet.fetching.keep(cabinet.lease, media, PNG)
        cabinet.desk.clock.at += 2 * DAY
        assert await purge(cabinet) == 0
        await cabinet.unsay()
        assert await purge(cabinet) == 1
        assert cabinet.blobs.keys == set()

    tell(story())


def test_what_an_upload_left_that_broke_off_goes_too() -> None:
    """A row without bytes, and bytes whose row does not know of them."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        cabinet.blobs.is_away = True
        with pytest.raises(Unavailable):
            await cabinet.upload()
        cabinet.blobs.is_away = False
        file = await cabinet.upload()
        async with cabinet.desk.tenant.begin() as tx:
            media = await tx.media.get(file.id)
            media.state = MediaState.PENDING
            await tx.media.save(media)
        cabinet.desk.clock.at += 2 * DAY
        assert await purge(cabinet) == 2
        assert cabinet.blobs.keys == set()

    tell(story())


def test_a_purge_that_breaks_off_is_gone_on_with() -> None:
    """The file cannot be given to a message any more; the next day its bytes go, and its row."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        file = await cabinet.upload()
        cabinet.desk.clock.at += 2 * DAY
        cabinet.blobs.is_away = True
        with pytest.raises(Unavailable):
            await purge(cabinet)
        assert (await cabinet.stored(file.id)).state is MediaState.EXPIRED
        assert cabinet.blobs.keys == {file.key}
        cabinet.blobs.is_away = False
        cabinet.desk.clock.at += 2 * DAY
        assert await purge(cabinet) == 1
        assert await is_gone(cabinet, file)
        assert cabinet.blobs.keys == set()

    tell(story())


def test_bytes_that_a_device_may_just_be_fetching_are_waited_for() -> None:
    """They go with the row a day later, though they came after the file was expired."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        media = await cabinet.offer()
        await cabinet.unsay()
        cabinet.desk.clock.at += 2 * DAY
        assert await purge(cabinet) == 0
        assert not await is_gone(cabinet, media)
        await cabinet.blobs.put(cabinet.desk.tenant.id, media.key, given(PNG))
        cabinet.desk.clock.at += 2 * DAY
        assert await purge(cabinet) == 1
        assert cabinet.blobs.keys == set()

    tell(story())


def test_a_file_that_was_given_to_a_message_just_now_stays() -> None:
    """It is looked at again, under its lock, before anything is done to it."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        file, storage = await cabinet.upload(), cabinet.desk.tenant.storage
        right = storage.unused_media

        async def late(*, before: datetime, limit: int) -> list[tuple[AccountId, MediaId]]:
            found = await right(before=before, limit=limit)
            if found:
                chat = await cabinet.inbox.open_one()
                await cabinet.inbox.say(cabinet.inbox.said(chat, media_id=file.id))
            return found

        cabinet.desk.clock.at += 2 * DAY
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(storage, "unused_media", late)
            assert await purge(cabinet) == 0
        assert await cabinet.bytes_of(file) == PNG
        assert (await cabinet.stored(file.id)).state is MediaState.STORED

    tell(story())


def test_a_purge_goes_through_all_accounts_in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files there are."""
    monkeypatch.setattr(media_purge, "BATCH", 2)

    async def story() -> None:
        cabinet = await Cabinet.open()
        other = await Cabinet.open(await cabinet.desk.stranger())
        other.blobs = cabinet.blobs
        for one in (cabinet, other):
            for _ in range(3):
                await one.upload()
        cabinet.desk.clock.at += 9 * DAY
        assert await purge(cabinet) == 6
        assert cabinet.blobs.keys == set()

    tell(story())
