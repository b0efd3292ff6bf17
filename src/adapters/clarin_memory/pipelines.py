"""Pipelines and their stages."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.ids import KommoId, PipelineId, StageId
from clarin_core.domain.paging import Page, PageQuery
from clarin_core.domain.pipelines import NewPipeline, NewStage, Pipeline, Stage
from clarin_core.domain.text import caseless
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.stores import PipelineStore
from clarin_memory.paging import Order
from clarin_memory.reader import Reader
from clarin_memory.state import AccountTables, Scope
from clarin_memory.tables import copied, rival

BY_POSITION = Order[Pipeline](lambda pipeline: (pipeline.position, pipeline.id), (int, int))


@dataclass(frozen=True, slots=True)
class MemoryPipelineStore(PipelineStore):
    """The pipelines of one account, each with its stages."""

    scope: Scope

    async def get(self, pipeline_id: PipelineId) -> Pipeline:
        """Return a pipeline; raises NotFound."""
        return copied(_pipeline(self.scope.tables, pipeline_id))

    async def of_stage(self, stage_id: StageId) -> Pipeline:
        """Return the pipeline that has the stage; raises NotFound for the stage."""
        return copied(pipeline_of(self.scope.tables, stage_id))

    async def by_kommo(self, kommo_ids: Collection[KommoId]) -> list[Pipeline]:
        """Return the pipelines with these Kommo ids, by id."""
        rows = self.scope.tables.pipelines.rows()
        found = (row for row in rows if row.kommo_id is not None and row.kommo_id in kommo_ids)
        return copied(sorted(found, key=lambda row: row.id))

    async def default(self) -> Pipeline:
        """Return the default pipeline."""
        for pipeline in self.scope.tables.pipelines.rows():
            if pipeline.is_default:
                return copied(pipeline)
        raise NotFound("pipeline", "default")

    async def all(self) -> list[Pipeline]:
        """Return all pipelines by position and id."""
        return copied(sorted(self.scope.tables.pipelines.rows(), key=BY_POSITION.key))

    async def add(self, new: NewPipeline, *, is_default: bool, at: datetime) -> Pipeline:
        """Store a pipeline behind the others, with its stages in order."""
        positions = [pipeline.position for pipeline in self.scope.tables.pipelines.rows()]
        pipeline = Pipeline(
            id=PipelineId(self.scope.ids.next("pipeline")),
            name=new.name,
            description=new.description,
            is_default=is_default,
            position=max(positions, default=-1) + 1,
            stages=self._stages(new.stages or (), first=0),
            created_at=at,
            updated_at=at,
            version=1,
        )
        self._put(pipeline)
        return pipeline

    async def add_stages(self, pipeline_id: PipelineId, new: Sequence[NewStage]) -> None:
        """Put stages behind the pipeline's others."""
        pipeline = await self.get(pipeline_id)
        pipeline.stages += self._stages(new, first=len(pipeline.stages))
        self._put(pipeline)

    async def save(self, pipeline: Pipeline) -> None:
        """Store a pipeline and all of its stages as they are; stages left out are removed.

        Raises Conflict `stage_not_empty` while leads are in a removed stage.
        """
        before = {stage.id for stage in _pipeline(self.scope.tables, pipeline.id).stages}
        after = {stage.id for stage in pipeline.stages}
        for stage_id in after - before:
            raise NotFound("stage", stage_id)
        self._expect_empty(before - after)
        self._put(pipeline)

    async def remove(self, pipeline_id: PipelineId) -> None:
        """Remove a pipeline that no lead is in; raises Conflict `stage_not_empty` otherwise."""
        pipeline = _pipeline(self.scope.tables, pipeline_id)
        self._expect_empty({stage.id for stage in pipeline.stages})
        self.scope.tables.pipelines.drop(pipeline_id)

    def _stages(self, new: Iterable[NewStage], *, first: int) -> list[Stage]:
        return [
            Stage(
                id=StageId(self.scope.ids.next("stage")),
                name=stage.name,
                color=stage.color,
                position=position,
                kind=stage.kind,
            )
            for position, stage in enumerate(new, first)
        ]

    def _expect_empty(self, stage_ids: set[StageId]) -> None:
        if any(lead.stage_id in stage_ids for lead in self.scope.tables.leads.rows()):
            raise Conflict("stage_not_empty", "leads are in the stage")

    def _put(self, pipeline: Pipeline) -> None:
        rows = self.scope.tables.pipelines.rows
        if other := rival(rows(), [pipeline], lambda row: caseless(row.name)):
            raise Conflict("duplicate_pipeline", "a pipeline has this name", id=other.id)
        if other := rival(rows(), [pipeline], lambda row: row.is_default or None):
            raise Conflict("conflict", "another pipeline is the default", id=other.id)
        self.scope.tables.pipelines.put(pipeline.id, pipeline)


class PipelineViews(Reader):
    """What an account reads of its pipelines."""

    async def pipelines(self, query: PageQuery) -> Page[Pipeline]:
        """Return pipelines with their stages by position and id."""
        return self._page(self._tables.pipelines.rows(), BY_POSITION, query, copied)

    async def pipeline(self, pipeline_id: PipelineId) -> Pipeline:
        """Return a pipeline with its stages; raises NotFound."""
        return copied(_pipeline(self._tables, pipeline_id))


def pipeline_of(tables: AccountTables, stage_id: StageId) -> Pipeline:
    """Return the pipeline that has the stage, the row itself; raises NotFound."""
    for pipeline in tables.pipelines.rows():
        if any(stage.id == stage_id for stage in pipeline.stages):
            return pipeline
    raise NotFound("stage", stage_id)


def _pipeline(tables: AccountTables, pipeline_id: PipelineId) -> Pipeline:
    pipeline = tables.pipelines.peek(pipeline_id)
    if pipeline is None:
        raise NotFound("pipeline", pipeline_id)
    return pipeline
