"""Pipelines of another CRM as pipelines here: names, colours, order and meaning of the stages.

A stage is known by its pipeline and its id there: won and lost have one id in all pipelines. One
that is gone there stays behind the others as long as there are leads in it.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from clarin_core.domain.crm_diff import Place, line
from clarin_core.domain.ids import KommoId, StageId
from clarin_core.domain.pipelines import DEFAULT_COLOR, STAGES_MAX, NewPipeline, NewStage, Pipeline
from clarin_core.domain.remote import RemotePipeline, RemoteStage
from clarin_core.domain.text import caseless

_COLOR = re.compile(r"#[0-9a-f]{6}")
_NAME_MAX = 200  # So that there is room for what tells two of one name apart.


def new_pipeline(said: RemotePipeline, taken: Collection[str]) -> NewPipeline:
    """Return a pipeline to be, with a name of its own."""
    stages = tuple(map(new_stage, said.stages[:STAGES_MAX]))
    return NewPipeline(name=free_name(said, taken), stages=stages)


def free_name(said: RemotePipeline, taken: Collection[str]) -> str:
    """Return a pipeline's name; if one here has it, ignoring case, something tells them apart."""
    name = line(said.name, longest=_NAME_MAX) or f"Kommo {said.id}"
    names = (name, f"{name} (Kommo)", f"{name} (Kommo {said.id})")
    return next((one for one in names if caseless(one) not in taken), names[-1])


def new_stage(said: RemoteStage) -> NewStage:
    """Return a stage to be."""
    return NewStage(name=_name(said), color=_color(said), kind=said.kind)


def missing_stages(said: RemotePipeline, pipeline: Pipeline) -> list[RemoteStage]:
    """Return the stages that the pipeline here lacks."""
    known = {stage.kommo_id for stage in pipeline.stages}
    return [stage for stage in said.stages[:STAGES_MAX] if stage.id not in known]


def gone_stages(said: RemotePipeline, pipeline: Pipeline) -> list[StageId]:
    """Return the stages here that are gone there."""
    known = {stage.id for stage in said.stages}
    theirs = (stage for stage in pipeline.stages if stage.kommo_id is not None)
    return [stage.id for stage in theirs if stage.kommo_id not in known]


def name_stages(pipeline: Pipeline, born: Sequence[RemoteStage]) -> None:
    """Tell the last stages, which were made for these, whose they are."""
    start = len(pipeline.stages) - len(born)
    for stage, said in zip(pipeline.stages[start:], born, strict=True):
        stage.kommo_id = said.id


def arrange(
    pipeline: Pipeline, said: RemotePipeline, empty: Collection[StageId], *, at: datetime
) -> None:
    """Give a pipeline and its stages what Kommo says; stages in `empty` go away."""
    order = {stage.id: place for place, stage in enumerate(said.stages)}
    theirs = {stage.id: stage for stage in said.stages}
    last = len(order)
    stages = [stage for stage in pipeline.stages if stage.id not in empty]
    stages.sort(key=lambda stage: order.get(stage.kommo_id or KommoId(0), last))
    for position, stage in enumerate(stages):
        stage.position = position
        if (now := theirs.get(stage.kommo_id or KommoId(0))) is not None:
            stage.name, stage.color, stage.kind = _name(now), _color(now), now.kind
    pipeline.stages, pipeline.kommo_id = stages, said.id
    pipeline.touch(at)


def places_in(pipelines: Iterable[Pipeline]) -> dict[tuple[KommoId, KommoId], Place]:
    """Return the places of mirrored pipelines by Kommo's ids."""
    return {
        (pipeline.kommo_id, stage.kommo_id): Place(pipeline, stage)
        for pipeline in pipelines
        for stage in pipeline.stages
        if pipeline.kommo_id is not None and stage.kommo_id is not None
    }


def _name(said: RemoteStage) -> str:
    return line(said.name) or f"Kommo {said.id}"


def _color(said: RemoteStage) -> str:
    color = (said.color or "").lower()
    return color if _COLOR.fullmatch(color) else DEFAULT_COLOR
