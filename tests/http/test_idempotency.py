"""Requests with an Idempotency-Key: one effect and one answer, whatever is repeated, and when."""

import asyncio
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from clarin_core.domain.ids import AccountId
from clarin_core.testing.contract import CountsStatements
from support.examples import csv_file, new_quick_reply, new_user
from support.houses import problem, refused, tell
from support.serving import House, Person, sign_in
from support.surface import (
    OPERATIONS,
    REPEATABLE,
    Operation,
    Request,
    Stock,
    picture,
    prepare,
    request,
    stock_of,
    tenants_of,
)
from support.web import SmallWeb

FOTO = "https://archivos.ejemplo.pe/foto.png"
KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"
REPLAYED = "idempotency-replayed"
REPEATED_WITHOUT_A_KEY = {
    "/api/auth/login": "each sign-in is one of its own",
    "/api/auth/refresh": "a token that is used twice ends the sign-in",
    "/api/auth/logout": "naturally repeatable",
    "/api/auth/switch-account": "naturally repeatable",
    "/api/auth/ws-ticket": "each ticket is one of its own, and short-lived",
    "/api/leads/<lead_id>/restore": "naturally repeatable",
    "/api/chats/<chat_id>/read": "naturally repeatable",
    "/api/contacts/<contact_id>/restore": "naturally repeatable",
    "/api/contacts/merge": "naturally repeatable",
    "/api/contacts/merge/preview": "reads only",
    "/api/devices/<device_id>/connect": "naturally repeatable",
    "/api/devices/<device_id>/disconnect": "naturally repeatable",
    "/api/kommo/pipelines/<kommo_id>/connect": "naturally repeatable",
    "/api/kommo/sync": "naturally repeatable",
    "/api/devices/<device_id>/pair": "naturally repeatable",
    "/api/devices/<device_id>/sync-contacts": "naturally repeatable",
    "/api/devices/<device_id>/unlink": "naturally repeatable",
    "/api/messages/react": "naturally repeatable",
    "/api/messages/edit": "naturally repeatable",
    "/api/messages/delete": "naturally repeatable",
    "/api/messages/typing": "naturally repeatable",
    "/api/messages/<message_id>/give-up": "a second one is refused",
    "/api/tags/assign": "naturally repeatable",
    "/api/tags/remove": "naturally repeatable",
    "/api/import/csv/preview": "reads only",
    "/api/media/upload": "each file is one of its own; what no message has is removed",
    "/api/media/from-url": "each file is one of its own; what no message has is removed",
}
"""The POSTs that take no key, and why."""


async def send(person: Person, asked: Request, key: str | bytes = KEY) -> httpx.Response:
    headers = {"Idempotency-Key": key}
    return await person.ask(asked.method, asked.url, headers=headers, **asked.options)


async def stock_for(one: Operation, person: Person) -> Stock:
    stock = await stock_of(person)
    await prepare(one, person, stock)
    return await tenants_of(person, stock) if "/admin/" in one.path else stock


def another(asked: Request, stock: Stock) -> Request:
    """Return a request that says something else, and is as good."""
    if "message_id" in asked.path:
        return asked.at("message_id", str(stock.other_message))
    if asked.files:
        return msgspec.structs.replace(asked, files={"file": ("gente.csv", csv_file(), "text/csv")})
    body = asked.body or {}
    if "username" in body:
        changed = new_user()
    elif "phone" in body:
        changed = {"phone": "+51 911 222 333"}
    elif "shortcut" in body:
        changed = new_quick_reply()
    elif "message_id" in body:
        changed = {"message_id": stock.other_message}
    elif "chat_id" in body:
        changed = {"body": "chau"} if "body" in body else {"question": "¿Y cuándo?"}
    else:
        changed = {"name": f"{body['name']} dos"} if "name" in body else {"role": "admin"}
    return msgspec.structs.replace(asked, body={**body, **changed})


def broken(asked: Request) -> Request:
    """Return a request that is refused for what it says."""
    if asked.files:
        return msgspec.structs.replace(asked, files={"file": ("mala.csv", b"", "text/csv")})
    return msgspec.structs.replace(asked, body={**(asked.body or {}), "nonsense": 1})


