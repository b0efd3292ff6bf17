"""R23: no input causes a 5xx, a hang or a trace in an answer, and errors name the field.

Every field of every operation is given hostile values; then come bodies, headers, forms and
connections that are broken as a whole. The service must answer as before in the end.
"""

import json
import re
from collections.abc import Sequence

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.houses import PATIENCE_S, neighbour, problem, refused, tell
from support.serving import House, Person
from support.surface import DISTINCT, Operation, Request, request, stock_of, tenants_of
from support.wire import post, wire

CANARY = "c4n4r10"
HUGE = "1" + "0" * 20

JSON_VALUES = (
    "null", "true", "-1", "0", "1.5", HUGE, "1e400", str(2**53 + 1), str(2**63), '""', '" "',
    f'"{CANARY}\\u0000"', '"\\ud800"', f'"\\u202e{CANARY}"', '"\\u200b"', '"a\\nb"',
    f'"{CANARY * 2000}"', '"' + "💬" * 300 + '"', '"\'; drop table leads; --"', '"1"', '"=1+1"',
    '"9999-12-31T23:59:59-23:59"', "[]", "[true]", f"[{HUGE}]", f"[{','.join('1' * 600)}]",
    f'{{"{CANARY}": {{}}}}', '{"a": 1e400}', '{"\\u0000": 1}', "[" * 40 + "]" * 40,
)  # fmt: skip
"""What a field of a body may be given, as it is written."""

QUERY_VALUES = (
    "", "%20", "null", "true", "-1", "0", "1.5", "1e3", "1e400", "nan", HUGE, str(2**63), "+1",
    f"{CANARY}%00", "%ED%A0%80", "%FF", "%", "%zz", "%F0%9F%92%AC", "%E2%80%AE", "%E2%80%8B",
    "%0D%0AX-Evil:1", "%25", "_", "%5C", "'", "1,2", "1,x", "x" * 1025, f"{CANARY}<script>",
    "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", "2020-01-01", "%D9%A3",
)  # fmt: skip
"""What a parameter of a query may be given, as it is written."""

PATH_TEXTS = (
    "0", "-1", "01", "1.0", "x", HUGE, str(2**63), "%31", "%00", "%0A", "%2e%2e", "%D9%A3", "1%2F2",
    "%ED%A0%80", "%FF", "1;x=1", "*", "x" * 3000, "%", "'",
)  # fmt: skip

UNSEEMLY = re.compile(r'Traceback|File "|asyncpg|msgspec|clarin_|sanic|sqlstate', re.IGNORECASE)
REFUSED = (401, 403, 404, 409, 410, 429)
ASKED = [one for one in DISTINCT if one.path != "/api/auth/logout"]
BOUNDED = {"page", "limit", "after"}
"""Their bounds are tested on every list with the other rows of the surface."""


def fields_of(one: Operation) -> list[str]:
    """Return what an operation reads, but what all lists have in common."""
    fields = msgspec.structs.fields(one.input) if one.input else ()
    return [field.name for field in fields if field.name not in BOUNDED or not one.is_list]


async def stand(house: House, one: Operation) -> tuple[Person, Request]:
    """Return somebody who may ask, and the request that would succeed."""
    stock = await stock_of(house.ana)
    if one.path.startswith("/api/admin/"):
        stock = await tenants_of(house.ana, stock)
    return house.ana, request(one, stock)


def check_calm(answer: httpx.Response, place: str) -> None:
    """An answer never shows what is behind it, nor what it was asked with."""
    assert answer.status_code < 500, (place, answer.text)
    if answer.is_error and answer.request.method != "HEAD":
        problem(answer)
        assert not UNSEEMLY.search(answer.text), (place, answer.text)
        assert CANARY not in answer.text, (place, answer.text)


async def check_alive(house: House) -> None:
    """The service answers, and no request so far was a failure of its own."""
    assert (await house.http.get("/health")).status_code == 200
    assert (await house.carla.ask("GET", "/api/leads")).status_code == 200
    assert 'status="5' not in (await house.http.get("/metrics")).text


BODIES = [one for one in ASKED if one.where == "body" and fields_of(one)]
QUERIES = [one for one in ASKED if one.where == "query" and fields_of(one)]


