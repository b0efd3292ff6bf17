"""Pipelines and stages: ordered, one of them the default, never left without a stage."""

from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarin_core.domain.events import EventAction, PipelineChanged, replay
from clarin_core.domain.ids import PipelineId, StageId
from clarin_core.domain.leads import LeadStatus, NewLead
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.pipelines import (
    DEFAULT_PIPELINE,
    STAGES_MAX,
    NewPipeline,
    NewStage,
    Pipeline,
    PipelineChange,
    Removal,
    StageChange,
    StageKind,
    StageOrder,
)
from clarin_core.errors import Conflict, Forbidden, Invalid, NotFound
from clarin_core.testing.strategies import new_pipelines, new_stages
from support.desk import Desk, tell

FEW = settings(max_examples=40, deadline=None)


UNO = NewPipeline(name="Uno", stages=(NewStage(name="a"), NewStage(name="b"), NewStage(name="c")))


@FEW
@given(new=new_pipelines())
def test_a_new_pipeline_has_its_stages_in_order(new: NewPipeline) -> None:
    """3.2: positions from 0 without gaps, behind the others, and not the default."""

    async def story() -> None:
        desk = await Desk.open()
        pipeline = await desk.pipelines.create(desk.admin, new)
        made = [(stage.name, stage.color, stage.kind) for stage in pipeline.stages]
        assert made == [(stage.name, stage.color, stage.kind) for stage in new.stages or ()]
        assert_in_order(pipeline)
        assert (pipeline.version, pipeline.is_default, pipeline.position) == (1, False, 1)
        (event,) = await desk.news()
        assert event == PipelineChanged(action=EventAction.CREATED, pipeline=pipeline)

    tell(story())


def test_a_pipeline_without_stages_gets_the_usual_ones() -> None:
    """3.2: Nuevo to Perdido, the last two being the ends."""

    async def story() -> None:
        desk = await Desk.open()
        pipeline = await desk.pipelines.create(desk.admin, NewPipeline(name="Uno"))
        assert DEFAULT_PIPELINE.stages is not None
        assert [s.name for s in pipeline.stages] == [s.name for s in DEFAULT_PIPELINE.stages]
        kinds = [stage.kind for stage in pipeline.stages]
        assert kinds == [StageKind.OPEN] * 4 + [StageKind.WON, StageKind.LOST]

    tell(story())


@FEW
@given(data=st.data(), size=st.integers(1, 6))
def test_reordering_is_a_permutation(data: st.DataObject, size: int) -> None:
    """LD8, 15.16: the same stages in the order given; what changes nothing is not told."""

    async def story() -> None:
        desk = await Desk.open()
        stages = tuple(NewStage(name=str(number)) for number in range(size))
        pipeline = await desk.pipelines.create(desk.admin, NewPipeline(name="Uno", stages=stages))
        before = {stage.id: (stage.name, stage.kind) for stage in pipeline.stages}
        order = data.draw(st.permutations(list(before)))
        await desk.news()
        changed = await desk.pipelines.reorder(desk.admin, pipeline.id, StageOrder(stage_ids=order))
        is_other = order != list(before)
        assert [stage.id for stage in changed.stages] == order
        assert {stage.id: (stage.name, stage.kind) for stage in changed.stages} == before
        assert_in_order(changed)
        assert changed.version == pipeline.version + is_other
        assert await desk.names() == ["pipeline.changed"] * is_other
        assert await desk.tenant.views.pipeline(pipeline.id) == changed

    tell(story())


def test_an_order_names_every_stage_once() -> None:
    """LD8: too few, too many, twice or of another pipeline is invalid, and nothing moves."""

    async def story() -> None:
        desk = await Desk.open()
        pipeline = await desk.pipelines.create(desk.admin, UNO)
        one, two, three = [stage.id for stage in pipeline.stages]
        for wrong in (
            [one, two],
            [one, two, two],
            [one, two, three, three],
            [one, two, desk.tenant.stages[0]],
            [one, two, three, desk.tenant.stages[0]],
        ):
            order = StageOrder(stage_ids=wrong)
            with pytest.raises(Invalid, match="stage_ids"):
                await desk.pipelines.reorder(desk.admin, pipeline.id, order)
        assert await desk.tenant.views.pipeline(pipeline.id) == pipeline

    tell(story())