async def traces(house: House, stock: Stock) -> dict[str, Any]:
    """Return all that an operation leaves behind: what ana sees, and how long the logs are."""
    seen = await picture(house.ana)
    for above in ("accounts", "users"):
        seen[above] = (await house.ana.get(f"/api/admin/{above}", limit=1))["total"]
    accounts = [house.ana.account_id, AccountId(stock.ids["AccountId"])]
    seen["logs"] = await house.services.storage.positions(accounts)
    return seen


def check_same(answers: list[httpx.Response], *, replays: int) -> None:
    """All are one good answer, which was given anew but once."""
    assert {answer.is_success for answer in answers} == {True}, [one.text for one in answers]
    shown = {(one.status_code, one.content, one.headers.get("etag")) for one in answers}
    assert len(shown) == 1
    assert len({one.headers["x-request-id"] for one in answers}) == len(answers)
    marks = [one.headers.get(REPLAYED) for one in answers]
    assert sorted(marks, key=str) == [None] * (len(answers) - replays) + ["true"] * replays


def test_every_post_is_repeatable_or_says_why_not() -> None:
    """R16: a new operation has to be on one of the two lists."""
    posts = {one.path for one in OPERATIONS if one.method == "POST"}
    repeatable = {one.path for one in REPEATABLE}
    assert posts - repeatable == REPEATED_WITHOUT_A_KEY.keys()
    assert repeatable >= {"/api/leads", "/api/import/csv", "/api/admin/users/<user_id>/accounts"}


@pytest.mark.parametrize("one", REPEATABLE, ids=str)
def test_a_repeat_has_no_effect_and_the_first_answer(one: Operation, address: str) -> None:
    """R16, CH13: another body is a conflict, which changes nothing either."""

    async def story(house: House) -> None:
        stock = await stock_for(one, house.ana)
        asked, before = request(one, stock), await traces(house, stock)
        answers = [await send(house.ana, asked)]
        after = await traces(house, stock)
        answers += [await send(house.ana, asked) for _ in range(2)]
        check_same(answers, replays=2)
        other = another(asked, stock)
        refused(await send(house.ana, other), 409, "idempotency_conflict")
        assert await traces(house, stock) == after != before
        assert (await send(house.ana, other, "another")).is_success

    tell(story, address=address)


@pytest.mark.parametrize("one", REPEATABLE, ids=str)
def test_simultaneous_repeats_have_one_effect(one: Operation, address: str) -> None:
    """R16: those that came second wait for the first and get its answer."""

    async def story(house: House) -> None:
        stock = await stock_for(one, house.ana)
        asked = request(one, stock)
        answers = await asyncio.gather(*(send(house.ana, asked) for _ in range(10)))
        check_same(answers, replays=9)
        after = await traces(house, stock)
        check_same([await send(house.ana, asked)], replays=1)
        assert await traces(house, stock) == after

    tell(story, address=address)


@pytest.mark.parametrize("one", REPEATABLE, ids=str)
def test_a_failed_try_stores_nothing(one: Operation, address: str) -> None:
    """R16: whoever mends the request sends it with the same key."""

    async def story(house: House) -> None:
        stock = await stock_for(one, house.ana)
        asked, before = request(one, stock), await traces(house, stock)
        assert problem(await send(house.ana, broken(asked)))["code"] == "validation_failed"
        assert await traces(house, stock) == before
        check_same([await send(house.ana, asked)], replays=0)

    tell(story, address=address)


def test_a_conflict_in_the_middle_stores_nothing(address: str) -> None:
    """R16: neither what stood in the way nor that something did."""

    async def story(house: House) -> None:
        ana = house.ana
        asked = Request("POST", "/api/leads", {}, body={"name": "Luz", "tag_ids": [2**40]})
        for _ in range(2):
            refused(await send(ana, asked), 404, "not_found")
        assert (await ana.get("/api/leads"))["total"] == 0
        tag = await ana.post("/api/tags", name="vip")
        taken = Request("POST", "/api/tags", {}, body={"name": "VIP"})
        refused(await send(ana, taken), 409, "tag_exists")
        assert (await ana.ask("DELETE", f"/api/tags/{tag['id']}")).status_code == 204
        check_same([await send(ana, taken)], replays=0)

    tell(story, address=address)


