"""Leads, inside a transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.ids import ContactId, KommoId, LeadId, PipelineId, StageId
from clarin_core.domain.leads import Lead, LeadDraft, StageMove
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.stores import LeadStore
from clarin_postgres.columns import Columns
from clarin_postgres.connection import Row
from clarin_postgres.paging import struct, structs
from clarin_postgres.scope import Scope
from clarin_postgres.search import searched_of_lead
from clarin_postgres.totals import gain

LEAD_BUT_NAME = (
    "l.id, l.contact_id, l.status, l.pipeline_id, l.stage_id, l.source, l.notes, "
    "l.custom_fields, l.assigned_to, l.value, l.currency, l.loss_reason, l.closed_at, "
    "l.kommo_id, l.created_at, l.updated_at, l.version, l.deleted_at"
)
LEAD = f"{LEAD_BUT_NAME}, l.name"

_DRAFT = {
    "contact_id": "bigint",
    "name": "text",
    "status": "text",
    "pipeline_id": "bigint",
    "stage_id": "bigint",
    "source": "text",
    "notes": "text",
    "custom_fields": "json",
    "assigned_to": "bigint",
    "value": "bigint",
    "currency": "text",
    "loss_reason": "text",
    "closed_at": "timestamptz",
    "kommo_id": "bigint",
    "search": "text",
}
_LIFE = {
    "id": "bigint",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "version": "integer",
    "deleted_at": "timestamptz",
}
_DERIVED = {"search": searched_of_lead}
_NEW = Columns(_DRAFT, derived=_DERIVED)
_CHANGED = Columns({**_DRAFT, **_LIFE}, derived=_DERIVED)
_MOVES = Columns(
    {
        "lead_id": "bigint",
        "from_stage": "bigint",
        "to_stage": "bigint",
        "actor": "bigint",
        "at": "timestamptz",
    }
)

_GET = f"""-- leads.get
    select {LEAD} from leads l
    where l.account_id = $1 and l.id = $2 and (l.deleted_at is not null) = $3
    for no key update"""
_GET_MANY = f"""-- leads.get_many
    select {LEAD} from leads l
    where l.account_id = $1 and l.id = any($2) and l.deleted_at is null
    order by l.id for no key update"""
_ADD = f"""-- leads.add
    with {_NEW.rows(3)},
    rival as (
        select l.id from leads l join n on n.kommo_id = l.kommo_id
        where l.account_id = $1 and l.deleted_at is null
        limit 1
    ),
    born as (
        insert into leads (account_id, {_NEW.names}, created_at, updated_at, version)
        select $1, {_NEW.values}, $2, $2, 1 from n
        where not exists (select from rival)
        order by n.place
        returning id
    )
    select (select rival.id from rival) as rival,
        array(select born.id from born order by born.id) as ids"""
_SAVE = f"""-- leads.save
    with {_CHANGED.rows(2)},
    rival as (
        select l.id from leads l join n on n.kommo_id = l.kommo_id and n.deleted_at is null
        where l.account_id = $1 and l.deleted_at is null and l.id not in (select n.id from n)
        limit 1
    ),
    saved as (
        update leads l set {_CHANGED.assignments} from n
        where l.account_id = $1 and l.id = n.id and not exists (select from rival)
        returning l.id, {gain("leads", "l")} as gain
    )
    select (select rival.id from rival) as rival, array(select saved.id from saved) as ids,
        (select sum(saved.gain) from saved) as gain"""
_LOG_MOVES = f"""-- leads.log_moves
    with {_MOVES.rows(2)}
    insert into stage_moves (account_id, {_MOVES.names})
    select $1, {_MOVES.values} from n order by n.place"""
_OPEN_IN = """-- leads.open_in
    select distinct on (l.contact_id) l.contact_id, l.id from leads l
    where l.account_id = $1 and l.contact_id in (select unnest($3::bigint[])) and l.pipeline_id = $2
        and l.deleted_at is null and l.status not in ('won', 'lost')
    order by l.contact_id, l.created_at, l.id"""
_OF_CONTACTS = f"""-- leads.of_contacts
    select {LEAD} from leads l
    where l.account_id = $1 and l.contact_id in (select unnest($2::bigint[]))
        and l.deleted_at is null
    order by l.id for no key update"""
_BY_KOMMO = f"""-- leads.by_kommo
    select {LEAD} from leads l
    where l.account_id = $1 and l.kommo_id in (select unnest($2::bigint[])) and l.deleted_at is null
    order by l.id for no key update"""
_LOOK_UP = f"""-- leads.look_up
    select {LEAD} from leads l
    where l.account_id = $1 and l.id in (
        select unnest($2::bigint[])
        union
        select k.id from leads k
        where k.account_id = $1 and k.kommo_id in (select unnest($3::bigint[]))
            and k.deleted_at is null
    )
    order by l.id for no key update"""
_IN_STAGES = f"""-- leads.in_stages
    select {LEAD} from leads l
    where l.account_id = $1 and l.stage_id = any($2)
    order by l.id limit $3 for no key update"""


@dataclass(frozen=True, slots=True)
class PostgresLeadStore(LeadStore):
    """The leads of one account."""

    scope: Scope

    async def get(self, lead_id: LeadId, *, deleted: bool = False) -> Lead:
        """Return a live lead (a deleted one when asked), locked; raises NotFound."""
        row = await self.scope.first(_GET, lead_id, deleted)
        if row is None:
            raise NotFound("lead", lead_id)
        return struct(row, Lead)

    async def get_many(self, lead_ids: Collection[LeadId]) -> list[Lead]:
        """Return those of the leads that are live, locked, by id; unknown ones are left out."""
        return structs(await self.scope.fetch(_GET_MANY, list(lead_ids)), Lead)

    async def add(self, drafts: Sequence[LeadDraft], *, at: datetime) -> list[Lead]:
        """Store new leads and return them in the order given, with ids and version 1."""
        if not drafts:
            return []
        ids = _ids(await self.scope.one(_ADD, at, *_NEW.arrays(drafts)))
        self.scope.gains.leads += len(ids)
        return [born(draft, lead_id, at) for draft, lead_id in zip(drafts, ids, strict=True)]

    async def save(self, leads: Sequence[Lead]) -> None:
        """Store changed leads; raises Conflict `duplicate_lead`, or NotFound for a stranger."""
        if not leads:
            return
        row = await self.scope.one(_SAVE, *_CHANGED.arrays(leads))
        saved = _ids(row)
        self.scope.gains.leads += row["gain"] or 0
        if missing := {lead.id for lead in leads}.difference(saved):
            raise NotFound("lead", min(missing))

    async def log_moves(self, moves: Sequence[StageMove]) -> None:
        """Append to the stage history."""
        if moves:
            await self.scope.fetch(_LOG_MOVES, *_MOVES.arrays(moves))

    async def open_in(
        self, pipeline_id: PipelineId, contact_ids: Collection[ContactId]
    ) -> dict[ContactId, LeadId]:
        """Return the oldest open lead in a pipeline of each contact that has one."""
        rows = await self.scope.fetch(_OPEN_IN, pipeline_id, list(contact_ids))
        return {row["contact_id"]: row["id"] for row in rows}

    async def of_contacts(self, contact_ids: Collection[ContactId]) -> list[Lead]:
        """Return the live leads of some contacts, locked, by id."""
        return structs(await self.scope.fetch(_OF_CONTACTS, list(contact_ids)), Lead)

    async def by_kommo(self, kommo_ids: Collection[KommoId]) -> dict[KommoId, Lead]:
        """Return the live leads with these Kommo ids, locked."""
        leads = structs(await self.scope.fetch(_BY_KOMMO, list(kommo_ids)), Lead)
        return {lead.kommo_id: lead for lead in leads if lead.kommo_id is not None}

    async def look_up(
        self, lead_ids: Collection[LeadId], kommo_ids: Collection[KommoId]
    ) -> list[Lead]:
        """Return leads by their ids, deleted ones included, and live ones by their Kommo ids."""
        rows = await self.scope.fetch(_LOOK_UP, list(lead_ids), list(kommo_ids))
        return structs(rows, Lead)

    async def in_stages(self, stage_ids: Collection[StageId], *, limit: int) -> list[Lead]:
        """Return leads of some stages by id, locked, at most `limit`, deleted ones included."""
        return structs(await self.scope.fetch(_IN_STAGES, list(stage_ids), limit), Lead)


def _ids(row: Row) -> list[LeadId]:
    """Return the leads that were written; raises Conflict for one that stands in the way."""
    if row["rival"] is not None:
        raise Conflict("duplicate_lead", "a lead has this Kommo id", id=row["rival"])
    return list(row["ids"])


def born(draft: LeadDraft, lead_id: LeadId, at: datetime) -> Lead:
    """Return the lead that a draft becomes."""
    values = {name: getattr(draft, name) for name in LeadDraft.__struct_fields__}
    values["custom_fields"] = dict(draft.custom_fields)
    return Lead(id=lead_id, created_at=at, updated_at=at, version=1, **values)
