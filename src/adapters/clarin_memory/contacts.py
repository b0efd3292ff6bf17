"""Contacts."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET, structs

from clarin_core.domain.chats import Chat
from clarin_core.domain.contacts import (
    DUPLICATES_SHOWN_MAX,
    Contact,
    ContactDraft,
    ContactIdentity,
    ContactQuery,
    ContactView,
    DuplicateGroup,
    DuplicateQuery,
    DuplicateReason,
    email_key,
)
from clarin_core.domain.ids import ContactId, DeviceId
from clarin_core.domain.jid import Identity
from clarin_core.domain.paging import Page
from clarin_core.domain.phone import PhoneNumber, normalize_phone, phone_key
from clarin_core.domain.tags import TagTarget
from clarin_core.domain.text import fold
from clarin_core.errors import Conflict, Invalid, NotFound
from clarin_core.ports.stores import ContactStore
from clarin_memory.paging import NEWEST, OLDEST, Order
from clarin_memory.reader import Reader
from clarin_memory.search import Needle
from clarin_memory.state import AccountTables, Scope
from clarin_memory.tables import copied, rival
from clarin_memory.tags import tag_ids_on, tags_on

Twins = tuple[DuplicateReason, str, list[Contact]]
"""Contacts, by id, that share something."""

_BY_OLDEST = Order[Twins](lambda twins: (twins[2][0].id, twins[0].value), (int, str))


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

    async def look_up(
        self, contact_ids: Collection[ContactId], phones: Collection[PhoneNumber]
    ) -> list[Contact]:
        """Return contacts by their ids, deleted ones included, and live ones by their phones."""
        holders = self._by_phone(set(phones)).values()
        return await self.get_many({*contact_ids, *(holder.id for holder in holders)})

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

    async def names(self, contact_ids: Collection[ContactId]) -> dict[ContactId, str]:
        """Return what people see of some live contacts (CT3), as far as there is something."""
        found = (self.scope.tables.contacts.peek(key) for key in set(contact_ids))
        live = [contact for contact in found if contact and contact.deleted_at is None]
        return {contact.id: contact.display_name for contact in live if contact.display_name}

    async def save(self, contacts: Sequence[Contact]) -> None:
        """Store changed contacts; raises Conflict `duplicate_contact`, NotFound for a stranger."""
        for contact in contacts:
            for contact_id in (contact.id, contact.merged_into):
                if contact_id is not None and contact_id not in self.scope.tables.contacts:
                    raise NotFound("contact", contact_id)
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

    async def identities(
        self, identities: Collection[Identity], *, at: datetime
    ) -> dict[Identity, ContactIdentity]:
        """Return what is known of each identity; one that nobody had is kept from now on."""
        table = self.scope.tables.identities
        found = {one: table.peek(one) or ContactIdentity(identity=one) for one in identities}
        for identity, row in found.items():
            table.put(identity, row)
        return found

    async def identities_of(self, contact_ids: Collection[ContactId]) -> list[ContactIdentity]:
        """Return the identities of some contacts, deleted ones included."""
        rows = self.scope.tables.identities.rows()
        return [row for row in rows if row.contact_id in contact_ids]

    async def put_identities(self, rows: Collection[ContactIdentity]) -> None:
        """Store changed identities; raises NotFound for a stranger."""
        tables = self.scope.tables
        for row in rows:
            if row.identity not in tables.identities:
                raise NotFound("identity", row.identity.value)
            if row.contact_id is not None and row.contact_id not in tables.contacts:
                raise NotFound("contact", row.contact_id)
        for row in rows:
            tables.identities.put(row.identity, row)

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
        return contact_view(self._tables, contact)

    async def contacts(self, query: ContactQuery) -> Page[ContactView]:
        """Return a page of contacts, newest first."""
        tables = self._tables
        tests = list(_tests(query, tables, self._account.default_region))
        rows = (row for row in tables.contacts.rows() if all(test(row) for test in tests))
        return self._page(rows, NEWEST, query, lambda contact: contact_view(tables, contact))

    async def duplicates(self, query: DuplicateQuery) -> Page[DuplicateGroup]:
        """Return a page of groups of live contacts that may be one person."""
        tables = self._tables
        return self._page(_twins(tables), _BY_OLDEST, query, lambda twins: _group(tables, twins))

    async def contact_identities(self, contact_id: ContactId) -> list[ContactIdentity]:
        """Return by what WhatsApp knows a live contact, by kind and value; raises NotFound."""
        await self.contact(contact_id)
        rows = self._tables.identities.rows()
        return sorted((row for row in rows if row.contact_id == contact_id), key=_name_of)


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


def contact_view(tables: AccountTables, contact: Contact) -> ContactView:
    """Return a contact as it is read."""
    tags = tags_on(tables, TagTarget.CONTACT, contact.id)
    return ContactView(
        **structs.asdict(contact),
        tags=[tag.name for tag in tags],
        tag_ids=[tag.id for tag in tags],
    )


def _tests(
    query: ContactQuery, tables: AccountTables, region: str
) -> Iterator[Callable[[Contact], bool]]:
    yield lambda contact: contact.deleted_at is None
    if query.search is not UNSET:
        needle = Needle(query.search)
        yield lambda contact: mentions(contact, needle)
    if query.device_id is not UNSET:
        known = {chat.contact_id for chat in _live_chats(tables, query.device_id)}
        yield lambda contact: contact.id in known
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


def _live_chats(tables: AccountTables, device_id: DeviceId) -> Iterator[Chat]:
    chats = (chat for chat in tables.chats.rows() if chat.device_id == device_id)
    return (chat for chat in chats if chat.deleted_at is None)


def _twins(tables: AccountTables) -> Iterator[Twins]:
    sharing = defaultdict[tuple[DuplicateReason, str], list[Contact]](list)
    for contact in sorted(tables.contacts.rows(), key=lambda contact: contact.id):
        if contact.deleted_at is not None or contact.is_group:
            continue
        if contact.email is not None:
            sharing[DuplicateReason.EMAIL, email_key(contact.email)].append(contact)
        if contact.phone is not None:
            sharing[DuplicateReason.PHONE, phone_key(contact.phone)].append(contact)
    return ((*key, people) for key, people in sharing.items() if len(people) > 1)


def _group(tables: AccountTables, twins: Twins) -> DuplicateGroup:
    reason, value, people = twins
    shown = [contact_view(tables, one) for one in people[:DUPLICATES_SHOWN_MAX]]
    return DuplicateGroup(reason=reason, value=value, count=len(people), contacts=shown)


def _name_of(row: ContactIdentity) -> tuple[str, str]:
    return row.identity.kind.value, row.identity.value


def _live_phone(contact: Contact) -> PhoneNumber | None:
    return contact.phone if contact.deleted_at is None else None