def test_another_path_or_person_is_another_request(address: str) -> None:
    """CH13: a key is an account's on one route; accounts and routes do not meet."""

    async def story(house: House) -> None:
        ana, beto, carla = house.ana, house.beto, house.carla
        first, second = await stock_of(ana), await stock_of(ana)
        path, body = "/api/pipelines/<pipeline_id>/stages", {"name": "Visita"}
        for stock, is_first in ((first, True), (second, False)):
            asked = Request("POST", path, {"pipeline_id": stock.ids["PipelineId"]}, body=body)
            answer = await send(ana, asked)
            assert answer.status_code == (201 if is_first else 409)
        refused(answer, 409, "idempotency_conflict")
        lead = Request("POST", "/api/leads", {}, body={"name": "Rosa"})
        mine, theirs = await send(ana, lead), await send(carla, lead)
        assert mine.json()["id"] != theirs.json()["id"]
        check_same([mine, await send(ana, lead)], replays=1)
        check_same([theirs, await send(carla, lead)], replays=1)
        refused(await send(beto, lead), 409, "idempotency_conflict")
        assert (await send(beto, lead, "another")).status_code == 201

    tell(story, address=address)


def test_the_same_said_otherwise_is_the_same(address: str) -> None:
    """What counts is what was understood: a client may write its JSON anew."""

    async def story(house: House) -> None:
        spelt = [
            b'{"name":"Luz","tags":["vip","web","feria","norte"]}',
            b'{ "tags": ["norte", "feria", "web", "vip", "vip"], "name": " Luz " }',
        ]
        headers = {"Idempotency-Key": KEY, "Content-Type": "application/json"}
        answers = [
            await house.ana.ask("POST", "/api/leads", content=body, headers=headers)
            for body in spelt
        ]
        check_same(answers, replays=1)

    tell(story, address=address)


def test_the_first_answer_lasts_while_its_record_changes(address: str) -> None:
    """R16: with the version that it had; events name the request that acted."""

    async def story(house: House) -> None:
        ana, asked = house.ana, Request("POST", "/api/leads", {}, body={"name": "Luz"})
        first = await send(ana, asked)
        lead = f"/api/leads/{first.json()['id']}"
        await ana.put(lead, name="Sol")
        check_same([first, await send(ana, asked)], replays=1)
        assert (await ana.ask("DELETE", lead)).status_code == 204
        again = await send(ana, asked)
        check_same([first, again], replays=1)
        assert again.headers["etag"] == '"1"'
        log = (await ana.get("/api/events/stream"))["data"]
        acted = [one["origin"].get("request_id") for one in log]
        assert first.headers["x-request-id"] in acted
        assert again.headers["x-request-id"] not in acted

    tell(story, address=address)


def test_a_file_of_the_web_is_fetched_once(address: str) -> None:
    """R16: the answer is the first one although the file is gone from there."""

    async def story(house: House) -> None:
        ana, web = house.ana, house.services.media.web
        assert isinstance(web, SmallWeb)
        said = {"chat_id": (await stock_of(ana)).ids["ChatId"], "media_url": FOTO}
        asked = Request("POST", "/api/messages/send", {}, body=said)
        first = await send(ana, asked)
        web.pages.clear()
        check_same([first, await send(ana, asked)], replays=1)
        assert web.closed == 1
        other = msgspec.structs.replace(asked, body=said | {"body": "mira"})
        refused(await send(ana, other), 409, "idempotency_conflict")

    tell(story, address=address)


