"""Messages with files: that are here, that lie on the web, and that are about to go."""

import asyncio

import pytest

from clarin_core.domain.ids import ChatId
from clarin_core.domain.media import MediaState, MediaType, NewUrlFile, attachment_of
from clarin_core.domain.messages import MessageKind
from clarin_core.errors import ClarinError, Invalid, NotFound, Unsupported
from clarin_core.testing.blobs import whole
from clarin_core.testing.tenants import NOON
from support.cabinet import media_over
from support.talking import Talking, talk
from support.web import PNG

URL = "https://archivos.ejemplo.pe/foto.png"


@pytest.mark.parametrize("type_", [None, MediaType.DOCUMENT])
def test_a_file_of_the_web_is_fetched_and_sent(address: str, type_: MediaType | None) -> None:
    """CH16: it is here before the message is, which alone tells of it."""

    async def story(at: Talking) -> None:
        more = {} if type_ is None else {"media_type": type_}
        said = await at.send("mira", media_url=URL, **more)
        assert said == await at.desk.tenant.views.message(said.id)
        assert said.media is not None
        file = await at.desk.tenant.views.media(said.media.id)
        assert said.media == attachment_of(file)
        assert (file.state, file.filename) == (MediaState.STORED, "foto.png")
        assert said.kind is (MessageKind.DOCUMENT if type_ else MessageKind.IMAGE)
        assert await whole(at.blobs, file.key, at.desk.tenant.id) == PNG
        assert await at.desk.names() == ["message.queued"]

    talk(address, story)


@pytest.mark.parametrize(
    ("said", "error", "field"),
    [
        ({"media_url": "http://archivos.ejemplo.pe/foto.png"}, Invalid, "media_url"),
        ({"media_url": "https://127.0.0.1/foto.png"}, Invalid, "media_url"),
        ({"media_url": "https://archivos.ejemplo.pe/nada"}, Invalid, "media_url"),
        ({"media_url": URL, "media_type": MediaType.VIDEO}, Unsupported, None),
        ({"media_url": URL, "chat_id": ChatId(2**40)}, NotFound, None),
    ],
)
def test_what_cannot_be_fetched_is_not_sent(
    address: str, said: dict[str, object], error: type[ClarinError], field: str | None
) -> None:
    """The field is the message's own; nothing is fetched for a chat that is not there."""

    async def story(at: Talking) -> None:
        before = await at.picture()
        with pytest.raises(error) as caught:
            await at.send("mira", **said)
        assert getattr(caught.value, "field", None) == field
        assert await at.picture() == before
        assert at.blobs._kept == {}

    talk(address, story)


def test_a_file_that_a_purge_takes_away_just_now_is_not_sent(address: str) -> None:
    """Who sends it waits until it is known whether it goes."""

    async def story(at: Talking) -> None:
        tenant = at.desk.tenant
        media = media_over(tenant.storage, at.desk.clock, at.blobs)
        file = await media.from_url(at.desk.agent, NewUrlFile(url=URL))
        async with tenant.begin() as tx:
            (unused,) = await tx.media.unused([file.id])
            unused.expire(at=NOON)
            await tx.media.save(unused)
            sending = asyncio.create_task(at.send("mira", media_id=file.id))
            await asyncio.wait([sending], timeout=0.2)
        with pytest.raises(Invalid) as caught:
            await sending
        assert caught.value.field == "media_id"

    talk(address, story)