def corpus(one: Operation, field: str, values: Sequence[str]) -> Sequence[str]:
    """Return all values for the first operation with such a field, a third for the others."""
    first = next(other for other in ASKED if field in fields_of(other))
    return values if one is first else values[::3]


@pytest.mark.parametrize("one", BODIES, ids=str)
def test_fields_of_bodies(one: Operation) -> None:
    """Each field with each value: done, or refused with the name of a field."""

    async def story(house: House) -> None:
        ana, asked = await stand(house, one)
        headers = {"Content-Type": "application/json"}
        for field in fields_of(one):
            for value in corpus(one, field, JSON_VALUES):
                body = written(asked, field, value)
                place = f"{one} {field} = {value[:40]}"
                answer = await ana.ask(
                    one.method, asked.url, content=body, headers=headers, timeout=PATIENCE_S
                )
                check_calm(answer, place)
                check_named(answer, {field, "body"} | RELATED.get(field, set()), place)
        await check_alive(house)

    tell(story)


RELATED = {
    "account_id": {"password"},
    "contact_id": {"name"},
    "custom_fields": {"name"},
    "is_active": {"password"},
    "name": {"phone"},
    "stages": {"name", "color", "kind"},
    "tag_id": {"tag_ids"},
}
"""Where a rule that spans fields names another one."""


def written(asked: Request, field: str, value: str) -> bytes:
    """Return the body with a field's value as it is written."""
    others = {name: said for name, said in (asked.body or {}).items() if name != field}
    parts = [f"{json.dumps(name)}: {json.dumps(said)}" for name, said in others.items()]
    return "{{{}}}".format(", ".join([*parts, f'"{field}": {value}'])).encode()


def check_named(answer: httpx.Response, fields: set[str], place: str) -> None:
    if answer.status_code in (400, 422):
        assert set(answer.json()["fields"]) <= fields, (place, answer.text)
    else:
        assert answer.is_success or answer.status_code in REFUSED, (place, answer.text)


@pytest.mark.parametrize("one", QUERIES, ids=str)
def test_parameters_of_queries(one: Operation) -> None:
    """Each parameter with each value: an answer, or the name of the parameter."""

    async def story(house: House) -> None:
        ana, asked = await stand(house, one)
        for field in fields_of(one):
            for value in corpus(one, field, QUERY_VALUES):
                query = f"{field}={value}"
                answer = await ana.ask("GET", f"{asked.url}?{query}", timeout=PATIENCE_S)
                check_calm(answer, query)
                check_named(answer, {field, "query"}, query)
        await check_alive(house)

    tell(story)


FOR_A_DATABASE = (
    f'"{CANARY}\\u0000"', '"\\ud800"', f'"{CANARY * 200}"', str(2**53 + 1), str(2**63 - 1),
    "[1, 9223372036854775807]", '{"\\u0000": 1}',
)  # fmt: skip
QUERIES_FOR_A_DATABASE = (
    f"{CANARY}%00", "%25%5C", str(2**31), str(2**63 - 1), "0001-01-01T00:00:00%2B23:59",
    "%F0%9F%92%AC", "x" * 99,
)  # fmt: skip
"""What PostgreSQL or its driver refuses, or takes for something else (section 5)."""


def test_nothing_reaches_a_database_that_it_would_refuse(database: str) -> None:
    """Section 5: each of these would be an error of the driver, and so a 5xx."""

    async def story(house: House) -> None:
        headers = {"Content-Type": "application/json"}
        for one in BODIES + QUERIES:
            if one.path == "/api/settings/password":
                continue  # Some of the values are good passwords, and end the sign-in.
            ana, asked = await stand(house, one)
            for field in fields_of(one):
                for value in QUERIES_FOR_A_DATABASE if one in QUERIES else ():
                    answer = await ana.ask("GET", f"{asked.url}?{field}={value}")
                    check_calm(answer, f"{one} {field}={value}")
                for value in FOR_A_DATABASE if one in BODIES else ():
                    body = written(asked, field, value)
                    answer = await ana.ask(one.method, asked.url, content=body, headers=headers)
                    check_calm(answer, f"{one} {field} = {value}")
        await check_alive(house)

    tell(story, address=database)


