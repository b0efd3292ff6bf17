"""Fetching from the web: nobody is led inside, and nothing comes that was not asked for (7.7)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from clarin_core.domain.web_address import WebAddress, web_address
from clarin_core.errors import Invalid, TooLarge
from clarin_core.ports.web import FETCH_BYTES_MAX
from clarin_media import HttpsWeb
from clarin_media.web import transport_with

TLS = Path(__file__).parents[1] / "data" / "tls"
NAME = "archivos.ejemplo.pe"  # The one that the certificate is for.
URL = web_address("url", f"https://{NAME}/fotos/a.png?b=1")
PUBLIC, PUBLIC_6 = "93.184.216.34", "2606:2800:21f::1"


class Bytes(httpx.AsyncByteStream):
    """A body that comes in parts, and may never end."""

    def __init__(self, *parts: bytes, stuck: bool = False) -> None:
        self.parts, self.stuck, self.is_closed = parts, stuck, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part
        if self.stuck:
            await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.is_closed = True


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """What is asked at the wire, and the answers to it."""

    answer: Callable[[], httpx.Response] = lambda: httpx.Response(200, stream=Bytes(b"foto"))
    dead: tuple[str, ...] = ()
    stuck: bool = False
    asked: list[httpx.Request] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.host in self.dead:
            raise httpx.ConnectError("nobody there")
        if self.stuck:
            await asyncio.Event().wait()
        return self.answer()


@dataclass
class Names:
    """A directory of names that may say something else each time."""

    answers: list[list[str]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0)


async def fetched(web: HttpsWeb, address: WebAddress = URL) -> bytes:
    async with web:
        return b"".join([part async for part in web.fetch(address)])


def fetch(wire: httpx.AsyncBaseTransport, *answers: list[str], **options: Any) -> bytes:
    names = Names([*answers])
    return asyncio.run(fetched(HttpsWeb(resolve=names, transport=wire, **options)))


def refused(wire: Wire, *answers: list[str], **options: Any) -> str:
    with pytest.raises(Invalid) as error:
        fetch(wire, *(answers or ([PUBLIC],)), **options)
    assert error.value.field == "url"
    return error.value.reason


def test_a_request_goes_to_the_number_that_was_checked() -> None:
    """The name is for the certificate and the host; nothing rides along."""
    wire = Wire()
    assert fetch(wire, [PUBLIC]) == b"foto"
    (asked,) = wire.asked
    assert (asked.url.scheme, asked.url.host, asked.url.port) == ("https", PUBLIC, None)
    assert asked.url.raw_path == b"/fotos/a.png?b=1"
    assert asked.extensions["sni_hostname"] == asked.headers["host"] == NAME
    assert asked.headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie", "referer"} & asked.headers.keys()


@pytest.mark.parametrize(
    "numbers",
    [
        ["127.0.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:10.0.0.1"], ["64:ff9b::7f00:1"],
        ["fe80::1%2"], ["0.1.2.3"], [PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC],
        [PUBLIC_6, "fd00::1"],
    ],
    ids=str,
)  # fmt: skip
def test_a_name_that_leads_inside_is_asked_nothing(numbers: list[str]) -> None:
    """One number that is not public is enough, wherever it stands."""
    wire = Wire()
    assert "public" in refused(wire, numbers)
    assert wire.asked == []


def test_a_name_that_changes_leads_nowhere_else() -> None:
    """It is looked up once: what it says between check and connection is not heard."""
    wire, names = Wire(), Names([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])
    assert asyncio.run(fetched(HttpsWeb(resolve=names, transport=wire))) == b"foto"
    assert names.asked == [NAME]
    assert [asked.url.host for asked in wire.asked] == [PUBLIC]


def test_the_next_number_is_tried_where_nobody_answers() -> None:
    """Of those that were checked, and not for ever."""
    wire = Wire(dead=(PUBLIC,))
    assert fetch(wire, [PUBLIC, PUBLIC_6]) == b"foto"
    assert [asked.url.host for asked in wire.asked] == [PUBLIC, PUBLIC_6]
    many = [f"93.184.216.{number}" for number in range(9)]
    wire = Wire(dead=tuple(many))
    assert "no answer" in refused(wire, many)
    assert len(wire.asked) == 3


@pytest.mark.parametrize("answers", [[], OSError("no such host"), UnicodeError("no name")])
def test_a_name_that_nobody_knows_is_refused(answers: object) -> None:
    """Whatever way of not knowing it is."""

    async def resolve(_: str) -> list[str]:
        if isinstance(answers, Exception):
            raise answers
        return []

    with pytest.raises(Invalid, match="not known"):
        asyncio.run(fetched(HttpsWeb(resolve=resolve, transport=Wire())))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_is_led_on(status: int) -> None:
    """Not even to where one may go."""
    location = {"Location": f"https://{NAME}/b.png"}
    wire = Wire(lambda: httpx.Response(status, headers=location, stream=Bytes()))
    assert "leads on" in refused(wire)
    assert len(wire.asked) == 1


@pytest.mark.parametrize("status", [201, 204, 206, 400, 401, 404, 500, 503])
def test_only_the_thing_itself_counts(status: int) -> None:
    assert f"{status}" in refused(Wire(lambda: httpx.Response(status, stream=Bytes(b"x"))))


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_nothing_is_unpacked(encoding: str) -> None:
    """A small body cannot become a large one."""
    packed = {"Content-Encoding": encoding}
    wire = Wire(lambda: httpx.Response(200, headers=packed, stream=Bytes(b"x")))
    assert "encoding" in refused(wire)


def test_too_much_is_refused_before_it_comes() -> None:
    """By what is announced, however it is written, and else by what comes."""
    for announced in (str(FETCH_BYTES_MAX + 1), "9" * 5000):
        said = {"Content-Length": announced}
        body = Bytes(stuck=True)

        def answer(said: dict[str, str] = said, body: Bytes = body) -> httpx.Response:
            return httpx.Response(200, headers=said, stream=body)

        with pytest.raises(TooLarge, match="64 MiB"):
            fetch(Wire(answer), [PUBLIC])
        assert body.is_closed
    body = Bytes(*[b"x" * 2**20] * 64, b"x", stuck=True)
    with pytest.raises(TooLarge):
        fetch(Wire(lambda: httpx.Response(200, stream=body)), [PUBLIC])
    assert body.is_closed


def test_as_much_as_is_allowed_comes() -> None:
    """To the last byte."""
    parts = [b"x" * 2**20] * 64
    wire = Wire(lambda: httpx.Response(200, stream=Bytes(*parts)))
    assert len(fetch(wire, [PUBLIC])) == FETCH_BYTES_MAX


@pytest.mark.parametrize("at", ["name", "answer", "body"])
def test_who_is_slow_is_not_waited_for(at: str) -> None:
    """The name, the answer and the body have one time together."""
    body = Bytes(b"x", stuck=True)

    async def hang(*_: object) -> Any:
        await asyncio.Event().wait()

    async def known(_: str) -> list[str]:
        return [PUBLIC]

    wire = Wire(lambda: httpx.Response(200, stream=body), stuck=at == "answer")
    resolve: Callable[[str], Awaitable[list[str]]] = hang if at == "name" else known
    with pytest.raises(Invalid, match="in time"):
        asyncio.run(fetched(HttpsWeb(resolve=resolve, transport=wire, seconds=0.05)))
    assert body.is_closed == (at == "body")


@pytest.mark.parametrize(
    "error",
    [httpx.ReadError("x"), httpx.RemoteProtocolError("x"), httpx.PoolTimeout("x")],
    ids=lambda error: type(error).__name__,
)
def test_what_the_library_raises_is_the_urls_fault(error: Exception) -> None:
    """422, and never a 500 (section 5)."""

    def answer() -> httpx.Response:
        raise error

    assert "no answer" in refused(Wire(answer))


@dataclass
class Server:
    """A real server on the loopback, and what it saw."""

    port: int = 0
    names: list[str | None] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    is_short: bool = False
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfoto"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self.answer)
                await writer.drain()
                if self.is_short:
                    break
        writer.close()


class Detour(httpx.AsyncBaseTransport):
    """Brings what goes to a public number and port to a server on the loopback instead."""

    def __init__(self, server: Server, inner: httpx.AsyncBaseTransport) -> None:
        self._server, self._inner, self.numbers = server, inner, list[str]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.numbers.append(request.url.host)
        request.url = request.url.copy_with(host="127.0.0.1", port=self._server.port)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, Detour]]:
    """Serve with the certificate of the tests, and trust no other authority."""
    server = Server()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem")
    context.sni_callback = lambda _, name, __: server.names.append(name)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    trusted = ssl.create_default_context(cafile=str(TLS / "authority.pem"))
    async with listening:
        yield server, Detour(server, transport_with(trusted))


def test_the_certificate_must_be_for_the_name() -> None:
    """Over real TLS: the name is told to the server, and what it shows is checked for the name."""

    async def known(_: str) -> list[str]:
        return [PUBLIC]

    async def story() -> None:
        async with serving() as (server, detour):
            async with HttpsWeb(resolve=known, transport=detour) as web:
                for _ in range(2):
                    assert b"".join([part async for part in web.fetch(URL)]) == b"foto"
                other = WebAddress("otros.ejemplo.pe", "/")
                with pytest.raises(Invalid, match="no answer"):
                    await anext(web.fetch(other))
            assert server.names == [NAME, NAME, "otros.ejemplo.pe"]
            assert detour.numbers == [PUBLIC] * 3
            assert len(server.heads) == 2  # Each over a connection of its own.
            assert server.heads[0].startswith(b"GET /fotos/a.png?b=1 HTTP/1.1\r\n")
            assert b"\r\nHost: archivos.ejemplo.pe\r\n" in server.heads[0]

    asyncio.run(story())


def test_an_authority_that_nobody_trusts_is_refused() -> None:
    """The authorities are those of the machine, and the tests' is not among them."""

    async def known(_: str) -> list[str]:
        return [PUBLIC]

    async def story() -> None:
        async with serving() as (server, detour):
            detour._inner = transport_with(ssl.create_default_context())
            async with HttpsWeb(resolve=known, transport=detour) as web:
                with pytest.raises(Invalid, match="no answer"):
                    await anext(web.fetch(URL))
            assert server.heads == []

    asyncio.run(story())


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfoto",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfoto",
    ],
)  # fmt: skip
def test_an_answer_that_is_broken_or_cut_short_is_none(answer: bytes) -> None:
    """What came of it is not taken for the whole."""

    async def known(_: str) -> list[str]:
        return [PUBLIC]

    async def story() -> None:
        async with serving() as (server, detour):
            server.answer, server.is_short = answer, True
            with pytest.raises(Invalid, match="no answer"):
                await fetched(HttpsWeb(resolve=known, transport=detour))

    asyncio.run(story())


def test_names_of_this_machine_lead_inside() -> None:
    """The machine's own directory is what is asked, and what it says is checked."""
    with pytest.raises(Invalid, match="public internet"):
        asyncio.run(fetched(HttpsWeb(transport=Wire()), WebAddress("localhost", "/")))
