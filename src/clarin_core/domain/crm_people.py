"""What contacts of another CRM make of those that are here: remote and local in, changes out.

Nothing there makes phones unique, and here a phone has one live contact. So of all that claim a
phone there the one with the smallest id has it, in whatever order they come. A contact that is
here already with that phone, and is nobody's there, is that one (KS6).

Kommo owns a contact's name, its own tags, and the phone and e-mail that it says. Where it says
none, it takes away what it said before, and leaves what we know from elsewhere (KS7).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clarin_core.domain.contacts import Contact, ContactDraft
from clarin_core.domain.crm_diff import SOURCE, digest_of, line, tag_names
from clarin_core.domain.events import (
    ContactCreated,
    ContactDeleted,
    ContactRestored,
    ContactUpdated,
    Event,
)
from clarin_core.domain.ids import ContactId, KommoId
from clarin_core.domain.kommo import ContactRecord, KnownContact
from clarin_core.domain.phone import PhoneNumber, normalize_phone
from clarin_core.domain.remote import RemoteContact
from clarin_core.errors import Invalid

OWNED = frozenset(("name", "last_name", "phone", "email"))
"""What only Kommo changes of a contact that it knows."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_EMAIL_MAX = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPeople:
    """What is here of some contacts, and of all that claim or have one of their phones.

    `holders` are the live contacts that have a phone now.
    """

    known: Mapping[KommoId, KnownContact]
    contacts: Mapping[ContactId, Contact]
    holders: Mapping[PhoneNumber, Contact]
    region: str


@dataclass(slots=True, eq=False)
class PersonChange:
    """What became of one contact; a new one has no `contact` until it is stored."""

    said: RemoteContact
    phone: PhoneNumber | None
    email: str | None
    contact: Contact | None = None
    draft: ContactDraft | None = None
    changed: tuple[str, ...] = ()
    is_restored: bool = False
    is_shared: bool = False
    """Whether the contact here is another one's there, so that this one says nothing of it."""


@dataclass(slots=True)
class PeoplePlan:
    """What some contacts come to. `losers` are others that lose their phone to them."""

    at: datetime
    changes: list[PersonChange] = field(default_factory=list)
    losers: list[Contact] = field(default_factory=list)
    freed: set[PhoneNumber] = field(default_factory=set)
    """Phones that somebody had and nobody of these has any more: others may claim them."""

    had_phones: set[ContactId] = field(default_factory=set)
    """Contacts that had another phone before; it must be free before anybody else gets it."""

    @property
    def new(self) -> list[PersonChange]:
        """Contacts to be stored."""
        return [one for one in self.changes if one.draft is not None]

    @property
    def drafts(self) -> list[ContactDraft]:
        """The same as drafts."""
        return [one.draft for one in self.changes if one.draft is not None]

    @property
    def altered(self) -> list[Contact]:
        """Contacts that were there, and are not what they were."""
        changed = (one for one in self.changes if one.draft is None and one.changed)
        own = {one.contact.id: one.contact for one in changed if one.contact is not None}
        return list(({loser.id: loser for loser in self.losers} | own).values())

    @property
    def tags(self) -> dict[int, frozenset[str]]:
        """The names of Kommo's tags on each contact."""
        own = ((one.contact, one) for one in self.changes if not one.is_shared)
        return {contact.id: tag_names(one.said) for contact, one in own if contact is not None}

    @property
    def records(self) -> list[ContactRecord]:
        """What is kept of all of them."""
        known = ((one.contact, one) for one in self.changes)
        return [
            ContactRecord(
                contact_id=contact.id, digest=digest_of(one.said), said=one.said,
                phone=one.phone, email=one.email,
            )
            for contact, one in known
            if contact is not None
        ]  # fmt: skip

    def store(self, claimed: Sequence[tuple[Contact, bool]]) -> None:
        """Take the new contacts, which are stored now; one may turn out to have been there."""
        for one, (contact, is_new) in zip(self.new, claimed, strict=True):
            one.contact = contact
            if not is_new and one.draft is not None:
                draft, one.draft = one.draft, None
                names = {"name": draft.name, "last_name": draft.last_name}
                one.changed = contact.alter({**names, "kommo_id": one.said.id}, at=self.at)

    def events(self) -> Iterator[Event]:
        """Give at most one event of each kind, but one for each contact that is back."""
        if new := [one.contact for one in self.new if one.contact is not None]:
            yield ContactCreated(contacts=new)
        old = [one for one in self.changes if one.draft is None and one.changed]
        for one in old:
            if one.is_restored and one.contact is not None:
                yield ContactRestored(contact=one.contact)
        restored = {one.contact.id for one in old if one.is_restored and one.contact is not None}
        if rest := [contact for contact in self.altered if contact.id not in restored]:
            changed = {name for one in old for name in one.changed}
            changed |= {"phone"} if self.losers else set()
            yield ContactUpdated(contacts=rest, changed=sorted(changed))


def plan_people(batch: Sequence[RemoteContact], local: LocalPeople, *, at: datetime) -> PeoplePlan:
    """Return what some contacts come to; each of them is live, and there once."""
    people = _People(batch, local, PeoplePlan(at))
    for said in batch:
        people.plan.changes.append(people.change(said))
    return people.plan


