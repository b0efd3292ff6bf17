"""Stages and pipelines that go: their leads go elsewhere, never with them (LD7)."""

import pytest

from clarin_core.domain.events import LeadMoved, PipelineChanged
from clarin_core.domain.ids import StageId
from clarin_core.domain.leads import LeadStatus, NewLead
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.pipelines import (
    NewPipeline,
    NewStage,
    Pipeline,
    Removal,
)
from clarin_core.errors import Conflict, Invalid, NotFound
from support.desk import Desk, tell

UNO = NewPipeline(name="Uno", stages=(NewStage(name="a"), NewStage(name="b"), NewStage(name="c")))


def test_a_stage_with_leads_needs_a_place_for_them() -> None:
    """LD7, LD5: without `move_to` a conflict; with it all leads go there, hidden ones too."""

    async def story() -> None:
        desk = await Desk.open()
        stages = desk.tenant.stages
        leads = [
            await desk.leads.create(desk.agent, NewLead(name=name, stage_id=stages[1]))
            for name in "abc"
        ]
        await desk.leads.delete(desk.agent, leads[2].id)
        await desk.news()
        args = (desk.admin, desk.tenant.pipeline.id, stages[1])
        with pytest.raises(Conflict) as refusal:
            await desk.pipelines.delete_stage(*args, Removal())
        assert refusal.value.code == "stage_not_empty"
        with pytest.raises(Invalid, match="move_to"):
            await desk.pipelines.delete_stage(*args, Removal(move_to=stages[1]))
        with pytest.raises(NotFound, match="stage"):
            await desk.pipelines.delete_stage(*args, Removal(move_to=StageId(10**6)))
        assert await desk.news() == []
        shrunk = await desk.pipelines.delete_stage(*args, Removal(move_to=stages[4]))
        assert [stage.id for stage in shrunk.stages] == [stages[0], *stages[2:]]
        assert_in_order(shrunk)
        moved, changed = await desk.news()
        assert isinstance(moved, LeadMoved)
        assert [lead.id for lead in moved.leads] == [lead.id for lead in leads]
        assert {move.to_stage for move in moved.moves} == {stages[4]}
        assert isinstance(changed, PipelineChanged)
        for lead in (leads[0], await desk.leads.restore(desk.agent, leads[2].id)):
            shown = await desk.tenant.views.lead(lead.id)
            assert (shown.stage_id, shown.status) == (stages[4], LeadStatus.WON)
            last, *_ = (await desk.tenant.views.lead_history(lead.id, PageQuery())).data
            assert (last.from_stage, last.to_stage) == (stages[1], stages[4])

    tell(story())


def test_leads_are_moved_in_batches() -> None:
    """2.2 of the reliability reference: a large move is many leads an event, not one each."""

    async def story() -> None:
        desk = await Desk.open()
        stages = desk.tenant.stages
        for number in range(501):
            new = NewLead(name=str(number), stage_id=stages[1])
            await desk.leads.create(desk.agent, new)
        await desk.news()
        await desk.pipelines.delete_stage(
            desk.admin, desk.tenant.pipeline.id, stages[1], Removal(move_to=stages[0])
        )
        sizes = [len(e.leads) for e in await desk.news() if isinstance(e, LeadMoved)]
        assert sizes == [500, 1]

    tell(story())


def test_the_last_stage_stays() -> None:
    """LD7: a pipeline always has a first stage."""

    async def story() -> None:
        desk = await Desk.open()
        alone = NewPipeline(name="Uno", stages=(NewStage(name="a"),))
        pipeline = await desk.pipelines.create(desk.admin, alone)
        removal = Removal(move_to=desk.tenant.stages[0])
        with pytest.raises(Conflict) as refusal:
            await desk.pipelines.delete_stage(
                desk.admin, pipeline.id, pipeline.stages[0].id, removal
            )
        assert refusal.value.code == "last_stage"

    tell(story())


def test_a_pipeline_is_deleted_with_its_stages_not_with_its_leads() -> None:
    """LD7: the default one stays; leads need a place outside of it."""

    async def story() -> None:
        desk = await Desk.open()
        default, pipeline = desk.tenant.pipeline, await desk.pipelines.create(desk.admin, UNO)
        new = NewLead(name="Luz", pipeline_id=pipeline.id)
        lead = await desk.leads.create(desk.agent, new)
        await desk.news()
        for removal, code in (
            (Removal(), "stage_not_empty"),
            (Removal(move_to=pipeline.stages[2].id), "validation_failed"),
        ):
            with pytest.raises((Conflict, Invalid)) as refusal:
                await desk.pipelines.delete(desk.admin, pipeline.id, removal)
            assert refusal.value.code == code
        there = Removal(move_to=default.stages[3].id)
        with pytest.raises(Conflict) as refusal:
            await desk.pipelines.delete(desk.admin, default.id, there)
        assert refusal.value.code == "default_pipeline"
        await desk.pipelines.delete(desk.admin, pipeline.id, there)
        assert await desk.names() == ["lead.stage_moved", "pipeline.changed"]
        shown = await desk.tenant.views.lead(lead.id)
        assert (shown.pipeline_id, shown.stage_id) == (default.id, there.move_to)
        with pytest.raises(NotFound):
            await desk.pipelines.delete(desk.admin, pipeline.id, there)

    tell(story())


def test_an_empty_pipeline_needs_no_place_for_leads() -> None:
    """LD7: nothing has to move."""

    async def story() -> None:
        desk = await Desk.open()
        pipeline = await desk.pipelines.create(desk.admin, UNO)
        await desk.news()
        stage = pipeline.stages[0].id
        await desk.pipelines.delete_stage(desk.admin, pipeline.id, stage, Removal())
        await desk.pipelines.delete(desk.admin, pipeline.id, Removal())
        assert await desk.names() == ["pipeline.changed"] * 2

    tell(story())


def assert_in_order(pipeline: Pipeline) -> None:
    """Check that positions count from 0 without gaps."""
    assert [stage.position for stage in pipeline.stages] == list(range(len(pipeline.stages)))
