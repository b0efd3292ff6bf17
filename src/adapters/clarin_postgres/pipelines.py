"""Pipelines and their stages."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.ids import KommoId, PipelineId, StageId
from clarin_core.domain.paging import Page, PageQuery
from clarin_core.domain.pipelines import NewPipeline, NewStage, Pipeline, Stage
from clarin_core.domain.text import caseless
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.stores import PipelineStore
from clarin_postgres.columns import Columns
from clarin_postgres.conditions import Conditions
from clarin_postgres.paging import Listing, Order, page_of, struct, structs
from clarin_postgres.reader import Reader
from clarin_postgres.scope import Scope

PIPELINE = (
    "p.id, p.name, p.description, p.is_default, p.position, p.kommo_id, "
    "p.created_at, p.updated_at, p.version"
)
STAGES = """coalesce((
        select json_agg(json_build_object(
            'id', g.id, 'name', g.name, 'color', g.color, 'position', g.position,
            'kind', g.kind, 'kommo_id', g.kommo_id) order by g.position)
        from stages g where g.account_id = $1 and g.pipeline_id = p.id
    ), '[]') as stages"""
_BY_POSITION = Order(("position", "id"), (int, int))
_LISTING = Listing(
    "pipelines.page", "pipelines p", "p", cut=PIPELINE, shown=f"{PIPELINE}, {STAGES}"
)

_NEW_STAGES = Columns({"name": "text", "color": "text", "kind": "text"})
_ALL_STAGES = Columns(
    {
        "id": "bigint",
        "name": "text",
        "color": "text",
        "position": "integer",
        "kind": "text",
        "kommo_id": "bigint",
    }
)

# A lock may have to wait for a change. The pipeline is then read anew, the stages are those of
# the time before: `seen` tells, and the statement is run again with the lock in hand.
_READ = f"""select {PIPELINE}, {STAGES}, p.xmin = seen.xmin as is_fresh
    from pipelines p
    join pipelines seen on seen.account_id = p.account_id and seen.id = p.id
    where p.account_id = $1"""
_GET = f"""-- pipelines.get
    {_READ} and p.id = $2 for no key update of p"""
_OF_STAGE = f"""-- pipelines.of_stage
    {_READ} and p.id = (
        select g.pipeline_id from stages g where g.account_id = $1 and g.id = $2
    ) for share of p"""
_BY_KOMMO = f"""-- pipelines.by_kommo
    {_READ} and p.kommo_id = any($2) order by p.id for share of p"""
_DEFAULT = f"""-- pipelines.default
    {_READ} and p.is_default for share of p"""
_ALL = f"""-- pipelines.all
    {_READ} order by p.id for no key update of p"""

_ADD = f"""-- pipelines.add
    with {_NEW_STAGES.rows(7)},
    rival as (select p.id from pipelines p where p.account_id = $1 and p.key = $3),
    born as (
        insert into pipelines as p (
            account_id, name, key, description, is_default, position,
            created_at, updated_at, version)
        select $1, $2, $3, $4, $5, coalesce(max(p.position) + 1, 0), $6, $6, 1
        from pipelines p where p.account_id = $1
        having not exists (select from rival)
        returning p.id, p.position
    ),
    stage as (
        insert into stages as g (account_id, pipeline_id, {_NEW_STAGES.names}, position)
        select $1, born.id, {_NEW_STAGES.values}, n.place - 1 from born, n order by n.place
        returning g.id, g.position
    )
    select (select rival.id from rival) as rival, (select born.id from born) as id,
        (select born.position from born) as position,
        array(select stage.id from stage order by stage.position) as stage_ids"""
_ADD_STAGES = f"""-- pipelines.add_stages
    with {_NEW_STAGES.rows(3)},
    kept as (  -- Written as it was, so that who waits for it sees that something has changed.
        update pipelines p set position = p.position where p.account_id = $1 and p.id = $2
        returning p.id
    ),
    stage as (
        insert into stages as g (account_id, pipeline_id, {_NEW_STAGES.names}, position)
        select $1, kept.id, {_NEW_STAGES.values}, n.place - 1 + (
            select count(*) from stages g where g.account_id = $1 and g.pipeline_id = $2)
        from kept, n order by n.place
    )
    select kept.id from kept"""
_SAVE = f"""-- pipelines.save
    with {_ALL_STAGES.rows(12)},
    rival as (
        select p.id from pipelines p where p.account_id = $1 and p.key = $4 and p.id <> $2
    ),
    saved as (
        update pipelines p set name = $3, key = $4, description = $5, is_default = $6,
            position = $7, kommo_id = $8, created_at = $9, updated_at = $10, version = $11
        where p.account_id = $1 and p.id = $2 and not exists (select from rival)
        returning p.id
    ),
    gone as (
        delete from stages g using saved
        where g.account_id = $1 and g.pipeline_id = saved.id and g.id not in (select n.id from n)
    ),
    changed as (
        update stages g set {_ALL_STAGES.assignments} from saved, n
        where g.account_id = $1 and g.pipeline_id = saved.id and g.id = n.id
        returning g.id
    )
    select (select rival.id from rival) as rival, (select saved.id from saved) as id,
        array(select changed.id from changed) as stage_ids"""
_REMOVE = """-- pipelines.remove
    delete from pipelines p where p.account_id = $1 and p.id = $2"""
_VIEW = f"""-- pipelines.view
    select {PIPELINE}, {STAGES} from pipelines p where p.account_id = $1 and p.id = $2"""


@dataclass(frozen=True, slots=True)
class PostgresPipelineStore(PipelineStore):
    """The pipelines of one account, each with its stages."""

    scope: Scope

    async def get(self, pipeline_id: PipelineId) -> Pipeline:
        """Return a pipeline, locked; raises NotFound."""
        return await self._only("pipeline", pipeline_id, _GET, pipeline_id)

    async def of_stage(self, stage_id: StageId) -> Pipeline:
        """Return the pipeline that has the stage; raises NotFound for the stage."""
        return await self._only("stage", stage_id, _OF_STAGE, stage_id)

    async def by_kommo(self, kommo_ids: Collection[KommoId]) -> list[Pipeline]:
        """Return the pipelines with these Kommo ids, by id, each with a shared lock."""
        return await self._read(_BY_KOMMO, list(kommo_ids))

    async def default(self) -> Pipeline:
        """Return the default pipeline, with a shared lock like `of_stage`."""
        try:
            return await self._only("pipeline", "default", _DEFAULT)
        except NotFound:  # While we waited for it, another one became the default.
            return await self._only("pipeline", "default", _DEFAULT)

    async def all(self) -> list[Pipeline]:
        """Return all pipelines, locked, by position and id."""
        pipelines = await self._read(_ALL)
        return sorted(pipelines, key=lambda pipeline: (pipeline.position, pipeline.id))

    async def add(self, new: NewPipeline, *, is_default: bool, at: datetime) -> Pipeline:
        """Store a pipeline behind the others, with its stages in order."""
        stages = new.stages or ()
        row = await self.scope.one(
            _ADD, new.name, caseless(new.name), new.description, is_default, at,
            *_NEW_STAGES.arrays(stages),
        )  # fmt: skip
        if row["rival"] is not None:
            raise _exists(row["rival"])
        numbered = enumerate(zip(row["stage_ids"], stages, strict=True))
        return Pipeline(
            id=row["id"],
            name=new.name,
            description=new.description,
            is_default=is_default,
            position=row["position"],
            stages=[_born(stage, stage_id, position) for position, (stage_id, stage) in numbered],
            created_at=at,
            updated_at=at,
            version=1,
        )

    async def add_stages(self, pipeline_id: PipelineId, new: Sequence[NewStage]) -> None:
        """Put stages behind the pipeline's others; raises NotFound."""
        row = await self.scope.first(_ADD_STAGES, pipeline_id, *_NEW_STAGES.arrays(new))
        if row is None:
            raise NotFound("pipeline", pipeline_id)

    async def save(self, pipeline: Pipeline) -> None:
        """Store a pipeline and all of its stages as they are; stages left out are removed.

        Raises Conflict `stage_not_empty` while leads are in a removed stage.
        """
        row = await self.scope.one(
            _SAVE, pipeline.id, pipeline.name, caseless(pipeline.name), pipeline.description,
            pipeline.is_default, pipeline.position, pipeline.kommo_id, pipeline.created_at,
            pipeline.updated_at, pipeline.version, *_ALL_STAGES.arrays(pipeline.stages),
        )  # fmt: skip
        if row["rival"] is not None:
            raise _exists(row["rival"])
        if row["id"] is None:
            raise NotFound("pipeline", pipeline.id)
        if strangers := {stage.id for stage in pipeline.stages}.difference(row["stage_ids"]):
            raise NotFound("stage", min(strangers))

    async def remove(self, pipeline_id: PipelineId) -> None:
        """Remove a pipeline that no lead is in; raises Conflict `stage_not_empty` otherwise."""
        await self.scope.fetch(_REMOVE, pipeline_id)

    async def _only(self, what: str, key: int | str, text: str, *arguments: object) -> Pipeline:
        pipelines = await self._read(text, *arguments)
        if not pipelines:
            raise NotFound(what, key)
        return pipelines[0]

    async def _read(self, text: str, *arguments: object) -> list[Pipeline]:
        rows = await self.scope.fetch(text, *arguments)
        if not all(row["is_fresh"] for row in rows):
            rows = await self.scope.fetch(text, *arguments)
        return structs(rows, Pipeline)


class PipelineViews(Reader):
    """What an account reads of its pipelines."""

    async def pipelines(self, query: PageQuery) -> Page[Pipeline]:
        """Return pipelines with their stages by position and id."""
        where = Conditions("p.account_id = $1")
        text = _LISTING.statement(query, _BY_POSITION, where, account_id=self._account_id)
        rows = await self._fetch(text, *where.arguments)
        return page_of(rows, query, _BY_POSITION, self._account_id, Pipeline)

    async def pipeline(self, pipeline_id: PipelineId) -> Pipeline:
        """Return a pipeline with its stages; raises NotFound."""
        rows = await self._fetch(_VIEW, pipeline_id)
        if not rows:
            raise NotFound("pipeline", pipeline_id)
        return struct(rows[0], Pipeline)


def _born(new: NewStage, stage_id: StageId, position: int) -> Stage:
    return Stage(id=stage_id, name=new.name, color=new.color, position=position, kind=new.kind)


def _exists(pipeline_id: PipelineId) -> Conflict:
    return Conflict("duplicate_pipeline", "a pipeline has this name", id=pipeline_id)