def bury_people(
    contacts: Iterable[Contact],
    gone: Collection[KommoId],
    heirs: Mapping[ContactId, KommoId],
    *,
    at: datetime,
) -> Iterator[Event]:
    """Let contacts go that are gone there: who came from there is hidden, others stay here.

    `heirs` are contacts there that share one here, which is theirs now.
    """
    deleted, kept = [], []
    for contact in contacts:
        if contact.kommo_id not in gone:
            continue
        if contact.id in heirs or contact.source != SOURCE:
            contact.alter({"kommo_id": heirs.get(contact.id)}, at=at)
            kept.append(contact)
        elif contact.deleted_at is None:
            contact.delete(at)
            deleted.append(contact)
    if deleted:
        yield ContactDeleted(contacts=deleted)
    if kept:
        yield ContactUpdated(contacts=kept, changed=["kommo_id"])


def phone_of(said: RemoteContact, region: str) -> PhoneNumber | None:
    """Return the first of a contact's phones that is one."""
    for reach in said.phones:
        try:
            return normalize_phone(reach.text, region)
        except Invalid:
            continue
    return None


def email_of(said: RemoteContact) -> str | None:
    """Return the first of a contact's e-mail addresses that is one."""
    texts = (line(reach.text, longest=_EMAIL_MAX) for reach in said.emails)
    return next((text for text in texts if text and _EMAIL.fullmatch(text)), None)


class _People:
    """The contacts of one batch, and who may have which phone."""

    def __init__(
        self, batch: Sequence[RemoteContact], local: LocalPeople, plan: PeoplePlan
    ) -> None:
        self.plan = plan
        self._local = local
        self._holders = dict(local.holders)
        self._phones = {said.id: phone_of(said, local.region) for said in batch}
        self._claims = defaultdict[PhoneNumber, set[KommoId]](set)
        self._linked = defaultdict[ContactId, set[KommoId]](set)
        self._said = defaultdict[ContactId, set[PhoneNumber | None]](set)
        for known in local.known.values():
            if not known.is_gone:
                self._linked[known.contact_id].add(known.kommo_id)
                self._said[known.contact_id].add(known.phone)
                if known.phone is not None and known.kommo_id not in self._phones:
                    self._claims[known.phone].add(known.kommo_id)
        for kommo_id, phone in self._phones.items():
            if phone is not None:
                self._claims[phone].add(kommo_id)

    def change(self, said: RemoteContact) -> PersonChange:
        """Return what becomes of one contact."""
        known = self._local.known.get(said.id)
        contact = self._local.contacts.get(known.contact_id) if known else None
        phone = self._phones[said.id]
        change = PersonChange(said, phone, email_of(said), contact=contact)
        if known and known.phone not in (None, phone):
            self.plan.freed.update(filter(None, [known.phone]))
        mine = phone is not None and min(self._claims[phone]) == said.id
        if contact is None and mine:
            contact = change.contact = self._free_holder(phone)
        if contact is None:
            self._open(change, mine=mine)
        elif self._is_shared(contact, said.id):
            change.is_shared = True
        else:
            self._alter(change, contact, known, mine=mine)
        return change

    def _open(self, change: PersonChange, *, mine: bool) -> None:
        phone = change.phone if mine and self._may_have(change.phone, None) else None
        name, last_name = _names(change.said)
        change.draft = ContactDraft(
            name=name, last_name=last_name, phone=phone, email=change.email, source=SOURCE,
            kommo_id=change.said.id,
        )  # fmt: skip

    def _alter(
        self, change: PersonChange, contact: Contact, known: KnownContact | None, *, mine: bool
    ) -> None:
        values = _owned(change, contact, known)
        before, phone = contact.phone, change.phone
        if mine and self._may_have(phone, contact):
            values["phone"] = phone
        elif before in (phone, known.phone if known else None):
            values["phone"] = None
        change.is_restored = contact.deleted_at is not None
        change.changed = contact.alter(values, at=self.plan.at)
        if "phone" in change.changed and before is not None:
            self.plan.had_phones.add(contact.id)
        if contact.phone is not None:
            self._holders[contact.phone] = contact

    def _free_holder(self, phone: PhoneNumber | None) -> Contact | None:
        """Return the contact here that has a phone, and is nobody's there."""
        holder = self._holders.get(phone) if phone else None
        return None if holder is None or self._linked[holder.id] else holder

    def _is_shared(self, contact: Contact, kommo_id: KommoId) -> bool:
        """Tell whether a contact was merged here with another one's there."""
        return contact.kommo_id != kommo_id and contact.kommo_id in self._linked[contact.id]

    def _may_have(self, phone: PhoneNumber | None, contact: Contact | None) -> bool:
        """Tell whether the first one to claim a phone gets it.

        Whoever has it because Kommo said so loses it now; what we know from elsewhere stays.
        """
        holder = self._holders.get(phone) if phone else None
        if holder is None or holder is contact or holder.phone != phone:
            return True
        if phone not in self._said[holder.id]:
            return False
        holder.alter({"phone": None}, at=self.plan.at)
        self.plan.had_phones.add(holder.id)
        self.plan.losers.append(holder)
        return True


def _owned(change: PersonChange, contact: Contact, known: KnownContact | None) -> dict[str, Any]:
    """Return the values that Kommo says, but for the phone."""
    name, last_name = _names(change.said)
    values = {"name": name, "last_name": last_name, "kommo_id": change.said.id, "deleted_at": None}
    if change.email is not None:
        values["email"] = change.email
    elif known and known.email is not None and contact.email == known.email:
        values["email"] = None
    return values


def _names(said: RemoteContact) -> tuple[str | None, str | None]:
    """Return name and last name: the two parts if they are the whole, else the whole."""
    whole, first, last = line(said.name), line(said.first_name), line(said.last_name)
    parts = " ".join(filter(None, (first, last)))
    return (first, last) if parts and whole in (None, line(parts)) else (whole, None)