@pytest.mark.parametrize("one", REPEATABLE, ids=str)
def test_a_key_is_visible_ascii(one: Operation) -> None:
    """Section 5: any other is refused, by the header's name, and nothing is done."""

    async def story(house: House) -> None:
        stock = await stock_for(one, house.ana)
        asked, before = request(one, stock), await traces(house, stock)
        for odd in ("", "x" * 129, "a b", "a\tb", "ñ", "\x7f"):
            answer = await send(house.ana, asked, odd.encode())
            refused(answer, 400, "bad_request", "Idempotency-Key")
        headers = [(b"Authorization", f"Bearer {house.ana.token}".encode())]
        headers += [(b"Idempotency-Key", key) for key in (b"a", b"b")]
        answer = await house.http.request("POST", asked.url, headers=headers, **asked.options)
        refused(answer, 400, "bad_request", "Idempotency-Key")
        assert await traces(house, stock) == before
        assert (await send(house.ana, asked, "!" * 128)).is_success

    tell(story)


@pytest.mark.parametrize("path", ["/api/tags/assign", "/api/tags/remove"])
def test_where_repeating_is_natural_a_key_is_not_read(path: str) -> None:
    """The answer is that of now, not a stored one."""
    (one,) = (one for one in OPERATIONS if one.path == path)

    async def story(house: House) -> None:
        asked = request(one, await stock_of(house.ana))
        for key in ("a b", KEY, KEY):
            answer = await send(house.ana, asked, key)
            assert answer.status_code == 200
            assert REPLAYED not in answer.headers

    tell(story)


def test_a_stored_answer_is_for_those_who_may_ask() -> None:
    """Section 7: credential and role count as they are when the repeat comes."""

    async def story(house: House) -> None:
        new = new_user() | {"role": "admin"}
        member = await house.ana.post("/api/members", **new)
        dora = await sign_in(house.http, new["username"])
        asked = Request("POST", "/api/tags", {}, body={"name": "vip"})
        check_same([await send(dora, asked)], replays=0)
        await house.ana.put(f"/api/members/{member['user_id']}", role="agent")
        refused(await send(dora, asked), 403, "forbidden")
        await house.ana.ask("DELETE", f"/api/members/{member['user_id']}")
        refused(await send(dora, asked), 401, "unauthorized")

    tell(story)


def test_pages_of_listed_origins_may_read_that_it_was_replayed() -> None:
    """2.11: the header is among those that browsers show."""
    origin = "https://crm.ejemplo.pe"

    async def story(house: House) -> None:
        answer = await house.ana.ask("GET", "/api/me", headers={"Origin": origin})
        assert "Idempotency-Replayed" in answer.headers["access-control-expose-headers"]

    tell(story, cors_origins=(origin,))


def test_a_repeat_of_what_still_runs_may_come_back(database: str) -> None:
    """R16: 409 with Retry-After, after a wait that ends; then it gets the answer."""
    work = "select from idempotency where account_id = $1 for update"

    async def story(house: House) -> None:
        asked = Request("POST", "/api/leads", {}, body={"name": "Luz"})
        first = await send(house.ana, asked)
        connection = await asyncpg.connect(database)
        async with connection.transaction():
            await connection.fetch(work, house.ana.account_id)
            answer = await send(house.ana, asked)
        await connection.close()
        refused(answer, 409, "already_running")
        assert answer.headers["retry-after"] == "1"
        check_same([first, await send(house.ana, asked)], replays=1)

    tell(story, address=database)


@pytest.mark.parametrize("one", REPEATABLE, ids=str)
def test_a_key_costs_two_statements(one: Operation, database: str) -> None:
    """2.9: the claim and the answer; a repeat costs the claim and a look."""

    async def story(house: House) -> None:
        storage = house.services.storage
        assert isinstance(storage, CountsStatements)
        stock = await stock_for(one, house.ana)

        async def cost(headers: dict[str, str]) -> int:
            before = storage.statements_run()
            answer = await house.ana.ask(asked.method, asked.url, headers=headers, **asked.options)
            assert answer.is_success, answer.text
            return storage.statements_run() - before

        asked = request(one, stock)
        plain = await cost({})
        await prepare(one, house.ana, stock)
        asked = request(one, stock)
        assert await cost({"Idempotency-Key": KEY}) <= plain + 2 + 1  # Perhaps who asks, too.
        assert await cost({"Idempotency-Key": KEY}) <= 3  # Who asks, the claim, the answer.

    tell(story, address=database)