def test_ids_in_paths() -> None:
    """What cannot be an id is as unknown as an unknown one."""

    async def story(house: House) -> None:
        for one in ASKED:
            ana, asked = await stand(house, one)
            for name in one.in_path:
                for text in PATH_TEXTS:
                    twin = asked.at(name, text)
                    answer = await ana.ask(one.method, twin.url, **twin.options, timeout=PATIENCE_S)
                    check_calm(answer, f"{one} {text}")
                    assert answer.status_code in (400, 404, 405, 422), (str(one), text, answer.text)
        await check_alive(house)

    tell(story)


BROKEN_QUERIES = {
    "&".join(f"p{n}=1" for n in range(60)): "query",
    "search=" + "x" * 5120: "query",
    "nothing=1": "nothing",
    "search=a&search=b": "search",
    "Limit=1": "Limit",
    "limit[]=1": "limit[]",
    "=1": "",
    "%00=1": "\0",
    "x" * 100 + "=1": "x" * 64,
}


def test_queries_as_a_whole() -> None:
    """Section 5: at most 50 parameters in 4 KiB, each known, once unless it is a list."""

    async def story(house: House) -> None:
        for query, field in BROKEN_QUERIES.items():
            answer = await house.ana.ask("GET", f"/api/leads?{query}")
            refused(answer, 400, "bad_request", field)
        many = ",".join(map(str, range(1, 102)))
        answer = await house.ana.ask("GET", f"/api/leads?tag_ids={many}")
        refused(answer, 422, "validation_failed", "tag_ids")
        for at in ("1999-12-31T23:59:59Z", "2101-01-01T00:00:00Z", "0001-01-01T00:00:00%2B23:59"):
            for field in ("created_from", "created_to"):
                answer = await house.ana.ask("GET", f"/api/leads?{field}={at}")
                refused(answer, 422, "validation_failed", field)
        for query in ("tag_ids=1&tag_ids=2,3", "deleted=1", "deleted=True", "search=a+b%20c"):
            assert (await house.ana.ask("GET", f"/api/leads?{query}")).status_code == 200
        await check_alive(house)

    tell(story)


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


def form(*parts: bytes, boundary: bytes = b"b") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def part(disposition: bytes, content: bytes = b"nombre\nLuz\n", *more: bytes) -> bytes:
    return b"\r\n".join((b"Content-Disposition: form-data; " + disposition, *more, b"", content))


FILE = part(b'name="file"; filename="a.csv"')
FORMS: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no part": (b"--b--\r\n", 422),
    "no end": (b"--b\r\n" + FILE, 400),
    "no head": (form(b"x"), 400),
    "no name": (form(part(b'filename="a.csv"')), 400),
    "no disposition": (form(b"Content-Type: text/csv\r\n\r\nnombre\nLuz"), 400),
    "no file": (form(part(b'name="overwrite"', b"true")), 422),
    "no file name": (form(part(b'name="file"')), 422),
    "empty file": (form(part(b'name="file"; filename="a.csv"', b"")), 422),
    "two files": (form(FILE, FILE), 400),
    "unknown field": (form(FILE, part(b'name="account_id"', b"1")), 422),
    "unknown type": (form(FILE, part(b'name="import_type"', b"chats")), 422),
    "unknown word": (form(FILE, part(b'name="overwrite"', b"perhaps")), 422),
    "odd bytes": (form(FILE, part(b'name="overwrite"', b"\xff")), 400),
    "odd charset": (form(part(b'name="file"; filename*=nothing\'\'a', b"\0\1\2")), 422),
    "odd parameters": (form(part(b'name="file"; name*1=a; name*=b')), 400),
    "slow charset": (
        form(FILE, part(b'name="overwrite"', b"a" * MIB, b"Content-Type: x/y; charset=punycode")),
        422,
    ),
    "long head": (form(part(b'name="file"; filename="' + b"a" * 9000 + b'"')), 400),
    "a million parts": (b"--b\r\n" * 1_000_000, 400),
    "many parts": (form(*[part(b'name="p%d"' % n) for n in range(100)]), 400),
    "a workbook": (form(part(b'name="file"; filename="a.xlsx"', b"PK\3\4" + b"x" * 99)), 415),
    "binary": (form(part(b'name="file"; filename="a.csv"', bytes(range(256)) * 9)), 422),
    "too large": (form(part(b'name="file"; filename="a.csv"', b"n\n" + b"x\n" * 11 * MIB)), 413),
}  # fmt: skip


