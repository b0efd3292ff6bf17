"""Contacts: the people an account talks to, each with at most one live phone."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from clarin_core.domain.command import Age, Change, Command, Email, Name, Notes, Phone, ShortName
from clarin_core.domain.entity import Perishable
from clarin_core.domain.ids import ContactId, DeviceId, KommoId, TagId
from clarin_core.domain.jid import Identity
from clarin_core.domain.paging import PageQuery, SearchText
from clarin_core.domain.phone import PhoneNumber
from clarin_core.errors import Invalid

MERGED_MAX = 50
DUPLICATES_SHOWN_MAX = MERGED_MAX + 1
_NOTES_MAX = 10_000
_ABSORBED = (
    "phone", "name", "last_name", "short_name", "custom_name", "push_name", "avatar_url", "email",
    "company", "age", "source", "kommo_id",
)  # fmt: skip


class ContactDraft(Struct, kw_only=True, omit_defaults=True):
    """What is known of a person."""

    phone: PhoneNumber | None = None
    name: str | None = None
    last_name: str | None = None
    short_name: str | None = None
    custom_name: str | None = None
    push_name: str | None = None
    avatar_url: str | None = None
    email: str | None = None
    company: str | None = None
    age: int | None = None
    notes: str | None = None
    source: str | None = None
    is_group: bool = False
    do_not_contact: bool = False
    kommo_id: KommoId | None = None

    @property
    def full_name(self) -> str:
        """Name and last name, empty without either."""
        return " ".join(filter(None, (self.name, self.last_name)))

    @property
    def display_name(self) -> str | None:
        """What people see: custom name, else name and last name, push name, phone (CT3)."""
        return self.custom_name or self.full_name or self.push_name or self.phone


class Contact(ContactDraft, Perishable, kw_only=True, omit_defaults=True):
    """The entity: the only place where a contact changes."""

    id: ContactId
    created_at: datetime
    updated_at: datetime
    version: int
    deleted_at: datetime | None = None
    merged_into: ContactId | None = None

    def fill(self, values: Mapping[str, Any], *, at: datetime) -> tuple[str, ...]:
        """Set what is still empty (CT2, IM4) and return the names of those fields."""
        empty = {k: v for k, v in values.items() if v is not None and getattr(self, k) is None}
        return self.alter(empty, at=at)

    def restore(self, at: datetime) -> None:
        """Show it again, as somebody of its own."""
        self.merged_into = None
        super().restore(at)

    def absorb(self, others: Sequence["Contact"], *, at: datetime) -> tuple[str, ...]:
        """Take what others know and this one does not, and hide them (CT6).

        Notes are joined as far as there is room; who must not be contacted under one name must
        not be under any.
        """
        everybody = [self, *others]
        known = {
            field: next((v for one in everybody if (v := getattr(one, field)) is not None), None)
            for field in _ABSORBED
        }
        for other in others:
            other.alter({"deleted_at": at, "merged_into": self.id}, at=at)
        notes = dict.fromkeys(one.notes for one in everybody if one.notes)
        merged = {
            "notes": "\n".join(notes)[:_NOTES_MAX] or None,
            "do_not_contact": any(one.do_not_contact for one in everybody),
        }
        return self.alter(known | merged, at=at)


class ContactView(Contact, kw_only=True, omit_defaults=True):
    """A contact as it is read: with tags, names sorted and ids in the same order."""

    tags: list[str]
    tag_ids: list[TagId]


class ContactIdentity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A name by which WhatsApp knows a contact, or somebody who was only heard of.

    `alias` is the value of the phone's identity behind a linked id, where that is known.
    """

    identity: Identity
    contact_id: ContactId | None = None
    alias: str | None = None


class NewContact(Command, frozen=True, kw_only=True):
    """A person to be kept; a name, a phone or an e-mail is needed."""

    phone: Phone | None = None
    name: Name | None = None
    last_name: Name | None = None
    short_name: ShortName | None = None
    custom_name: Name | None = None
    email: Email | None = None
    company: Name | None = None
    age: Age | None = None
    notes: Notes | None = None
    source: ShortName | None = None
    do_not_contact: bool = False

    def __post_init__(self) -> None:
        """Raise Invalid for a person of whom nothing is known."""
        super().__post_init__()
        if not (self.phone or self.name or self.email or self.custom_name):
            raise Invalid("name", "or phone or email is needed")


class ContactChange(Change, frozen=True, kw_only=True):
    """A partial update of a contact."""

    phone: Phone | UnsetType | None = UNSET
    name: Name | UnsetType | None = UNSET
    last_name: Name | UnsetType | None = UNSET
    short_name: ShortName | UnsetType | None = UNSET
    custom_name: Name | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    company: Name | UnsetType | None = UNSET
    age: Age | UnsetType | None = UNSET
    notes: Notes | UnsetType | None = UNSET
    do_not_contact: bool | UnsetType = UNSET


class ContactQuery(PageQuery, frozen=True, kw_only=True):
    """Live contacts, newest first (created_at, then id); `device_id`: those with a chat there."""

    search: SearchText | UnsetType = UNSET
    device_id: DeviceId | UnsetType = UNSET
    phone: Phone | UnsetType = UNSET
    has_phone: bool | UnsetType = UNSET
    is_group: bool | UnsetType = UNSET
    tag_ids: Annotated[frozenset[TagId], Meta(min_length=1, max_length=100)] | UnsetType = UNSET


class DuplicateReason(Enum):
    """What some contacts share; of phones, whatever variant each has (PH6)."""

    EMAIL = "email"
    PHONE = "phone"


class DuplicateGroup(Struct, kw_only=True):
    """Live contacts that may be one person, the oldest first (CT5).

    `count` tells how many they are; the oldest are shown, as many as one merge takes.
    """

    reason: DuplicateReason
    value: str
    count: int
    contacts: list[ContactView]


class DuplicateQuery(PageQuery, frozen=True, kw_only=True):
    """Groups of live contacts that share something, the one of the oldest contact first."""


class ContactMerge(Command, frozen=True, kw_only=True):
    """Contacts that are one person, and which of them stays."""

    keep_id: ContactId
    merge_ids: Annotated[frozenset[ContactId], Meta(min_length=1, max_length=MERGED_MAX)]

    def __post_init__(self) -> None:
        """Raise Invalid for one that is to be merged into itself."""
        super().__post_init__()
        if self.keep_id in self.merge_ids:
            raise Invalid("merge_ids", "holds the contact that stays")


class ContactIds(Command, frozen=True, kw_only=True):
    """Some contacts; doubles count once."""

    ids: Annotated[frozenset[ContactId], Meta(min_length=1, max_length=500)]


def email_key(email: str) -> str:
    """Return what two spellings of an e-mail address share: the case of ASCII letters is none."""
    return email.encode().lower().decode()
