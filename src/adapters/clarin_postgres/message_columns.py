"""Messages as rows: what is written of them, and what is read."""

from typing import Any

from clarin_core.domain.messages import MessageDraft
from clarin_core.domain.text import fold
from clarin_postgres.columns import Columns

_DETAILS = ("quoted", "location", "cards", "poll", "edits")
_CONTENT = ("body", "media_id", "details")


def _details(message: MessageDraft) -> dict[str, Any]:
    values = ((name, getattr(message, name)) for name in _DETAILS)
    return {name: value for name, value in values if value}


_DRAFT = {
    "chat_id": "bigint",
    "device_id": "bigint",
    "wa_message_id": "text",
    "direction": "text",
    "sender_kind": "text",
    "sender_value": "text",
    "sender_name": "text",
    "kind": "text",
    "body": "text",
    "media_id": "bigint",
    "details": "json",
    "status": "text",
    "sent_at": "timestamptz",
    "edited_at": "timestamptz",
    "revoked_at": "timestamptz",
    "error": "text",
    "actor": "bigint",
    "is_guess": "boolean",
}
_LIFE = {
    "id": "bigint",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "version": "integer",
}
_UNSEEN = {"raw": "bytea", "search": "text"}
_DERIVED = {
    "sender_kind": lambda message: message.sender and message.sender.kind.value,
    "sender_value": lambda message: message.sender and message.sender.value,
    "details": _details,
    "search": lambda message: None if message.body is None else fold(message.body),
}
NEW = Columns({**_DRAFT, **_UNSEEN}, derived=_DERIVED)
CHANGED = Columns({**_DRAFT, **_LIFE, **_UNSEEN}, derived=_DERIVED)


def _hidden(name: str) -> str:
    """Return a column as people see it: empty once the message was revoked."""
    shown = f"case when m.revoked_at is null then m.{name} end as {name}"
    return shown if name in _CONTENT else f"m.{name}"


ROW = ", ".join(f"m.{name}" for name in {**_DRAFT, **_LIFE})
"""The columns of a message `m` but `raw`."""

SHOWN_ROW = ", ".join(map(_hidden, {**_DRAFT, **_LIFE}))
"""The same, as people see them (CH10)."""

MESSAGE = f"{ROW}, m.raw"
"""All of a message."""


def fields(columns: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that the columns of a message hold; the server would be slower at it."""
    kind, value = columns.pop("sender_kind", None), columns.pop("sender_value", None)
    if kind is not None:
        columns["sender"] = {"kind": kind, "value": value}
    columns.update(columns.pop("details", ()))
    return columns
