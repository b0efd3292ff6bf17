"""What a screen shows of messages: loaded once, and then followed by frames."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from clarin_core.domain.messages import SAID
from support.screen import Frame
from support.serving import Person

Rows = dict[int, dict[str, Any]]
Data = dict[str, Any]

_UNTOLD = {"version", "updated_at"}
"""What a frame of a status does not tell."""


async def load_messages(person: Person) -> Rows:
    """Return the messages that there are; memory gives ids from 1, here to nobody else."""
    rows: Rows = {}
    for key in count(1):
        answer = await person.ask("GET", f"/api/messages/{key}")
        if answer.status_code != 200:
            break
        rows[key] = _shown(answer.json())
    return rows


def follow(rows: Rows, frame: Frame, fresh: Rows) -> None:
    """Follow one frame; what it does not carry is fetched."""
    ABOUT_MESSAGES[frame["event"]](rows, frame["data"], fresh)


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


def _fetch(rows: Rows, field: str, value: object, fresh: Rows) -> None:
    for key in [key for key, row in rows.items() if row.get(field) == value]:
        rows[key] = dict(fresh[key])


ABOUT_MESSAGES: Mapping[str, Callable[[Rows, Data, Rows], None]] = {
    "new_message": _put,
    "message_sent": _put,
    "message_edited": _put,
    "message_status": _become,
    "message_revoked": _hide,
    "message_reaction": lambda rows, data, fresh: _fetch(
        rows, "wa_message_id", data["target_message_id"], fresh
    ),
    "poll_update": lambda rows, data, fresh: _fetch(
        rows, "wa_message_id", data["wa_message_id"], fresh
    ),
    "media_update": lambda rows, data, fresh: _fetch(rows, "media_id", data["id"], fresh),
}
"""What a screen does with each frame that is about messages."""
