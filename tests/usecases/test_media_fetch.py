"""Files that WhatsApp offers: brought in by whoever has the device, tried again, given up."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from clarin_core.domain.chats import ChatQuery
from clarin_core.domain.inbound import MediaOffer, MessageSeen, Peer
from clarin_core.domain.jid import Identity
from clarin_core.domain.media import SIZE_MAX, MediaState, MediaType
from clarin_core.domain.messages import MessageKind, MessageQuery
from clarin_core.domain.phone import PhoneNumber
from clarin_core.errors import Conflict, Unavailable
from clarin_core.testing.tenants import NOON
from clarin_core.usecases.inbox import InboxUseCases
from clarin_security import system_random
from support.cabinet import Cabinet
from support.desk import tell
from support.web import PNG

WEBP = b"RIFF\x24\0\0\0WEBPVP8 " + b"\0" * 9


async def the_next(cabinet: Cabinet) -> Any:
    media = await cabinet.fetching.next(cabinet.lease)
    assert media is not None
    return media


def test_what_a_message_brings_is_fetched_by_the_device_that_heard_it() -> None:
    """CH16: the message is there at once, its file pending; then it is here, and that is told."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        desk = cabinet.desk
        offer = MediaOffer(type=MediaType.IMAGE, mimetype="image/jpeg", size=32, source=b"s")
        ana = Peer(identity=Identity.of_phone(PhoneNumber("+51987654321")))
        heard = MessageSeen(
            chat=ana, wa_message_id="A", is_from_me=False, sender=ana, kind=MessageKind.IMAGE,
            media=offer, sent_at=NOON,
        )  # fmt: skip
        inbox = InboxUseCases(desk.tenant.storage, desk.clock, system_random)
        await inbox.receive(cabinet.lease, [heard])
        await desk.news()
        media = await the_next(cabinet)
        assert (media.source, media.state) == (b"s", MediaState.PENDING)
        await cabinet.fetching.keep(cabinet.lease, media, PNG)
        assert await desk.names() == ["media.changed"]
        file = await desk.tenant.views.media(media.id)
        assert (file.state, file.mimetype, file.size) == (MediaState.STORED, "image/png", 32)
        assert await cabinet.bytes_of(file) == PNG
        assert await cabinet.fetching.next(cabinet.lease) is None
        (chat,) = (await desk.tenant.views.chats(ChatQuery())).data
        (message,) = (await desk.tenant.views.messages(chat.id, MessageQuery())).data
        assert message.media_id == media.id

    tell(story())


@pytest.mark.parametrize(
    ("offered", "content", "type_", "mimetype"),
    [
        (MediaType.IMAGE, PNG, MediaType.IMAGE, "image/png"),
        (MediaType.STICKER, WEBP, MediaType.STICKER, "image/webp"),
        (MediaType.IMAGE, WEBP, MediaType.IMAGE, "image/webp"),
        (MediaType.DOCUMENT, PNG, MediaType.DOCUMENT, "image/png"),
        (MediaType.IMAGE, b"<html>", MediaType.DOCUMENT, "text/plain; charset=utf-8"),
        (MediaType.VIDEO, b"\0\1", MediaType.DOCUMENT, "application/octet-stream"),
    ],
)
def test_a_file_is_what_came(
    offered: MediaType, content: bytes, type_: MediaType, mimetype: str
) -> None:
    """As what it was offered if it can be that, and else as what it is."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        media = await cabinet.offer(type=offered, mimetype="image/svg+xml")
        await cabinet.fetching.keep(cabinet.lease, await the_next(cabinet), content)
        stored = await cabinet.stored(media.id)
        assert (stored.type, stored.mimetype) == (type_, mimetype)

    tell(story())


def test_what_is_too_large_is_refused_before_and_after() -> None:
    """By what was offered nothing is fetched; by what came nothing is kept."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        large = await cabinet.offer(size=SIZE_MAX[MediaType.IMAGE] + 1)
        liar = await cabinet.offer(size=5)
        empty = await cabinet.offer()
        assert (await the_next(cabinet)).id == liar.id
        assert await cabinet.desk.names() == ["media.changed"]
        content = PNG + b"\0" * SIZE_MAX[MediaType.IMAGE]
        await cabinet.fetching.keep(cabinet.lease, liar, content)
        await cabinet.fetching.keep(cabinet.lease, empty, b"")
        assert await cabinet.desk.names() == ["media.changed"] * 2
        for media in (large, liar, empty):
            assert (await cabinet.stored(media.id)).state is MediaState.FAILED
        assert cabinet.blobs.keys == set()
        assert await cabinet.fetching.next(cabinet.lease) is None

    tell(story())


