"""What one can do with leads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import UNSET

from clarin_core.domain.actor import Actor
from clarin_core.domain.command import ANY_VERSION, Precondition
from clarin_core.domain.contacts import Contact, ContactDraft
from clarin_core.domain.events import (
    LeadAssigned,
    LeadCreated,
    LeadDeleted,
    LeadMoved,
    LeadRestored,
    LeadUpdated,
)
from clarin_core.domain.ids import LeadId, UserId
from clarin_core.domain.leads import (
    PERSON_FIELDS,
    Lead,
    LeadChange,
    LeadDraft,
    LeadIds,
    LeadStatus,
    LeadView,
    NewLead,
    StageChoice,
    StageMove,
    StatusChange,
    check_status,
    stage_for,
    status_in,
)
from clarin_core.domain.pipelines import Pipeline, Stage
from clarin_core.domain.tags import TagTarget
from clarin_core.errors import Conflict, Invalid, NotFound
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.contacts import (
    Deleted,
    alter_contact,
    claim_contact,
    fill_contact,
    with_phone,
)
from clarin_core.usecases.kommo import refuse_mirrored_leads
from clarin_core.usecases.tags import claim_tags, link_tags, require_tags

_PLACE = {"pipeline_id", "stage_id", "status", "closed_at"}


@dataclass(frozen=True, slots=True)
class LeadUseCases:
    """What one can do with leads. One method is one use case."""

    storage: Storage
    clock: Clock

    async def create(self, actor: Actor, new: NewLead) -> LeadView:
        """Open a lead and link its contact, found by phone or made in the same step (LD2).

        A second open lead of one contact in one pipeline is a conflict unless allowed (LD3).
        """
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            pipeline, stage = await _entrance(tx, new)
            contact = await _contact_of(tx, new, region=actor.region, at=at)
            if contact and not new.allow_duplicate:
                await _refuse_second(tx, pipeline, contact)
            await _require_member(tx, new.assigned_to)
            (lead,) = await tx.leads.add([_draft(new, contact, pipeline, stage, at)], at=at)
            await tx.leads.log_moves([_entry(lead, stage, actor)])
            tx.emit(LeadCreated(leads=[lead]))
            tags = await claim_tags(tx, actor, new.tags, at=at)
            tags |= await require_tags(tx, new.tag_ids)
            await link_tags(tx, TagTarget.LEAD, lead.id, tags)
        return await self._view(actor, lead.id)

    async def update(self, actor: Actor, lead_id: LeadId, change: LeadChange) -> LeadView:
        """Change some fields; those of the person change the lead's contact (CT9)."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            named = await _pipeline_named(tx, change)
            lead = await tx.leads.get(lead_id)
            lead.expect(change.version)
            before = lead.stage_id, lead.assigned_to
            values = await _values(tx, lead, change, at=at)
            values |= await _place_values(tx, lead, change, named, at=at)
            own = lead.alter(values, at=at)
            await refuse_mirrored_leads(tx, [lead], own)
            person = await _edit_person(tx, lead, change, region=actor.region, at=at)
            if {"name", "contact_id"} & {*own} and not (lead.name or lead.contact_id):
                raise Invalid("name", "or contact_id must stay")
            if person and not own:
                lead.touch(at)
            if changed := {*own, *person}:
                await _save(tx, lead, changed, before, actor)
        return await self._view(actor, lead_id)

    async def move(self, actor: Actor, lead_id: LeadId, choice: StageChoice) -> LeadView:
        """Put a lead in a stage; the pipeline follows, repeating changes nothing (LD4)."""
        change = LeadChange(stage_id=choice.stage_id, version=choice.version)
        return await self.update(actor, lead_id, change)

    async def set_status(self, actor: Actor, lead_id: LeadId, status: StatusChange) -> LeadView:
        """Give a lead a status; won and lost move it to such a stage if there is one (LD6)."""
        change = LeadChange(status=status.status, version=status.version)
        return await self.update(actor, lead_id, change)

    async def delete(self, actor: Actor, lead_id: LeadId, seen: Precondition = ANY_VERSION) -> None:
        """Hide a lead; it can be restored for 30 days (SD1)."""
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            lead = await tx.leads.get(lead_id)
            lead.expect(seen.version)
            await self._delete(tx, [lead])

    async def delete_many(self, actor: Actor, batch: LeadIds) -> Deleted:
        """Hide several leads, all or none (SD3)."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            leads = await tx.leads.get_many(batch.ids)
            if missing := batch.ids - {lead.id for lead in leads}:
                raise NotFound("lead", min(missing))
            await self._delete(tx, leads)
        return Deleted(count=len(leads))

    async def restore(
        self, actor: Actor, lead_id: LeadId, seen: Precondition = ANY_VERSION
    ) -> LeadView:
        """Show a hidden lead again, unless a live one took its Kommo id (SD2)."""
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            lead = await tx.leads.get(lead_id, deleted=True)
            lead.expect(seen.version)
            lead.restore(self.clock())
            await tx.leads.save([lead])
            tx.emit(LeadRestored(lead=lead))
        return await self._view(actor, lead_id)

    async def _delete(self, tx: Transaction, leads: list[Lead]) -> None:
        await refuse_mirrored_leads(tx, leads, ["name"])
        at = self.clock()
        for lead in leads:
            lead.delete(at)
        await tx.leads.save(leads)
        tx.emit(LeadDeleted(leads=leads))

    async def _view(self, actor: Actor, lead_id: LeadId) -> LeadView:
        return await self.storage.views(actor.account_id).lead(lead_id)


async def _entrance(tx: Transaction, new: NewLead) -> tuple[Pipeline, Stage]:
    """Return where a new lead begins: the stage named, or the first one of its pipeline."""
    if new.stage_id is not None:
        pipeline = await tx.pipelines.of_stage(new.stage_id)
        if new.pipeline_id not in (None, pipeline.id):
            raise Invalid("stage_id", "is not a stage of pipeline_id")
        return pipeline, _fitting(pipeline, pipeline.stage(new.stage_id), new.status)
    if new.pipeline_id is not None:
        pipeline = await tx.pipelines.get(new.pipeline_id)
    else:
        pipeline = await tx.pipelines.default()
    wanted = stage_for(pipeline, new.status, None) if new.status else None
    return pipeline, _fitting(pipeline, wanted or pipeline.stages[0], new.status)


def _fitting(pipeline: Pipeline, stage: Stage, status: LeadStatus | None) -> Stage:
    """Return the stage; raises Invalid when the status contradicts it."""
    if status is not None:
        check_status(pipeline, stage, status)
    return stage


async def _contact_of(
    tx: Transaction, new: NewLead, *, region: str, at: datetime
) -> Contact | None:
    person = with_phone({field: getattr(new, field) for field in PERSON_FIELDS}, region)
    draft = ContactDraft(**person, name=new.name, source=new.source)
    if new.contact_id is not None:
        contact = await tx.contacts.get(new.contact_id)
        _refuse_another_person(contact, person)
        await fill_contact(tx, contact, draft, at=at)
        return contact
    if any(value is not None for value in person.values()):
        return await claim_contact(tx, draft, at=at)
    return None


def _refuse_another_person(contact: Contact, person: Mapping[str, Any]) -> None:
    """Raise Invalid rather than drop a value that is not the named contact's."""
    for field, value in person.items():
        if value is not None and getattr(contact, field) not in (None, value):
            raise Invalid(field, "is not the contact's")


