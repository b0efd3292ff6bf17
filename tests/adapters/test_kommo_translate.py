"""Kommo's JSON in our words: samples in the shapes of its reference, and whatever else may come."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from clarin_core.domain.ids import KommoId
from clarin_core.domain.pipelines import StageKind
from clarin_core.domain.remote import (
    HintKind,
    RemoteContact,
    RemoteHint,
    RemoteKind,
    RemoteLead,
    RemoteLink,
    RemoteReach,
    RemoteTag,
    RemoteValues,
)
from clarin_kommo import translate, wire

LEAD = """
{"id": 21000042, "name": "Taller de ajedrez", "price": 350, "responsible_user_id": 9000011,
 "group_id": 0, "status_id": 66100005, "pipeline_id": 8100501, "loss_reason_id": null,
 "created_by": 0, "updated_by": 9000011, "created_at": 1760000000, "updated_at": 1760003600,
 "closed_at": null, "closest_task_at": null, "is_deleted": false, "custom_fields_values": null,
 "score": null, "account_id": 31000777, "labor_cost": null, "is_price_computed": false,
 "_links": {"self": {"href": "x"}},
 "_embedded": {"tags": [{"id": 5101, "name": "VIP", "color": null}], "companies": [],
               "contacts": [{"id": 34000007, "is_main": true, "_links": {"self": {"href": "x"}}}]}}
"""
CONTACT = """
{"id": 34000007, "name": "Ñusta Quispe", "first_name": "Ñusta", "last_name": "Quispe",
 "responsible_user_id": 9000011, "created_at": 1760000000, "updated_at": 1760003600,
 "custom_fields_values": [
  {"field_id": 700100, "field_name": "Teléfono", "field_code": "PHONE", "field_type": "multitext",
   "values": [{"value": "+51 987 000 111", "enum_id": 4001, "enum_code": "MOB"},
              {"value": "01 444 0000", "enum_id": 4003, "enum": "WORK"}, {"value": 987000111}]},
  {"field_id": 700102, "field_name": "Correo", "field_code": "EMAIL", "field_type": "multitext",
   "values": [{"value": "nusta@example.com", "enum_id": 4101, "enum_code": "WORK"}]},
  {"field_id": 700103, "field_name": "Nacimiento", "field_code": null, "field_type": "birthday",
   "values": [{"value": 631152000}]}],
 "account_id": 31000777, "_embedded": {"tags": [], "companies": []}}
"""
PIPELINE = """
{"id": 8100501, "name": "Ventas", "sort": 1, "is_main": true, "is_unsorted_on": true,
 "is_archive": false, "account_id": 31000777, "_embedded": {"statuses": [
  {"id": 143, "name": "Perdido", "sort": 11000, "pipeline_id": 8100501, "color": "#D5D8DB",
   "type": 0},
  {"id": 66100001, "name": "Leads entrantes", "sort": 10, "pipeline_id": 8100501,
   "color": "#c1c1c1", "type": 1},
  {"id": 142, "name": "Ganado", "sort": 10000, "pipeline_id": 8100501, "color": "#CCFF66",
   "type": 0},
  {"id": 66100005, "name": "Contactado", "sort": 20, "pipeline_id": 8100501, "color": "green",
   "type": 0}]}}
