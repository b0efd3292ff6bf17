"""Files over HTTP: in as they come, out by parts, with a right and never without."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from clarin_core.domain.limits import Rate
from clarin_core.domain.media import SIZE_MAX, MediaDraft, MediaType
from clarin_core.domain.media_links import LIFE
from clarin_core.errors import NotFound, RateLimited, Unavailable
from clarin_core.testing.blobs import pattern
from clarin_core.testing.watch import Watch
from clarin_memory import MemoryLimiter, blobs
from clarin_server.http import files
from support.filing import given, upload, uploaded
from support.houses import problem, refused, tell
from support.serving import House, now
from support.surface import stock_of
from support.web import PNG

HTML = b"<!doctype html><script>alert(document.domain)</script>"


def test_a_file_comes_back_as_it_went_in(address: str) -> None:
    """Byte for byte, as what it is, under the name that it was given; for agents, too."""

    async def story(house: House) -> None:
        file = await uploaded(house.beto, PNG + pattern(3_000_000), "la foto ñ.png")
        assert (file["type"], file["mimetype"], file["state"]) == ("image", "image/png", "stored")
        assert not {"source", "device_id", "attempts"} & file.keys()
        assert await house.ana.get(f"/api/media/{file['id']}") == file
        answer = await given(house.ana, file["key"])
        assert answer.status_code == 200
        assert answer.content == PNG + pattern(3_000_000)
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["etag"] == f'"{file["sha256"]}"'
        disposition = answer.headers["content-disposition"]
        assert disposition.startswith('inline; filename="la foto _.png"; ')
        assert unquote(disposition.rpartition("''")[2]) == "la foto ñ.png"
        events = await house.ana.get("/api/events/stream", limit=1000)
        assert events["data"][-1]["event"]["name"] == "media.changed"

    tell(story, address=address)


@pytest.mark.parametrize(
    ("content", "mimetype", "shown"),
    [
        (HTML, "text/plain; charset=utf-8", "attachment"),
        (b"<svg onload='alert(1)'/>", "text/plain; charset=utf-8", "attachment"),
        (b"%PDF-1.7 /JS", "application/pdf", "attachment"),
        (b"MZ\x90\0", "application/octet-stream", "attachment"),
        (b"GIF89a" + HTML, "image/gif", "inline"),
    ],
)
def test_nothing_that_comes_out_is_run(content: bytes, mimetype: str, shown: str) -> None:
    """Section 5: the type is that of the bytes, no browser guesses another, or gives it a page."""

    async def story(house: House) -> None:
        file = await uploaded(house.ana, content, "pagina.html")
        answer = await given(house.ana, file["key"])
        assert answer.headers["content-type"] == mimetype
        assert answer.headers["content-disposition"].startswith(f"{shown};")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none';")
        assert answer.headers["content-security-policy"].endswith("sandbox")
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "private, max-age=300"

    tell(story)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("../../etc/passwd", "passwd"), ("C:\\fotos\\a.png", "a.png"), ('a"; x=".html', None),
        ("a\r\nX-Evil: 1", None), ("\u202egnp.exe", None), ("%2e%2e%2f", "%2e%2e%2f"),
    ],
)  # fmt: skip
def test_a_name_is_only_a_label(name: str, label: str | None) -> None:
    """It leads nowhere, and nothing of it gets out of its header."""

    async def story(house: House) -> None:
        file = await uploaded(house.ana, PNG, name)
        answer = await given(house.ana, file["key"])
        assert "x-evil" not in answer.headers
        disposition = answer.headers["content-disposition"]
        assert disposition.count('"') == 2
        assert disposition.count(";") == 2 + disposition.split('"')[1].count(";")
        if label is not None:
            assert file["filename"] == label
            assert unquote(disposition.rpartition("''")[2]) == label

    tell(story)


def test_no_name_gets_out_of_its_header() -> None:
    """Quotes, backslashes and escapes stay what they are, in the form that can hold them."""

    async def story(house: House) -> None:
        name = 'a"; x=".html %22ñ'
        body = {"url": "https://archivos.ejemplo.pe/foto.png", "filename": name}
        file = await house.ana.post("/api/media/from-url", **body)
        disposition = (await given(house.ana, file["key"])).headers["content-disposition"]
        plain, coded = disposition.split("; filename*=UTF-8''")
        assert plain.count('"') == 2
        assert not {"\\", "%"} & {*plain}
        assert unquote(coded) == file["filename"] == name

    tell(story)


def test_a_link_needs_no_credential_for_five_minutes() -> None:
    """And lets nothing else be read: every change of it is a 403, and counts as a stranger's."""
    clock = Watch()
    clock.at = now()

    async def story(house: House) -> None:
        file, other = await uploaded(house.ana), await uploaded(house.ana)
        link = await house.ana.get(f"/api/media/{file['id']}/link")
        answer = await house.http.get(link["url"])
        assert (answer.status_code, answer.content) == (200, PNG)
        part = await house.http.get(link["url"], headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, b"PNG")
        wrong = [
            link["url"].replace(file["key"], other["key"]), link["url"] + "0",
            link["url"].replace("account=", "account=1"), link["url"].replace("user=", "user=1"),
            link["url"].replace("expires=", "expires=1"), link["url"].partition("&signature")[0],
            link["url"] + "&more=1", link["url"] + "&account=1", link["url"].replace("=", "=x"),
            f"/api/media/file/{file['key']}?signature={'0' * 64}",
        ]  # fmt: skip
        for url in wrong:
            refused(await house.http.get(url), 403, "forbidden")
            refused(await house.ana.ask("GET", url), 403, "forbidden")
        refused(await house.http.get(urlsplit(link["url"]).path), 401, "unauthorized")
        clock.at += LIFE
        refused(await house.http.get(link["url"]), 403, "forbidden")

    tell(story, clock=clock)