def test_what_cannot_be_fetched_now_is_tried_five_times() -> None:
    """Section 11: later each time, others in between; that it waits is no news, the end is."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        first, second = await cabinet.offer(), await cabinet.offer()
        for _ in range(4):
            assert (await the_next(cabinet)).id == first.id
            await cabinet.fetching.miss(cabinet.lease, first)
            assert (await the_next(cabinet)).id == second.id
            cabinet.desk.clock.at += timedelta(hours=3)
            await _put_back(cabinet, second)
        assert await cabinet.desk.names() == []
        await cabinet.fetching.miss(cabinet.lease, first)
        assert await cabinet.desk.names() == ["media.changed"]
        assert (await cabinet.stored(first.id)).state is MediaState.EXPIRED

    tell(story())


async def _put_back(cabinet: Cabinet, media: Any) -> None:
    """Let a file be due later than all others."""
    async with cabinet.desk.tenant.begin() as tx:
        stored = await tx.media.get(media.id)
        await tx.media.save(replace(stored, not_before=cabinet.desk.clock.at))


def test_what_whatsapp_has_no_more_is_given_up() -> None:
    async def story() -> None:
        cabinet = await Cabinet.open()
        media = await cabinet.offer()
        await cabinet.fetching.expire(cabinet.lease, media)
        assert await cabinet.desk.names() == ["media.changed"]
        assert (await cabinet.stored(media.id)).state is MediaState.EXPIRED

    tell(story())


@pytest.mark.parametrize("what", ["next", "keep", "miss", "expire"])
def test_who_lost_the_lease_changes_nothing(what: str) -> None:
    """Bytes may be there already: under the key that the next one writes to as well."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        media, fetching = await cabinet.offer(), cabinet.fetching
        late = replace(cabinet.lease, token=cabinet.lease.token - 1)
        arguments = {"next": (), "keep": (media, PNG)}.get(what, (media,))
        with pytest.raises(Conflict) as refused:
            await getattr(fetching, what)(late, *arguments)
        assert refused.value.code == "lease_lost"
        assert await cabinet.stored(media.id) == media
        assert await cabinet.desk.names() == []
        await fetching.keep(cabinet.lease, media, PNG)
        assert await cabinet.bytes_of(media) == PNG

    tell(story())


def test_a_place_that_is_away_costs_no_try() -> None:
    async def story() -> None:
        cabinet = await Cabinet.open()
        media = await cabinet.offer()
        cabinet.blobs.is_away = True
        with pytest.raises(Unavailable):
            await cabinet.fetching.keep(cabinet.lease, media, PNG)
        assert await cabinet.stored(media.id) == media
        cabinet.blobs.is_away = False
        await cabinet.fetching.keep(cabinet.lease, await the_next(cabinet), PNG)
        assert (await cabinet.stored(media.id)).state is MediaState.STORED

    tell(story())


@pytest.mark.parametrize("is_gone", [False, True])
def test_bytes_that_nobody_waits_for_any_more_do_not_stay(is_gone: bool) -> None:
    """The purge was there meanwhile."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        media = await cabinet.offer()
        async with cabinet.desk.tenant.begin() as tx:
            stored = await tx.media.get(media.id)
            stored.expire(at=NOON)
            await tx.media.save(stored)
        if is_gone:
            await cabinet.unsay()
            async with cabinet.desk.tenant.begin() as tx:
                await tx.media.remove(media.id)
        await cabinet.fetching.keep(cabinet.lease, media, PNG)
        assert cabinet.blobs.keys == set()
        assert await cabinet.desk.names() == []

    tell(story())
