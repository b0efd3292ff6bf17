"""A lead's life over HTTP, from the first call to the bin and back."""

from typing import Any

from support.houses import problem, refused, tell
from support.serving import House, Person
from support.surface import picture


async def stages_of(person: Person) -> dict[str, int]:
    """Return the ids of the default pipeline's stages by name."""
    pipelines = (await person.get("/api/pipelines"))["data"]
    default = next(pipeline for pipeline in pipelines if pipeline["is_default"])
    return {stage["name"]: stage["id"] for stage in default["stages"]}


async def names(person: Person, path: str = "/api/leads", **query: Any) -> list[str]:
    return [lead["name"] for lead in (await person.get(path, **query))["data"]]


def test_a_lead_goes_through_its_pipeline(address: str) -> None:
    """LD2-LD6: created with its contact, refused twice, moved, won, reopened, with a history."""

    async def story(house: House) -> None:
        ana, beto = house.ana, house.beto
        stages = await stages_of(ana)
        lead = await beto.post(
            "/api/leads", name="Bodega Luz", phone="987 654 321", email="luz@ejemplo.pe",
            value=250_000, currency="PEN", custom_fields={"zona": "sur", "metros": 120},
        )  # fmt: skip
        assert (lead["phone"], lead["stage_name"], lead["status"]) == (
            "+51987654321", "Nuevo", "new",
        )  # fmt: skip
        path = f"/api/leads/{lead['id']}"
        assert await ana.get(path) == lead

        second = await ana.ask("POST", "/api/leads", json={"phone": "+51987654321"})
        refused(second, 409, "duplicate_lead")
        assert second.json()["id"] == lead["id"]

        moved = await ana.ask("PATCH", f"{path}/stage", json={"stage_id": stages["En Negociación"]})
        assert (moved.json()["stage_name"], moved.json()["version"]) == ("En Negociación", 2)
        again = await ana.ask("PATCH", f"{path}/stage", json={"stage_id": stages["En Negociación"]})
        assert again.json() == moved.json()
        won = (await beto.ask("PATCH", f"{path}/status", json={"status": "won"})).json()
        assert (won["stage_name"], won["status"]) == ("Cerrado", "won")
        assert won["closed_at"] == won["updated_at"]
        back = await ana.put(path, stage_id=stages["Contactado"], notes="volvió a escribir")
        assert (back["status"], "closed_at" in back) == ("contacted", False)

        history = (await ana.get(f"{path}/history"))["data"]
        assert [(move.get("from_stage"), move["to_stage"], move["actor"]) for move in history] == [
            (stages["Cerrado"], stages["Contactado"], ana.user_id),
            (stages["En Negociación"], stages["Cerrado"], beto.user_id),
            (stages["Nuevo"], stages["En Negociación"], ana.user_id),
            (None, stages["Nuevo"], beto.user_id),
        ]

    tell(story, address=address)


def test_a_lead_shows_its_contact_and_edits_it(address: str) -> None:
    """CT9: the person's fields are the contact's; null clears, absent keeps."""

    async def story(house: House) -> None:
        ana = house.ana
        lead = await ana.post("/api/leads", name="Luz", phone="987654321", age=40, company="Sol")
        path, contact = f"/api/leads/{lead['id']}", f"/api/contacts/{lead['contact_id']}"
        changed = await ana.put(path, email="luz@ejemplo.pe", age=None)
        assert (changed["email"], changed["company"], "age" in changed) == (
            "luz@ejemplo.pe", "Sol", False,
        )  # fmt: skip
        assert (await ana.get(contact))["email"] == "luz@ejemplo.pe"
        await ana.put(contact, company="Luna")
        assert (await ana.get(path))["company"] == "Luna"
        refused(await ana.ask("PUT", path, json={"phone": "123"}), 422, "invalid_phone", "phone")

    tell(story, address=address)


