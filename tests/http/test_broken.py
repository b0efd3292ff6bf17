"""R23: messages that are broken as a whole are refused, and the next one is answered."""

import httpx
import pytest

from support.calm import check_alive, check_calm
from support.houses import PATIENCE_S, refused, tell
from support.serving import House
from support.wire import post, wire

MIB = 1024 * 1024
BROKEN_BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 422),
    "blank": (b" ", 400),
    "cut": (b'{"name": "Lu', 400),
    "list": (b"[]", 422),
    "text": (b'"Luz"', 422),
    "null": (b"null", 422),
    "two objects": (b'{"name": "Luz"}{"name": "Sol"}', 400),
    "comment": (b'{"name": "Luz"} // lead', 400),
    "byte order mark": (b'\xef\xbb\xbf{"name": "Luz"}', 400),
    "utf-16": ('{"name": "Luz"}'.encode("utf-16"), 400),
    "latin-1": ('{"name": "Muñoz"}'.encode("latin-1"), 400),
    "raw surrogate": (b'{"name": "\xed\xa0\x80"}', 400),
    "raw NUL": (b'{"name": "a\0b"}', 400),
    "not a number": (b'{"name": "Luz", "value": NaN}', 400),
    "deep list": (b"[" * 20_000, 422),
    "deep object": (b'{"custom_fields":' * 20_000, 422),
    "deep and unknown": (b'{"x":' * 20_000, 422),
    "deep in a field": (b'{"custom_fields":{"a":' + b"[" * 20_000, 422),
    "a million keys": (b"{" + b",".join(b'"k%d":1' % n for n in range(90_000)) + b"}", 422),
    "a long key": (b'{"' + b"k" * 500_000 + b'": 1}', 422),
    "a long number": (b'{"name": "Luz", "value": ' + b"1" * 500_000 + b"}", 422),
    "too long": (b'{"name": "' + b"x" * (MIB + 100) + b'"}', 413),
}


def test_bodies_as_a_whole() -> None:
    """Section 5: one JSON object in UTF-8, of a sane depth and at most 1 MiB."""

    async def story(house: House) -> None:
        headers = {"Content-Type": "application/json"}
        for name, (body, status) in BROKEN_BODIES.items():
            answer = await house.ana.ask(
                "POST", "/api/leads", content=body, headers=headers, timeout=PATIENCE_S
            )
            check_calm(answer, name)
            assert answer.status_code == status, (name, answer.text)
            assert len(answer.content) < 1000, name
        assert (await house.ana.get("/api/leads"))["data"] == []
        await check_alive(house)

    tell(story)


NOT_JSON = (
    b"", b"text/plain", b"application/jsonp", b"application/x-www-form-urlencoded", b"\xff\xfe",
    b"application/json; charset=latin-1", b"application/json; charset=utf-16",
    b"multipart/form-data; boundary=x",
)  # fmt: skip
JSON = (
    b"application/json", b"Application/JSON; charset=UTF-8", b'application/json;charset="utf-8"',
)  # fmt: skip


def test_only_json_is_read() -> None:
    """Section 5: 415 for anything else, and no decompression bombs; case does not matter."""

    async def story(house: House) -> None:
        async def create(**headers: bytes) -> httpx.Response:
            said = {name.replace("_", "-"): value for name, value in headers.items()}
            body = b'{"name":"Luz"}'
            return await house.ana.ask("POST", "/api/leads", content=body, headers=said)

        for kind in NOT_JSON:
            refused(await create(content_type=kind), 415, "unsupported_media")
        for coding in (b"gzip", b"br", b"identity, gzip"):
            answer = await create(content_type=JSON[0], content_encoding=coding)
            refused(answer, 415, "unsupported_media")
        assert (await house.ana.get("/api/leads"))["data"] == []
        for kind in JSON:
            assert (await create(content_type=kind)).status_code == 201, kind

    tell(story)


