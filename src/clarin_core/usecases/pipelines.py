"""What one can do with pipelines and their stages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from clarin_core.domain.actor import Actor
from clarin_core.domain.events import EventAction, LeadMoved, LeadUpdated, PipelineChanged
from clarin_core.domain.ids import PipelineId, StageId
from clarin_core.domain.leads import Lead
from clarin_core.domain.pipelines import (
    DEFAULT_PIPELINE,
    STAGES_MAX,
    NewPipeline,
    NewStage,
    Pipeline,
    PipelineChange,
    Removal,
    Stage,
    StageChange,
    StageOrder,
)
from clarin_core.errors import Conflict, Invalid
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.kommo import refuse_mirrored_pipeline

_LEADS_MOVED_MAX = 10_000
_LEADS_PER_EVENT = 500


@dataclass(frozen=True, slots=True)
class PipelineUseCases:
    """What one can do with pipelines. One method is one use case."""

    storage: Storage
    clock: Clock

    async def create(self, actor: Actor, new: NewPipeline) -> Pipeline:
        """Make a pipeline; without stages it gets the usual ones."""
        actor.require_admin()
        full = replace(new, stages=new.stages or DEFAULT_PIPELINE.stages)
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            pipeline = await tx.pipelines.add(full, is_default=False, at=self.clock())
            tx.emit(PipelineChanged(action=EventAction.CREATED, pipeline=pipeline))
        return pipeline

    async def update(
        self, actor: Actor, pipeline_id: PipelineId, change: PipelineChange
    ) -> Pipeline:
        """Rename a pipeline, describe it, or make it the default."""
        actor.require_admin()
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            if change.is_default is True:
                await _unset_default(tx, pipeline_id, at=at)
            pipeline = await tx.pipelines.get(pipeline_id)
            pipeline.expect(change.version)
            if pipeline.alter(change.values(), at=at):
                await _save(tx, pipeline)
        return pipeline

    async def delete(self, actor: Actor, pipeline_id: PipelineId, removal: Removal) -> None:
        """Remove a pipeline; its leads go to `move_to` in another one (LD7)."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            pipeline = await tx.pipelines.get(pipeline_id)
            pipeline.expect(removal.version)
            await refuse_mirrored_pipeline(tx, pipeline)
            if pipeline.is_default:
                raise Conflict("default_pipeline", "the default pipeline stays")
            if removal.move_to in {stage.id for stage in pipeline.stages}:
                raise Invalid("move_to", "is a stage of the pipeline itself")
            gone = [stage.id for stage in pipeline.stages]
            await _move_leads(tx, gone, removal, actor, at=self.clock())
            await tx.pipelines.remove(pipeline_id)
            tx.emit(PipelineChanged(action=EventAction.DELETED, pipeline=pipeline))

    async def add_stage(self, actor: Actor, pipeline_id: PipelineId, new: NewStage) -> Pipeline:
        """Put a stage behind the others."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            pipeline = await tx.pipelines.get(pipeline_id)
            return await add_stages(tx, pipeline, [new], at=self.clock())

    async def update_stage(
        self, actor: Actor, pipeline_id: PipelineId, stage_id: StageId, change: StageChange
    ) -> Pipeline:
        """Rename or recolour a stage, or say what it means for a lead to be in it."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            pipeline = await tx.pipelines.get(pipeline_id)
            stage = pipeline.stage(stage_id)
            pipeline.expect(change.version)
            given = change.values()
            changed = {field: v for field, v in given.items() if getattr(stage, field) != v}
            for field, value in changed.items():
                setattr(stage, field, value)
            if changed:
                await refuse_mirrored_pipeline(tx, pipeline)
                pipeline.touch(self.clock())
                await _save(tx, pipeline)
            if "kind" in changed:
                await _carry_along(tx, pipeline, stage)
        return pipeline

    async def delete_stage(
        self, actor: Actor, pipeline_id: PipelineId, stage_id: StageId, removal: Removal
    ) -> Pipeline:
        """Remove a stage; its leads go to `move_to` (LD7)."""
        actor.require_admin()
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            pipeline = await tx.pipelines.get(pipeline_id)
            pipeline.expect(removal.version)
            await refuse_mirrored_pipeline(tx, pipeline)
            if removal.move_to == stage_id:
                raise Invalid("move_to", "is the removed stage itself")
            pipeline.remove(stage_id, at=at)
            await _move_leads(tx, [stage_id], removal, actor, at=at)
            await _save(tx, pipeline)
        return pipeline

    async def reorder(self, actor: Actor, pipeline_id: PipelineId, order: StageOrder) -> Pipeline:
        """Put the stages in a new order (LD8)."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            pipeline = await tx.pipelines.get(pipeline_id)
            pipeline.expect(order.version)
            if pipeline.reorder(order.stage_ids, at=self.clock()):
                await _save(tx, pipeline)
        return pipeline


async def add_stages(
    tx: Transaction, pipeline: Pipeline, new: Sequence[NewStage], *, at: datetime
) -> Pipeline:
    """Put stages behind a pipeline's others and announce it; return the pipeline as it is then."""
    if len(pipeline.stages) + len(new) > STAGES_MAX:
        raise Conflict("conflict", f"a pipeline has at most {STAGES_MAX} stages")
    await tx.pipelines.add_stages(pipeline.id, new)
    grown = await tx.pipelines.get(pipeline.id)
    grown.touch(at)
    await _save(tx, grown)
    return grown


