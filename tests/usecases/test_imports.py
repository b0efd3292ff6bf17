"""Imports in memory: what files become, and what becomes of runs that are interrupted."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarin_core.domain.actor import Cause
from clarin_core.domain.events import (
    ContactCreated,
    ContactUpdated,
    ImportAdvanced,
    ImportFinished,
    LeadCreated,
    LeadMoved,
    LeadTagged,
    LeadUpdated,
    PipelineChanged,
    State,
    TagCreated,
    replay,
)
from clarin_core.domain.imports import ImportKind, RowResult
from clarin_core.domain.leads import LeadStatus
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.pipelines import STAGES_MAX, StageKind
from clarin_core.domain.tags import TagLink
from clarin_core.errors import Invalid
from clarin_core.testing.tenants import NOON
from support.importing import FILE, OTHER_PHONE, PHONE, Office, open_office, table, tell

SAMPLES = Path(__file__).parent.parent / "data" / "imports"
EXPECTED: dict[str, list[dict[str, Any]]] = json.loads((SAMPLES / "expected.json").read_text())

C, U, D, X = RowResult.CREATED, RowResult.UPDATED, RowResult.DUPLICATE, RowResult.INVALID


@pytest.mark.parametrize("name", EXPECTED)
def test_an_export_becomes_leads_and_contacts(name: str) -> None:
    """IM1, IM2: one contact for a phone, one lead for a Kommo id, each with its own tags."""
    good = [row for row in EXPECTED[name] if not row["invalid"]]
    people: dict[Any, str] = {}
    for row in good:
        people.setdefault(row["phone"] or row["row"], row["name"])

    async def story(here: Office) -> None:
        results = await here.results((SAMPLES / name).read_bytes())
        leads, contacts = await here.leads(), await here.contacts()
        assert results == [X if row["invalid"] else C for row in EXPECTED[name]]
        assert len({lead.kommo_id for lead in leads}) == len(good)
        assert [(one.phone, sorted(one.tags), one.contact_name) for one in leads] == [
            (row["phone"], row["tags"], people[row["phone"] or row["row"]]) for row in good
        ]
        assert [contact.name for contact in contacts] == list(people.values())

    tell(story)


@pytest.mark.parametrize("content", [FILE, *((SAMPLES / name).read_bytes() for name in EXPECTED)])
def test_the_same_rows_again_change_nothing(content: bytes) -> None:
    """IM3: in a file with other bytes they are duplicates, and nothing is announced of them."""

    async def story(here: Office) -> None:
        first = await here.results(content)
        before, seq = await here.records(), await here.seq()
        blank_line = "\n".encode("utf-16-le" if content.startswith(b"\xff\xfe") else "ascii")
        again = await here.results(content + blank_line)
        assert again == [X if result is X else D for result in first]
        assert await here.records() == before
        kinds = [type(event) for event in await here.events(seq)]
        assert kinds == [ImportAdvanced, ImportFinished]

    tell(story)


def test_rows_find_their_people_and_leads() -> None:
    """A row without Kommo id belongs to the open lead; whole names tell people apart."""

    async def story(here: Office) -> None:
        assert await here.results(FILE) == [C, C, X, C, C, U]
        luz, obra, paz, rios = await here.leads()
        assert (luz.contact_id, luz.tags) == (obra.contact_id, ["VIP", "web"])
        assert (obra.tags, paz.value, paz.status) == (["VIP"], 1250, LeadStatus.LOST)
        assert (rios.contact_name, rios.email, rios.notes) == (
            "Eva Ríos", "eva@example.com", "llamar",
        )  # fmt: skip
        assert {lead.source for lead in await here.leads()} == {"csv_import"}
        assert {contact.source for contact in await here.contacts()} == {"csv_import"}

    tell(story)


def test_empty_fields_are_filled_and_others_kept() -> None:
    """IM4, CT2: neither what a person typed nor where the lead is now gives way."""
    old = {"kommo_id": 1, "name": "Luz", "phone": PHONE, "stage": "Contactado", "tags": "web"}
    new = {
        "kommo_id": 1, "lead_name": "Casa", "name": "Lucha", "phone": PHONE, "email": "l@x.pe",
        "stage": "Cerrado", "notes": "llamar", "value": "3", "tags": "VIP",
    }  # fmt: skip

    async def story(here: Office) -> None:
        await here.results(table(old))
        seq = await here.seq()
        assert await here.results(table(new)) == [U]
        (lead,) = await here.leads()
        assert (lead.contact_name, lead.stage_name) == ("Luz", "Contactado")
        assert (lead.name, lead.email, lead.notes, lead.value) == ("Casa", "l@x.pe", "llamar", 300)
        assert lead.tags == ["VIP", "web"]
        kinds = [type(event) for event in await here.events(seq)]
        assert kinds == [
            ImportAdvanced, ContactUpdated, LeadUpdated, TagCreated, LeadTagged, ImportFinished,
        ]  # fmt: skip

    tell(story)


def test_overwriting_takes_what_the_file_says_and_nothing_else() -> None:
    """IM4, LD4, LD5: the stage included, tags only added; an empty cell clears nothing."""
    old = {"kommo_id": 1, "lead_name": "Casa", "name": "Luz", "phone": PHONE, "tags": "web"}
    new = {"kommo_id": 1, "name": "Lucha", "phone": PHONE, "stage": "Cerrado", "tags": "VIP"}

    async def story(here: Office) -> None:
        await here.results(table(old))
        seq = await here.seq()
        assert await here.results(table(new), overwrite=True) == [U]
        (lead,) = await here.leads()
        assert (lead.name, lead.contact_name, lead.tags) == ("Casa", "Lucha", ["VIP", "web"])
        assert (lead.stage_name, lead.status, lead.closed_at) == ("Cerrado", LeadStatus.WON, NOON)
        history = (await here.tenant.views.lead_history(lead.id, PageQuery())).data
        assert [move.from_stage for move in history] == [here.tenant.stages[0], None]
        (moved,) = [event for event in await here.events(seq) if isinstance(event, LeadMoved)]
        assert [move.actor for move in moved.moves] == [here.admin.user_id]

    tell(story)


def test_a_pipeline_without_a_stage_moves_only_leads_of_others() -> None:
    """IM4: the file says where a lead is as far as it says it."""
    placed = {"kommo_id": 1, "name": "Luz", "stage": "Propuesta"}

    async def story(here: Office) -> None:
        await here.results(table(placed))
        same = {"kommo_id": 1, "name": "Luz", "pipeline": here.tenant.pipeline.name.upper()}
        assert await here.results(table(same), overwrite=True) == [D]
        assert await here.results(table({**same, "pipeline": "Obras"}), overwrite=True) == [U]
        (lead,) = await here.leads()
        assert lead.stage_name == "Nuevo"
        usual, made = await here.pipelines()
        assert made.name == "Obras"
        assert [stage.name for stage in made.stages] == [stage.name for stage in usual.stages]

    tell(story)


def test_pipelines_are_made_with_the_stages_that_the_file_names() -> None:
    """In order of first appearance; usual names mean what they usually mean; no case."""
    rows = [
        {"pipeline": "Obras", "stage": "Visita"},
        {"pipeline": "obras", "stage": "PERDIDO"},
        {"pipeline": "OBRAS", "stage": "visita"},
        {"stage": "Revisión"},
    ]

    async def story(here: Office) -> None:
        ids = enumerate(rows, start=1)
        await here.results(table(*({"kommo_id": n, "name": "Luz", **row} for n, row in ids)))
        usual, made = await here.pipelines()
        assert made.name == "Obras"
        assert [(stage.name, stage.kind) for stage in made.stages] == [
            ("Visita", StageKind.OPEN), ("PERDIDO", StageKind.LOST),
        ]  # fmt: skip
        assert [stage.name for stage in usual.stages][-2:] == ["Perdido", "Revisión"]
        places = [(lead.pipeline_id, lead.stage_name) for lead in await here.leads()]
        named = [(made.id, "Visita"), (made.id, "PERDIDO"), (made.id, "Visita")]
        assert places == [*named, (usual.id, "Revisión")]
        changes = [e.action.value for e in await here.events() if isinstance(e, PipelineChanged)]
        assert changes == ["created", "updated"]

    tell(story)


def test_of_stages_with_one_name_the_first_is_meant() -> None:
    """LD4: a pipeline may have such stages."""

    async def story(here: Office) -> None:
        twins = await here.tenant.add_pipeline("Obras", "Visita", "visita")
        await here.results(table({"name": "Luz", "pipeline": "Obras", "stage": "VISITA"}))
        assert [lead.stage_id for lead in await here.leads()] == [twins.stages[0].id]

    tell(story)


@pytest.mark.parametrize(
    ("field", "rows"),
    [
        ("pipeline", [{"name": "Luz", "pipeline": f"P{n}"} for n in range(51)]),
        ("stage", [{"name": "Luz", "stage": f"S{n}"} for n in range(STAGES_MAX + 1)]),
    ],
)
def test_a_file_may_not_make_pipelines_without_end(field: str, rows: list[dict[str, Any]]) -> None:
    """R23: the upload is refused at once, with the field named."""

    async def story(here: Office) -> None:
        with pytest.raises(Invalid) as refused:
            await here.upload(table(*rows))
        assert refused.value.field == field
        await here.upload(table(*rows[1:]))
        await here.upload(table(*rows), kind=ImportKind.CONTACTS)

    tell(story)


def test_contacts_alone() -> None:
    """A phone or a whole name finds the person; tags and notes are the person's own."""
    rows: list[dict[str, Any]] = [
        {"kommo_id": 1, "name": "Luz", "phone": PHONE, "tags": "VIP", "notes": "llamar"},
        {"kommo_id": 1, "name": "Eva", "last_name": "Paz"},
        {"name": "eva paz", "email": "eva@example.com", "stage": "Revisión"},
        {"name": "Luz", "phone": PHONE, "tags": "vip"},
        {"name": "Luz", "phone": PHONE, "tags": "web"},
    ]

    async def story(here: Office) -> None:
        assert await here.results(table(*rows), kind=ImportKind.CONTACTS) == [C, C, U, D, U]
        luz, eva = await here.contacts()
        assert (luz.tags, luz.notes) == (["VIP", "web"], "llamar")
        assert (eva.full_name, eva.email) == ("Eva Paz", "eva@example.com")
        assert await here.leads() == []
        again = await here.results(table(*rows) + b"\n", kind=ImportKind.CONTACTS)
        assert again == [D] * 5
        assert [len(pipeline.stages) for pipeline in await here.pipelines()] == [6]

    tell(story)


