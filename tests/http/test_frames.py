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
from clarin_server.http.frames import frame_of, text_frame

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
    ({"name": "import.advanced", "job": JOB}, "import_update",
     {"id": 5, "state": "running", "rows": 4, "rows_done": 2, "counts.created": 1}),
    ({"name": "import.finished", "job": JOB | {"state": "done"}}, "import_update",
     {"id": 5, "state": "done"}),
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
    event: Event = msgspec.convert(stored, Event)
    origin = Origin(cause=Cause.KOMMO, user_id=UserId(3), request_id="r")
    recorded = Recorded(seq=12, at=NOON, origin=origin, event=event)
    frame = json.loads(read(frame_of(AccountId(4), recorded)))
    data = frame.pop("data")
    at = "2026-03-01T12:00:00Z"
    assert frame == {"event": name, "seq": 12, "at": at, "account_id": 4}
    assert data["cause"] == "kommo"
    assert {path: found(data, path) for path in told} == told
    assert None not in data.values()


def test_every_event_is_told() -> None:
    """An event that is new in the domain needs a frame, and a line above."""
    in_the_domain = {kind.__struct_config__.tag for kind in get_args(Event)}
    assert {stored["name"] for stored, _, _ in CASES} == in_the_domain


@pytest.mark.parametrize("size", [13, 125, 126, 65_535, 65_536, 200_000])
def test_a_text_frame_is_read_at_every_length(size: int) -> None:
    """The three ways of RFC 6455 to write a length, on both sides of their borders."""
    message = {"event": "x" * (size - len('{"event":""}'))}
    assert read(text_frame(message)) == json.dumps(message, separators=(",", ":")).encode()


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
        value = value[key]
    return value