def test_there_is_always_one_default() -> None:
    """3.2: naming another one takes it from the first, in the same step; it cannot be unset."""

    async def story() -> None:
        desk = await Desk.open()
        first, second = desk.tenant.pipeline, await desk.pipelines.create(desk.admin, UNO)
        await desk.news()
        default = PipelineChange(is_default=True)
        for pipeline, told in ((second, [first.id, second.id]), (second, []), (first, None)):
            changed = await desk.pipelines.update(desk.admin, pipeline.id, default)
            assert changed.is_default
            assert await defaults(desk) == [pipeline.id]
            events = await desk.news()
            ids = [event.pipeline.id for event in events if isinstance(event, PipelineChanged)]
            assert ids == (told if told is not None else [second.id, first.id])
        with pytest.raises(Invalid, match="is_default"):
            PipelineChange(is_default=False)
        change = PipelineChange(is_default=True, version=99)
        with pytest.raises(Conflict):
            await desk.pipelines.update(desk.admin, second.id, change)
        assert await defaults(desk) == [first.id]

    tell(story())


def test_a_pipeline_is_changed_only_by_what_differs() -> None:
    """15.18: null clears the description; what is the same is neither counted nor told."""

    async def story() -> None:
        desk = await Desk.open()
        pipeline = await desk.pipelines.create(desk.admin, UNO)
        await desk.news()
        for change, version, told in (
            (PipelineChange(name="Uno"), 1, 0),
            (PipelineChange(description="la primera", version=1), 2, 1),
            (PipelineChange(), 2, 0),
            (PipelineChange(name="Dos"), 3, 1),
            (PipelineChange(description=None), 4, 1),
        ):
            changed = await desk.pipelines.update(desk.admin, pipeline.id, change)
            assert (changed.version, len(await desk.news())) == (version, told)
        assert (changed.name, changed.description) == ("Dos", None)
        change = PipelineChange(name="dos")
        with pytest.raises(Conflict) as refusal:
            await desk.pipelines.update(desk.admin, desk.tenant.pipeline.id, change)
        assert refusal.value.code == "duplicate_pipeline"

    tell(story())


@FEW
@given(new=new_stages())
def test_a_new_stage_comes_last(new: NewStage) -> None:
    """3.2: behind the others; the pipeline has changed by that."""

    async def story() -> None:
        desk = await Desk.open()
        pipeline = await desk.pipelines.create(desk.admin, UNO)
        grown = await desk.pipelines.add_stage(desk.admin, pipeline.id, new)
        *before, last = grown.stages
        assert before == pipeline.stages
        assert (last.name, last.color, last.kind) == (new.name, new.color, new.kind)
        assert_in_order(grown)
        assert (grown.version, await desk.names()) == (2, ["pipeline.changed"] * 2)

    tell(story())


def test_a_pipeline_has_a_bounded_number_of_stages() -> None:
    """Section 11 of the architecture: every list has a named maximum."""

    async def story() -> None:
        desk = await Desk.open()
        full = NewPipeline(name="Uno", stages=(NewStage(name="a"),) * STAGES_MAX)
        pipeline = await desk.pipelines.create(desk.admin, full)
        with pytest.raises(Conflict):
            await desk.pipelines.add_stage(desk.admin, pipeline.id, NewStage(name="b"))

    tell(story())


