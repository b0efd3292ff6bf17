"""What one can do with contacts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clarin_core.domain.actor import Actor
from clarin_core.domain.command import ANY_VERSION, Precondition
from clarin_core.domain.contacts import (
    Contact,
    ContactChange,
    ContactDraft,
    ContactIds,
    ContactMerge,
    ContactView,
    NewContact,
)
from clarin_core.domain.events import (
    ContactCreated,
    ContactDeleted,
    ContactMerged,
    ContactRestored,
    ContactUpdated,
    LeadUpdated,
)
from clarin_core.domain.ids import ContactId
from clarin_core.domain.inbox_events import ChatUpdated
from clarin_core.domain.jid import Identity
from clarin_core.domain.phone import PhoneNumber, normalize_phone
from clarin_core.domain.tags import TagTarget
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.kommo import refuse_mirrored_contacts
from clarin_core.usecases.tags import link_tags


class Deleted(Struct, frozen=True, kw_only=True):
    """How many records a batch deletion hid."""

    count: int


class _Previewed(Exception):
    """Undoes what was only to be looked at."""

    def __init__(self, view: ContactView) -> None:
        self.view = view


@dataclass(frozen=True, slots=True)
class ContactUseCases:
    """What one can do with contacts. One method is one use case."""

    storage: Storage
    clock: Clock

    async def create(self, actor: Actor, new: NewContact) -> ContactView:
        """Keep a new person; a phone that is known already is a conflict, never an update."""
        draft = ContactDraft(**with_phone(new.given(), actor.region))
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            ((contact, is_new),) = await tx.contacts.claim([draft], at=self.clock())
            if not is_new:
                raise Conflict("duplicate_contact", "a contact has this phone", id=contact.id)
            tx.emit(ContactCreated(contacts=[contact]))
        return await self.storage.views(actor.account_id).contact(contact.id)

    async def update(
        self, actor: Actor, contact_id: ContactId, change: ContactChange
    ) -> ContactView:
        """Change some fields of a contact."""
        values = with_phone(change.values(), actor.region)
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            contact = await tx.contacts.get(contact_id)
            contact.expect(change.version)
            await alter_contact(tx, contact, values, at=self.clock())
        return await self.storage.views(actor.account_id).contact(contact_id)

    async def delete(
        self, actor: Actor, contact_id: ContactId, seen: Precondition = ANY_VERSION
    ) -> None:
        """Hide a contact; its leads stay and go on showing it (SD1)."""
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            contact = await tx.contacts.get(contact_id)
            contact.expect(seen.version)
            await self._delete(tx, [contact])

    async def delete_many(self, actor: Actor, batch: ContactIds) -> Deleted:
        """Hide several contacts, all or none (SD3)."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            found = await tx.contacts.get_many(batch.ids)
            contacts = [contact for contact in found if contact.deleted_at is None]
            if missing := batch.ids - {contact.id for contact in contacts}:
                raise NotFound("contact", min(missing))
            await self._delete(tx, contacts)
        return Deleted(count=len(contacts))

    async def merge(self, actor: Actor, merge: ContactMerge) -> ContactView:
        """Make several contacts one; to say it again changes nothing (CT6, CT8)."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            await merge_contacts(tx, merge, at=self.clock())
        return await self.storage.views(actor.account_id).contact(merge.keep_id)

    async def preview_merge(self, actor: Actor, merge: ContactMerge) -> ContactView:
        """Return what a merge would make, and undo it."""
        actor.require_admin()
        try:
            async with self.storage.begin(actor.account_id, actor.origin) as tx:
                await merge_contacts(tx, merge, at=self.clock())
                raise _Previewed(await tx.views.contact(merge.keep_id))
        except _Previewed as previewed:
            return previewed.view

    async def restore(
        self, actor: Actor, contact_id: ContactId, seen: Precondition = ANY_VERSION
    ) -> ContactView:
        """Show a hidden contact again, unless another one has its phone now (SD2)."""
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            contact = await tx.contacts.get(contact_id, deleted=True)
            contact.expect(seen.version)
            contact.restore(self.clock())
            await tx.contacts.save([contact])
            tx.emit(ContactRestored(contact=contact))
        return await self.storage.views(actor.account_id).contact(contact_id)

    async def _delete(self, tx: Transaction, contacts: list[Contact]) -> None:
        await refuse_mirrored_contacts(tx, contacts, ["name"])
        at = self.clock()
        for contact in contacts:
            contact.delete(at)
        await tx.contacts.save(contacts)
        tx.emit(ContactDeleted(contacts=contacts))


async def alter_contact(
    tx: Transaction, contact: Contact, values: Mapping[str, Any], *, at: datetime
) -> tuple[str, ...]:
    """Set a contact's values, announce what differs and return its names."""
    if changed := contact.alter(values, at=at):
        await refuse_mirrored_contacts(tx, [contact], changed)
        await tx.contacts.save([contact])
        tx.emit(ContactUpdated(contacts=[contact], changed=list(changed)))
    return changed