@pytest.mark.parametrize("path", ["/api/import/csv", "/api/import/csv/preview"])
def test_forms(path: str) -> None:
    """Section 5: broken, endless and odd forms are refused; nothing is kept of them."""

    async def story(house: House) -> None:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        for name, (body, status) in FORMS.items():
            answer = await house.ana.ask(
                "POST", path, content=body, headers=headers, timeout=PATIENCE_S
            )
            check_calm(answer, name)
            assert answer.status_code == status, (name, answer.text)
        for kind in ("", "text/csv", "multipart/form-data", "multipart/form-data; boundary=",
                     "multipart/mixed; boundary=b"):  # fmt: skip
            headers = {"Content-Type": kind}
            answer = await house.ana.ask("POST", path, content=form(FILE), headers=headers)
            refused(answer, 415, "unsupported_media")
        assert (await house.ana.get("/api/imports"))["data"] == []
        await check_alive(house)

    tell(story)


LABELS = {
    'filename="clientes año.csv"': "clientes año.csv",
    "filename*=utf-8''a%C3%B1o.csv": "año.csv",
    'filename="../../etc/passwd"': "passwd",
    r'filename="C:\datos\a.csv"': "a.csv",
    'filename="a\u202ecsv.exe"': "acsv.exe",
    f'filename="{"x" * 300}"': "x" * 255,
    'filename="/"': "import.csv",
    'filename=""': "import.csv",
}


def test_names_of_files_are_labels() -> None:
    """Section 5: no path and no invisible character is kept of what a caller names a file."""

    async def story(house: House) -> None:
        headers = {"Content-Type": 'multipart/form-data; boundary="b"'}
        for number, (named, label) in enumerate(LABELS.items()):
            file = part(f'name="file"; {named}'.encode(), b"nombre\nLuz %d\n" % number)
            answer = await house.ana.ask(
                "POST", "/api/import/csv", content=form(file), headers=headers
            )
            assert answer.json()["filename"] == label, answer.text

    tell(story)


def test_searching_takes_every_sign_for_itself(address: str) -> None:
    """Section 5: `%`, `_` and `\\` stand for themselves, and nothing else is a pattern."""
    names = ("100% seguro", "uno_dos", "a\\b", "punto.y*coma", "comilla'simple", 'con "dobles"')

    async def story(house: House) -> None:
        for name in (*names, "corriente"):
            await house.ana.post("/api/leads", name=name)
            await house.ana.post("/api/contacts", name=name)
            await house.ana.post("/api/tags", name=name)
        for noun in ("leads", "contacts", "tags"):
            for sign, name in zip("%_\\*'\"", names, strict=True):
                found = (await house.ana.get(f"/api/{noun}", search=sign))["data"]
                assert [row["name"] for row in found] == [name], (noun, sign)

    tell(story, address=address)


TEXTS = st.text(st.characters(), max_size=40)


def test_any_text_is_kept_or_refused() -> None:
    """What is answered 201 is read back the same; what is refused names its field."""
    with neighbour() as next_door:
        ana = next_door.house.ana

        @settings(max_examples=60, deadline=None)
        @given(name=TEXTS, notes=TEXTS, key=TEXTS, value=TEXTS | st.floats() | st.integers())
        def kept_or_refused(name: str, notes: str, key: str, value: str | float) -> None:
            said = {"name": name, "notes": notes, "custom_fields": {key: value}}
            headers = {"Content-Type": "application/json"}
            body = json.dumps(said).encode()
            answer = next_door.run(ana.ask("POST", "/api/leads", content=body, headers=headers))
            check_calm(answer, "")
            if answer.status_code == 201:
                lead = answer.json()
                assert next_door.run(ana.get(f"/api/leads/{lead['id']}")) == lead
            else:
                assert answer.json()["fields"].keys() <= {*said, "body"}, answer.text

        kept_or_refused()
        next_door.run(check_alive(next_door.house))
