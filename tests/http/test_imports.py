"""Imports over HTTP: look at a file, upload it, follow it, fetch what was refused."""

import csv
import io
from typing import Any

import httpx

from support.houses import refused, tell
from support.serving import House, Person

CONTENT = (
    "Nombre;Celular;Etiquetas;Notas\r\n"
    "Luz Muñoz;987654321;vip, mayorista;\r\n"
    "=1+1;123;;-2+3\r\n"
    "Rosa;987 654 322;;llamar\r\n"
    ";;;sin nombre ni teléfono\r\n"
).encode()


async def send(
    person: Person, path: str = "/api/import/csv", content: bytes = CONTENT, **fields: str
) -> httpx.Response:
    form = {"file": ("clientes.csv", content, "text/csv")}
    return await person.ask("POST", path, files=form, data=fields)


async def told(person: Person, path: str, **query: Any) -> Any:
    return (await person.get(path, **query))["data"]


def test_a_file_becomes_leads(address: str) -> None:
    """IM3: preview, job, rows with outcomes, rejects, and the same file once only."""

    async def story(house: House) -> None:
        ana = house.ana
        log = await ana.get("/api/events/stream")
        preview = (await send(ana, "/api/import/csv/preview")).json()
        assert (preview["separator"], preview["valid"], preview["invalid"]) == (";", 2, 2)
        assert [row["name"] for row in preview["rows"]] == ["Luz Muñoz", "Rosa"]
        assert await ana.get("/api/events/stream") == log

        answer = await send(ana)
        job = answer.json()
        assert (answer.status_code, job["state"], job["rows"]) == (202, "uploaded", 4)
        path = f"/api/imports/{job['id']}"
        assert await told(ana, f"{path}/rows") == []
        assert await house.services.imports.run_pending()
        job = await ana.get(path)
        assert (job["state"], job["rows_done"], job["filename"]) == ("done", 4, "clientes.csv")
        assert job["counts"] == {"created": 2, "updated": 0, "duplicate": 0, "invalid": 2}
        rows = await told(ana, f"{path}/rows")
        assert [(row["row"], row["result"]) for row in rows] == [
            (1, "created"), (2, "invalid"), (3, "created"), (4, "invalid"),
        ]  # fmt: skip
        invalid = await told(ana, f"{path}/rows", result="invalid")
        assert [row["code"] for row in invalid] == ["invalid_phone", "validation_failed"]

        leads = await told(ana, "/api/leads", sort="oldest")
        assert [(lead["name"], lead["tags"]) for lead in leads] == [
            ("Luz Muñoz", ["mayorista", "vip"]), ("Rosa", []),
        ]  # fmt: skip
        assert [lead["id"] for lead in leads] == [rows[0]["lead_id"], rows[2]["lead_id"]]

        twice = await send(ana)
        refused(twice, 409, "already_imported")
        assert twice.json()["id"] == job["id"]
        assert [one["id"] for one in await told(ana, "/api/imports")] == [job["id"]]

    tell(story, address=address)


def test_rejected_rows_are_safe_to_open() -> None:
    """Section 5: no cell of the file that comes back is a formula; its name is ours."""

    async def story(house: House) -> None:
        job = (await send(house.ana)).json()
        await house.services.imports.run_pending()
        answer = await house.ana.ask("GET", f"/api/imports/{job['id']}/rejects")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        disposition = f'attachment; filename="rejects-{job["id"]}.csv"'
        assert answer.headers["content-disposition"] == disposition
        text = answer.content.decode("utf-8-sig")
        separator = ";" if ";" in text.splitlines()[0] else ","
        _, *rows = csv.reader(io.StringIO(text), delimiter=separator)
        assert len(rows) == 2
        assert "'=1+1" in rows[0]
        assert "'-2+3" in rows[0]
        cells = [cell for row in rows for cell in row]
        assert not [cell for cell in cells if cell[:1] and cell[0] in "=+-@\t\r"]

    tell(story)


def test_a_file_can_fill_or_overwrite(address: str) -> None:
    """IM4: known people keep what they have, unless the file may replace it."""

    async def story(house: House) -> None:
        ana = house.ana
        await ana.post("/api/contacts", name="Luz", phone="987654321", company="Sol")
        content = b"nombre,celular,empresa\nLucia,987654321,Luna\n"
        first = await send(ana, content=content, import_type="contacts")
        await house.services.imports.run_pending()
        (contact,) = await told(ana, "/api/contacts")
        assert (contact["name"], contact["company"]) == ("Luz", "Sol")
        assert (await ana.get(f"/api/imports/{first.json()['id']}"))["counts"]["duplicate"] == 1

        fields = {"import_type": "contacts", "overwrite": "true"}
        await send(ana, content=content + b"\n", **fields)
        await house.services.imports.run_pending()
        (contact,) = await told(ana, "/api/contacts")
        assert (contact["name"], contact["company"]) == ("Lucia", "Luna")

    tell(story, address=address)