def test_the_board_counts_what_is_in_it(address: str) -> None:
    """Counts, columns and filters agree, and hidden leads are nowhere but among the deleted."""

    async def story(house: House) -> None:
        ana = house.ana
        stages = await stages_of(ana)
        vip = await ana.post("/api/tags", name="VIP")
        for number, (name, stage) in enumerate(
            [("Uno", "Nuevo"), ("Dos", "Nuevo"), ("Tres", "Propuesta"), ("Cuatro", "Perdido")]
        ):
            tags = [vip["id"]] if number % 2 else []
            said = {"name": name, "stage_id": stages[stage], "tag_ids": tags, "value": 100}
            await ana.post("/api/leads", **said, currency="PEN")
        assert await counts(ana) == {"Nuevo": 2, "Propuesta": 1, "Perdido": 1}
        assert await names(ana, f"/api/leads/by-stage/{stages['Nuevo']}") == ["Dos", "Uno"]
        assert await names(ana, tag_ids=vip["id"], sort="oldest") == ["Dos", "Cuatro"]
        assert await names(ana, status="lost") == ["Cuatro"]
        assert await names(ana, search="tre") == ["Tres"]

        rows = (await ana.get("/api/leads"))["data"]
        ids = [row["id"] for row in rows if row["stage_name"] == "Nuevo"]
        batch = "/api/leads/batch"
        refused(await house.beto.ask("DELETE", batch, json={"ids": ids}), 403, "forbidden")
        refused(await ana.ask("DELETE", batch, json={"ids": [*ids, 2**40]}), 404, "not_found")
        gone = await ana.ask("DELETE", batch, json={"ids": [*ids, *ids]})
        assert (gone.status_code, gone.json()) == (200, {"count": 2})
        assert await counts(ana) == {"Propuesta": 1, "Perdido": 1}
        assert sorted(await names(ana, deleted=True)) == ["Dos", "Uno"]
        problem(await ana.ask("GET", f"/api/leads/{ids[0]}"))

        back = await ana.ask("POST", f"/api/leads/{ids[0]}/restore")
        assert back.status_code == 200
        assert await counts(ana) == {"Nuevo": 1, "Propuesta": 1, "Perdido": 1}
        refused(await ana.ask("POST", f"/api/leads/{ids[0]}/restore"), 404, "not_found")

    tell(story, address=address)


async def counts(person: Person) -> dict[str, int]:
    """Return how many leads the stages hold, where there are any."""
    stages = {stage: name for name, stage in (await stages_of(person)).items()}
    lines = await person.get("/api/leads/counts")
    assert (await person.get("/api/stats"))["leads"] == sum(line["count"] for line in lines)
    return {stages[line["stage_id"]]: line["count"] for line in lines if line["count"]}


def test_tags_are_put_on_and_taken_off(address: str) -> None:
    """TG1-TG3, TG6: sets, sorted names; a foreign tag leaves all as it was."""

    async def story(house: House) -> None:
        ana = house.ana
        lead = await ana.post("/api/leads", name="Luz", tags=["zeta", "Alfa"])
        assert lead["tags"] == ["Alfa", "zeta"]
        path = f"/api/leads/{lead['id']}"
        target = {"entity_type": "lead", "entity_id": lead["id"]}
        beta = await ana.post("/api/tags", name="beta")
        tags = await house.beto.post("/api/tags/assign", **target, tag_ids=[beta["id"], beta["id"]])
        assert [tag["name"] for tag in tags] == ["Alfa", "beta", "zeta"]
        both = {**target, "tag_ids": [beta["id"], 2**40]}
        refused(await ana.ask("POST", "/api/tags/remove", json=both), 404, "not_found")
        assert (await ana.get(path))["tags"] == ["Alfa", "beta", "zeta"]
        for _ in range(2):
            await ana.post("/api/tags/remove", **target, tag_id=beta["id"])
        assert (await ana.get(f"/api/tags/entity/lead/{lead['id']}")) == tags[:1] + tags[2:]
        same = await ana.ask("POST", "/api/tags", json={"name": "ALFA"})
        refused(same, 409, "tag_exists")
        assert same.json()["id"] == tags[0]["id"]
        await ana.ask("DELETE", f"/api/tags/{tags[0]['id']}")
        assert (await ana.get(path))["tags"] == ["zeta"]

    tell(story, address=address)


NO_LEADS: list[tuple[dict[str, Any], int, str, str | None]] = [
    ({}, 422, "validation_failed", "name"),
    ({"phone": "123"}, 422, "invalid_phone", "phone"),
    ({"name": "Luz", "status": "sold"}, 422, "validation_failed", "status"),
    ({"name": "Luz", "value": -1}, 422, "validation_failed", "value"),
    ({"name": "Luz", "value": 10**20}, 422, "validation_failed", "value"),
    ({"name": "Luz", "custom_fields": {"a": [1]}}, 422, "validation_failed", "custom_fields"),
    ({"name": "Luz", "stage_id": True}, 422, "validation_failed", "stage_id"),
    ({"phone": "987654321", "stage_id": 2**40}, 404, "not_found", None),
    ({"phone": "987654321", "assigned_to": 2**40}, 404, "not_found", None),
    ({"phone": "987654321", "tags": ["nueva"], "tag_ids": [2**40]}, 404, "not_found", None),
]


def test_a_lead_that_cannot_be_is_not_made(address: str) -> None:
    """LD1, LD9, LD10: refused with the field, and neither contact nor tag is left of it."""

    async def story(house: House) -> None:
        before = await picture(house.ana)
        for said, status, code, field in NO_LEADS:
            refused(await house.ana.ask("POST", "/api/leads", json=said), status, code, field)
        assert await picture(house.ana) == before

    tell(story, address=address)
