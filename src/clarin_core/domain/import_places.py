"""Where the rows of a file put their leads: pipelines and stages by name, ignoring case."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct, structs

from clarin_core.domain.csv_import import ImportRow, RejectedRow
from clarin_core.domain.pipelines import (
    DEFAULT_PIPELINE,
    STAGES_MAX,
    NewPipeline,
    NewStage,
    Pipeline,
    Stage,
    StageKind,
)
from clarin_core.domain.text import caseless, fold
from clarin_core.errors import Invalid

_PIPELINES_MAX = 50

_USUAL = {fold(stage.name): stage for stage in DEFAULT_PIPELINE.stages or ()} | {
    fold(name): NewStage(name=name, kind=kind)  # What Kommo calls the ends of its pipelines.
    for name, kind in (
        ("Ganado", StageKind.WON),
        ("Closed - won", StageKind.WON),
        ("Closed - lost", StageKind.LOST),
    )
}


class Place(NamedTuple):
    """A stage and its pipeline."""

    pipeline: Pipeline
    stage: Stage

    def within(self, pipeline: Pipeline) -> "Place":
        """Return the place in the pipeline as it is now; raises NotFound if it is gone."""
        return Place(pipeline, pipeline.stage(self.stage.id))


class WantedPipeline(Struct, frozen=True, kw_only=True):
    """A pipeline that rows name (None is the default) and its stages as they first appear."""

    name: str | None
    stages: dict[str, str] = {}

    def to_make(self) -> NewPipeline:
        """Return the pipeline to be, with the usual stages if no row names one."""
        stages = tuple(map(_new_stage, self.stages.values())) or DEFAULT_PIPELINE.stages
        return NewPipeline(name=self.name or DEFAULT_PIPELINE.name, stages=stages)

    def missing_in(self, pipeline: Pipeline) -> list[NewStage]:
        """Return the stages that the pipeline lacks."""
        known = {caseless(stage.name) for stage in pipeline.stages}
        return [_new_stage(name) for key, name in self.stages.items() if key not in known]


class Places:
    """The stages of an account by what rows call them."""

    def __init__(self, pipelines: Sequence[Pipeline]) -> None:
        self._pipelines = {caseless(pipeline.name): pipeline for pipeline in pipelines}
        self._default = next(caseless(one.name) for one in pipelines if one.is_default)
        self._stages = {key: _stages(one) for key, one in self._pipelines.items()}

    def pipeline(self, name: str | None) -> Pipeline | None:
        """Return the pipeline of that name, the default one for None, None if it is missing."""
        return self._pipelines.get(self._pipeline_key(name))

    def put(self, pipeline: Pipeline) -> None:
        """Take a pipeline in that was made or changed."""
        key = caseless(pipeline.name)
        self._pipelines[key] = pipeline
        self._stages[key] = _stages(pipeline)

    def of(self, row: ImportRow) -> Place:
        """Return where the row says its lead is; without a stage that is the first one."""
        key = self._pipeline_key(row.pipeline)
        pipeline = self._pipelines[key]
        stage = self._stages[key][caseless(row.stage)] if row.stage else pipeline.stages[0]
        return Place(pipeline, stage)

    def _pipeline_key(self, name: str | None) -> str:
        return caseless(name) if name else self._default


def wanted_pipelines(rows: Iterable[ImportRow | RejectedRow]) -> list[WantedPipeline]:
    """Return the pipelines and stages that a file names, in order of first appearance.

    Raises Invalid for more than 50 pipelines, or more than 100 stages in one.
    """
    wanted: dict[str, WantedPipeline] = {}
    for row in rows:
        if isinstance(row, ImportRow):
            name = row.pipeline
            pipeline = wanted.setdefault(caseless(name or ""), WantedPipeline(name=name))
            if row.stage:
                pipeline.stages.setdefault(caseless(row.stage), row.stage)
    if len(wanted) > _PIPELINES_MAX:
        raise Invalid("pipeline", f"has more than {_PIPELINES_MAX} different values")
    if any(len(pipeline.stages) > STAGES_MAX for pipeline in wanted.values()):
        raise Invalid("stage", f"has more than {STAGES_MAX} different values in one pipeline")
    return list(wanted.values())


def _new_stage(name: str) -> NewStage:
    """Return a stage to be; a usual name gives it the usual colour and meaning."""
    usual = _USUAL.get(fold(name))
    return structs.replace(usual, name=name) if usual else NewStage(name=name)


def _stages(pipeline: Pipeline) -> dict[str, Stage]:
    """Return the stages by name; the first one of several with one name."""
    return {caseless(stage.name): stage for stage in reversed(pipeline.stages)}
