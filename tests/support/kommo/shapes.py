"""Our own samples of Kommo's JSON: things of a book in the shapes of its reference."""

from datetime import datetime
from typing import Any

from clarin_core.domain.pipelines import StageKind
from clarin_core.domain.remote import (
    HintKind,
    RemoteAccount,
    RemoteContact,
    RemoteDeletion,
    RemoteField,
    RemoteHint,
    RemoteLead,
    RemotePipeline,
    RemoteReach,
    RemoteStage,
    RemoteTag,
    RemoteUser,
    RemoteValues,
)

Json = dict[str, Any]

_WON, _LOST = 142, 143
_EVENTS = {
    HintKind.DELETED: "{}_deleted",
    HintKind.RESTORED: "{}_restored",
    HintKind.MERGED: "entity_merged",
    HintKind.CHANGED: "entity_tag_added",
}


def seconds(at: datetime) -> int:
    return int(at.timestamp())


def links(path: str) -> Json:
    return {"self": {"href": f"https://acme.kommo.com/api/v4{path}"}}


def lead(one: RemoteLead, *, with_contacts: bool) -> Json:
    embedded: Json = {"tags": [tag(t) for t in one.tags], "companies": []}
    if with_contacts:
        embedded["contacts"] = [
            {"id": link.contact_id, "is_main": link.is_main, "_links": links("")}
            for link in one.contacts
        ]
    price = {} if one.price is None else {"price_with_minor_units": float(one.price)}
    return {
        "id": one.id,
        "name": one.name,
        "price": None if one.price is None else int(one.price),
        **price,
        "responsible_user_id": one.responsible_id or 0,
        "group_id": 0,
        "status_id": one.stage_id,
        "pipeline_id": one.pipeline_id,
        "loss_reason_id": one.loss_reason_id,
        "created_by": 0,
        "updated_by": 0,
        "created_at": seconds(one.created_at),
        "updated_at": seconds(one.updated_at),
        "closed_at": None if one.closed_at is None else seconds(one.closed_at),
        "closest_task_at": None,
        "is_deleted": one.is_deleted,
        "custom_fields_values": [values(field) for field in one.fields] or None,
        "score": None,
        "account_id": 31000777,
        "labor_cost": None,
        "_links": links(f"/leads/{one.id}"),
        "_embedded": embedded,
    }


def contact(one: RemoteContact) -> Json:
    fields = [
        *reaches("PHONE", "Teléfono", one.phones),
        *reaches("EMAIL", "Correo", one.emails),
        *(values(field) for field in one.fields),
    ]
    return {
        "id": one.id,
        "name": one.name,
        "first_name": one.first_name,
        "last_name": one.last_name,
        "responsible_user_id": one.responsible_id or 0,
        "group_id": 0,
        "created_by": 0,
        "updated_by": 0,
        "created_at": seconds(one.created_at),
        "updated_at": seconds(one.updated_at),
        "closest_task_at": None,
        "is_deleted": one.is_deleted,
        "is_unsorted": False,
        "custom_fields_values": fields or None,
        "account_id": 31000777,
        "_links": links(f"/contacts/{one.id}"),
        "_embedded": {"tags": [tag(t) for t in one.tags], "companies": []},
    }


def values(one: RemoteValues) -> Json:
    return {
        "field_id": one.field_id,
        "field_name": one.name,
        "field_code": one.code,
        "field_type": one.type,
        "values": [{"value": value} for value in one.values],
    }


def reaches(code: str, name: str, some: list[RemoteReach]) -> list[Json]:
    if not some:
        return []
    shown = [
        {"value": one.text, "enum_id": 4001, "enum_code": one.label}
        if one.label
        else {"value": one.text}
        for one in some
    ]
    field = {"field_id": 700100, "field_name": name, "field_code": code, "field_type": "multitext"}
    return [{**field, "values": shown}]


def tag(one: RemoteTag) -> Json:
    return {"id": one.id, "name": one.name, "color": one.color}


def deletion(one: RemoteDeletion) -> Json:
    return {"id": one.id, "updated_at": seconds(one.updated_at), "is_deleted": True}


def pipeline(one: RemotePipeline) -> Json:
    """Return a pipeline; its stages do not stand in their order."""
    return {
        "id": one.id,
        "name": one.name,
        "sort": one.position,
        "is_main": one.is_main,
        "is_unsorted_on": True,
        "is_archive": one.is_archived,
        "account_id": 31000777,
        "_links": links(f"/leads/pipelines/{one.id}"),
        "_embedded": {"statuses": [stage(s) for s in reversed(one.stages)]},
    }


def stage(one: RemoteStage) -> Json:
    assert (one.kind is StageKind.OPEN) == (one.id not in (_WON, _LOST))
    return {
        "id": one.id,
        "name": one.name,
        "sort": one.position,
        "is_editable": one.kind is StageKind.OPEN,
        "pipeline_id": one.pipeline_id,
        "color": (one.color or "").upper(),
        "type": int(one.is_incoming),
        "account_id": 31000777,
    }


def user(one: RemoteUser) -> Json:
    rights = {"is_admin": False, "is_active": one.is_active, "group_id": None, "role_id": None}
    return {"id": one.id, "name": one.name, "email": one.email, "lang": "es", "rights": rights}


def field(one: RemoteField) -> Json:
    options = [{"id": o.id, "value": o.value, "sort": 1} for o in one.options]
    return {
        "id": one.id,
        "name": one.name,
        "code": one.code,
        "type": one.type,
        "sort": one.position,
        "entity_type": f"{one.kind.value}s",
        "enums": options or None,
        "is_api_only": False,
        "group_id": None,
    }


def event(one: RemoteHint) -> Json:
    kind = one.kind.value
    return {
        "id": one.id,
        "type": _EVENTS[one.what].format(kind),
        "entity_id": one.entity_id,
        "entity_type": kind,
        "created_by": 9000011,
        "created_at": seconds(one.at),
        "value_before": [],
        "value_after": [],
        "account_id": 31000777,
        "_embedded": {"entity": {"id": one.entity_id}},
    }


def account(one: RemoteAccount, *, are_filters_on: bool) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "subdomain": one.subdomain,
        "created_at": 1_700_000_000,
        "current_user_id": 9000011,
        "country": "PE",
        "currency": one.currency or "PEN",
        "currency_symbol": "S/",
        "is_api_filter_enabled": are_filters_on,
    }