HEADS: dict[str, tuple[bytes, bytes]] = {
    "no protocol": (b"GET /health\r\n\r\n", b"400"),
    "other protocol": (b"GET /health HTTP/3.9\r\n\r\n", b"400"),
    "raw bytes in the path": (b"GET /api/\xff\xfe HTTP/1.1\r\n\r\n", b"400"),
    "no colon": (b"GET /health HTTP/1.1\r\nnothing\r\n\r\n", b"400"),
    "long head": (b"GET /health HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"413"),
    "negative length": (b"POST /api/auth/login HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
    "no length": (b"POST /api/auth/login HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
    "two lengths": (
        b"POST /api/auth/login HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"400",
    ),
    "length and chunks": (
        b"POST /api/auth/login HTTP/1.1\r\nContent-Length: 2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n{}",
        b"400",
    ),
    "broken chunk": (
        b"POST /api/auth/login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        b"400",
    ),
    "negative chunk": (
        b"POST /api/auth/login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n",
        b"400",
    ),
    "odd expectation": (
        b"POST /api/auth/login HTTP/1.1\r\nExpect: magic\r\nContent-Length: 2\r\n\r\n",
        b"417",
    ),
    "odd coding": (
        b"POST /api/auth/login HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"400",
    ),
}


def test_heads_that_are_no_http() -> None:
    """The shape of errors is kept even where no operation is reached."""

    async def story(house: House) -> None:
        for name, (said, status) in HEADS.items():
            async with wire(house) as line:
                await line.send(said)
                head = await line.head()
                assert head.split(b" ")[1] == status, (name, head)
                assert b"content-type: application/json" in head, name
        await check_alive(house)

    tell(story)


def test_a_chunked_body_is_bounded_too() -> None:
    """1 MiB, whatever the caller announces; the next connection is served."""

    async def story(house: House) -> None:
        async with wire(house) as line:
            await line.send(post(house.ana, "/api/leads", "Transfer-Encoding: chunked"))
            chunk = b"%x\r\n%b\r\n" % (2**16, b" " * 2**16)
            for _ in range(17):
                await line.send(chunk)
            assert (await line.head()).startswith(b"HTTP/1.1 413 ")
        await check_alive(house)

    tell(story)


def test_who_hangs_up_leaves_nothing_behind(capfd: pytest.CaptureFixture[str]) -> None:
    """A request that is cut off is no failure of the service, and does nothing."""

    async def story(house: House) -> None:
        for part in (b"", b'{"name":'):
            async with wire(house) as line:
                head = post(house.ana, "/api/leads", "Content-Length: 14", "Expect: 100-continue")
                await line.send(head)
                assert (await line.head()).startswith(b"HTTP/1.1 100 ")
                await line.send(part)
        async with wire(house) as line:
            await line.send(b"GET /api/le")
        assert (await house.ana.get("/api/leads"))["data"] == []
        await check_alive(house)

    tell(story)
    out = capfd.readouterr()
    assert "request failed" not in out.out + out.err


def test_what_no_handler_took_is_counted_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """404, 405 and a refused upgrade are outcomes like others."""

    async def story(house: House) -> None:
        for method, path, status in (
            ("GET", "/api/nowhere-CANARY", 404), ("DELETE", "/api/me", 405), ("GET", "/ws", 400),
        ):  # fmt: skip
            assert (await house.http.request(method, path)).status_code == status
        counted = (await house.http.get("/metrics")).text
        for labels in (
            'method="GET",route="(none)",status="404"',
            'method="DELETE",route="(none)",status="405"',
            'method="GET",route="/ws",status="400"',
        ):
            assert f"clarin_http_requests_total{{{labels}}} 1.0" in counted

    tell(story)
    said = capsys.readouterr().out
    assert "route=(none) status=404" in said
    assert "CANARY" not in said


@pytest.mark.parametrize("path", ["/ready", "/openapi.json"])
def test_a_body_of_no_bytes_is_none(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """As some probes send it: no line in the log about a body that nobody read."""

    async def story(house: House) -> None:
        for _ in range(2):
            answer = await house.http.get(path, headers={"Content-Length": "0"})
            assert answer.status_code == 200

    tell(story)
    assert "not consumed" not in caplog.text