def test_a_batch_announces_each_kind_once() -> None:
    """R5: what the events add up to is what is stored; they say that it was an import."""

    async def story(here: Office) -> None:
        await here.results(FILE)
        rows = [{"kommo_id": n, "name": "Ida", "stage": "Perdido", "tags": "web"} for n in (1, 9)]
        await here.results(table(*rows), overwrite=True)
        first = [type(event) for event in (await here.events())[:7]]
        assert first == [
            ImportAdvanced, PipelineChanged, ContactCreated, LeadCreated, TagCreated, LeadTagged,
            ImportFinished,
        ]  # fmt: skip
        begun = State(pipelines={here.tenant.pipeline.id: here.tenant.pipeline})
        state = replay(await here.events(), begun)
        async with here.tenant.begin() as tx:
            assert list(state.leads.values()) == await tx.leads.get_many(state.leads)
            assert list(state.contacts.values()) == await tx.contacts.get_many(state.contacts)
            assert list(state.pipelines.values()) == await tx.pipelines.all()
        leads = await here.leads()
        assert list(state.leads) == [lead.id for lead in leads]
        assert list(state.contacts) == [contact.id for contact in await here.contacts()]
        assert state.lead_tags == {
            TagLink(target_id=lead.id, tag_id=tag_id) for lead in leads for tag_id in lead.tag_ids
        }
        assert {tag.name for tag in state.tags.values()} == {"VIP", "web"}
        causes = [recorded.origin.cause for recorded in await here.tenant.events()]
        assert causes.count(Cause.IMPORT) == len(causes) - 2

    tell(story)


