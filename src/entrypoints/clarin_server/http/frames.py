"""Events as the frames that screens see: one event, one frame, so that `seq` stays dense.

Pure: an event in, `{event, seq, at, account_id, data}` out, and the bytes that carry it.
Agents get a frame of each event, too, since a number that is missing means a loss to them; what
only administrators may see is left out of its data.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from clarin_core.domain.contacts import Contact
from clarin_core.domain.events import (
    AccountChanged,
    ContactCreated,
    ContactDeleted,
    ContactMerged,
    ContactRestored,
    ContactTagged,
    ContactUntagged,
    ContactUpdated,
    Event,
    ImportAdvanced,
    ImportFinished,
    KommoAdvanced,
    LeadAssigned,
    LeadCreated,
    LeadDeleted,
    LeadMoved,
    LeadRestored,
    LeadTagged,
    LeadUntagged,
    LeadUpdated,
    MembershipChanged,
    PipelineChanged,
    Recorded,
    TagCreated,
    TagDeleted,
    TagRenamed,
)
from clarin_core.domain.ids import AccountId
from clarin_core.domain.inbox_events import DeviceCodeShown, InboxEvent
from clarin_core.domain.leads import Lead
from clarin_core.domain.tags import Tag, TagLink
from clarin_server.http import inbox_frames

_encoder = msgspec.json.Encoder()
_TEXT_FRAME = b"\x81"

Data = dict[str, Any]


class Frame(NamedTuple):
    """The bytes of an event's frame; both are nearly always the same object."""

    for_admins: bytes
    for_agents: bytes

    def shown_to(self, *, is_admin: bool) -> bytes:
        """Return what a socket gets."""
        return self.for_admins if is_admin else self.for_agents


def frame_of(account_id: AccountId, recorded: Recorded) -> Frame:
    """Return the frame of an event, ready for every socket of the account."""
    event = recorded.event
    if isinstance(event, InboxEvent):
        name, data = inbox_frames.name_and_data(event)
    else:
        name, data = _name_and_data(event)
    data["cause"] = recorded.origin.cause
    about = {"event": name, "seq": recorded.seq, "at": recorded.at, "account_id": account_id}
    whole = _with_data(about, data)
    if not isinstance(event, DeviceCodeShown):
        return Frame(whole, whole)
    public = {key: value for key, value in data.items() if key not in inbox_frames.FOR_ADMINS}
    return Frame(whole, _with_data(about, public))


def _with_data(about: Data, data: Data) -> bytes:
    given = {key: value for key, value in data.items() if value is not None}
    return text_frame({**about, "data": given})


def text_frame(message: Data) -> bytes:
    """Return a JSON message as one text frame."""
    return framed(text_of(message))


def text_of(message: Data) -> bytes:
    """Return a JSON message, to be framed elsewhere."""
    return _encoder.encode(message)


def framed(body: bytes) -> bytes:
    """Return a text as one unmasked WebSocket frame (RFC 6455, section 5.2)."""
    size = len(body)
    if size < 126:
        return _TEXT_FRAME + bytes((size,)) + body
    if size < 65_536:
        return _TEXT_FRAME + b"\x7e" + size.to_bytes(2, "big") + body
    return _TEXT_FRAME + b"\x7f" + size.to_bytes(8, "big") + body