def _draft(
    new: NewLead, contact: Contact | None, pipeline: Pipeline, stage: Stage, at: datetime
) -> LeadDraft:
    own = ("name", "source", "notes", "custom_fields", "assigned_to", "value", "currency")
    status = new.status or status_in(stage, LeadStatus.NEW)
    return LeadDraft(
        **{field: getattr(new, field) for field in own},
        contact_id=contact.id if contact else None,
        pipeline_id=pipeline.id,
        stage_id=stage.id,
        status=status,
        closed_at=at if status in (LeadStatus.WON, LeadStatus.LOST) else None,
    )


async def _refuse_second(tx: Transaction, pipeline: Pipeline, contact: Contact) -> None:
    if other := (await tx.leads.open_in(pipeline.id, [contact.id])).get(contact.id):
        raise Conflict("duplicate_lead", "the contact has an open lead there", id=other)


async def _require_member(tx: Transaction, user_id: UserId | None) -> None:
    """Raise NotFound unless the user works in the account (LD9)."""
    if user_id is not None and not await tx.members.active([user_id]):
        raise NotFound("member", user_id)


async def _pipeline_named(tx: Transaction, change: LeadChange) -> Pipeline | None:
    """Return the pipeline of the stage that is named; it is locked before the lead is."""
    return None if change.stage_id is UNSET else await tx.pipelines.of_stage(change.stage_id)