ROWS = st.fixed_dictionaries(
    {},
    optional={
        "kommo_id": st.sampled_from([1, 2, 3]),
        "lead_name": st.sampled_from(["Casa", "Ana"]),
        "name": st.sampled_from(["Ana", "ANÁ", "Eva"]),
        "last_name": st.sampled_from(["Paz", "paz"]),
        "phone": st.sampled_from([PHONE, OTHER_PHONE, "12"]),
        "email": st.sampled_from(["a@x.pe", "e@x.pe"]),
        "tags": st.sampled_from(["VIP", "vip, web"]),
        "stage": st.sampled_from(["Nuevo", "Perdido", "Visita"]),
        "pipeline": st.sampled_from(["Obras", "Embudo de ventas"]),
        "value": st.sampled_from(["1", "2"]),
    },
)


@settings(deadline=None, max_examples=60)
@given(
    files=st.lists(st.lists(ROWS, min_size=1, max_size=8), min_size=1, max_size=2),
    batch_rows=st.integers(1, 4),
    overwrite=st.booleans(),
    kind=st.sampled_from(ImportKind),
)
def test_a_file_may_be_cut_anywhere(
    files: list[list[dict[str, Any]]], batch_rows: int, overwrite: bool, kind: ImportKind
) -> None:
    """IM3: rows see those before them, in their own batch or an earlier one."""

    async def story(rows_at_once: int) -> tuple[object, ...]:
        here = await open_office(rows_at_once)
        for number, rows in enumerate(files):
            content = table(*rows, trailer=str(number))
            await here.results(content, overwrite=overwrite, kind=kind)
        return await here.records(), await here.progress()

    assert asyncio.run(story(batch_rows)) == asyncio.run(story(500))


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(ROWS, min_size=1, max_size=8), kind=st.sampled_from(ImportKind))
def test_importing_twice_is_importing_once(rows: list[dict[str, Any]], kind: ImportKind) -> None:
    """Property 17: rows are known when they come again; a file has each Kommo id once."""
    numbered = [
        {**row, "kommo_id": number} if "kommo_id" in row else row
        for number, row in enumerate(rows, start=1)
    ]

    async def story() -> None:
        here = await open_office()
        first = await here.results(table(*numbered), kind=kind)
        before = await here.records()
        again = await here.results(table(*numbered, trailer="x"), kind=kind)
        assert again == [X if result is X else D for result in first]
        assert await here.records() == before

    asyncio.run(story())