def test_a_file_of_another_account_is_an_unknown_one(address: str) -> None:
    """R22: by key, by id, by link; one that is not here yet is told to its own account alone."""

    async def story(house: House) -> None:
        file, key = await uploaded(house.ana), "0" * 48
        theirs, nobodys = [
            problem(await given(house.carla, one)) for one in (file["key"], key)
        ]  # fmt: skip
        assert theirs == nobodys
        for path in (f"/api/media/{file['id']}", f"/api/media/{file['id']}/link"):
            refused(await house.carla.ask("GET", path), 404, "not_found")
        async with house.services.storage.begin(house.ana.account_id) as tx:
            draft = MediaDraft(key="a" * 48, type=MediaType.IMAGE, mimetype="image/png")
            (pending,) = await tx.media.add([draft], at=now())
        refused(await given(house.ana, pending.key), 409, "invalid_state")
        refused(await given(house.carla, pending.key), 404, "not_found")
        for no_key in ("\0", "\ud800", "x" * 9_000):
            with pytest.raises(NotFound):
                await house.services.media.file(house.ana.account_id, no_key)
        link = f"/api/media/{pending.id}/link"
        refused(await house.ana.ask("GET", link), 409, "invalid_state")

    tell(story, address=address)


def test_a_link_takes_files_in() -> None:
    """For who asked for it, without a credential, until it ends."""
    clock = Watch()
    clock.at = now()

    async def story(house: House) -> None:
        link = await house.beto.get("/api/media/upload-url")
        form = {"file": ("foto.png", PNG)}
        answer = await house.http.post(link["url"], files=form)
        assert answer.status_code == 201
        assert (await given(house.ana, answer.json()["key"])).content == PNG
        refused(await given(house.carla, answer.json()["key"]), 404, "not_found")
        for url in (link["url"] + "0", link["url"].replace("account=", "account=1")):
            refused(await house.http.post(url, files=form), 403, "forbidden")
        read = (await house.ana.get(f"/api/media/{answer.json()['id']}/link"))["url"]
        crossed = f"/api/media/upload?{urlsplit(read).query}"
        refused(await house.http.post(crossed, files=form), 403, "forbidden")
        refused(await house.http.post("/api/media/upload", files=form), 401, "unauthorized")
        clock.at += LIFE
        refused(await house.http.post(link["url"], files=form), 403, "forbidden")

    tell(story, clock=clock)


def test_what_cannot_be_sent_is_refused() -> None:
    """413 for too much, 415 for another type, 422 for nothing; nothing of it is kept."""

    async def story(house: House) -> None:
        ana = house.ana
        large = PNG + b"\0" * SIZE_MAX[MediaType.IMAGE]
        refused(await upload(ana, large), 413, "too_large")
        refused(await upload(ana, b"." * (65 * 2**20)), 413, "too_large")
        refused(await upload(ana, PNG, media_type="video"), 415, "unsupported_media")
        refused(await upload(ana, b""), 422, "validation_failed", "file")
        refused(await upload(ana, PNG, media_type="none"), 422, "validation_failed", "media_type")
        refused(await upload(ana, PNG, account_id="7"), 422, "validation_failed", "account_id")
        refused(
            await ana.ask("POST", "/api/media/upload", json={"file": "x"}), 415, "unsupported_media"
        )
        kept = await uploaded(ana)
        named = await upload(ana, PNG, media_type="document")
        assert (kept["type"], named.json()["type"]) == ("image", "document")

    tell(story)


def test_a_file_is_fetched_from_the_web() -> None:
    """An agent may, too; what is no address of the public internet is 422 with the field."""

    async def story(house: House) -> None:
        url = "https://archivos.ejemplo.pe/foto.png"
        answer = await house.beto.ask("POST", "/api/media/from-url", json={"url": url})
        assert answer.status_code == 201
        assert (await given(house.ana, answer.json()["key"])).content == PNG
        for wrong in ("http://archivos.ejemplo.pe/", "https://127.0.0.1/", "https://a.pe/nada"):
            answer = await house.ana.ask("POST", "/api/media/from-url", json={"url": wrong})
            refused(answer, 422, "validation_failed", "url")

    tell(story)


