"""Decisions about leads: where they go, what that makes of them, what they are told apart by."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.custom_fields import check_custom_fields
from clarin_core.domain.ids import LeadId, PipelineId, StageId, UserId
from clarin_core.domain.leads import (
    PERSON_FIELDS,
    Lead,
    LeadChange,
    LeadStatus,
    NewLead,
    stage_for,
    status_in,
)
from clarin_core.domain.pipelines import Pipeline, Stage, StageKind
from clarin_core.errors import Conflict, Invalid
from clarin_core.testing.strategies import custom_fields
from clarin_core.testing.tenants import LATER, NOON

KINDS = st.lists(st.sampled_from(StageKind), min_size=1, max_size=6)
CLOSED = {LeadStatus.WON, LeadStatus.LOST}
STATUSES = st.sampled_from(LeadStatus)


@given(kinds=KINDS, status=STATUSES, data=st.data())
def test_a_move_is_counted_once_and_names_both_ends(
    kinds: list[StageKind], status: LeadStatus, data: st.DataObject
) -> None:
    """LD4: stage and pipeline change together; the current stage changes nothing."""
    pipeline = pipeline_of(kinds)
    stages = st.sampled_from(pipeline.stages)
    here, there = data.draw(stages), data.draw(stages)
    lead = lead_in(here.id, status)
    move = lead.move(pipeline, there, by=UserId(3), at=LATER)
    if here is there:
        assert (move, lead) == (None, lead_in(here.id, status))
        return
    assert move is not None
    assert (move.lead_id, move.from_stage, move.to_stage) == (lead.id, here.id, there.id)
    assert (move.actor, move.at) == (3, LATER)
    assert (lead.stage_id, lead.pipeline_id, lead.version) == (there.id, pipeline.id, 2)
    assert lead.move(pipeline, there, by=None, at=LATER) is None
    assert lead.version == 2


@given(kind=st.sampled_from(StageKind), status=STATUSES)
def test_the_stage_decides_what_a_lead_is(kind: StageKind, status: LeadStatus) -> None:
    """LD5: won and lost stages do; an open one opens what was closed, and leaves the rest."""
    entered = status_in(Stage(id=StageId(1), name="a", color="", position=0, kind=kind), status)
    if kind is StageKind.OPEN:
        assert entered is (LeadStatus.CONTACTED if status in CLOSED else status)
    else:
        assert entered.value == kind.value


@given(was=STATUSES, status=STATUSES, before=st.none() | st.just(NOON))
def test_a_closed_lead_has_the_time_of_its_end(
    was: LeadStatus, status: LeadStatus, before: datetime | None
) -> None:
    """LD5: the first time stays as long as the end does; only a loss keeps a reason."""
    lead = lead_in(StageId(1), was)
    lead.closed_at, lead.loss_reason = before, "precio"
    lead.alter(lead.end(status, at=LATER), at=LATER)
    again = before if was is status else None
    assert lead.closed_at == ((again or LATER) if status in CLOSED else None)
    assert (lead.status, lead.loss_reason) == (status, "precio" if status.value == "lost" else None)


@given(kinds=KINDS, status=STATUSES, data=st.data())
def test_a_status_has_its_first_stage(
    kinds: list[StageKind], status: LeadStatus, data: st.DataObject
) -> None:
    """LD6: the first stage of its kind, unless the lead is in one, or there is none."""
    pipeline = pipeline_of(kinds)
    current = data.draw(st.none() | st.sampled_from(pipeline.stages))
    found = stage_for(pipeline, status, current.id if current else None)
    kind = status.value if status in CLOSED else "open"
    of_kind = [stage for stage in pipeline.stages if stage.kind.value == kind]
    is_there = current in of_kind
    assert found is (of_kind[0] if of_kind and not is_there else None)


@given(status=STATUSES, is_deleted=st.booleans())
def test_a_lead_is_open_until_it_ends(status: LeadStatus, is_deleted: bool) -> None:
    """LD3: neither won, nor lost, nor deleted."""
    lead = lead_in(StageId(1), status)
    if is_deleted:
        lead.delete(LATER)
    assert lead.is_open == (status not in CLOSED and not is_deleted)


def test_deleting_and_restoring_are_changes() -> None:
    """SD1: each counts."""
    lead = lead_in(StageId(1), LeadStatus.NEW)
    lead.delete(LATER)
    assert (lead.deleted_at, lead.updated_at, lead.version) == (LATER, LATER, 2)
    lead.restore(LATER)
    assert (lead.deleted_at, lead.version) == (None, 3)


@given(values=st.dictionaries(st.sampled_from(["name", "notes", "value"]), st.none() | st.just(7)))
def test_altering_names_what_differs(values: dict[str, Any]) -> None:
    """15.18: sets what differs, counts it once, and says what it was."""
    lead = lead_in(StageId(1), LeadStatus.NEW)
    before = {field: getattr(lead, field) for field in values}
    changed = lead.alter(values, at=LATER)
    assert list(changed) == sorted(field for field in values if before[field] != values[field])
    assert {field: getattr(lead, field) for field in values} == values
    assert (lead.version, lead.updated_at) == ((2, LATER) if changed else (1, NOON))
    assert lead.alter(values, at=LATER) == ()


def test_the_stored_version_is_expected() -> None:
    """Section 1: any other one is a conflict."""
    lead = lead_in(StageId(1), LeadStatus.NEW)
    lead.expect(1)
    for version in (0, 2):
        with pytest.raises(Conflict, match="stored version is 1") as refusal:
            lead.expect(version)
        assert refusal.value.code == "version_conflict"


def test_a_change_knows_whose_its_values_are() -> None:
    """CT9: the person's go to the contact; the rest is the lead's own or follows a rule."""
    named: dict[str, Any] = {
        field: None
        for field in (*PERSON_FIELDS, "name", "notes", "contact_id", "assigned_to", "value")
    }
    change = LeadChange(**named, stage_id=StageId(3), status=LeadStatus.WON, version=4)
    assert set(change.person()) == {*PERSON_FIELDS}
    assert set(change.own()) == {"name", "notes", "value"}


@given(fields=custom_fields())
def test_invented_fields_pass(fields: dict[str, Any]) -> None:
    """3.2: names with plain values."""
    check_custom_fields(fields)
    assert NewLead(name="Luz", custom_fields=fields).custom_fields == fields


@pytest.mark.parametrize(
    "wrong",
    [
        {"": 1},
        {" ": 1},
        {"a\0": 1},
        {"x" * 65: 1},
        {"a": "\u202e"},
        {"a": "\ud800"},
        {"a": "x" * 1001},
        {str(number): "x" * 1000 for number in range(17)},
    ],
)
def test_invented_fields_are_clean_and_bounded(wrong: dict[str, Any]) -> None:
    """Section 5: 16 KiB in all, keys up to 64, texts up to 1,000 code points."""
    for make in (NewLead, LeadChange):
        with pytest.raises(Invalid, match="custom_fields"):
            make(name="Luz", custom_fields=wrong)


def pipeline_of(kinds: list[StageKind]) -> Pipeline:
    """Return a pipeline with stages of these kinds."""
    stages = [
        Stage(id=StageId(place + 1), name=str(place), color="", position=place, kind=kind)
        for place, kind in enumerate(kinds)
    ]
    life: dict[str, Any] = {"created_at": NOON, "updated_at": NOON, "version": 1}
    return Pipeline(
        id=PipelineId(9), name="Uno", is_default=True, position=0, stages=stages, **life
    )


def lead_in(stage_id: StageId, status: LeadStatus) -> Lead:
    """Return a lead in a stage."""
    return Lead(
        id=LeadId(5), name="Luz", status=status, pipeline_id=PipelineId(9), stage_id=stage_id,
        created_at=NOON, updated_at=NOON, version=1,
    )  # fmt: skip
