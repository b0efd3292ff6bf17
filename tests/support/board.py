"""A screen of everything: loaded once, and then followed by frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from support.screen import Frame
from support.serving import Person
from support.shown_messages import (
    ABOUT_MESSAGES,
    Data,
    Rows,
    follow,
    forget_chat,
    load_messages,
    move_chat,
)

NOUNS = {
    "lead": "leads", "contact": "contacts", "tag": "tags", "pipeline": "pipelines",
    "quick_reply": "quick-replies", "device": "devices", "chat": "chats",
}  # fmt: skip
"""What has a list of its own; messages are listed by chat."""

_RETAG = {"tagged": frozenset.union, "untagged": frozenset.difference}
_TAGGED = ("lead", "contact", "chat")
_OF_OTHERS = {"tags", "stage_name", "display_name", "avatar_url"}
_OF_THE_CONTACT = {"phone", "email", "company", "last_name", "short_name", "age", "contact_name"}


@dataclass
class Board:
    """What a screen shows: each noun's rows, and the number up to which they are known."""

    rows: dict[str, Rows]
    seqs: dict[str, int]

    @classmethod
    async def load(cls, person: Person) -> "Board":
        """Return what a screen gets when it loads; each list has its own place in the log."""
        board = cls({}, {})
        for noun, path in NOUNS.items():
            answer = await person.ask("GET", f"/api/{path}", params={"limit": 200})
            board.seqs[noun] = int(answer.headers["clarin-seq"])
            rows = answer.json()["data"]
            if noun == "chat":
                rows += (await person.get("/api/chats", limit=200, archived=True))["data"]
            board.rows[noun] = {row["id"]: _shown(row) for row in rows}
        board.seqs["message"] = board.seqs["chat"]
        board.rows["message"] = await load_messages(person, board.rows["chat"])
        return board

    def follow(self, frames: Sequence[Frame], later: "Board") -> dict[str, Rows]:
        """Hear all frames up to a later board, and return what is shown then: that board's rows."""
        for frame in frames:
            if frame["seq"] > max(later.seqs.values()):
                break
            self._hear(frame, later)
        return self.rows

    def _hear(self, frame: Frame, fresh: "Board") -> None:
        """Follow one frame; what it does not carry is fetched, and so is `fresh`."""
        noun = _noun_of(frame)
        if noun is None or frame["seq"] <= self.seqs[noun]:
            return
        if noun == "message":
            follow(self.rows[noun], frame, fresh.rows[noun])
            self._follow_chats(frame["data"], fresh)
        else:
            self._follow(noun, frame, fresh)

    def _follow(self, noun: str, frame: Frame, fresh: "Board") -> None:
        data = frame["data"]
        if frame["event"] == "device_status":
            data = data | {"action": "updated", "id": data["device_id"]}
        for key in data.get("merged_ids", []):
            self.rows[noun].pop(key, None)
        for key in data.get("ids") or [data["id"]]:
            self._change(noun, key, data, fresh)
        if (noun, data["action"]) == ("tag", "deleted"):
            self._forget_tag(data["id"])

    def _follow_chats(self, data: Data, fresh: "Board") -> None:
        """Show chats as they are after their new messages."""
        for news in data.get("messages", [data]):
            if "chat" in news:
                self._change("chat", news["chat_id"], news | {"action": "updated"}, fresh)

    def _forget_tag(self, tag_id: int) -> None:
        for noun in _TAGGED:
            for row in self.rows[noun].values():
                row["tag_ids"] = row["tag_ids"] - {tag_id}

    def _unite(self, gone: int, data: Data) -> None:
        """Show a chat with what another one had."""
        rows, key = self.rows["chat"], data["merged_into"]
        known = [rows.pop(one, {}) for one in (gone, key)]
        tag_ids = frozenset().union(*(row.get("tag_ids", ()) for row in known))
        rows[key] = _shown(data["chat"]) | {"tag_ids": tag_ids}
        move_chat(self.rows["message"], gone, key, data["dropped"])

    def _forget(self, noun: str, key: int) -> None:
        self.rows[noun].pop(key, None)
        if noun == "chat":
            forget_chat(self.rows["message"], key)

    def _change(self, noun: str, key: int, data: Data, fresh: "Board") -> None:
        rows, action = self.rows[noun], data["action"]
        is_told = noun in data and (noun != "chat" or key in rows)  # Not whom a new one is with.
        if action == "deleted":
            self._forget(noun, key)
        elif noun == "chat" and action == "merged":
            self._unite(key, data)
        elif action in _RETAG and key in rows:
            rows[key]["tag_ids"] = _RETAG[action](rows[key]["tag_ids"], data["tag_ids"])
        elif is_told and action in ("created", "updated", "moved", "merged"):
            tag_ids = rows.get(key, {}).get("tag_ids", frozenset())
            rows[key] = _shown(data[noun]) | {"tag_ids": tag_ids}
        elif key in fresh.rows[noun]:
            rows[key] = dict(fresh.rows[noun][key])


def _noun_of(frame: Frame) -> str | None:
    """Return what a frame is about, None for what this screen does not show."""
    if frame["event"] in ABOUT_MESSAGES:
        return "message"
    noun: str = frame["event"].removesuffix("_update").removesuffix("_status")
    return noun if noun in NOUNS else None


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without what other rows say: names of tags and stages, the contact's fields."""
    others = _OF_OTHERS | (_OF_THE_CONTACT if "status" in row else set())
    if row.get("source") == "whatsapp":
        others = others | {"name"}  # A lead that opened itself has none of its own.
    own = {key: value for key, value in row.items() if key not in others}
    return own | {"tag_ids": frozenset(row.get("tag_ids", ()))}
