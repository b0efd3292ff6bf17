"""What a screen shows of messages: loaded once, and then followed by frames."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from clarin_core.domain.messages import SAID
from support.screen import Frame
from support.serving import Person

Rows = dict[int, dict[str, Any]]
Data = dict[str, Any]

_UNTOLD = {"version", "updated_at"}
"""What a frame of a status does not tell."""


async def load_messages(person: Person, chat_ids: Iterable[int]) -> Rows:
    """Return the messages of some chats that people see."""
    rows: Rows = {}
    for chat_id in chat_ids:
        page = await person.get(f"/api/chats/{chat_id}/messages", limit=200)
        rows |= {message["id"]: _shown(message) for message in page["data"]}
    return rows


def follow(rows: Rows, frame: Frame, fresh: Rows) -> None:
    """Follow one frame; what it does not carry is fetched."""
    ABOUT_MESSAGES[frame["event"]](rows, frame["data"], fresh)


def forget_chat(rows: Rows, chat_id: int) -> None:
    """Show nothing of a chat that was deleted; later messages may bring it back."""
    for key in [key for key, row in rows.items() if row["chat_id"] == chat_id]:
        del rows[key]


def move_chat(rows: Rows, gone: int, survivor: int, dropped: Collection[int]) -> None:
    """Show what was said in one chat in the other one, but for what both had."""
    for key in dropped:
        rows.pop(key, None)
    for row in rows.values():
        if row["chat_id"] == gone:
            row["chat_id"] = survivor


def _shown(message: Data) -> Data:
    """Return a message without what only a fresh load tells; no votes are as good as none."""
    row = {key: value for key, value in message.items() if key not in _UNTOLD}
    if not any(result["votes"] for result in row.get("results", ())):
        row.pop("results", None)
    return row | {"revoked_at": "revoked_at" in message}


def _put(rows: Rows, data: Data, fresh: Rows) -> None:
    for told in data.get("messages", [data]):
        message = told["message"]
        known = rows.get(message["id"], {})
        beside = {key: known[key] for key in ("reactions", "results") if key in known}
        rows[message["id"]] = _shown(message) | beside


def _become(rows: Rows, data: Data, fresh: Rows) -> None:
    for told in data.get("changes", [data]):
        for key in told["message_ids"]:
            rows[key].pop("error", None)
            rows[key] |= {name: told[name] for name in ("status", "error") if name in told}


def _hide(rows: Rows, data: Data, fresh: Rows) -> None:
    for told in data.get("messages", [data]):
        row = rows[told["message_id"]]
        for field in {*SAID, "media"} & row.keys():
            del row[field]
        row["revoked_at"] = True


def _react(rows: Rows, data: Data, fresh: Rows) -> None:
    target = data["target_message_id"]
    _fetch(rows, fresh, chat_id=data["chat_id"], wa_message_id=target)


def _vote(rows: Rows, data: Data, fresh: Rows) -> None:
    _fetch(rows, fresh, chat_id=data["chat_id"], wa_message_id=data["wa_message_id"])


def _bring_file(rows: Rows, data: Data, fresh: Rows) -> None:
    _fetch(rows, fresh, media_id=data["id"])


def _fetch(rows: Rows, fresh: Rows, **fields: object) -> None:
    """Fetch what there is with these values; what is deleted by now is not there."""
    for key in [key for key, row in rows.items() if fields.items() <= row.items()]:
        del rows[key]
        if key in fresh:
            rows[key] = dict(fresh[key])


ABOUT_MESSAGES: Mapping[str, Callable[[Rows, Data, Rows], None]] = {
    "new_message": _put,
    "message_sent": _put,
    "message_edited": _put,
    "message_status": _become,
    "message_revoked": _hide,
    "message_reaction": _react,
    "poll_update": _vote,
    "media_update": _bring_file,
}
"""What a screen does with each frame that is about messages."""
