"""What one can do with contacts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import Struct

from clarin_core.domain.actor import Actor
from clarin_core.domain.command import ANY_VERSION, Precondition
from clarin_core.domain.contacts import (
    Contact,
    ContactChange,
    ContactDraft,
    ContactIds,
    ContactView,
    NewContact,
)
from clarin_core.domain.events import (
    ContactCreated,
    ContactDeleted,
    ContactRestored,
    ContactUpdated,
)
from clarin_core.domain.ids import ContactId
from clarin_core.domain.phone import PhoneNumber, normalize_phone
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction


class Deleted(Struct, frozen=True, kw_only=True):
    """How many records a batch deletion hid."""

    count: int


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


def with_phone(values: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Return the values with the phone in E.164; raises Invalid `invalid_phone` (PH1, PH7)."""
    return {k: read_phone(v, region) if k == "phone" else v for k, v in values.items()}


def read_phone(raw: str | None, region: str) -> PhoneNumber | None:
    """Return a phone in E.164, None for none."""
    return None if raw is None else normalize_phone(raw, region)
