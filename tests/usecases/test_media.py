"""Files: uploaded, fetched, linked to; never half, never somebody else's, never what was said."""

from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256

import pytest

from clarin_core.domain.media import SIZE_MAX, MediaState, MediaType, NewFile, NewUrlFile, new_key
from clarin_core.errors import (
    ClarinError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    Unavailable,
    Unsupported,
)
from support.cabinet import Cabinet, given, signed_by
from support.desk import tell
from support.web import PNG

URL = "https://archivos.ejemplo.pe/foto.png"


def test_an_upload_is_kept_and_told() -> None:
    """CH16: by its bytes, under a key of ours; the name is a label."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        file = await cabinet.upload(PNG[:3], PNG[3:], filename="fotos\\la foto.exe")
        assert (file.type, file.mimetype) == (MediaType.IMAGE, "image/png")
        assert (file.filename, file.size, file.state) == ("la foto.exe", 32, MediaState.STORED)
        assert file.sha256 == sha256(PNG).hexdigest()
        assert len(file.key) == 48
        assert await cabinet.bytes_of(file) == PNG
        assert await cabinet.desk.names() == ["media.changed"]
        assert await cabinet.desk.tenant.views.media(file.id) == file
        other = await cabinet.upload(PNG)
        assert other.key != file.key
        assert other.filename is None

    tell(story())


@pytest.mark.parametrize(
    ("parts", "said", "error"),
    [
        ([], {}, Invalid),
        ([b"", b""], {}, Invalid),
        ([PNG], {"media_type": MediaType.VIDEO}, Unsupported),
        ([PNG, b"\0" * SIZE_MAX[MediaType.IMAGE]], {}, TooLarge),
        ([b"hola"] + [b"." * 2**20] * 64, {}, TooLarge),
    ],
    ids=["nothing", "empty parts", "another type", "a large image", "a large document"],
)
def test_what_cannot_be_sent_is_not_kept(
    parts: list[bytes], said: dict[str, MediaType], error: type[ClarinError]
) -> None:
    """Neither bytes nor news; what was begun is pending, and the purge's affair."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        with pytest.raises(error):
            await cabinet.upload(*(parts or [b""]), **said)
        assert cabinet.blobs.keys == set()
        assert await cabinet.desk.names() == []

    tell(story())


def test_too_much_is_refused_as_soon_as_it_is_too_much() -> None:
    """And nobody waits for the rest."""

    async def endless() -> AsyncIterator[bytes]:
        yield PNG
        while True:
            yield b"\0" * 2**20

    async def story() -> None:
        cabinet = await Cabinet.open()
        with pytest.raises(TooLarge, match="16 MiB"):
            await cabinet.media.upload(cabinet.desk.agent, NewFile(), endless())

    tell(story())


def test_a_place_that_is_away_is_told_and_leaves_a_trace_for_the_purge() -> None:
    """The row was there first: nothing can lie in the place of which nobody knows."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        cabinet.blobs.is_away = True
        with pytest.raises(Unavailable):
            await cabinet.upload()
        idle = await cabinet.desk.tenant.storage.unused_media(before=cabinet.desk.clock(), limit=9)
        assert len(idle) == 1
        assert (await cabinet.stored(idle[0][1])).state is MediaState.PENDING

    tell(story())


def test_a_file_is_fetched_from_the_web() -> None:
    """Its name is the address's, unless one is given; whoever was asked is let go."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        agent = cabinet.desk.agent
        file = await cabinet.media.from_url(agent, NewUrlFile(url=URL))
        assert (file.filename, file.mimetype, file.size) == ("foto.png", "image/png", 32)
        assert await cabinet.bytes_of(file) == PNG
        named = NewUrlFile(url=URL, filename="otra", media_type=MediaType.DOCUMENT)
        file = await cabinet.media.from_url(agent, named)
        assert (file.filename, file.type) == ("otra", MediaType.DOCUMENT)
        assert cabinet.web.closed == 2

    tell(story())


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://archivos.ejemplo.pe/foto.png", Invalid),
        ("https://127.0.0.1/foto.png", Invalid),
        ("https://archivos.ejemplo.pe/nada", Invalid),
        ("https://archivos.ejemplo.pe/vacio", Invalid),
        ("https://archivos.ejemplo.pe/grande", TooLarge),
    ],
)
def test_what_cannot_be_fetched_is_not_kept(url: str, error: type[ClarinError]) -> None:
    """Section 5; the connection is closed whatever happens."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        cabinet.web.pages |= {"/vacio": [], "/grande": [PNG] + [b"\0" * 2**20] * 17}
        with pytest.raises(error):
            await cabinet.media.from_url(cabinet.desk.agent, NewUrlFile(url=url))
        assert cabinet.blobs.keys == set()
        assert cabinet.web.closed == (url[-6:] in ("/vacio", "grande"))

    tell(story())


def test_a_link_reads_one_file_of_one_account() -> None:
    """For five minutes; a foreign file is an unknown one, and a file that is not here has none."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        desk, media = cabinet.desk, cabinet.media
        file, other = await cabinet.upload(), await cabinet.upload()
        link = await media.link(desk.agent, file.id)
        signed = signed_by(link.url)
        assert media.whose_file(signed, file.key) == desk.tenant.id
        with pytest.raises(Forbidden):
            media.whose_file(signed, other.key)
        desk.clock.at += timedelta(minutes=5)
        with pytest.raises(Forbidden):
            media.whose_file(signed, file.key)
        stranger = await desk.stranger()
        with pytest.raises(NotFound):
            await media.link(stranger.agent, file.id)
        pending = await cabinet.offer()
        with pytest.raises(Conflict, match="pending") as refused:
            await media.link(desk.agent, pending.id)
        assert (refused.value.code, refused.value.id) == ("invalid_state", pending.id)

    tell(story())


def test_a_file_is_found_by_its_key_in_its_account() -> None:
    """R22: another account's key is one that nobody has; so is what is no key at all."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        ours, media = cabinet.desk.tenant.id, cabinet.media
        file = await cabinet.upload()
        assert await media.file(ours, file.key) == file
        theirs = (await cabinet.desk.stranger()).tenant.id
        said = set()
        for account, key in (
            (theirs, file.key), (ours, new_key(b"\0" * 24)), (ours, ""), (ours, "\0"),
        ):  # fmt: skip
            with pytest.raises(NotFound) as error:
                await media.file(account, key)
            said.add(str(error.value))
        assert len(said) == 1
        pending = await cabinet.offer()
        with pytest.raises(Conflict, match="pending"):
            await media.file(ours, pending.key)

    tell(story())


def test_a_link_uploads_for_who_asked_for_it() -> None:
    """The event says who that was, and which request it came with."""

    async def story() -> None:
        cabinet = await Cabinet.open()
        agent = cabinet.desk.agent
        signed = signed_by((await cabinet.media.upload_link(agent)).url)
        actor = cabinet.media.who_uploads(signed, request_id="abc")
        file = await cabinet.media.upload(actor, NewFile(), given(PNG))
        (recorded,) = await cabinet.desk.tenant.events()
        assert (recorded.origin.user_id, recorded.origin.request_id) == (agent.user_id, "abc")
        assert (await cabinet.media.file(agent.account_id, file.key)).id == file.id
        read = signed_by((await cabinet.media.link(agent, file.id)).url)
        with pytest.raises(Forbidden):
            cabinet.media.who_uploads(read, request_id="abc")

    tell(story())
