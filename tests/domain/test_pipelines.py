"""Pipelines: an order of stages without gaps, never empty."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.ids import PipelineId, StageId
from clarin_core.domain.pipelines import (
    DEFAULT_PIPELINE,
    Pipeline,
    PipelineChange,
    Stage,
    StageKind,
)
from clarin_core.errors import Conflict, Invalid, NotFound
from clarin_core.testing.tenants import LATER, NOON

SIZES = st.integers(1, 8)


@given(size=SIZES, data=st.data())
def test_reordering_is_a_permutation(size: int, data: st.DataObject) -> None:
    """LD8, 15.16: the same stages in the order given; the same order changes nothing."""
    pipeline = pipeline_of(size)
    before = {stage.id: stage.name for stage in pipeline.stages}
    order = data.draw(st.permutations(list(before)))
    is_other = order != list(before)
    assert pipeline.reorder(order, at=LATER) is is_other
    assert [stage.id for stage in pipeline.stages] == order
    assert {stage.id: stage.name for stage in pipeline.stages} == before
    assert [stage.position for stage in pipeline.stages] == [*range(size)]
    assert (pipeline.version, pipeline.updated_at) == ((2, LATER) if is_other else (1, NOON))


@given(size=SIZES, ids=st.lists(st.integers(1, 9).map(StageId), max_size=9))
def test_an_order_names_every_stage_once(size: int, ids: list[StageId]) -> None:
    """LD8: anything else is invalid, and nothing moves."""
    pipeline = pipeline_of(size)
    if sorted(ids) != [stage.id for stage in pipeline.stages]:
        with pytest.raises(Invalid, match="stage_ids"):
            pipeline.reorder(ids, at=LATER)
        assert pipeline == pipeline_of(size)


@given(size=SIZES, data=st.data())
def test_removing_closes_the_gap(size: int, data: st.DataObject) -> None:
    """LD7: the others keep their order; the last one stays."""
    pipeline = pipeline_of(size)
    ids = [stage.id for stage in pipeline.stages]
    gone = data.draw(st.sampled_from(ids))
    if size == 1:
        with pytest.raises(Conflict) as refusal:
            pipeline.remove(gone, at=LATER)
        assert (refusal.value.code, pipeline) == ("last_stage", pipeline_of(1))
        return
    assert pipeline.remove(gone, at=LATER).id == gone
    assert [stage.id for stage in pipeline.stages] == [one for one in ids if one != gone]
    assert [stage.position for stage in pipeline.stages] == [*range(size - 1)]
    assert pipeline.version == 2
    with pytest.raises(NotFound, match=f"stage {gone}"):
        pipeline.remove(gone, at=LATER)


def test_the_first_stage_of_a_kind_is_found() -> None:
    """LD6: in order, or none."""
    pipeline = pipeline_of(3)
    pipeline.stages[1].kind = pipeline.stages[2].kind = StageKind.WON
    assert pipeline.first() is pipeline.stages[0]
    assert pipeline.first(StageKind.WON) is pipeline.stages[1]
    assert pipeline.first(StageKind.LOST) is None


def test_a_default_is_moved_not_dropped() -> None:
    """3.2: exactly one default from the account's creation on."""
    assert PipelineChange(is_default=True).values() == {"is_default": True}
    with pytest.raises(Invalid, match="is_default"):
        PipelineChange(is_default=False)


def test_a_new_account_has_the_usual_pipeline() -> None:
    """3.2: four open stages, then won, then lost."""
    assert DEFAULT_PIPELINE.stages is not None
    assert [(stage.name, stage.kind.value) for stage in DEFAULT_PIPELINE.stages] == [
        ("Nuevo", "open"),
        ("Contactado", "open"),
        ("En Negociación", "open"),
        ("Propuesta", "open"),
        ("Cerrado", "won"),
        ("Perdido", "lost"),
    ]


def pipeline_of(size: int) -> Pipeline:
    """Return a pipeline of some stages with the ids from 1."""
    stages = [
        Stage(id=StageId(n), name=str(n), color="", position=n - 1, kind=StageKind.OPEN)
        for n in range(1, size + 1)
    ]
    life: dict[str, Any] = {"created_at": NOON, "updated_at": NOON, "version": 1}
    return Pipeline(
        id=PipelineId(9), name="Uno", is_default=True, position=0, stages=stages, **life
    )
