"""Leads."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import structs

from clarin_core.domain.ids import ContactId, KommoId, LeadId, PipelineId, StageId
from clarin_core.domain.leads import (
    PERSON_FIELDS,
    Lead,
    LeadDraft,
    LeadFilter,
    LeadQuery,
    LeadSort,
    LeadView,
    StageCount,
    StageLeadQuery,
    StageMove,
)
from clarin_core.domain.paging import Page, Paged, PageQuery
from clarin_core.domain.tags import TagTarget
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.stores import LeadStore
from clarin_memory.lead_filter import lead_filter
from clarin_memory.members import user_row
from clarin_memory.paging import NEWEST, OLDEST, UPDATED, Order, instant
from clarin_memory.pipelines import BY_POSITION, pipeline_of
from clarin_memory.reader import Reader
from clarin_memory.state import AccountTables, Scope
from clarin_memory.tables import copied, rival
from clarin_memory.tags import tags_on

_ORDERS = {LeadSort.NEWEST: NEWEST, LeadSort.OLDEST: OLDEST, LeadSort.UPDATED: UPDATED}
_LATEST = Order[tuple[int, StageMove]](lambda item: (-instant(item[1].at), -item[0]), (int, int))


@dataclass(frozen=True, slots=True)
class MemoryLeadStore(LeadStore):
    """The leads of one account."""

    scope: Scope

    async def get(self, lead_id: LeadId, *, deleted: bool = False) -> Lead:
        """Return a live lead (a deleted one when asked); raises NotFound."""
        lead = self.scope.tables.leads.find(lead_id)
        if lead is None or (lead.deleted_at is not None) is not deleted:
            raise NotFound("lead", lead_id)
        return lead

    async def get_many(self, lead_ids: Collection[LeadId]) -> list[Lead]:
        """Return those of the leads that are live, by id; unknown ones are left out."""
        found = (self.scope.tables.leads.find(lead_id) for lead_id in sorted(set(lead_ids)))
        return [lead for lead in found if lead is not None and lead.deleted_at is None]

    async def add(self, drafts: Sequence[LeadDraft], *, at: datetime) -> list[Lead]:
        """Store new leads and return them in the order given, with ids and version 1."""
        leads = [self._born(draft, at) for draft in drafts]
        self._put(leads)
        return leads

    async def save(self, leads: Sequence[Lead]) -> None:
        """Store changed leads; raises Conflict `duplicate_lead`, or NotFound for a stranger."""
        for lead in leads:
            if lead.id not in self.scope.tables.leads:
                raise NotFound("lead", lead.id)
        self._put(leads)

    async def log_moves(self, moves: Sequence[StageMove]) -> None:
        """Append to the stage history; raises NotFound for a lead of another account."""
        for move in moves:
            if move.lead_id not in self.scope.tables.leads:
                raise NotFound("lead", move.lead_id)
            self.scope.tables.moves.put(self.scope.ids.next("move"), move)

    async def open_in(
        self, pipeline_id: PipelineId, contact_ids: Collection[ContactId]
    ) -> dict[ContactId, LeadId]:
        """Return the oldest open lead in a pipeline of each contact that has one."""
        wanted, oldest = set(contact_ids), dict[ContactId, LeadId]()
        for lead in sorted(self.scope.tables.leads.rows(), key=OLDEST.key):
            if lead.contact_id in wanted and lead.pipeline_id == pipeline_id and lead.is_open:
                oldest.setdefault(lead.contact_id, lead.id)
        return oldest

    async def of_contacts(self, contact_ids: Collection[ContactId]) -> list[Lead]:
        """Return the live leads of some contacts, by id."""
        wanted = set(contact_ids)
        rows = self.scope.tables.leads.rows()
        found = (row for row in rows if row.contact_id in wanted and row.deleted_at is None)
        return [copied(lead) for lead in sorted(found, key=lambda lead: lead.id)]

    async def by_kommo(self, kommo_ids: Collection[KommoId]) -> dict[KommoId, Lead]:
        """Return the live leads with these Kommo ids."""
        wanted = set(kommo_ids)
        found = ((_kommo_id(lead), lead) for lead in self.scope.tables.leads.rows())
        return {key: copied(lead) for key, lead in found if key is not None and key in wanted}

    async def look_up(
        self, lead_ids: Collection[LeadId], kommo_ids: Collection[KommoId]
    ) -> list[Lead]:
        """Return leads by their ids, deleted ones included, and live ones by their Kommo ids."""
        live = (row for row in self.scope.tables.leads.rows() if _kommo_id(row) in {*kommo_ids})
        meant = {*lead_ids, *(row.id for row in live if row.kommo_id is not None)}
        found = (self.scope.tables.leads.find(lead_id) for lead_id in sorted(meant))
        return [lead for lead in found if lead is not None]

    async def in_stages(self, stage_ids: Collection[StageId], *, limit: int) -> list[Lead]:
        """Return leads of some stages by id, at most `limit`, deleted ones included."""
        wanted = set(stage_ids)
        found = (lead for lead in self.scope.tables.leads.rows() if lead.stage_id in wanted)
        return [copied(lead) for lead in sorted(found, key=lambda lead: lead.id)[:limit]]

    def _born(self, draft: LeadDraft, at: datetime) -> Lead:
        values = {name: getattr(draft, name) for name in LeadDraft.__struct_fields__}
        lead_id = LeadId(self.scope.ids.next("lead"))
        return copied(Lead(id=lead_id, created_at=at, updated_at=at, version=1, **values))

    def _put(self, leads: Sequence[Lead]) -> None:
        for lead in leads:
            self._check_links(lead)
        if other := rival(self.scope.tables.leads.rows(), leads, _kommo_id):
            reason = f"a lead has the Kommo id {other.kommo_id}"
            raise Conflict("duplicate_lead", reason, id=other.id)
        for lead in leads:
            self.scope.tables.leads.put(lead.id, lead)

    def _check_links(self, lead: Lead) -> None:
        """Raise NotFound for an unknown owner, or another account's contact or place (TN2)."""
        tables = self.scope.tables
        if lead.assigned_to is not None:
            user_row(self.scope.shared, lead.assigned_to)
        if lead.contact_id is not None and lead.contact_id not in tables.contacts:
            raise NotFound("contact", lead.contact_id)
        if lead.pipeline_id is not None and lead.pipeline_id not in tables.pipelines:
            raise NotFound("pipeline", lead.pipeline_id)
        if lead.stage_id is not None:
            pipeline = pipeline_of(tables, lead.stage_id)
            if pipeline.id != lead.pipeline_id:
                raise NotFound("stage", lead.stage_id)


