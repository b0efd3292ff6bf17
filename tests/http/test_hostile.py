"""R23: no input causes a 5xx, a hang or a trace in an answer, and errors name the field.

Every field of every operation is given hostile values, in path, query and body. The service
must answer as before in the end.
"""

import json
from collections.abc import Sequence

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.calm import CANARY, check_alive, check_calm
from support.houses import PATIENCE_S, neighbour, refused, tell
from support.serving import House, Person
from support.surface import DISTINCT, Operation, Request, request, stock_of, tenants_of

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

REFUSED = (401, 403, 404, 409, 410, 429)
ASKED = [one for one in DISTINCT if one.path != "/api/auth/logout"]
BOUNDED = {"page", "limit", "after"}
"""Their bounds are tested on every list, in test_lists.py."""


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
    "device_id": {"chat_id"},
    "is_active": {"password"},
    "access_token": {"token"},
    "client_id": {"token"},
    "client_secret": {"token"},
    "expires_at": {"token"},
    "redirect_uri": {"token"},
    "refresh_token": {"token"},
    "name": {"phone"},
    "stages": {"name", "color", "kind"},
    "tag_id": {"tag_ids"},
    "to": {"chat_id"},
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
                answer = await ana.ask(one.method, f"{asked.url}?{query}", timeout=PATIENCE_S)
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


def test_searching_takes_every_sign_for_itself(address: str) -> None:
    """Section 5: `%`, `_` and `\\` stand for themselves, and nothing else is a pattern."""
    names = ("100% seguro", "uno_dos", "a\\b", "punto.y*coma", "comilla'simple", 'con "dobles"')

    async def story(house: House) -> None:
        device = (await house.ana.post("/api/devices", name="Ventas"))["id"]
        for number, name in enumerate((*names, "corriente")):
            to = {"device_id": device, "phone": f"98765432{number}"}
            chat = await house.ana.post("/api/chats/new", **to)
            await house.ana.put(f"/api/chats/{chat['id']}", name=name)
            await house.ana.post("/api/leads", name=name)
            await house.ana.post("/api/contacts", name=name)
            await house.ana.post("/api/tags", name=name)
        for noun in ("leads", "contacts", "tags", "chats"):
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