async def claim_contact(tx: Transaction, draft: ContactDraft, *, at: datetime) -> Contact:
    """Return the contact with the draft's phone, its empty fields filled, or a new one (LD2)."""
    ((contact, is_new),) = await tx.contacts.claim([draft], at=at)
    if is_new:
        tx.emit(ContactCreated(contacts=[contact]))
    else:
        await fill_contact(tx, contact, draft, at=at)
    return contact


async def fill_contact(
    tx: Transaction, contact: Contact, draft: ContactDraft, *, at: datetime
) -> None:
    """Give a known contact what it lacks; nothing is overwritten (CT2)."""
    known = {field: getattr(draft, field) for field in draft.__struct_fields__}
    if changed := contact.fill(known, at=at):
        await tx.contacts.save([contact])
        tx.emit(ContactUpdated(contacts=[contact], changed=list(changed)))


async def merge_contacts(tx: Transaction, merge: ContactMerge, *, at: datetime) -> None:
    """Give a contact all that some others have, and hide those.

    Raises NotFound for one that is unknown or hidden, unless it was merged into the same before.
    """
    found = {one.id: one for one in await tx.contacts.get_many([merge.keep_id, *merge.merge_ids])}
    kept = found.pop(merge.keep_id, None)
    if kept is None or kept.deleted_at is not None:
        raise NotFound("contact", merge.keep_id)
    if missing := merge.merge_ids - found.keys():
        raise NotFound("contact", min(missing))
    others = [one for one in found.values() if one.merged_into != kept.id or not one.deleted_at]
    for other in others:
        if other.deleted_at is not None:
            raise NotFound("contact", other.id)
    if others:
        await _unite(tx, kept, others, at=at)


async def _unite(tx: Transaction, kept: Contact, others: list[Contact], *, at: datetime) -> None:
    kept.absorb(others, at=at)
    await tx.contacts.save(others)  # First of all: the phone must be free for the one that stays.
    await tx.contacts.save([kept])
    tx.emit(ContactMerged(contact=kept, gone=others))
    await tx.kommo.repoint([one.id for one in others], kept.id)
    await _take_identities(tx, kept, others, at=at)
    await _take_leads(tx, kept, others, at=at)
    await _take_chats(tx, kept, others, at=at)
    links = await tx.tags.links(TagTarget.CONTACT, [one.id for one in others])
    await link_tags(tx, TagTarget.CONTACT, kept.id, {link.tag_id for link in links})


async def _take_identities(
    tx: Transaction, kept: Contact, others: list[Contact], *, at: datetime
) -> None:
    """Let all names lead to the one that stays, phones that it cannot keep itself included."""
    rows = await tx.contacts.identities_of([one.id for one in others])
    phones = [Identity.of_phone(one.phone) for one in others if one.phone]
    known = await tx.contacts.identities(phones, at=at)
    unclaimed = [row for row in known.values() if row.contact_id is None]
    await tx.contacts.put_identities([replace(r, contact_id=kept.id) for r in rows + unclaimed])


async def _take_leads(
    tx: Transaction, kept: Contact, others: list[Contact], *, at: datetime
) -> None:
    leads = await tx.leads.of_contacts([one.id for one in others])
    for lead in leads:
        lead.alter({"contact_id": kept.id}, at=at)
    if leads:
        await tx.leads.save(leads)
        tx.emit(LeadUpdated(leads=leads, changed=["contact_id"]))


async def _take_chats(
    tx: Transaction, kept: Contact, others: list[Contact], *, at: datetime
) -> None:
    """Let chats lead to the one that stays; a chat keeps its address (CT7)."""
    chats = await tx.chats.of_contacts([one.id for one in others])
    for chat in chats:
        chat.alter({"contact_id": kept.id}, at=at)
    if chats:
        await tx.chats.save(chats)
        tx.emit(ChatUpdated(chats=chats, changed=["contact_id"]))


def with_phone(values: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Return the values with the phone in E.164; raises Invalid `invalid_phone` (PH1, PH7)."""
    return {k: read_phone(v, region) if k == "phone" else v for k, v in values.items()}


def read_phone(raw: str | None, region: str) -> PhoneNumber | None:
    """Return a phone in E.164, None for none."""
    return None if raw is None else normalize_phone(raw, region)
