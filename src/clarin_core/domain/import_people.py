"""Whom the rows of a file speak of.

A phone names a person, and so does the lead with a row's Kommo id. A row that has neither
means whoever was imported without a phone under the same name. All of this is decided before
anything is stored, row after row, so that a batch gives what its rows would give one by one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clarin_core.domain.contacts import Contact, ContactDraft
from clarin_core.domain.csv_import import ImportRow
from clarin_core.domain.ids import ContactId
from clarin_core.domain.leads import Lead
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.text import fold

SOURCE = "csv_import"
_NAMES = ("name", "last_name")
_DETAILS = ("phone", "email", "company", "age")
_PERSON = (*_NAMES, *_DETAILS)


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Someone of whom rows speak: a stored contact, or what is needed to claim one."""

    known: ContactDraft


@dataclass(frozen=True, slots=True)
class Reading:
    """A row, its `person` with what the row says of it, and the `owner` of its lead.

    The owner is another person only where a row names a new phone for a lead that keeps its
    contact. `former` is whom the lead leaves for a person with a phone. `is_first` says that
    no earlier row of the batch speaks of the person.
    """

    row: ImportRow
    person: Person
    owner: Person
    former: Person | None
    values: dict[str, Any]
    is_first: bool


class People:
    """The people of one batch."""

    def __init__(
        self,
        contacts: Collection[Contact],
        leads: Collection[Lead],
        named: Mapping[str, Contact],
        *,
        overwrite: bool,
    ) -> None:
        known = {contact.id: Person(contact) for contact in contacts}
        self._by_kommo = {
            lead.kommo_id: known[lead.contact_id]
            for lead in leads
            if lead.kommo_id and lead.contact_id in known
        }
        self._by_name = {name: _known(known, contact) for name, contact in named.items()}
        self._by_phone: dict[PhoneNumber, Person] = {}
        self._overwrite = overwrite
        self._is_renaming = False

    def read(self, rows: Iterable[ImportRow]) -> list[Reading]:
        """Return whom the rows mean, up to the first one that only the next batch can tell.

        Once a row may give a person without a phone another name, rows that know nothing but
        a name have to wait until that is stored.
        """
        readings = list[Reading]()
        for row in rows:
            if self._is_renaming and is_known_by_name(row):
                break
            readings.append(self._read(row))
        return readings

    def _read(self, row: ImportRow) -> Reading:
        before = self._by_kommo.get(row.kommo_id) if row.kommo_id else None
        found = self._find(row, before)
        person = found or self._add(row)
        owner = before if before and not self._changes_hands(row, before) else person
        if row.kommo_id:
            self._by_kommo[row.kommo_id] = owner
        former = before if before and owner is not before and not before.known.phone else None
        return Reading(row, person, owner, former, _values(row), is_first=found is None)

    def _changes_hands(self, row: ImportRow, owner: Person) -> bool:
        """Tell whether the row's phone takes the lead to another person (IM4)."""
        return row.phone is not None and (self._overwrite or owner.known.phone is None)

    def _find(self, row: ImportRow, owner: Person | None) -> Person | None:
        if row.phone:
            return self._by_phone.get(row.phone)
        if row.kommo_id:
            self._is_renaming |= owner is not None and _renames(row, owner.known)
            return owner
        return self._by_name.get(fold(name_of(row)))

    def _add(self, row: ImportRow) -> Person:
        person = Person(_draft(row))
        if row.phone:
            self._by_phone[row.phone] = person
        else:
            self._by_name.setdefault(fold(name_of(row)), person)
        return person


def is_known_by_name(row: ImportRow) -> bool:
    """Tell whether a name is all there is to find the row's person by."""
    return not row.phone and not row.kommo_id


def name_of(row: ImportRow) -> str:
    """Return a person's whole name; a lead's name stands in for it."""
    return " ".join(filter(None, (row.name, row.last_name))) or row.lead_name or ""


def details_of(contact: Contact) -> dict[str, Any]:
    """Return what rows can say of a person and the contact says."""
    return {field: getattr(contact, field) for field in _PERSON}


def _known(known: Mapping[ContactId, Person], contact: Contact) -> Person:
    return known.get(contact.id) or Person(contact)


def _values(row: ImportRow) -> dict[str, Any]:
    """Return what a row says of its person; who is known by name alone keeps the spelling."""
    fields: Sequence[str] = _DETAILS if is_known_by_name(row) else _PERSON
    return {field: getattr(row, field) for field in fields}


def _draft(row: ImportRow) -> ContactDraft:
    draft = ContactDraft(**{field: getattr(row, field) for field in _PERSON}, source=SOURCE)
    if not draft.phone and not draft.full_name:
        draft.name = row.lead_name
    return draft


def _renames(row: ImportRow, known: ContactDraft) -> bool:
    """Tell whether a row could give its person another name, and so confuse rows without id."""
    said = ((getattr(row, field), getattr(known, field)) for field in _NAMES)
    return any(new is not None and new != old for new, old in said)