class LeadViews(Reader):
    """What an account reads of its leads."""

    async def lead(self, lead_id: LeadId) -> LeadView:
        """Return a live lead; raises NotFound."""
        return lead_view(self._tables, self._live(lead_id))

    async def leads(self, query: LeadQuery) -> Page[LeadView]:
        """Return a page of leads, newest first unless sorted otherwise."""
        found = self._matching(query, deleted=query.deleted)
        return self._lead_page(found, _ORDERS[query.sort], query)

    async def leads_by_stage(self, stage_id: StageId, query: StageLeadQuery) -> Page[LeadView]:
        """Return a page of a stage's live leads, newest first; raises NotFound."""
        pipeline_of(self._tables, stage_id)
        found = self._matching(LeadFilter(stage_id=stage_id), deleted=False)
        return self._lead_page(found, NEWEST, query)

    async def lead_counts(self, query: LeadFilter) -> list[StageCount]:
        """Return the board's totals: a line for each stage, empty ones included, in order."""
        values: dict[StageId | None, list[int]] = defaultdict(list)
        for lead in self._matching(query, deleted=False):
            values[lead.stage_id].append(lead.value or 0)
        return [
            StageCount(
                pipeline_id=pipeline.id,
                stage_id=stage.id,
                count=len(values[stage.id]),
                value=sum(values[stage.id]),
            )
            for pipeline in sorted(self._tables.pipelines.rows(), key=BY_POSITION.key)
            for stage in pipeline.stages
        ]

    async def lead_history(self, lead_id: LeadId, query: PageQuery) -> Page[StageMove]:
        """Return a live lead's moves, newest first; raises NotFound."""
        lead = self._live(lead_id)
        moves = (item for item in self._tables.moves.items() if item[1].lead_id == lead.id)
        return self._page(moves, _LATEST, query, lambda item: item[1])

    def _live(self, lead_id: LeadId) -> Lead:
        lead = self._tables.leads.peek(lead_id)
        if lead is None or lead.deleted_at is not None:
            raise NotFound("lead", lead_id)
        return lead

    def _matching(self, query: LeadFilter, *, deleted: bool) -> Iterator[Lead]:
        region = self._account.default_region
        matches = lead_filter(query, self._tables, region)
        rows = self._tables.leads.rows()
        return (row for row in rows if (row.deleted_at is not None) is deleted and matches(row))

    def _lead_page(self, rows: Iterable[Lead], order: Order[Lead], query: Paged) -> Page[LeadView]:
        tables = self._tables
        return self._page(rows, order, query, lambda lead: lead_view(tables, lead))


def lead_view(tables: AccountTables, lead: Lead) -> LeadView:
    """Return a lead as it is read."""
    values = structs.asdict(copied(lead))
    if lead.contact_id is not None and (contact := tables.contacts.peek(lead.contact_id)):
        values |= {name: getattr(contact, name) for name in PERSON_FIELDS}
        values["contact_name"] = contact.display_name
        values["name"] = lead.name or contact.display_name
    tags = tags_on(tables, TagTarget.LEAD, lead.id)
    return LeadView(
        **values,
        stage_name=_stage_name(tables, lead),
        tags=[tag.name for tag in tags],
        tag_ids=[tag.id for tag in tags],
    )


def _kommo_id(lead: Lead) -> KommoId | None:
    return lead.kommo_id if lead.deleted_at is None else None


def _stage_name(tables: AccountTables, lead: Lead) -> str | None:
    if lead.pipeline_id is None or lead.stage_id is None:
        return None
    pipeline = tables.pipelines.peek(lead.pipeline_id)
    return pipeline.stage(lead.stage_id).name if pipeline else None
