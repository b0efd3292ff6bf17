"""Versions: a change can name the one it is made to, and is refused when it is another."""

import pytest

from support.houses import refused, tell
from support.serving import House, Person
from support.surface import (
    OPERATIONS,
    PROTECTED,
    picture,
    prepare,
    request,
    stock_of,
    tenants_of,
)


def test_changes_can_name_the_version_they_are_made_to(address: str) -> None:
    """Section 1: If-Match or `version`; 409 and nothing changed when it is another one."""

    async def story(house: House) -> None:
        ana, stock = house.ana, await stock_of(house.ana)
        for noun, kind, change in (
            ("leads", "LeadId", {"notes": "uno"}),
            ("contacts", "ContactId", {"notes": "uno"}),
            ("chats", "ChatId", {"name": "uno"}),
            ("pipelines", "PipelineId", {"description": "uno"}),
            ("tags", "TagId", {"color": "#000001"}),
        ):
            path = f"/api/{noun}/{stock.ids[kind]}"
            good = await ana.ask("PUT", path, json=change)
            tag, version = good.headers["etag"], good.json()["version"]
            assert tag == f'"{version}"'
            await check_versions(ana, path, change, version)

    tell(story, address=address)


async def check_versions(ana: Person, path: str, change: dict[str, str], version: int) -> None:
    (name,) = change
    other = {name: change[name][:-1] + "2"}
    for tag in ('"99"', "99", 'W/"99"', '"0"'):
        answer = await ana.ask("PATCH", path, json=other, headers={"If-Match": tag})
        refused(answer, 409, "version_conflict")
    refused(await ana.ask("PUT", path, json={**other, "version": 99}), 409, "version_conflict")
    for tag in ("x", '""', "-1", '"1", "2"', "٣", "9" * 30):
        odd = {"If-Match": tag.encode()}
        refused(await ana.ask("PUT", path, json=other, headers=odd), 400, "bad_request")
    both = {"json": {**other, "version": version}, "headers": {"If-Match": '"99"'}}
    refused(await ana.ask("PUT", path, **both), 400, "bad_request", "If-Match")
    for headers, body in (({"If-Match": "*"}, other), ({"If-Match": f'"{version + 1}"'}, change)):
        answer = await ana.ask("PUT", path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == version + 2


def test_a_version_is_not_named_in_vain() -> None:
    """Where it cannot be compared it is refused, not ignored."""

    async def story(house: House) -> None:
        ana, stock = house.ana, await stock_of(house.ana)
        for one in PROTECTED:
            if one.row and one.method != "GET" and not one.row.is_conditional:
                asked = request(one, stock)
                options = asked.options | {"headers": {"If-Match": '"1"'}}
                answer = await ana.ask(one.method, asked.url, **options)
                refused(answer, 400, "bad_request", "If-Match")

    tell(story)


CONDITIONAL = {
    "PUT /api/pipelines/<pipeline_id>/stages/reorder",
    "DELETE /api/pipelines/<pipeline_id>/stages/<stage_id>",
    "DELETE /api/pipelines/<pipeline_id>",
    "DELETE /api/leads/<lead_id>",
    "POST /api/leads/<lead_id>/restore",
    "DELETE /api/chats/<chat_id>",
    "DELETE /api/contacts/<contact_id>",
    "POST /api/contacts/<contact_id>/restore",
    "DELETE /api/tags/<tag_id>",
    "DELETE /api/admin/accounts/<account_id>",
}


@pytest.mark.parametrize("name", sorted(CONDITIONAL))
def test_removals_and_orders_can_name_the_version_too(name: str) -> None:
    """Section 1: as header, or as `version` where the rest of the request is."""
    (one,) = (one for one in OPERATIONS if str(one) == name)

    async def story(house: House) -> None:
        ana, stock = house.ana, await stock_of(house.ana)
        if one.path.startswith("/api/admin/"):
            stock = await tenants_of(ana, stock)
        await prepare(one, ana, stock)
        asked = request(one, stock)
        before = await picture(ana)
        said = {"params" if one.where == "query" else "json": {**(asked.body or {}), "version": 99}}
        for options in (asked.options | {"headers": {"If-Match": '"99"'}}, asked.options | said):
            answer = await ana.ask(one.method, asked.url, **options)
            refused(answer, 409, "version_conflict")
        assert await picture(ana) == before
        version = int(answer.json()["error"].split()[-1])
        good = asked.options | {"headers": {"If-Match": f'"{version}"'}}
        assert (await ana.ask(one.method, asked.url, **good)).is_success

    tell(story)
