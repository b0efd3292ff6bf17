"""From Kommo's JSON to our words, entity by entity: one that cannot be read costs no other."""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec
from msgspec import Raw

from clarin_core.domain.pipelines import StageKind
from clarin_core.domain.remote import (
    HintKind,
    Rejected,
    RemoteAccount,
    RemoteContact,
    RemoteDeletion,
    RemoteField,
    RemoteHint,
    RemoteKind,
    RemoteLead,
    RemoteLink,
    RemoteOption,
    RemotePipeline,
    RemoteReach,
    RemoteStage,
    RemoteTag,
    RemoteUser,
    RemoteValues,
)
from clarin_core.domain.text import legible
from clarin_kommo import wire
from clarin_kommo.wire import as_id, as_moment, moment

_DEPTH_MAX = 8
_PRICE_MAX = Decimal(10) ** 15
_COLOR = re.compile("#[0-9a-f]{6}")
_ENDS = {142: StageKind.WON, 143: StageKind.LOST}  # In every pipeline (KS8).
_INCOMING = 1
_KINDS = {kind.value: kind for kind in RemoteKind}
_PHONE, _EMAIL = "PHONE", "EMAIL"

HINTS = {
    "lead_deleted": HintKind.DELETED,
    "contact_deleted": HintKind.DELETED,
    "lead_restored": HintKind.RESTORED,
    "contact_restored": HintKind.RESTORED,
    "entity_merged": HintKind.MERGED,
    "entity_tag_added": HintKind.CHANGED,
    "entity_tag_deleted": HintKind.CHANGED,
    "entity_linked": HintKind.CHANGED,
    "entity_unlinked": HintKind.CHANGED,
    "lead_linked": HintKind.CHANGED,
    "lead_unlinked": HintKind.CHANGED,
    "contact_linked": HintKind.CHANGED,
    "contact_unlinked": HintKind.CHANGED,
}
"""Events of what a list by `updated_at` does not show, or not surely."""

W = TypeVar("W")
T = TypeVar("T")


def read(
    raws: Iterable[Raw], shape: type[W], translate: Callable[[W], T | None]
) -> tuple[list[T], list[Rejected]]:
    """Translate each item that has the shape; None is left out, what has not is rejected."""
    decoder = msgspec.json.Decoder(shape)
    items: list[T] = []
    rejected: list[Rejected] = []
    for raw in raws:
        try:
            item = translate(decoder.decode(raw))
        except wire.UNREADABLE as error:
            rejected.append(_rejected(raw, error))
        else:
            if item is not None:
                items.append(item)
    return items, rejected


def lead(one: wire.Lead) -> RemoteLead:
    """Return a lead."""
    return RemoteLead(
        id=one.id,
        name=_text(one.name),
        price=_price(one.price_with_minor_units, one.price),
        pipeline_id=one.pipeline_id,
        stage_id=one.status_id,
        responsible_id=as_id(one.responsible_user_id),
        loss_reason_id=as_id(one.loss_reason_id),
        created_at=moment(one.created_at),
        updated_at=moment(one.updated_at),
        closed_at=moment(one.closed_at) if one.closed_at else None,
        is_deleted=bool(one.is_deleted),
        tags=_tags(one.embedded.tags),
        contacts=_links(one.embedded.contacts or []),
        fields=[_values(field) for field in _fields(one.custom_fields_values)],
    )


def contact(one: wire.Contact) -> RemoteContact:
    """Return a contact."""
    fields = _fields(one.custom_fields_values)
    return RemoteContact(
        id=one.id,
        name=_text(one.name),
        first_name=_text(one.first_name),
        last_name=_text(one.last_name),
        phones=_reaches(fields, _PHONE),
        emails=_reaches(fields, _EMAIL),
        responsible_id=as_id(one.responsible_user_id),
        created_at=moment(one.created_at),
        updated_at=moment(one.updated_at),
        is_deleted=bool(one.is_deleted),
        tags=_tags(one.embedded.tags),
        fields=[_values(field) for field in fields if field.field_code not in (_PHONE, _EMAIL)],
    )


def deletion(one: wire.Deleted) -> RemoteDeletion:
    """Return what lies in the recycle bin."""
    return RemoteDeletion(id=one.id, updated_at=moment(one.updated_at))


def pipeline(one: wire.Pipeline) -> RemotePipeline:
    """Return a pipeline, its stages in their order."""
    stages = [
        RemoteStage(
            pipeline_id=one.id,
            id=stage.id,
            name=_text(stage.name),
            color=_color(stage.color),
            position=stage.sort,
            kind=_ENDS.get(stage.id, StageKind.OPEN),
            is_incoming=stage.type == _INCOMING,
        )
        for stage in sorted(one.embedded.statuses, key=lambda stage: (stage.sort, stage.id))
    ]
    return RemotePipeline(
        id=one.id,
        name=_text(one.name),
        position=one.sort,
        is_main=bool(one.is_main),
        is_archived=bool(one.is_archive),
        stages=stages,
    )


