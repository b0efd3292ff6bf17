"""Leads, as an account reads them."""

from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.ids import LeadId, StageId
from clarin_core.domain.leads import (
    LeadFilter,
    LeadQuery,
    LeadSort,
    LeadView,
    StageCount,
    StageLeadQuery,
    StageMove,
)
from clarin_core.domain.paging import Page, PageQuery
from clarin_core.domain.phone import PhoneNumber
from clarin_core.errors import NotFound
from clarin_postgres.conditions import Conditions
from clarin_postgres.connection import Row
from clarin_postgres.contacts import DISPLAY_NAME
from clarin_postgres.lead_filter import lead_conditions, searched_leads
from clarin_postgres.leads import LEAD, LEAD_BUT_NAME
from clarin_postgres.paging import (
    NEWEST,
    OLDEST,
    UPDATED,
    Listing,
    Order,
    in_seconds,
    page_of,
    struct,
    structs,
)
from clarin_postgres.reader import REGION, Reader
from clarin_postgres.tags import tags_beside

_ORDERS = {LeadSort.NEWEST: NEWEST, LeadSort.OLDEST: OLDEST, LeadSort.UPDATED: UPDATED}
_LATEST = Order(("at", "id"), (datetime, int), descending=True)

_SHOWN = f"""{in_seconds(LEAD_BUT_NAME)}, coalesce(l.name, {DISPLAY_NAME}) as name,
    {DISPLAY_NAME} as contact_name, c.phone, c.email, c.company, c.last_name, c.short_name, c.age,
    g.name as stage_name, t.tags, t.tag_ids"""
_JOINS = f"""left join contacts c on c.account_id = $1 and c.id = l.contact_id
    left join stages g on g.account_id = $1 and g.id = l.stage_id
    {tags_beside("lead_tags", "lead_id", "l.id")}"""

_LEADS = Listing("leads.page", "leads l", "l", cut=LEAD, shown=_SHOWN, joins=_JOINS, kept="leads")
_SEARCHED = Listing(
    "leads.search", "found f", "f", cut="f.id, f.created_at, f.updated_at", shown=_SHOWN,
    joins=f"left join leads l on l.account_id = $1 and l.id = f.id {_JOINS}",
)  # fmt: skip
_BY_STAGE = Listing(
    "leads.by_stage", "leads l", "l", cut=LEAD, shown=_SHOWN, joins=_JOINS, keyed_by=1
)
_MOVES = Listing(
    "leads.history", "stage_moves m", "m",
    cut="m.id, m.lead_id, m.from_stage, m.to_stage, m.actor, m.at",
    shown="m.id, m.lead_id, m.from_stage, m.to_stage, m.actor, m.at", keyed_by=1,
)  # fmt: skip


def leads_of(contact_id: str, limit: int) -> str:
    """Return the statement that reads a contact's newest live leads as they are shown."""
    return f"""select {_SHOWN} from leads l
        {_JOINS}
        where l.account_id = $1 and l.contact_id = {contact_id} and l.deleted_at is null
        order by l.created_at desc, l.id desc limit {limit}"""


_LEAD = f"""-- leads.view
    select {_SHOWN} from leads l
    {_JOINS}
    where l.account_id = $1 and l.id = $2 and l.deleted_at is null"""


class LeadViews(Reader):
    """What an account reads of its leads."""

    async def lead(self, lead_id: LeadId) -> LeadView:
        """Return a live lead; raises NotFound."""
        rows = await self._fetch(_LEAD, lead_id)
        if not rows:
            raise NotFound("lead", lead_id)
        return struct(rows[0], LeadView)

    async def leads(self, query: LeadQuery) -> Page[LeadView]:
        """Return a page of leads, newest first unless sorted otherwise."""
        order = _ORDERS[query.sort]
        told = "" if query.phone is UNSET else REGION

        async def fetch(phone: PhoneNumber | None) -> list[Row]:
            listing, where = _LEADS, lead_conditions(query, phone, deleted=query.deleted)
            if query.search is not UNSET:
                listing, where = _SEARCHED, searched_leads(query.search, where)
            text = listing.statement(
                query,
                order,
                where,
                account_id=self._account_id,
                told=told,
                know_totals=self._know_totals,
            )
            return await self._fetch(text, *where.arguments)

        rows = await self._fetch_by_phone(query.phone, fetch)
        return page_of(rows, query, order, self._account_id, LeadView)

    async def leads_by_stage(self, stage_id: StageId, query: StageLeadQuery) -> Page[LeadView]:
        """Return a page of a stage's live leads, newest first; raises NotFound."""
        where = Conditions("l.account_id = $1", "l.deleted_at is null")
        stage = where.bind(stage_id)
        where.add(f"l.stage_id = {stage}")
        told = f"""exists (
            select from stages x where x.account_id = $1 and x.id = {stage}) as is_known, """
        text = _BY_STAGE.statement(query, NEWEST, where, account_id=self._account_id, told=told)
        rows = await self._fetch(text, *where.arguments)
        if rows and not rows[0]["is_known"]:
            raise NotFound("stage", stage_id)
        return page_of(rows, query, NEWEST, self._account_id, LeadView)

    async def lead_counts(self, query: LeadFilter) -> list[StageCount]:
        """Return the board's totals: a line for each stage, empty ones included, in order."""

        async def fetch(phone: PhoneNumber | None) -> list[Row]:
            source, where = "leads l", lead_conditions(query, phone)
            if query.search is not UNSET:
                source, where = "found l", searched_leads(query.search, where)
            return await self._fetch(_counts(source, where), *where.arguments)

        return structs(await self._fetch_by_phone(query.phone, fetch), StageCount)

    async def lead_history(self, lead_id: LeadId, query: PageQuery) -> Page[StageMove]:
        """Return a live lead's moves, newest first; raises NotFound."""
        where = Conditions("m.account_id = $1")
        lead = where.bind(lead_id)
        where.add(f"m.lead_id = {lead}")
        told = f"""exists (
            select from leads x
            where x.account_id = $1 and x.id = {lead} and x.deleted_at is null) as is_known, """
        text = _MOVES.statement(query, _LATEST, where, account_id=self._account_id, told=told)
        rows = await self._fetch(text, *where.arguments)
        if rows and not rows[0]["is_known"]:
            raise NotFound("lead", lead_id)
        return page_of(rows, query, _LATEST, self._account_id, StageMove)


def _counts(source: str, where: Conditions) -> str:
    held = f"""held as (
            select l.stage_id, count(*) as count, coalesce(sum(l.value), 0)::bigint as value
            from {source} where {where} and l.stage_id is not null
            group by l.stage_id
        )"""
    return f"""-- leads.counts
        {where.before(held)}
        select {REGION}g.pipeline_id, g.id as stage_id,
            coalesce(held.count, 0) as count, coalesce(held.value, 0) as value
        from stages g
        join pipelines p on p.account_id = g.account_id and p.id = g.pipeline_id
        left join held on held.stage_id = g.id
        where g.account_id = $1
        order by p.position, p.id, g.position"""