def unframed(frame: bytes) -> bytes:
    """Return the text in a frame of `framed`."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def _name_and_data(event: Event) -> tuple[str, Data]:
    match event:
        case LeadCreated() | LeadUpdated() | LeadMoved() | LeadAssigned() | LeadDeleted():
            return "lead_update", _lead(event)
        case LeadRestored():
            return "lead_update", _leads("restored", [event.lead])
        case LeadTagged():
            return "lead_update", _links("tagged", event.links)
        case LeadUntagged():
            return "lead_update", _links("untagged", event.links)
        case ContactCreated() | ContactUpdated() | ContactDeleted() | ContactRestored():
            return "contact_update", _contact(event)
        case ContactMerged() | ContactTagged() | ContactUntagged():
            return "contact_update", _contact_again(event)
        case _:
            return _other(event)


def _lead(
    event: LeadCreated | LeadUpdated | LeadMoved | LeadAssigned | LeadDeleted,
) -> Data:
    match event:
        case LeadCreated():
            return _leads("created", event.leads)
        case LeadUpdated():
            return _leads("updated", event.leads) | {"changed": event.changed}
        case LeadMoved():
            moved: Data = {"changed": event.changed or None}
            if len(event.moves) == 1:
                moved |= {"from_stage": event.moves[0].from_stage}
                moved |= {"to_stage": event.moves[0].to_stage}
            return _leads("moved", event.leads) | moved
        case LeadAssigned():
            return _leads("updated", [event.lead]) | {"changed": ["assigned_to"]}
        case LeadDeleted():
            return _leads("deleted", event.leads)


def _contact(event: ContactCreated | ContactUpdated | ContactDeleted | ContactRestored) -> Data:
    match event:
        case ContactCreated():
            return _contacts("created", event.contacts)
        case ContactUpdated():
            return _contacts("updated", event.contacts) | {"changed": event.changed}
        case ContactDeleted():
            return _contacts("deleted", event.contacts)
        case ContactRestored():
            return _contacts("restored", [event.contact])


def _contact_again(event: ContactMerged | ContactTagged | ContactUntagged) -> Data:
    match event:
        case ContactMerged():
            merged = {"merged_ids": [contact.id for contact in event.gone]}
            return _contacts("merged", [event.contact]) | merged
        case ContactTagged():
            return _links("tagged", event.links)
        case ContactUntagged():
            return _links("untagged", event.links)


def _other(event: Event) -> tuple[str, Data]:
    match event:
        case TagCreated():
            return "tag_update", _tags(event.tags)
        case TagRenamed():
            return "tag_update", {"action": "updated", "id": event.tag.id, "tag": event.tag}
        case TagDeleted():
            return "tag_update", {"action": "deleted", "id": event.tag_id}
        case PipelineChanged():
            pipeline = event.pipeline
            data = {"action": event.action, "id": pipeline.id, "pipeline": pipeline}
            return "pipeline_update", data
        case ImportAdvanced() | ImportFinished() | KommoAdvanced():
            return _progress(event)
        case AccountChanged():
            return "account_update", {"action": "updated", "id": event.account.id}
        case MembershipChanged():
            return "member_update", {"id": event.user_id, "role": event.role}
        case _:
            raise TypeError(f"no frame for {type(event).__name__}")


def _progress(event: ImportAdvanced | ImportFinished | KommoAdvanced) -> tuple[str, Data]:
    if isinstance(event, KommoAdvanced):
        return "sync_update", msgspec.structs.asdict(event.progress)
    shown = ("id", "state", "counts", "rows", "rows_done", "error")
    return "import_update", {field: getattr(event.job, field) for field in shown}


def _leads(action: str, leads: Sequence[Lead]) -> Data:
    one = {"lead": leads[0]} if len(leads) == 1 and action != "deleted" else {}
    return {"action": action, **_ids([lead.id for lead in leads]), **one}


def _contacts(action: str, contacts: Sequence[Contact]) -> Data:
    one = {"contact": contacts[0]} if len(contacts) == 1 and action != "deleted" else {}
    return {"action": action, **_ids([contact.id for contact in contacts]), **one}


def _tags(tags: Sequence[Tag]) -> Data:
    one = {"tag": tags[0]} if len(tags) == 1 else {}
    return {"action": "created", **_ids([tag.id for tag in tags]), **one}


def _links(action: str, links: Sequence[TagLink]) -> Data:
    targets = sorted({link.target_id for link in links})
    tag_ids = sorted({link.tag_id for link in links})
    return {"action": action, **_ids(targets), "tag_ids": tag_ids}


def _ids(ids: Sequence[int]) -> Data:
    """Return `id` for one record, `ids` and `count` for several."""
    return {"id": ids[0]} if len(ids) == 1 else {"ids": ids, "count": len(ids)}
