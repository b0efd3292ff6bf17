"""Kommo's JSON as Structs; source: its API reference, version 4.

What the rest of a thing hangs on has its type here, and a thing without it is no such thing.
Entities of a list are read one by one, and so are the fields of an entity.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

from clarin_core.domain.ids import KommoId

_SECONDS_MAX = 4_133_980_799  # The end of 2100, as everywhere else.

Seconds = Annotated[int, Meta(ge=0, le=_SECONDS_MAX)]
Text = str | None

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading JSON may raise; nesting of about a thousand is the deepest that is read."""

T = TypeVar("T")


class Envelope(Struct, kw_only=True):
    """A list: each item is read by itself."""

    embedded: dict[str, Raw] = field(name="_embedded")
    links: dict[str, Any] = field(name="_links", default_factory=dict)

    @property
    def has_next(self) -> bool:
        """Whether another page is announced."""
        return bool(self.links.get("next"))


class Identified(Struct, kw_only=True):
    """As much of an entity as can be told of one that could not be read."""

    id: Any = None
    updated_at: Any = None


class Tag(Struct, kw_only=True):
    """A tag, in a directory or on an entity."""

    id: KommoId
    name: Text = None
    color: Any = None


class Link(Struct, kw_only=True):
    """A contact of a lead."""

    id: KommoId
    is_main: bool | None = None


class Parts(Struct, kw_only=True):
    """What is embedded in an entity, as far as we read it."""

    tags: list[Tag] | None = None
    contacts: list[Link] | None = None


class Value(Struct, kw_only=True):
    """One value of a field; `enum` is how old payloads name `enum_code`."""

    value: Any = None
    enum_code: Any = None
    enum: Any = None


class FieldValues(Struct, kw_only=True):
    """A field of an entity that is filled in."""

    field_id: KommoId
    field_name: Text = None
    field_code: Text = None
    field_type: Text = None
    values: list[Value]


class Lead(Struct, kw_only=True):
    """A lead; `price_with_minor_units` is the more exact of the two prices, where there is one."""

    id: KommoId
    name: Text = None
    price: Any = None
    price_with_minor_units: Any = None
    status_id: KommoId
    pipeline_id: KommoId
    responsible_user_id: Any = None
    loss_reason_id: Any = None
    created_at: Seconds
    updated_at: Seconds
    closed_at: Seconds | None = None
    is_deleted: bool | None = None
    custom_fields_values: list[Raw] | None = None
    embedded: Parts = field(name="_embedded", default_factory=Parts)


class Contact(Struct, kw_only=True):
    """A contact."""

    id: KommoId
    name: Text = None
    first_name: Text = None
    last_name: Text = None
    responsible_user_id: Any = None
    created_at: Seconds
    updated_at: Seconds
    is_deleted: bool | None = None
    custom_fields_values: list[Raw] | None = None
    embedded: Parts = field(name="_embedded", default_factory=Parts)


class Deleted(Struct, kw_only=True):
    """An entity in the recycle bin."""

    id: KommoId
    updated_at: Seconds


class Stage(Struct, kw_only=True):
    """A stage; `type` is 1 where leads arrive that nobody has accepted yet."""

    id: KommoId
    name: Text = None
    sort: int = 0
    color: Any = None
    type: int = 0


class Stages(Struct, kw_only=True):
    """The stages of a pipeline."""

    statuses: list[Stage] = field(default_factory=list)


class Pipeline(Struct, kw_only=True):
    """A pipeline."""

    id: KommoId
    name: Text = None
    sort: int = 0
    is_main: bool | None = None
    is_archive: bool | None = None
    embedded: Stages = field(name="_embedded", default_factory=Stages)


class Rights(Struct, kw_only=True):
    """What a user may."""

    is_active: bool = True


class User(Struct, kw_only=True):
    """A user."""

    id: KommoId
    name: Text = None
    email: Text = None
    rights: Rights | None = None


class Option(Struct, kw_only=True):
    """A value that a field offers."""

    id: KommoId
    value: Text = None


class FieldDefinition(Struct, kw_only=True):
    """What a field is."""

    id: KommoId
    name: Text = None
    code: Text = None
    type: str
    sort: int = 0
    enums: list[Option] | None = None


class Event(Struct, kw_only=True):
    """An entry of the audit log."""

    id: str
    type: str
    entity_id: KommoId
    entity_type: str
    created_at: Seconds


class Account(Struct, kw_only=True):
    """The account."""

    id: KommoId
    name: Text = None
    subdomain: str
    currency: Text = None
    is_api_filter_enabled: bool | None = None


class Tokens(Struct, kw_only=True):
    """A new pair of tokens."""

    access_token: Annotated[str, Meta(min_length=1)]
    refresh_token: Annotated[str, Meta(min_length=1)]
    expires_in: Annotated[int, Meta(ge=0, le=_SECONDS_MAX)]


def moment(seconds: int) -> datetime:
    """Return a time of Kommo's as one of ours."""
    return datetime.fromtimestamp(seconds, UTC)


def as_moment(value: object) -> datetime | None:
    """Return a time, None for what is none."""
    try:
        return moment(msgspec.convert(value, Seconds))
    except msgspec.ValidationError:
        return None


def as_id(value: object) -> KommoId | None:
    """Return an id, None for what is none: 0 is how Kommo says nobody, or a robot."""
    try:
        return msgspec.convert(value, KommoId)
    except msgspec.ValidationError:
        return None
