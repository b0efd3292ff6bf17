"""Pipelines: the stages that a lead passes, in order."""

from datetime import datetime
from enum import Enum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from clarin_core.domain.command import Change, Command, Name, Notes
from clarin_core.domain.entity import Entity
from clarin_core.domain.ids import KommoId, PipelineId, StageId
from clarin_core.errors import Conflict, Invalid, NotFound

STAGES_MAX = 100
DEFAULT_COLOR = "#6366f1"

Color = Annotated[str, Meta(pattern=r"^#[0-9a-f]{6}$", max_length=7)]


class StageKind(Enum):
    """Whether a lead in the stage is still open."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


class NewStage(Command, frozen=True, kw_only=True):
    """A stage to be, put behind the others."""

    name: Name
    color: Color = DEFAULT_COLOR
    kind: StageKind = StageKind.OPEN


class Stage(Struct, kw_only=True, omit_defaults=True):
    """One step of a pipeline; positions count from 0 without gaps."""

    id: StageId
    name: str
    color: str
    position: int
    kind: StageKind
    kommo_id: KommoId | None = None


class Pipeline(Entity, kw_only=True, omit_defaults=True):
    """The entity with its stages in order of position."""

    id: PipelineId
    name: str
    description: str | None = None
    is_default: bool
    position: int
    kommo_id: KommoId | None = None
    stages: list[Stage]

    def stage(self, stage_id: StageId) -> Stage:
        """Return one of the stages; raises NotFound."""
        for stage in self.stages:
            if stage.id == stage_id:
                return stage
        raise NotFound("stage", stage_id)

    def first(self, kind: StageKind | None = None) -> Stage | None:
        """Return the first stage (of that kind), None if there is none."""
        return next((s for s in self.stages if kind in (None, s.kind)), None)

    def remove(self, stage_id: StageId, *, at: datetime) -> Stage:
        """Take a stage out and close the gap; the last one must stay (LD7)."""
        stage = self.stage(stage_id)
        if len(self.stages) == 1:
            raise Conflict("last_stage", "a pipeline keeps at least one stage")
        self.stages.remove(stage)
        self._renumber(at)
        return stage

    def reorder(self, stage_ids: list[StageId], *, at: datetime) -> bool:
        """Put all stages, each named once, in a new order (LD8); False if it was the order."""
        places = {stage_id: place for place, stage_id in enumerate(stage_ids)}
        if len(places) != len(stage_ids) or set(places) != {s.id for s in self.stages}:
            raise Invalid("stage_ids", "must name every stage of the pipeline once")
        if stage_ids == [stage.id for stage in self.stages]:
            return False
        self.stages.sort(key=lambda stage: places[stage.id])
        self._renumber(at)
        return True

    def _renumber(self, at: datetime) -> None:
        for position, stage in enumerate(self.stages):
            stage.position = position
        self.touch(at)


class NewPipeline(Command, frozen=True, kw_only=True):
    """A pipeline to be; without stages it gets the usual ones."""

    name: Name
    description: Notes | None = None
    stages: Annotated[tuple[NewStage, ...], Meta(min_length=1, max_length=STAGES_MAX)] | None = None


class PipelineChange(Change, frozen=True, kw_only=True):
    """A partial update; a pipeline becomes the default by `is_default: true` only."""

    name: Name | UnsetType = UNSET
    description: Notes | UnsetType | None = UNSET
    is_default: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Raise Invalid for taking the default away without naming another."""
        super().__post_init__()
        if self.is_default is False:
            raise Invalid("is_default", "can only be set, on another pipeline")


class StageChange(Change, frozen=True, kw_only=True):
    """A partial update of a stage; the version is its pipeline's."""

    name: Name | UnsetType = UNSET
    color: Color | UnsetType = UNSET
    kind: StageKind | UnsetType = UNSET


class StageOrder(Change, frozen=True, kw_only=True):
    """All stages of a pipeline, each once, in their new order."""

    stage_ids: Annotated[list[StageId], Meta(min_length=1, max_length=STAGES_MAX)]


class Removal(Change, frozen=True, kw_only=True):
    """Where the leads of a removed stage or pipeline go; the version is the pipeline's."""

    move_to: StageId | UnsetType = UNSET


DEFAULT_PIPELINE = NewPipeline(
    name="Embudo de ventas",
    stages=(
        NewStage(name="Nuevo"),
        NewStage(name="Contactado", color="#0ea5e9"),
        NewStage(name="En Negociación", color="#f59e0b"),
        NewStage(name="Propuesta", color="#8b5cf6"),
        NewStage(name="Cerrado", color="#22c55e", kind=StageKind.WON),
        NewStage(name="Perdido", color="#ef4444", kind=StageKind.LOST),
    ),
)