async def _save(tx: Transaction, pipeline: Pipeline) -> None:
    await tx.pipelines.save(pipeline)
    tx.emit(PipelineChanged(action=EventAction.UPDATED, pipeline=pipeline))


async def _unset_default(tx: Transaction, pipeline_id: PipelineId, *, at: datetime) -> None:
    """Make room for another default pipeline."""
    for pipeline in await tx.pipelines.all():
        if pipeline.is_default and pipeline.id != pipeline_id:
            pipeline.alter({"is_default": False}, at=at)
            await _save(tx, pipeline)


async def _move_leads(
    tx: Transaction, gone: list[StageId], removal: Removal, actor: Actor, *, at: datetime
) -> None:
    """Empty stages that are about to go, in batches; hidden leads go along."""
    leads = await _leads_in(tx, gone)
    if not leads:
        return
    if not removal.move_to:
        raise Conflict("stage_not_empty", "leads are in it: name move_to")
    pipeline = await tx.pipelines.of_stage(removal.move_to)
    stage = pipeline.stage(removal.move_to)
    for batch in _batches(leads):
        moved = [lead.move(pipeline, stage, by=actor.user_id, at=at) for lead in batch]
        moves = [move for move in moved if move]
        await tx.leads.save(batch)
        await tx.leads.log_moves(moves)
        tx.emit(LeadMoved(leads=batch, moves=moves))


async def _carry_along(tx: Transaction, pipeline: Pipeline, stage: Stage) -> None:
    """Give the leads of a stage the status that follows from what it means now (LD5)."""
    at = pipeline.updated_at
    for batch in _batches(await _leads_in(tx, [stage.id])):
        changes = [(lead, lead.alter(lead.place(pipeline, stage, at=at), at=at)) for lead in batch]
        if altered := [lead for lead, changed in changes if changed]:
            await tx.leads.save(altered)
            names = {name for _, changed in changes for name in changed}
            tx.emit(LeadUpdated(leads=altered, changed=sorted(names)))


async def _leads_in(tx: Transaction, stage_ids: list[StageId]) -> list[Lead]:
    """Return the leads of some stages; raises Conflict for more than one transaction takes."""
    leads = await tx.leads.in_stages(stage_ids, limit=_LEADS_MOVED_MAX + 1)
    if len(leads) > _LEADS_MOVED_MAX:
        raise Conflict("stage_not_empty", f"more than {_LEADS_MOVED_MAX} leads are in it")
    return leads


def _batches(leads: list[Lead]) -> Iterator[list[Lead]]:
    for start in range(0, len(leads), _LEADS_PER_EVENT):
        yield leads[start : start + _LEADS_PER_EVENT]
