"""R22: from another account, a record that exists and one that does not look the same.

The operations and the places in which they take an id are found by their types, so that a new
operation is tested on the day it is routed.
"""

import json
import re

import httpx

from clarin_core.domain.ids import ID_MAX
from support.houses import problem, refused, tell
from support.serving import House, Person, sign_in
from support.surface import (
    PROTECTED,
    Place,
    Request,
    leaves,
    name_of,
    picture,
    prepare,
    request,
    stock_of,
)

UNKNOWN = ID_MAX - 7
PLACES = [
    (one, place)
    for one in PROTECTED
    for place in one.places
    if not one.path.startswith("/api/admin/")
]
NOT_ADDRESSED = {"stage_ids": 422}
"""A list that must be the pipeline's own stages: any other id is refused as such."""


def test_the_places_of_ids_are_found() -> None:
    """Path, query and body; single ids and lists; with the type of each record."""
    found = {(place.where, place.name) for _, place in PLACES}
    assert {
        ("path", "chat_id"), ("query", "device_ids"), ("body", "device_id"),
        ("body", "up_to_message_id"), ("path", "lead_id"), ("path", "stage_id"),
        ("path", "target_id"), ("path", "import_id"),
        ("query", "tag_ids"), ("query", "assigned_to"), ("query", "contact_id"),
        ("body", "ids"), ("body", "entity_id"), ("body", "tag_ids"), ("body", "move_to"),
        ("body", "account_id"), ("body", "contact_id"), ("body", "stage_ids"),
    } <= found  # fmt: skip
    assert {one.row for one, _ in PLACES} >= {
        one.row for one in PROTECTED if one.in_path and not one.path.startswith("/api/admin/")
    }


def test_foreign_records_are_as_unknown_as_unknown_ones(address: str) -> None:
    """Status and body are the same, and nothing of the other account is changed or shown."""

    async def story(house: House) -> None:
        foreign = await stock_of(house.ana)
        before = await picture(house.ana)
        name = await name_of(house.carla)
        for one, place in PLACES:
            carla = await sign_in(house.http, name)
            own = await stock_of(carla)
            await prepare(one, carla, own)
            asked = request(one, own)
            theirs = await told(carla, asked.naming(place, foreign.ids[place.kind]))
            nobodys = await told(carla, asked.naming(place, UNKNOWN))
            check_twins(f"{one} {place.where} {place.name}", place, theirs, nobodys)
        assert await picture(house.ana) == before

    tell(story, address=address)


async def told(person: Person, asked: Request) -> tuple[int, str]:
    """Return status and body of an answer, without ids in its text."""
    response = await person.ask(asked.method, asked.url, **asked.options)
    body = problem(response) if response.is_error else response.json()
    return response.status_code, re.sub(r" \d+ does", " # does", json.dumps(body))


def check_twins(
    where: str, place: Place, theirs: tuple[int, str], nobodys: tuple[int, str]
) -> None:
    assert theirs == nobodys, where
    status, body = theirs
    if place.where == "query":
        assert status == 200, where
        assert is_empty(json.loads(body)), (where, body)
    else:
        assert status == NOT_ADDRESSED.get(place.name, 404), (where, body)


def is_empty(answer: dict[str, object] | list[dict[str, object]]) -> bool:
    if isinstance(answer, list):
        return not any(line["count"] for line in answer)
    return answer["data"] == [] and answer["total"] == 0


def test_a_switch_needs_a_membership() -> None:
    """TN3: the account comes from the credential, and a credential only where one works."""

    async def story(house: House) -> None:
        for account in (house.ana.account_id, UNKNOWN):
            answer = await house.carla.ask(
                "POST", "/api/auth/switch-account", json={"account_id": account}
            )
            refused(answer, 404, "not_found")
        me = await house.carla.get("/api/me")
        assert me["account"]["id"] == house.carla.account_id

    tell(story)


def test_administration_above_accounts_tells_nothing_to_others() -> None:
    """Foreign, own and unknown ids get one answer, before anything is looked up."""

    async def story(house: House) -> None:
        foreign, own = await stock_of(house.ana), await stock_of(house.carla)
        for one in PROTECTED:
            if one.path.startswith("/api/admin/"):
                answers = {await told(house.carla, request(one, ids)) for ids in (foreign, own)}
                assert {status for status, _ in answers} == {403}, str(one)
                assert len(answers) == 1, str(one)

    tell(story)


def test_nothing_rides_along() -> None:
    """TN3, section 5: a field that an operation does not take is refused, not ignored."""

    async def story(house: House) -> None:
        own = await stock_of(house.ana)
        takers = [one for one in PROTECTED if one.input and one.where == "body"]
        for one in takers:
            asked = request(one, own)
            known = one.input.__struct_fields__ if one.input else ()
            for field in {"account_id", "id", "is_super_admin", "deleted_at"}.difference(known):
                body = {**(asked.body or {}), field: house.carla.account_id}
                answer = await house.ana.ask(one.method, asked.url, json=body)
                refused(answer, 422, "validation_failed", field)

    tell(story)


def test_lists_show_one_account_only(address: str) -> None:
    """Each sees the own records, and finds nothing of the other's by searching."""

    async def story(house: House) -> None:
        await house.ana.post("/api/leads", name="Canario Secreto", phone="987654321")
        await house.carla.post("/api/leads", name="Otro")
        for person in (house.ana, house.carla):
            device = (await person.post("/api/devices", name="Ventas"))["id"]
            talk = {"device_id": device, "initial_message": f"Canario {person.account_id}"}
            await person.post("/api/chats/new", phone="912345678", **talk)
        shown = await picture(house.carla)
        foreign = ("Canario Secreto", f"Canario {house.ana.account_id}")
        assert not [leaf for leaf in leaves(shown) if str(leaf).startswith(foreign)]
        (chat,) = shown["chats"]["data"]
        assert chat["last_message"] == f"Canario {house.carla.account_id}"
        for query in ({"search": "canario"}, {"phone": "987654321"}):
            for path in ("/api/leads", "/api/contacts"):
                assert (await house.carla.get(path, **query))["data"] == []
                assert len((await house.ana.get(path, **query))["data"]) == 1
        phone = await house.carla.ask("POST", "/api/contacts", json={"phone": "987654321"})
        assert phone.status_code == 201, phone.text

    tell(story, address=address)


def test_headers_and_queries_do_not_choose_the_account() -> None:
    """Wall 1: whatever a caller claims, the credential decides."""

    async def story(house: House) -> None:
        foreign = str(house.ana.account_id)
        names = ("X-Account-Id", "X-Forwarded-User", "Account", "X-Tenant")
        answer: httpx.Response = await house.carla.ask(
            "GET", "/api/me", params={"account_id": foreign}, headers=dict.fromkeys(names, foreign)
        )
        assert answer.json()["account"]["id"] == house.carla.account_id

    tell(story)
