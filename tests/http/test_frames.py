"""Frames: every event has one, and its bytes are what a WebSocket client reads."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from clarin_core.domain.actor import Cause, Origin
from clarin_core.domain.events import Event, Recorded
from clarin_core.domain.ids import AccountId, UserId
from clarin_core.domain.replies import (
    option_digest,
)
from clarin_server.http.frames import frame_of, text_frame, unframed

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT = NOON.isoformat()
LIFE = {"created_at": AT, "updated_at": AT, "version": 2}

LEAD = {"id": 7, "name": "Luz", "status": "new", "stage_id": 3} | LIFE
CONTACT = {"id": 8, "name": "Mar"} | LIFE
TAG = {"id": 9, "name": "vip", "color": "#6366f1", "origin": "local"} | LIFE
PIPELINE = {"id": 2, "name": "Ventas", "is_default": True, "position": 0, "stages": []} | LIFE
ACCOUNT = {
    "id": 4, "name": "Sol", "plan": "basic", "max_devices": 5, "is_active": True,
    "default_region": "PE", "timezone": "America/Lima",
} | LIFE  # fmt: skip
DEVICE = {"id": 5, "name": "Ventas", "status": "connecting", "is_wanted": True} | LIFE
CODE = {"device_id": 5, "code": "2@a-secret", "is_qr": True, "expires_at": AT}
QUICK_REPLY = {"id": 3, "shortcut": "hola", "title": "Saludo", "body": "¡Hola!"} | LIFE
CHAT = {
    "id": 6, "device_id": 5, "identity": {"kind": "phone_jid", "value": "51987654321"},
    "unread_count": 1,
} | LIFE  # fmt: skip
MESSAGE = {
    "id": 11, "chat_id": 6, "device_id": 5, "wa_message_id": "A", "direction": "in",
    "sender": {"kind": "phone_jid", "value": "51987654321"}, "sender_name": "Sol", "kind": "text",
    "body": "hola", "status": "received", "sent_at": AT, "raw": "AAAA",
} | LIFE  # fmt: skip
OWN = MESSAGE | {"id": 12, "direction": "out", "status": "read"}
FILE = {"id": 13, "type": "image", "mimetype": "image/png", "state": "stored"}
WITH_FILE = MESSAGE | {"media_id": 13}
JID = "51987654321@s.whatsapp.net"
REACTION = {
    "chat_id": 6, "wa_message_id": "A", "sender": {"kind": "lid", "value": "77"}, "emoji": "👍",
    "at": AT,
}  # fmt: skip
VOTE = {
    "chat_id": 6, "wa_message_id": "A", "voter": {"kind": "lid", "value": "77"},
    "options": [option_digest("sí")], "at": AT,
}  # fmt: skip
COUNT = {
    "chat_id": 6, "message_id": 11, "wa_message_id": "A",
    "results": [{"option": "no", "votes": 1}, {"option": "sí", "votes": 2}],
}  # fmt: skip
MEDIA = {
    "id": 13, "key": "0a", "type": "image", "mimetype": "image/png", "state": "stored",
    "source": "AAAA", "not_before": AT,
} | LIFE  # fmt: skip
JOB = {
    "id": 5, "kind": "leads", "overwrite": False, "filename": "a.csv", "sha256": "00",
    "region": "PE", "origin": {"cause": "import"}, "rows": 4, "rows_done": 2, "state": "running",
    "counts": {"created": 1, "updated": 1, "duplicate": 0, "invalid": 0},
} | LIFE  # fmt: skip
MOVE = {"lead_id": 7, "from_stage": 1, "to_stage": 3, "at": AT}
LINK = {"target_id": 7, "tag_id": 9}

OTHER_LEAD = LEAD | {"id": 17}
OTHER_CONTACT = CONTACT | {"id": 18}

# Each event as it lies in the log, the name of its frame, and what the frame tells.
CASES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"name": "lead.created", "leads": [LEAD]}, "lead_update",
     {"action": "created", "id": 7, "lead.id": 7}),
    ({"name": "lead.created", "leads": [LEAD, OTHER_LEAD]}, "lead_update",
     {"action": "created", "ids": [7, 17], "count": 2}),
    ({"name": "lead.updated", "leads": [LEAD], "changed": ["name"]}, "lead_update",
     {"action": "updated", "id": 7, "lead.version": 2, "changed": ["name"]}),
    ({"name": "lead.stage_moved", "leads": [LEAD], "moves": [MOVE]}, "lead_update",
     {"action": "moved", "id": 7, "lead.stage_id": 3, "from_stage": 1, "to_stage": 3}),
    ({"name": "lead.stage_moved", "leads": [LEAD, OTHER_LEAD],
      "moves": [MOVE, MOVE | {"lead_id": 17}]}, "lead_update",
     {"action": "moved", "ids": [7, 17], "count": 2}),
    ({"name": "lead.assigned", "lead": LEAD}, "lead_update",
     {"action": "updated", "id": 7, "lead.id": 7, "changed": ["assigned_to"]}),
    ({"name": "lead.deleted", "leads": [LEAD]}, "lead_update", {"action": "deleted", "id": 7}),
    ({"name": "lead.restored", "lead": LEAD}, "lead_update",
     {"action": "restored", "id": 7, "lead.id": 7}),
    ({"name": "lead.tagged", "links": [LINK]}, "lead_update",
     {"action": "tagged", "id": 7, "tag_ids": [9]}),
    ({"name": "lead.untagged", "links": [LINK, LINK | {"target_id": 17}]}, "lead_update",
     {"action": "untagged", "ids": [7, 17], "count": 2, "tag_ids": [9]}),
    ({"name": "contact.created", "contacts": [CONTACT]}, "contact_update",
     {"action": "created", "id": 8, "contact.name": "Mar"}),
    ({"name": "contact.updated", "contacts": [CONTACT], "changed": ["name"]}, "contact_update",
     {"action": "updated", "id": 8, "contact.id": 8, "changed": ["name"]}),
    ({"name": "contact.deleted", "contacts": [CONTACT, OTHER_CONTACT]}, "contact_update",
     {"action": "deleted", "ids": [8, 18], "count": 2}),
    ({"name": "contact.restored", "contact": CONTACT}, "contact_update",
     {"action": "restored", "id": 8, "contact.id": 8}),
    ({"name": "contact.merged", "contact": CONTACT, "gone": [OTHER_CONTACT]}, "contact_update",
     {"action": "merged", "id": 8, "contact.id": 8, "merged_ids": [18]}),
    ({"name": "contact.tagged", "links": [LINK]}, "contact_update",
     {"action": "tagged", "id": 7, "tag_ids": [9]}),
    ({"name": "contact.untagged", "links": [LINK]}, "contact_update",
     {"action": "untagged", "id": 7, "tag_ids": [9]}),
    ({"name": "tag.created", "tags": [TAG]}, "tag_update",
     {"action": "created", "id": 9, "tag.name": "vip"}),
    ({"name": "tag.created", "tags": [TAG, TAG | {"id": 19}]}, "tag_update",
     {"action": "created", "ids": [9, 19], "count": 2}),
    ({"name": "tag.renamed", "tag": TAG}, "tag_update",
     {"action": "updated", "id": 9, "tag.name": "vip"}),
    ({"name": "tag.deleted", "tag_id": 9}, "tag_update", {"action": "deleted", "id": 9}),
    ({"name": "pipeline.changed", "action": "updated", "pipeline": PIPELINE}, "pipeline_update",
     {"action": "updated", "id": 2, "pipeline.name": "Ventas"}),
    ({"name": "device.created", "device": DEVICE}, "device_update",
     {"action": "created", "id": 5, "device.name": "Ventas"}),
    ({"name": "device.updated", "device": DEVICE, "changed": ["name"]}, "device_update",
     {"action": "updated", "id": 5, "device.version": 2, "changed": ["name"]}),
    ({"name": "device.updated", "device": DEVICE | {"reason": "x"},
      "changed": ["is_wanted", "status"]}, "device_status",
     {"device_id": 5, "status": "connecting", "reason": "x", "device.is_wanted": True}),
    ({"name": "device.deleted", "device_id": 5}, "device_update", {"action": "deleted", "id": 5}),
    ({"name": "device.contacts_synced", "device_id": 3, "count": 9}, "contacts_synced",
     {"device_id": 3, "count": 9}),
    ({"name": "device.code_shown", "code": CODE}, "qr_code",
     {"device_id": 5, "qr_code": "2@a-secret", "expires_at": "2026-03-01T12:00:00Z"}),
    ({"name": "device.code_shown", "code": CODE | {"is_qr": False}}, "qr_code",
     {"device_id": 5, "pair_code": "2@a-secret"}),
    ({"name": "quick_reply.created", "quick_reply": QUICK_REPLY}, "quick_reply_update",
     {"action": "created", "id": 3, "quick_reply.shortcut": "hola"}),
    ({"name": "quick_reply.updated", "quick_reply": QUICK_REPLY}, "quick_reply_update",
     {"action": "updated", "id": 3, "quick_reply.version": 2}),
    ({"name": "quick_reply.deleted", "quick_reply_id": 3}, "quick_reply_update",
     {"action": "deleted", "id": 3}),
    ({"name": "chat.opened", "chats": [CHAT]}, "chat_update",
     {"action": "created", "id": 6, "unread_count": 1, "chat.device_id": 5}),
    ({"name": "chat.updated", "chats": [CHAT | {"is_pinned": True}], "changed": ["is_pinned"]},
     "chat_update", {"action": "updated", "id": 6, "is_pinned": True, "changed": ["is_pinned"]}),
    ({"name": "chat.deleted", "chats": [CHAT, CHAT | {"id": 16}]}, "chat_update",
     {"action": "deleted", "ids": [6, 16], "count": 2}),
    ({"name": "chat.tagged", "links": [LINK]}, "chat_update",
     {"action": "tagged", "id": 7, "tag_ids": [9]}),
    ({"name": "chat.untagged", "links": [LINK]}, "chat_update",
     {"action": "untagged", "id": 7, "tag_ids": [9]}),
    ({"name": "chat.united", "chat": CHAT, "gone": 16, "dropped": [12]}, "chat_update",
     {"action": "merged", "id": 16, "merged_into": 6, "chat.id": 6, "dropped": [12]}),
    ({"name": "message.received", "chats": [CHAT], "messages": [MESSAGE]}, "new_message",
     {"chat_id": 6, "chat_jid": "51987654321@s.whatsapp.net", "message.body": "hola",
      "sender_name": "Sol", "is_from_me": False, "unread_count": 1}),
    ({"name": "message.received", "chats": [CHAT], "messages": [OWN]}, "message_sent",
     {"chat_id": 6, "message.id": 12, "is_from_me": True}),
    ({"name": "message.received", "chats": [CHAT], "messages": [MESSAGE, OWN]}, "new_message",
     {"messages.0.message.id": 11, "messages.1.is_from_me": True, "count": 2}),
    ({"name": "message.received", "chats": [CHAT], "messages": [MESSAGE, WITH_FILE],
      "files": [FILE]}, "new_message",
     {"messages.0.message.media": None, "messages.1.message.media": FILE}),
    ({"name": "message.queued", "chat": CHAT, "message": WITH_FILE, "file": FILE}, "new_message",
     {"message.media": FILE}),
    ({"name": "message.sent", "message": WITH_FILE, "file": FILE}, "message_sent",
     {"message.media": FILE}),
    ({"name": "message.edited", "messages": [WITH_FILE], "files": [FILE]}, "message_edited",
     {"message.media": FILE, "message_id": 11}),
    ({"name": "message.queued", "chat": CHAT, "message": OWN}, "new_message",
     {"chat_id": 6, "message.id": 12, "is_from_me": True, "chat.id": 6}),
    ({"name": "message.sent", "message": OWN}, "message_sent", {"chat_id": 6, "message.id": 12}),
    ({"name": "message.status_changed", "messages": [OWN, OWN | {"id": 14}], "jids": {"6": JID}},
     "message_status",
     {"chat_id": 6, "chat_jid": JID, "message_ids": [12, 14], "status": "read",
      "timestamp": "2026-03-01T12:00:00Z"}),
    ({"name": "message.status_changed", "messages": [OWN, OWN | {"id": 14, "status": "sent"}]},
     "message_status",
     {"changes.0.status": "read", "changes.1.message_ids": [14], "count": 2}),
    ({"name": "message.edited", "messages": [MESSAGE]}, "message_edited",
     {"chat_id": 6, "message_id": 11, "body": "hola", "message.version": 2}),
    ({"name": "message.edited", "messages": [MESSAGE, OWN]}, "message_edited",
     {"messages.0.message_id": 11, "messages.1.message_id": 12, "count": 2}),
    ({"name": "message.revoked", "messages": [MESSAGE | {"revoked_at": AT}]}, "message_revoked",
     {"chat_id": 6, "message_id": 11}),
    ({"name": "reaction.changed", "reactions": [REACTION]}, "message_reaction",
     {"chat_id": 6, "target_message_id": "A", "sender_jid": "77@lid", "emoji": "👍",
      "removed": False}),
    ({"name": "reaction.changed", "reactions": [REACTION, REACTION | {"emoji": ""}]},
     "message_reaction", {"reactions.0.removed": False, "reactions.1.removed": True, "count": 2}),
    ({"name": "reaction.changed", "reactions": [REACTION],
      "senders": [{"identity": REACTION["sender"], "name": "Sol"}]}, "message_reaction",
     {"sender_jid": "77@lid", "sender_name": "Sol", "is_from_me": False}),
    ({"name": "poll.voted", "votes": [VOTE], "polls": [COUNT]}, "poll_update",
     {"chat_id": 6, "message_id": 11, "wa_message_id": "A", "voter_jid": "77@lid",
      "options": ["sí"], "votes.1.option": "sí", "votes.1.votes": 2}),
    ({"name": "poll.voted", "votes": [VOTE, VOTE | {"wa_message_id": "B"}], "polls": [COUNT]},
     "poll_update", {"votes.0.options": ["sí"], "votes.1.wa_message_id": "B", "count": 2}),
    ({"name": "media.changed", "media": MEDIA}, "media_update",
     {"action": "updated", "id": 13, "state": "stored", "media.key": "0a"}),
    ({"name": "import.advanced", "job": JOB}, "import_update",
     {"id": 5, "state": "running", "rows": 4, "rows_done": 2, "counts.created": 1}),
    ({"name": "import.finished", "job": JOB | {"state": "done"}}, "import_update",
     {"id": 5, "state": "done"}),
    ({"name": "kommo.advanced", "progress": {"phase": "backfill", "leads": {"done": 250},
      "contacts": {"done": 9, "total": 40}, "rate": 800.5, "left_s": 3}}, "sync_update",
     {"phase": "backfill", "leads.done": 250, "contacts.total": 40, "rate": 800.5, "left_s": 3}),
    ({"name": "account.changed", "account": ACCOUNT}, "account_update",
     {"action": "updated", "id": 4}),
    ({"name": "membership.changed", "user_id": 6, "role": "admin"}, "member_update",
     {"id": 6, "role": "admin"}),
    ({"name": "membership.changed", "user_id": 6}, "member_update", {"id": 6}),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "name", "told"), CASES)
def test_an_event_becomes_its_frame(
    stored: dict[str, Any], name: str, told: dict[str, Any]
) -> None:
    """R3: name, number, time, account and cause of every event, and what screens need of it."""
    event: Event = msgspec.convert(stored, Event, str_keys=True)
    origin = Origin(cause=Cause.KOMMO, user_id=UserId(3), request_id="r")
    recorded = Recorded(seq=12, at=NOON, origin=origin, event=event)
    frame = json.loads(read(frame_of(AccountId(4), recorded).for_admins))
    data = frame.pop("data")
    at = "2026-03-01T12:00:00Z"
    assert frame == {"event": name, "seq": 12, "at": at, "account_id": 4}
    assert data["cause"] == "kommo"
    assert {path: found(data, path) for path in told} == told
    assert None not in data.values()


@pytest.mark.parametrize(("stored", "name", "told"), CASES)
def test_agents_are_told_all_but_the_codes(
    stored: dict[str, Any], name: str, told: dict[str, Any]
) -> None:
    """Section 9: a code links a phone; the frame without it keeps the numbers dense."""
    event: Event = msgspec.convert(stored, Event, str_keys=True)
    recorded = Recorded(seq=12, at=NOON, origin=Origin(cause=Cause.USER), event=event)
    frames = frame_of(AccountId(4), recorded)
    for_admins, for_agents = [json.loads(read(frame)) for frame in frames]
    hidden = for_admins["data"].keys() - for_agents["data"].keys()
    assert hidden == ({"qr_code", "png", "pair_code"} & for_admins["data"].keys())
    assert ("png" in hidden) == ("qr_code" in told)
    assert for_admins | {"data": None} == for_agents | {"data": None}
    assert all(for_admins["data"][key] == value for key, value in for_agents["data"].items())
    assert b"a-secret" not in frames.for_agents


@pytest.mark.parametrize(
    "stored",
    [
        {"name": "message.edited", "messages": [MESSAGE]},
        {"name": "message.received", "chats": [CHAT], "messages": [MESSAGE | {"revoked_at": AT}]},
        {"name": "message.sent", "message": WITH_FILE | {"revoked_at": AT}, "file": FILE},
        {"name": "media.changed", "media": MEDIA},
    ],
)
def test_nothing_hidden_is_told(stored: dict[str, Any]) -> None:
    """CH10: neither what was taken back, nor what only whoever runs a device needs."""
    event: Event = msgspec.convert(stored, Event, str_keys=True)
    recorded = Recorded(seq=12, at=NOON, origin=Origin(cause=Cause.USER), event=event)
    data = json.loads(read(frame_of(AccountId(4), recorded).for_agents))["data"]
    shown = data.get("message") or data["media"]
    assert not {"raw", "source"} & shown.keys()
    assert ("body" in shown) == ("messages" in stored and "revoked_at" not in shown)
    assert not ({"media", "media_id"} & shown.keys() and "revoked_at" in shown)


def test_a_digest_is_never_told() -> None:
    """Section 9: of a vote whose poll is not there yet, nobody could read what was chosen."""
    event: Event = msgspec.convert({"name": "poll.voted", "votes": [VOTE]}, Event)
    recorded = Recorded(seq=12, at=NOON, origin=Origin(cause=Cause.USER), event=event)
    data = json.loads(read(frame_of(AccountId(4), recorded).for_agents))["data"]
    assert data.keys() == {"chat_id", "wa_message_id", "voter_jid", "cause"}


def test_every_event_is_told() -> None:
    """An event that is new in the domain needs a frame, and a line above."""
    in_the_domain = {kind.__struct_config__.tag for kind in get_args(Event)}
    assert {stored["name"] for stored, _, _ in CASES} == in_the_domain


@pytest.mark.parametrize("size", [13, 123, 125, 126, 0x7B22, 65_535, 65_536, 200_000])
def test_a_text_frame_is_read_at_every_length(size: int) -> None:
    """The three ways of RFC 6455 to write a length, on both sides of their borders."""
    message = {"event": "x" * (size - len('{"event":""}'))}
    text = json.dumps(message, separators=(",", ":")).encode()
    assert read(text_frame(message)) == unframed(text_frame(message)) == text


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_text_frame_carries_any_text(text: str) -> None:
    """What went in comes out."""
    assert json.loads(read(text_frame({"event": text}))) == {"event": text}


def read(frame: bytes) -> bytes:
    """Return the one text message in some bytes, as the websockets library parses them."""
    client = ClientProtocol(parse_uri("ws://localhost"), state=State.OPEN, max_size=None)
    client.receive_data(frame)
    (message,) = client.events_received()
    assert isinstance(message, Frame)
    assert (message.opcode, message.fin, client.parser_exc) == (Opcode.TEXT, True, None)
    return bytes(message.data)


def found(data: dict[str, Any], path: str) -> Any:
    """Return what lies at a dotted path."""
    value: Any = data
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value.get(key)
    return value
