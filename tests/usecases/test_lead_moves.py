"""Leads on their way: stages, statuses, and the history of both."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarin_core.domain.events import LeadUpdated
from clarin_core.domain.ids import LeadId
from clarin_core.domain.leads import (
    LeadChange,
    LeadStatus,
    NewLead,
    StageChoice,
    StatusChange,
)
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.pipelines import NewPipeline, NewStage, StageKind
from clarin_core.errors import Invalid
from support.desk import Desk, tell

FEW = settings(max_examples=120, deadline=None)


@FEW
@given(steps=st.lists(st.integers(0, 5), max_size=8))
def test_moves_fold_to_where_the_lead_is(steps: list[int]) -> None:
    """LD4, LD5: the history ends at the lead's stage; repeating a move does nothing at all.

    Won and lost close a lead; coming back from there opens it as contacted.
    """

    async def story() -> None:
        desk = await Desk.open()
        stages, here, status = desk.tenant.stages, 0, LeadStatus.NEW
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz"))
        version = lead.version
        await desk.news()
        for there in steps:
            lead = await desk.leads.move(desk.agent, lead.id, StageChoice(stage_id=stages[there]))
            is_moved = there != here
            status, here = expected_status(status, there) if is_moved else status, there
            version += is_moved
            assert (lead.stage_id, lead.status, lead.version) == (stages[here], status, version)
            assert (lead.closed_at is not None) == (here in (4, 5))
            assert await desk.names() == ["lead.stage_moved"] * is_moved
        moves = list(reversed(await history(desk, lead.id)))
        assert [move.to_stage for move in moves[:-1]] == [move.from_stage for move in moves[1:]]
        assert moves[-1].to_stage == lead.stage_id

    tell(story())


@pytest.mark.parametrize(
    ("begins", "status", "ends"),
    [
        (0, LeadStatus.WON, 4),
        (0, LeadStatus.LOST, 5),
        (4, LeadStatus.LOST, 5),
        (4, LeadStatus.WON, 4),
        (4, LeadStatus.QUALIFIED, 0),
        (1, LeadStatus.PROPOSAL, 1),
    ],
)
def test_a_status_goes_to_a_stage_of_its_kind(begins: int, status: LeadStatus, ends: int) -> None:
    """LD6, LD5: the first stage of that kind, if the lead is not in one."""

    async def story() -> None:
        desk = await Desk.open()
        stages = desk.tenant.stages
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz", stage_id=stages[begins]))
        lead = await desk.leads.set_status(desk.agent, lead.id, StatusChange(status=status))
        assert (lead.stage_id, lead.status) == (stages[ends], status)
        assert (lead.closed_at is not None) == (status in (LeadStatus.WON, LeadStatus.LOST))

    tell(story())


def test_a_pipeline_without_ends_only_changes_the_status() -> None:
    """LD6: if there is such a stage; a repeated status changes nothing, and keeps its time."""

    async def story() -> None:
        desk = await Desk.open()
        flat = NewPipeline(name="Plano", stages=(NewStage(name="Uno"),))
        pipeline = await desk.pipelines.create(desk.admin, flat)
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz", pipeline_id=pipeline.id))
        await desk.news()
        won = StatusChange(status=LeadStatus.WON)
        closed = await desk.leads.set_status(desk.agent, lead.id, won)
        assert (closed.stage_id, closed.status) == (lead.stage_id, LeadStatus.WON)
        (event,) = await desk.news()
        assert isinstance(event, LeadUpdated)
        assert event.changed == ["closed_at", "status"]
        again = await desk.leads.set_status(desk.agent, lead.id, won)
        assert (again.version, again.closed_at) == (closed.version, closed.closed_at)
        assert await desk.news() == []

    tell(story())


def test_stage_and_status_may_be_named_together() -> None:
    """LD5, LD6: then each is what it was named, and the history has one line more."""

    async def story() -> None:
        desk = await Desk.open()
        stages = desk.tenant.stages
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz"))
        change = LeadChange(stage_id=stages[1], status=LeadStatus.PROPOSAL)
        changed = await desk.leads.update(desk.agent, lead.id, change)
        assert (changed.stage_id, changed.status) == (stages[1], LeadStatus.PROPOSAL)
        assert (changed.version, len(await history(desk, lead.id))) == (2, 2)

    tell(story())


@pytest.mark.parametrize(
    ("stage", "status"),
    [(1, LeadStatus.WON), (4, LeadStatus.NEW), (4, LeadStatus.LOST), (5, LeadStatus.WON)],
)
def test_stage_and_status_may_not_contradict_each_other(stage: int, status: LeadStatus) -> None:
    """LD5, LD6: neither of a new lead, nor of one that moves, nor of one that is there already."""

    async def story() -> None:
        desk = await Desk.open()
        stage_id = desk.tenant.stages[stage]
        with pytest.raises(Invalid, match="status does not go with the stage"):
            await desk.leads.create(
                desk.agent, NewLead(name="Luz", stage_id=stage_id, status=status)
            )
        there = await desk.leads.create(desk.agent, NewLead(name="Luz", stage_id=stage_id))
        elsewhere = await desk.leads.create(desk.agent, NewLead(name="Mar"))
        await desk.news()
        for lead in (there, elsewhere):
            with pytest.raises(Invalid, match="status does not go with the stage"):
                await desk.leads.update(
                    desk.agent, lead.id, LeadChange(stage_id=stage_id, status=status)
                )
        assert await desk.news() == []

    tell(story())


def test_a_pipeline_of_ends_takes_no_other_status() -> None:
    """LD5, LD6: neither by its name alone, nor later."""

    async def story() -> None:
        desk = await Desk.open()
        won = NewPipeline(name="Hecho", stages=(NewStage(name="Uno", kind=StageKind.WON),))
        pipeline = await desk.pipelines.create(desk.admin, won)
        for status in (LeadStatus.NEW, LeadStatus.LOST):
            with pytest.raises(Invalid, match="status does not go with the stage Uno"):
                await desk.leads.create(
                    desk.agent, NewLead(name="Luz", pipeline_id=pipeline.id, status=status)
                )
            lead = await desk.leads.create(
                desk.agent, NewLead(name="Luz", pipeline_id=pipeline.id, status=LeadStatus.WON)
            )
            with pytest.raises(Invalid, match="status does not go with the stage Uno"):
                await desk.leads.set_status(desk.agent, lead.id, StatusChange(status=status))

    tell(story())


def test_an_owner_who_left_stays_until_another_one_is_named() -> None:
    """LD9: who sends a lead back as it was shown is not refused for that."""

    async def story() -> None:
        desk = await Desk.open()
        owner = desk.agent.user_id
        lead = await desk.leads.create(desk.admin, NewLead(name="Luz", assigned_to=owner))
        async with desk.tenant.begin() as tx:
            await tx.members.remove(owner)
        change = LeadChange(assigned_to=owner, notes="x")
        assert (await desk.leads.update(desk.admin, lead.id, change)).notes == "x"

    tell(story())


def test_a_pipeline_without_such_a_stage_takes_any_status() -> None:
    """LD6: there is nothing that it could contradict."""

    async def story() -> None:
        desk = await Desk.open()
        flat = NewPipeline(name="Plano", stages=(NewStage(name="Uno"),))
        stage_id = (await desk.pipelines.create(desk.admin, flat)).stages[0].id
        new = NewLead(name="Luz", stage_id=stage_id, status=LeadStatus.WON)
        lead = await desk.leads.create(desk.agent, new)
        assert (lead.stage_id, lead.status) == (stage_id, LeadStatus.WON)

    tell(story())


async def history(desk: Desk, lead_id: LeadId) -> list[Any]:
    """Return a lead's moves, newest first."""
    return (await desk.tenant.views.lead_history(lead_id, PageQuery(limit=200))).data


def expected_status(status: LeadStatus, stage: int) -> LeadStatus:
    """Return the status after a move to a stage of the usual pipeline."""
    ends = {4: LeadStatus.WON, 5: LeadStatus.LOST}
    was_closed = status in ends.values()
    return ends.get(stage) or (LeadStatus.CONTACTED if was_closed else status)