"""
BEGUN = datetime.fromtimestamp(1760000000, UTC)
CHANGED = datetime.fromtimestamp(1760003600, UTC)

SHAPES: list[tuple[Any, Any]] = [
    (wire.Lead, translate.lead),
    (wire.Contact, translate.contact),
    (wire.Pipeline, translate.pipeline),
]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(), some, max_size=3),
    max_leaves=6,
)


def one_lead(**values: Any) -> RemoteLead:
    """Return the sample with some other values; it can be read."""
    raw = Raw(msgspec.json.encode(msgspec.json.decode(LEAD) | values))
    (lead,), rejected = translate.read([raw], wire.Lead, translate.lead)
    assert rejected == []
    return lead


def test_a_lead() -> None:
    assert one_lead() == RemoteLead(
        id=KommoId(21000042),
        name="Taller de ajedrez",
        price=Decimal(350),
        pipeline_id=KommoId(8100501),
        stage_id=KommoId(66100005),
        responsible_id=KommoId(9000011),
        created_at=BEGUN,
        updated_at=CHANGED,
        tags=[RemoteTag(id=KommoId(5101), name="VIP")],
        contacts=[RemoteLink(contact_id=KommoId(34000007), is_main=True)],
    )


def test_a_contact() -> None:
    """Phones and e-mails apart from the other fields, numbers among them, old labels too."""
    raw = Raw(CONTACT.encode())
    ((contact,), _) = translate.read([raw], wire.Contact, translate.contact)
    birthday = RemoteValues(
        field_id=KommoId(700103), name="Nacimiento", type="birthday", values=[631152000]
    )
    assert contact == RemoteContact(
        id=KommoId(34000007),
        name="Ñusta Quispe",
        first_name="Ñusta",
        last_name="Quispe",
        phones=[
            RemoteReach(text="+51 987 000 111", label="MOB"),
            RemoteReach(text="01 444 0000", label="WORK"),
            RemoteReach(text="987000111"),
        ],
        emails=[RemoteReach(text="nusta@example.com", label="WORK")],
        responsible_id=KommoId(9000011),
        created_at=BEGUN,
        updated_at=CHANGED,
        fields=[birthday],
    )


def test_a_pipeline() -> None:
    """In order of `sort`; won and lost by their ids, and a colour only if it is one."""
    ((pipeline,), _) = translate.read([Raw(PIPELINE.encode())], wire.Pipeline, translate.pipeline)
    assert (pipeline.name, pipeline.is_main, pipeline.is_archived) == ("Ventas", True, False)
    assert [(s.id, s.kind, s.is_incoming, s.color) for s in pipeline.stages] == [
        (66100001, StageKind.OPEN, True, "#c1c1c1"),
        (66100005, StageKind.OPEN, False, None),
        (142, StageKind.WON, False, "#ccff66"),
        (143, StageKind.LOST, False, "#d5d8db"),
    ]
    assert {stage.pipeline_id for stage in pipeline.stages} == {8100501}


@pytest.mark.parametrize(
    ("values", "price"),
    [
        ({"price": None}, None),
        ({"price": 0}, Decimal(0)),
        ({"price": 350, "price_with_minor_units": 350.75}, Decimal("350.75")),
        ({"price": 350, "price_with_minor_units": None}, Decimal(350)),
        ({"price": "12.5"}, Decimal("12.5")),
        ({"price": "mucho"}, None),
        ({"price": True}, None),
        ({"price": [1]}, None),
        ({"price": 10**30}, None),
        ({"price": "NaN"}, None),
    ],
)
def test_a_price_that_does_not_fit_costs_nothing_else(
    values: dict[str, Any], price: Decimal | None
) -> None:
    """The more exact one of two."""
    assert one_lead(**values) == msgspec.structs.replace(one_lead(), price=price)


@pytest.mark.parametrize("nobody", [0, None, -1, "x", True, 2**63])
def test_nobody_is_responsible(nobody: object) -> None:
    """Kommo says 0 of a robot."""
    lead = one_lead(responsible_user_id=nobody, loss_reason_id=nobody)
    assert lead.responsible_id is lead.loss_reason_id is None


@given(value=ANYTHING)
def test_a_field_may_hold_anything(value: object) -> None:
    """It comes as it is, but for what cannot be stored; a broken one costs itself only."""
    field = {"field_id": 7, "field_name": "x", "field_type": "text", "values": [{"value": value}]}
    lead = one_lead(custom_fields_values=[{"values": 3}, value, field, {"field_id": 0}])
    assert [one.field_id for one in lead.fields] == [7]
    (found,) = lead.fields[0].values
    assert type(found) is type(value)
    assert "\\u0000" not in msgspec.json.encode(found).decode()
    if isinstance(value, int | float | bool | None):
        assert found == value


def test_what_lies_deep_is_left_out() -> None:
    value: Any = "deep"
    for _ in range(100):
        value = [value]
    field = {"field_id": 7, "values": [{"value": value}]}
    found = one_lead(custom_fields_values=[field]).fields[0].values[0]
    assert len(str(found)) < 40


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("  Luz  ", "Luz"),
        ("Luz\u0000\u202e\ud83d", "Luz"),
        ("una\r\ndos\ttres", "una  dos tres"),
        ("jose\u0301", "jos\u00e9"),
        ("👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"),
        (None, ""),
        ("\u00a0+51\u00a0987", "+51\u00a0987"),
    ],
)
def test_names_hold_nothing_invisible(raw: str | None, name: str) -> None:
    """On one line, composed, trimmed: so that they can be stored and searched."""
    sample = msgspec.json.decode(LEAD, type=wire.Lead)
    assert translate.lead(msgspec.structs.replace(sample, name=raw)).name == name


def test_at_most_one_contact_is_the_main_one() -> None:
    """Each once, in their order."""
    ids = [(7, False), (8, True), (7, True), (9, True)]
    lead = one_lead(_embedded={"contacts": [{"id": id, "is_main": is_main} for id, is_main in ids]})
    assert [(link.contact_id, link.is_main) for link in lead.contacts] == [
        (7, False),
        (8, True),
        (9, False),
    ]


@pytest.mark.parametrize("missing", ["id", "status_id", "pipeline_id", "created_at", "updated_at"])
def test_what_a_lead_cannot_be_without(missing: str) -> None:
    """The others are told of as far as they go."""
    values = msgspec.json.decode(LEAD)
    del values[missing]
    raws = [Raw(msgspec.json.encode(values)), Raw(LEAD.encode())]
    items, rejected = translate.read(raws, wire.Lead, translate.lead)
    assert items == [one_lead()]
    assert [(one.id, one.updated_at) for one in rejected] == [
        (None if missing == "id" else 21000042, None if missing == "updated_at" else CHANGED)
    ]


@given(items=st.lists(ANYTHING, max_size=3))
def test_whatever_is_in_a_list_is_read_or_rejected(items: list[Any]) -> None:
    """Nothing is raised, and nothing is lost."""
    raws = [Raw(msgspec.json.encode(item)) for item in items]
    for shape, as_ours in SHAPES:
        read, rejected = translate.read(raws, shape, as_ours)
        assert len(read) + len(rejected) == len(items)


@pytest.mark.parametrize(
    ("type", "entity", "what"),
    [
        ("lead_deleted", "lead", HintKind.DELETED),
        ("contact_restored", "contact", HintKind.RESTORED),
        ("entity_merged", "contact", HintKind.MERGED),
        ("entity_tag_deleted", "lead", HintKind.CHANGED),
        ("entity_linked", "lead", HintKind.CHANGED),
        ("entity_merged", "company", None),
        ("incoming_chat_message", "contact", None),
    ],
)
def test_an_event_is_a_hint_or_nothing(type: str, entity: str, what: HintKind | None) -> None:
    """It says what to read anew, of leads and of contacts."""
    event = wire.Event(
        id="01kx", type=type, entity_id=KommoId(7), entity_type=entity, created_at=1760000000
    )
    hint = what and RemoteHint(
        id="01kx", what=what, kind=RemoteKind(entity), entity_id=KommoId(7), at=BEGUN
    )
    assert translate.hint(event) == hint
