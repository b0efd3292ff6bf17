"""Contacts."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET, structs

from clarin_core.domain.contacts import Contact, ContactDraft, ContactQuery, ContactView
from clarin_core.domain.ids import ContactId
from clarin_core.domain.paging import Page
from clarin_core.domain.phone import PhoneNumber, normalize_phone
from clarin_core.domain.tags import TagTarget
from clarin_core.domain.text import fold
from clarin_core.errors import Conflict, Invalid, NotFound
from clarin_core.ports.stores import ContactStore
from clarin_memory.paging import NEWEST, OLDEST
from clarin_memory.reader import Reader
from clarin_memory.search import Needle
from clarin_memory.state import AccountTables, Scope
from clarin_memory.tables import copied, rival
from clarin_memory.tags import tag_ids_on, tags_on


@dataclass(frozen=True, slots=True)
class MemoryContactStore(ContactStore):
    """The contacts of one account."""

    scope: Scope

    async def get(self, contact_id: ContactId, *, deleted: bool = False) -> Contact:
        """Return a live contact (a deleted one when asked); raises NotFound."""
        contact = self.scope.tables.contacts.find(contact_id)
        if contact is None or (contact.deleted_at is not None) is not deleted:
            raise NotFound("contact", contact_id)
        return contact

    async def get_many(self, contact_ids: Collection[ContactId]) -> list[Contact]:
        """Return contacts, deleted ones included, by id; unknown ones are left out."""
        found = (self.scope.tables.contacts.find(key) for key in sorted(set(contact_ids)))
        return [contact for contact in found if contact is not None]

    async def claim(
        self, drafts: Sequence[ContactDraft], *, at: datetime
    ) -> list[tuple[Contact, bool]]:
        """Return each draft's contact in the order given, and whether it is new."""
        claimed = self._by_phone({draft.phone for draft in drafts})
        answer = []
        for draft in drafts:
            known = claimed.get(draft.phone)
            contact = known or self._add(draft, at)
            answer.append((contact, known is None))
            if draft.phone is not None:
                claimed[draft.phone] = contact
        return answer

    async def save(self, contacts: Sequence[Contact]) -> None:
        """Store changed contacts; raises Conflict `duplicate_contact`, NotFound for a stranger."""
        for contact in contacts:
            if contact.id not in self.scope.tables.contacts:
                raise NotFound("contact", contact.id)
        if other := rival(self.scope.tables.contacts.rows(), contacts, _live_phone):
            raise Conflict("duplicate_contact", "a contact has this phone", id=other.id)
        for contact in contacts:
            self.scope.tables.contacts.put(contact.id, contact)

    async def phoneless(self, names: Collection[str], *, source: str) -> dict[str, Contact]:
        """Return live contacts of a source without a phone by folded name, the oldest of each."""
        wanted, oldest = {fold(name) for name in names}, dict[str, Contact]()
        for contact in sorted(self.scope.tables.contacts.rows(), key=OLDEST.key):
            if contact.deleted_at is None and contact.phone is None and contact.source == source:
                name = fold(contact.full_name)
                if name in wanted and name not in oldest:
                    oldest[name] = copied(contact)
        return oldest

    def _by_phone(self, phones: set[PhoneNumber | None]) -> dict[PhoneNumber | None, Contact]:
        found = ((_live_phone(row), row) for row in self.scope.tables.contacts.rows())
        wanted = phones - {None}
        return {phone: copied(row) for phone, row in found if phone in wanted}

    def _add(self, draft: ContactDraft, at: datetime) -> Contact:
        values = {name: getattr(draft, name) for name in ContactDraft.__struct_fields__}
        contact_id = ContactId(self.scope.ids.next("contact"))
        contact = Contact(id=contact_id, created_at=at, updated_at=at, version=1, **values)
        self.scope.tables.contacts.put(contact_id, contact)
        return contact


class ContactViews(Reader):
    """What an account reads of its contacts."""

    async def contact(self, contact_id: ContactId) -> ContactView:
        """Return a live contact; raises NotFound."""
        contact = self._tables.contacts.peek(contact_id)
        if contact is None or contact.deleted_at is not None:
            raise NotFound("contact", contact_id)
        return _view(self._tables, contact)

    async def contacts(self, query: ContactQuery) -> Page[ContactView]:
        """Return a page of contacts, newest first."""
        tables = self._tables
        tests = list(_tests(query, tables, self._account.default_region))
        rows = (row for row in tables.contacts.rows() if all(test(row) for test in tests))
        return self._page(rows, NEWEST, query, lambda contact: _view(tables, contact))


def phone_or_none(raw: str, region: str) -> PhoneNumber | None:
    """Return the phone that a filter names, None when nobody can read it."""
    try:
        return normalize_phone(raw, region)
    except Invalid:
        return None


def mentions(contact: ContactDraft, needle: Needle) -> bool:
    """Return whether a contact's names, e-mail, company or phone hold the text."""
    names = (contact.full_name, contact.short_name, contact.custom_name, contact.push_name)
    others = (contact.email, contact.company)
    return needle.is_in(*names, *others) or needle.is_in_phone(contact.phone)


def _tests(
    query: ContactQuery, tables: AccountTables, region: str
) -> Iterator[Callable[[Contact], bool]]:
    yield lambda contact: contact.deleted_at is None
    if query.search is not UNSET:
        needle = Needle(query.search)
        yield lambda contact: mentions(contact, needle)
    if query.phone is not UNSET:
        phone = phone_or_none(query.phone, region)
        yield lambda contact: phone is not None and contact.phone == phone
    if query.has_phone is not UNSET:
        yield lambda contact: (contact.phone is not None) is query.has_phone
    if query.is_group is not UNSET:
        yield lambda contact: contact.is_group is query.is_group
    if query.tag_ids is not UNSET:
        wanted, here = query.tag_ids, TagTarget.CONTACT
        yield lambda contact: not wanted.isdisjoint(tag_ids_on(tables, here, contact.id))


def _live_phone(contact: Contact) -> PhoneNumber | None:
    return contact.phone if contact.deleted_at is None else None


def _view(tables: AccountTables, contact: Contact) -> ContactView:
    tags = tags_on(tables, TagTarget.CONTACT, contact.id)
    return ContactView(
        **structs.asdict(contact),
        tags=[tag.name for tag in tags],
        tag_ids=[tag.id for tag in tags],
    )