def user(one: wire.User) -> RemoteUser:
    """Return a user."""
    is_active = one.rights is None or one.rights.is_active
    return RemoteUser(
        id=one.id, name=_text(one.name), email=_text(one.email) or None, is_active=is_active
    )


def tag(one: wire.Tag) -> RemoteTag:
    """Return a tag."""
    return RemoteTag(id=one.id, name=_text(one.name), color=_color(one.color))


def field_of(kind: RemoteKind) -> Callable[[wire.FieldDefinition], RemoteField]:
    """Return what translates the definitions of one kind's fields."""

    def field(one: wire.FieldDefinition) -> RemoteField:
        return RemoteField(
            id=one.id,
            kind=kind,
            name=_text(one.name),
            code=one.code,
            type=one.type,
            position=one.sort,
            options=[RemoteOption(id=o.id, value=_text(o.value)) for o in one.enums or []],
        )

    return field


def hint(one: wire.Event) -> RemoteHint | None:
    """Return a hint; None for an event that concerns neither leads nor contacts."""
    what, kind = HINTS.get(one.type), _KINDS.get(one.entity_type)
    if what is None or kind is None:
        return None
    return RemoteHint(
        id=one.id, what=what, kind=kind, entity_id=one.entity_id, at=moment(one.created_at)
    )


def account(one: wire.Account) -> RemoteAccount:
    """Return the account."""
    return RemoteAccount(
        id=one.id,
        name=_text(one.name),
        subdomain=one.subdomain,
        currency=one.currency,
        filters_work=one.is_api_filter_enabled,
    )


def _rejected(raw: Raw, error: Exception) -> Rejected:
    """Return what can be told of an item; the error names the place and no value."""
    try:
        known = msgspec.json.decode(raw, type=wire.Identified)
    except wire.UNREADABLE:
        known = wire.Identified()
    return Rejected(id=as_id(known.id), updated_at=as_moment(known.updated_at), reason=str(error))


def _text(text: str | None) -> str:
    return legible(text or "")


def _color(color: object) -> str | None:
    lower = color.lower() if isinstance(color, str) else ""
    return lower if _COLOR.fullmatch(lower) else None


def _price(*prices: object) -> Decimal | None:
    """Return the first that is a number which fits."""
    for price in prices:
        if isinstance(price, int | float | str) and not isinstance(price, bool):
            try:
                number = Decimal(str(price))
            except InvalidOperation:
                continue
            if number.is_finite() and abs(number) <= _PRICE_MAX:
                return number
    return None


def _tags(tags: list[wire.Tag] | None) -> list[RemoteTag]:
    return [tag(one) for one in tags or []]


def _links(links: list[wire.Link]) -> list[RemoteLink]:
    """Return each contact once, and at most one as the main one."""
    mains = [link.id for link in links if link.is_main]
    ids = dict.fromkeys(link.id for link in links)
    return [RemoteLink(contact_id=id, is_main=id in mains[:1]) for id in ids]


def _fields(raws: list[Raw] | None) -> list[wire.FieldValues]:
    """Return the fields that can be read; one of a new kind must not cost the entity."""
    fields = []
    for raw in raws or []:
        try:
            fields.append(msgspec.json.decode(raw, type=wire.FieldValues))
        except wire.UNREADABLE:
            continue
    return fields


def _values(field: wire.FieldValues) -> RemoteValues:
    return RemoteValues(
        field_id=field.field_id,
        name=_text(field.field_name),
        code=field.field_code,
        type=field.field_type or "",
        values=[_plain(one.value, _DEPTH_MAX) for one in field.values],
    )


def _reaches(fields: list[wire.FieldValues], code: str) -> list[RemoteReach]:
    """Return the texts of a field that has several, such as phones; numbers are texts there."""
    return [
        RemoteReach(text=text, label=label if isinstance(label, str) else None)
        for field in fields
        if field.field_code == code
        for one in field.values
        if isinstance(one.value, str | int)
        and one.value is not True
        and (text := legible(str(one.value)))
        for label in (one.enum_code or one.enum,)
    ]


def _plain(value: object, depth: int) -> object:
    """Return JSON that can be stored: its texts are legible, and what lies too deep is None."""
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, list | dict) and depth == 0:
        return None
    if isinstance(value, list):
        return [_plain(one, depth - 1) for one in value]
    if isinstance(value, dict):
        return {legible(key): _plain(one, depth - 1) for key, one in value.items()}
    return value