def test_an_account_takes_few_files_in_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds memory; the next one is told to come back, and other accounts are not."""
    monkeypatch.setattr(files, "FILE_UPLOADS_PER_ACCOUNT_MAX", 1)

    async def story(house: House) -> None:
        is_begun, goes_on = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            yield head + PNG
            is_begun.set()
            await goes_on.wait()
            yield b"\r\n--b--\r\n"

        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        slow = asyncio.create_task(
            house.ana.ask("POST", "/api/media/upload", content=slowly(), headers=headers)
        )
        await is_begun.wait()
        while (answer := await upload(house.beto)).status_code == 201:
            pass
        refused(answer, 429, "rate_limited")
        assert answer.headers["retry-after"]
        assert (await upload(house.carla)).status_code == 201
        goes_on.set()
        assert (await slow).status_code == 201
        assert (await upload(house.beto)).status_code == 201

    tell(story)


def test_what_breaks_off_on_the_way_out_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """So that nobody takes a part for the whole; an error before the first piece is answered."""
    right = blobs.MemoryBlobs.read
    is_late = True

    async def broken(self: Any, *where: Any, **span: Any) -> AsyncIterator[bytes]:
        async for piece in right(self, *where, **span):
            if not is_late:
                raise Unavailable("the media store")
            yield piece
            raise NotFound("file", "with this key")

    async def story(house: House) -> None:
        nonlocal is_late
        file = await uploaded(house.ana, PNG + pattern(300_000))
        monkeypatch.setattr(blobs.MemoryBlobs, "read", broken)
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed"):
            await given(house.ana, file["key"])
        is_late = False
        refused(await given(house.ana, file["key"]), 503, "unavailable")
        monkeypatch.setattr(blobs.MemoryBlobs, "read", right)
        assert (await given(house.ana, file["key"])).status_code == 200
        assert [one for one in caplog.records if one.name.startswith("sanic")] == []

    tell(story)


def test_pages_of_listed_origins_may_read_files() -> None:
    """As with every other answer; the header is there before the first byte."""
    origin = "https://crm.ejemplo.pe"

    async def story(house: House) -> None:
        file = await uploaded(house.ana)
        answer = await given(house.ana, file["key"], origin=origin)
        assert answer.headers["access-control-allow-origin"] == origin
        other = await given(house.ana, file["key"], origin="https://otra.pe")
        assert "access-control-allow-origin" not in other.headers

    tell(story, cors_origins=(origin,))


class Counting(MemoryLimiter):
    """A limiter that says what it counted."""

    def __init__(self) -> None:
        super().__init__(now)
        self.keys: list[str] = []

    async def spend(self, key: str, rate: Rate) -> None:
        self.keys.append(key.rpartition(":")[0])
        if key.startswith("address") and len(self.keys) > 900:
            raise RateLimited(1)


def test_links_are_counted_by_account_and_wrong_ones_as_strangers() -> None:
    """Nobody has another bucket for each account that a wrong link makes up."""
    limiter = Counting()

    async def story(house: House) -> None:
        file = await uploaded(house.ana)
        link = (await house.ana.get(f"/api/media/{file['id']}/link"))["url"]
        limiter.keys.clear()
        await house.http.get(link)
        await house.http.get(link + "0")
        await house.http.get(link.replace("account=", "account=1"))
        assert limiter.keys == [f"link:{house.ana.account_id}", "address", "address"]

    tell(story, limiter=limiter)


def test_a_message_brings_its_file_from_the_web(address: str) -> None:
    """CH13: sent twice with one key it is one message, whatever was fetched for it."""

    async def story(house: House) -> None:
        stock = await stock_of(house.ana)
        said = {"chat_id": stock.ids["ChatId"], "media_url": "https://archivos.ejemplo.pe/foto.png"}
        key = {"Idempotency-Key": "una-vez"}
        before = await house.ana.get("/api/events/stream", limit=1000)
        first, again = [
            await house.ana.ask("POST", "/api/messages/send", json=said, headers=key)
            for _ in range(2)
        ]
        assert (first.status_code, again.status_code) == (202, 202), first.text
        assert first.json() == again.json()
        assert again.headers["idempotency-replayed"] == "true"
        file = await house.ana.get(f"/api/media/{first.json()['media']['id']}")
        assert (await given(house.ana, file["key"])).content == PNG
        after = await house.ana.get("/api/events/stream", limit=1000)
        names = [one["event"]["name"] for one in after["data"][len(before["data"]) :]]
        assert names == ["message.queued"]

    tell(story, address=address)
