"""Stores that can look without locks, and keep what they are to write.

What they do not do themselves, or not now, the stores do that they extend: so the transaction
begins. A save is kept only if nothing but another transaction can refuse it, and if nothing was
kept before: of two saves of one row, the one statement at the end would take either.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import asdict

from clarin_core.domain.contacts import Contact, ContactDraft
from clarin_core.domain.ids import ContactId, LeadId, PipelineId, TagId
from clarin_core.domain.leads import Lead, LeadDraft, StageMove
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.tags import TagLink, TagOrigin, TagTarget
from clarin_core.domain.text import fold
from clarin_core.errors import NotFound
from clarin_core.ports.event_publisher import News
from clarin_postgres.connection import Row
from clarin_postgres.contacts import CONTACT, PostgresContactStore
from clarin_postgres.events import news_of
from clarin_postgres.kommo import PostgresKommoStore
from clarin_postgres.late import Kind, Late
from clarin_postgres.leads import LEAD, PostgresLeadStore, born
from clarin_postgres.paging import struct
from clarin_postgres.pipelines import PIPELINE, STAGES, PostgresPipelineStore
from clarin_postgres.scope import Scope
from clarin_postgres.search import searched_of_contact, searched_of_lead
from clarin_postgres.tags import PostgresTagStore
from clarin_postgres.transaction import PostgresTransaction, Work

_LEAD = f"""-- leads.look
    select {LEAD}, l.xmin::text::bigint as mark, exists (
        select from kommo_leads x
        where x.account_id = $1 and x.lead_id = l.id and not x.is_gone
    ) as is_mirrored
    from leads l where l.account_id = $1 and l.id = $2 and l.deleted_at is null"""
_CONTACT = f"""-- contacts.look
    select {CONTACT}, c.xmin::text::bigint as mark from contacts c
    where c.account_id = $1 and c.id = $2 and c.deleted_at is null"""
_PHONE = f"""-- contacts.look_for_phone
    select {CONTACT}, c.xmin::text::bigint as mark from contacts c
    where c.account_id = $1 and c.phone = $2 and c.deleted_at is null"""
_DEFAULT = f"""-- pipelines.look_for_default
    select {PIPELINE}, {STAGES}, p.xmin::text::bigint as mark from pipelines p
    where p.account_id = $1 and p.is_default"""
_TAGS = """-- tags.look
    select t.id, t.xmin::text::bigint as mark, array(
        select x.lead_id from lead_tags x
        where x.account_id = $1 and x.tag_id = t.id and x.lead_id = any($3)
    ) as lead_ids
    from tags t where t.account_id = $1 and t.id = any($2)"""
_LEAD_IDS = """-- leads.ids
    select nextval('leads_id_seq') as id from generate_series(1, $1)"""
_CONTACT_IDS = """-- contacts.ids
    select nextval('contacts_id_seq') as id from generate_series(1, $1)"""

_LEAD_BOUND = ("contact_id", "pipeline_id", "stage_id", "assigned_to", "kommo_id", "deleted_at")
_CONTACT_BOUND = ("phone", "deleted_at", "merged_into")
"""Fields whose change may be refused: by a link, or because somebody else has the value."""


def _values(row: object, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


@dataclass(frozen=True)
class _PipelineStore(PostgresPipelineStore):
    """The default pipeline is remembered: whoever goes by an old one is overtaken."""

    late: Late

    async def default(self) -> Pipeline:
        if not self.late.may_look:
            return await super().default()
        row = self.late.remembered() or await self.late.look(_DEFAULT)
        if row is None:
            raise NotFound("pipeline", "default")
        self.late.default = row
        pipeline = struct(row, Pipeline)
        self.late.saw(Kind.PIPELINE, row, {stage.id for stage in pipeline.stages})
        return pipeline


@dataclass(frozen=True)
class _ContactStore(PostgresContactStore):
    late: Late
    new: set[ContactId]

    async def get(self, contact_id: ContactId, *, deleted: bool = False) -> Contact:
        late = self.late
        if deleted or not late.may_look or contact_id in late.seen(Kind.CONTACT):
            return await super().get(contact_id, deleted=deleted)
        row = await late.look(_CONTACT, contact_id)
        if row is None:
            raise NotFound("contact", contact_id)
        return self._seen(row)

    async def claim(
        self, drafts: Sequence[ContactDraft], *, at: datetime
    ) -> list[tuple[Contact, bool]]:
        if not self.late.may_look or len(drafts) != 1 or drafts[0].phone is None:
            return await super().claim(drafts, at=at)
        row = await self.late.look(_PHONE, drafts[0].phone)
        if row is None:
            return [(await self._born(drafts[0], at), True)]
        if row["id"] in self.late.seen(Kind.CONTACT):
            return await super().claim(drafts, at=at)
        return [(self._seen(row), False)]

    async def save(self, contacts: Sequence[Contact]) -> None:
        seen = self.late.seen(Kind.CONTACT)
        if not self.late.may_look or not all(
            one.id in seen and seen[one.id].told == _values(one, _CONTACT_BOUND) for one in contacts
        ):
            await super().save(contacts)
        else:
            for contact in contacts:
                self._keep("contacts", contact)

    def _seen(self, row: Row) -> Contact:
        contact = struct(row, Contact)
        self.late.saw(Kind.CONTACT, row, _values(contact, _CONTACT_BOUND))
        return contact

    async def _born(self, draft: ContactDraft, at: datetime) -> Contact:
        contact_id = ContactId(await self.late.memory.next_id(_CONTACT_IDS))
        contact = Contact(**asdict(draft), id=contact_id, created_at=at, updated_at=at, version=1)
        self._keep("new_contacts", contact)
        self.scope.gains.contacts += 1
        self.new.add(contact_id)
        return contact

    def _keep(self, kind: str, contact: Contact) -> None:
        derived = {"search": searched_of_contact(contact), "name_key": fold(contact.full_name)}
        self.late.keep(kind, {**asdict(contact), **derived})


@dataclass(frozen=True)
class _LeadStore(PostgresLeadStore):
    late: Late
    new: set[LeadId]
    new_contacts: set[ContactId]

    async def get(self, lead_id: LeadId, *, deleted: bool = False) -> Lead:
        late = self.late
        if deleted or not late.may_look or lead_id in late.seen(Kind.LEAD):
            return await super().get(lead_id, deleted=deleted)
        row = await late.look(_LEAD, lead_id)
        if row is None:
            raise NotFound("lead", lead_id)
        lead = struct(row, Lead)
        late.saw(Kind.LEAD, row, (_values(lead, _LEAD_BOUND), row["is_mirrored"]))
        return lead

    async def add(self, drafts: Sequence[LeadDraft], *, at: datetime) -> list[Lead]:
        if self.late.has_begun or not all(map(self._can_be_born, drafts)):
            return await super().add(drafts, at=at)
        leads = [
            born(draft, LeadId(await self.late.memory.next_id(_LEAD_IDS)), at) for draft in drafts
        ]
        for lead in leads:
            self._keep("new_leads", lead)
            self.scope.gains.leads += 1
            self.new.add(lead.id)
        return leads

    async def save(self, leads: Sequence[Lead]) -> None:
        seen = self.late.seen(Kind.LEAD)
        if not self.late.may_look or not all(
            one.id in seen and seen[one.id].told[0] == _values(one, _LEAD_BOUND) for one in leads
        ):
            await super().save(leads)
        else:
            for lead in leads:
                self._keep("leads", lead)

    async def log_moves(self, moves: Sequence[StageMove]) -> None:
        if self.late.has_begun or not all(move.lead_id in self.new for move in moves):
            await super().log_moves(moves)
        else:
            for move in moves:
                self.late.keep("moves", asdict(move))

    async def open_in(
        self, pipeline_id: PipelineId, contact_ids: Collection[ContactId]
    ) -> dict[ContactId, LeadId]:
        if self.late.has_begun or self.new or not self.new_contacts.issuperset(contact_ids):
            return await super().open_in(pipeline_id, contact_ids)
        return {}

    def _can_be_born(self, draft: LeadDraft) -> bool:
        """Whether all that a lead points to was seen or is new, and nothing of it is unique."""
        pipeline = self.late.seen(Kind.PIPELINE).get(draft.pipeline_id or 0)
        contacts = {None, *self.new_contacts, *self.late.seen(Kind.CONTACT)}
        return (
            pipeline is not None
            and draft.stage_id in pipeline.told
            and draft.contact_id in contacts
            and draft.assigned_to is None
            and draft.kommo_id is None
        )

    def _keep(self, kind: str, lead: Lead) -> None:
        self.late.keep(kind, {**asdict(lead), "search": searched_of_lead(lead)})


@dataclass(frozen=True)
class _TagStore(PostgresTagStore):
    """A tag is seen with those of the seen leads that have it."""

    late: Late

    async def known(self, tag_ids: Collection[TagId]) -> set[TagId]:
        if not self.late.may_look or self.late.seen(Kind.TAG):
            return await super().known(tag_ids)
        leads = list(self.late.seen(Kind.LEAD))
        rows = await self.late.look_for_all(_TAGS, list(tag_ids), leads)
        for row in rows:
            self.late.saw(Kind.TAG, row, set(row["lead_ids"]))
        return {row["id"] for row in rows}

    async def link(
        self, target: TagTarget, links: Collection[TagLink], *, origin: TagOrigin
    ) -> list[TagLink]:
        late, tags = self.late, self.late.seen(Kind.TAG)
        if (
            target is not TagTarget.LEAD
            or not late.may_look
            or not all(
                one.target_id in late.seen(Kind.LEAD) and one.tag_id in tags for one in links
            )
        ):
            return await super().link(target, links, origin=origin)
        new = sorted({one for one in links if one.target_id not in tags[one.tag_id].told})
        for one in new:
            row = {"lead_id": one.target_id, "tag_id": one.tag_id, "origin": origin.value}
            late.keep("lead_tags", row)
        return new


@dataclass(frozen=True)
class _KommoStore(PostgresKommoStore):
    late: Late

    async def mirrored_leads(self, lead_ids: Collection[LeadId]) -> set[LeadId]:
        seen = self.late.seen(Kind.LEAD)
        if self.late.has_begun or any(one not in seen or seen[one].told[1] for one in lead_ids):
            return await super().mirrored_leads(lead_ids)
        self.late.unmirrored.update(lead_ids)
        return set()


class _Transaction(PostgresTransaction):
    """One account's rows and events in a unit of work that begins late."""

    def __init__(self, scope: Scope, late: Late) -> None:
        super().__init__(scope)
        new_contacts = set[ContactId]()
        self.pipelines = _PipelineStore(scope, late)
        self.contacts = _ContactStore(scope, late, new_contacts)
        self.leads = _LeadStore(scope, late, set(), new_contacts)
        self.kommo = _KommoStore(scope, late)
        self.tags = _TagStore(scope, late)
        self._late = late

    async def append(self, origin: bytes, *, at: datetime) -> News | None:
        """Write the log, and with it all that was kept if nothing has begun yet."""
        if self._late.has_begun:
            return await super().append(origin, at=at)
        row = await self._late.write(self._emitted, at, origin, self._scope.gains)
        if row is None or not self._emitted:
            return None
        if row["last_seq"] is None:
            raise NotFound("account", self._late.account_id)
        return news_of(row, self._late.account_id, self._emitted, origin, at)


class LateWork(Work):
    """A unit of work of one account that begins late."""

    def __init__(self, late: Late) -> None:
        super().__init__(late)
        self._late = late

    def _part(self, scope: Scope) -> PostgresTransaction:
        return _Transaction(scope, self._late)