async def _values(
    tx: Transaction, lead: Lead, change: LeadChange, *, at: datetime
) -> dict[str, Any]:
    """Return what the change sets on the lead itself, but for its place."""
    given = change.values()
    values = change.own()
    if "assigned_to" in given and given["assigned_to"] != lead.assigned_to:
        await _require_member(tx, given["assigned_to"])
        values["assigned_to"] = given["assigned_to"]
    if "contact_id" in given:
        values["contact_id"] = given["contact_id"]
        if given["contact_id"] is not None:
            await tx.contacts.get(given["contact_id"])
    return values


async def _place_values(
    tx: Transaction, lead: Lead, change: LeadChange, named: Pipeline | None, *, at: datetime
) -> dict[str, Any]:
    """Return the lead's place and status after the change (LD4-LD6)."""
    status = change.status
    if named and change.stage_id is not UNSET:
        stage = named.stage(change.stage_id)
        values = lead.place(named, stage, at=at) if stage.id != lead.stage_id else {}
        if status is UNSET:
            return values
        check_status(named, stage, status)
        return values | lead.end(status, at=at)
    return {} if status is UNSET else await _status_values(tx, lead, status, at=at)


async def _status_values(
    tx: Transaction, lead: Lead, status: LeadStatus, *, at: datetime
) -> dict[str, Any]:
    if status is lead.status or lead.stage_id is None:
        return lead.end(status, at=at)
    pipeline = await tx.pipelines.of_stage(lead.stage_id)
    stage = stage_for(pipeline, status, lead.stage_id) or pipeline.stage(lead.stage_id)
    check_status(pipeline, stage, status)
    place = lead.place(pipeline, stage, at=at) if stage.id != lead.stage_id else {}
    return place | lead.end(status, at=at)


async def _edit_person(
    tx: Transaction, lead: Lead, change: LeadChange, *, region: str, at: datetime
) -> tuple[str, ...]:
    """Change the lead's contact; a lead without one gets one with the first value."""
    values = with_phone(change.person(), region)
    if lead.contact_id is not None and values:
        (contact,) = await tx.contacts.get_many([lead.contact_id])
        return await alter_contact(tx, contact, values, at=at)
    known = {field: value for field, value in values.items() if value is not None}
    if not known:
        return ()
    await refuse_mirrored_leads(tx, [lead], ["contact_id"])
    contact = await claim_contact(tx, ContactDraft(**known, name=lead.name), at=at)
    lead.contact_id = contact.id
    return ("contact_id", *known)


async def _save(
    tx: Transaction, lead: Lead, changed: set[str], before: tuple[Any, Any], actor: Actor
) -> None:
    """Store a changed lead and announce each kind of change."""
    await tx.leads.save([lead])
    stage_before, owner_before = before
    if "stage_id" in changed and lead.stage_id is not None:
        moved = StageMove(
            lead_id=lead.id,
            from_stage=stage_before,
            to_stage=lead.stage_id,
            actor=actor.user_id,
            at=lead.updated_at,
        )
        await tx.leads.log_moves([moved])
        tx.emit(LeadMoved(leads=[lead], moves=[moved], changed=sorted(changed & _PLACE)))
        changed = changed - _PLACE
    if "assigned_to" in changed:
        tx.emit(LeadAssigned(lead=lead, before=owner_before))
    if rest := changed - {"assigned_to"}:
        tx.emit(LeadUpdated(leads=[lead], changed=sorted(rest)))


def _entry(lead: Lead, stage: Stage, actor: Actor) -> StageMove:
    return StageMove(lead_id=lead.id, to_stage=stage.id, actor=actor.user_id, at=lead.created_at)