def test_a_stage_is_changed_only_by_what_differs() -> None:
    """15.18: the name, the colour or the kind; its leads get the status of the kind (LD5)."""

    async def story() -> None:
        desk = await Desk.open()
        pipeline = await desk.pipelines.create(desk.admin, UNO)
        stage = pipeline.stages[1]
        new = NewLead(name="Luz", stage_id=stage.id)
        lead = await desk.leads.create(desk.agent, new)
        await desk.news()
        for change, version, told in (
            (StageChange(name="b"), 1, 0),
            (StageChange(name="B", color="#ff0000"), 2, 1),
            (StageChange(), 2, 0),
            (StageChange(kind=StageKind.WON), 3, 2),
            (StageChange(kind=StageKind.WON, name="C"), 4, 1),
        ):
            changed = await desk.pipelines.update_stage(desk.admin, pipeline.id, stage.id, change)
            assert (changed.version, len(await desk.news())) == (version, told)
        now = changed.stages[1]
        assert (now.name, now.color, now.kind) == ("C", "#ff0000", StageKind.WON)
        carried = await desk.tenant.views.lead(lead.id)
        assert (carried.status, carried.version) == (LeadStatus.WON, 2)
        assert carried.closed_at is not None

    tell(story())


def test_agents_change_no_pipeline_and_strangers_see_none() -> None:
    """Section 7; TN1: a foreign pipeline or stage is as unknown as none."""

    async def story() -> None:
        desk = await Desk.open()
        other = await desk.stranger()
        mine = await other.pipelines.create(other.admin, UNO)
        seen = await desk.tenant.picture()
        for attempt in attempts(desk, desk.tenant.pipeline):
            with pytest.raises(Forbidden):
                await attempt(desk.agent)
        for attempt in attempts(desk, desk.tenant.pipeline)[1:]:
            with pytest.raises(NotFound):
                await attempt(other.admin)
        foreign = Removal(move_to=desk.tenant.stages[0])
        await other.leads.create(other.agent, NewLead(name="Luz", pipeline_id=mine.id))
        for removal in (foreign, Removal(move_to=StageId(10**6))):
            with pytest.raises(NotFound, match="stage"):
                await other.pipelines.delete(other.admin, mine.id, removal)
        assert await desk.tenant.picture() == seen

    tell(story())


def test_the_events_add_up_to_the_pipelines() -> None:
    """R5: replaying the log gives what is stored."""

    async def story() -> None:
        desk = await Desk.open()
        pipeline = await desk.pipelines.create(desk.admin, UNO)
        gone = await desk.pipelines.create(desk.admin, NewPipeline(name="Dos"))
        await desk.pipelines.update(desk.admin, pipeline.id, PipelineChange(is_default=True))
        await desk.pipelines.add_stage(desk.admin, pipeline.id, NewStage(name="d"))
        stage = pipeline.stages[0].id
        await desk.pipelines.delete_stage(desk.admin, pipeline.id, stage, Removal())
        await desk.pipelines.delete(desk.admin, gone.id, Removal())
        stored = (await desk.tenant.views.pipelines(PageQuery())).data
        assert replay(await desk.news()).pipelines == {one.id: one for one in stored}

    tell(story())


def attempts(desk: Desk, pipeline: Pipeline) -> list[Callable[..., Awaitable[object]]]:
    """Return everything that changes a pipeline."""
    cases, stage = desk.pipelines, pipeline.stages[0].id
    order = StageOrder(stage_ids=[one.id for one in pipeline.stages][::-1])
    return [
        lambda actor: cases.create(actor, UNO),
        lambda actor: cases.update(actor, pipeline.id, PipelineChange(name="x")),
        lambda actor: cases.update(actor, pipeline.id, PipelineChange(is_default=True)),
        lambda actor: cases.delete(actor, pipeline.id, Removal()),
        lambda actor: cases.add_stage(actor, pipeline.id, NewStage(name="x")),
        lambda actor: cases.update_stage(actor, pipeline.id, stage, StageChange(name="x")),
        lambda actor: cases.delete_stage(actor, pipeline.id, stage, Removal()),
        lambda actor: cases.reorder(actor, pipeline.id, order),
    ]


async def defaults(desk: Desk) -> list[PipelineId]:
    """Return the ids of the default pipelines."""
    page = await desk.tenant.views.pipelines(PageQuery())
    return [pipeline.id for pipeline in page.data if pipeline.is_default]


def assert_in_order(pipeline: Pipeline) -> None:
    """Check that positions count from 0 without gaps."""
    assert [stage.position for stage in pipeline.stages] == list(range(len(pipeline.stages)))
