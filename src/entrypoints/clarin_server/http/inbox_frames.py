"""The frames of the inbox: names and data, around which `frames` puts the rest."""

from typing import Any

from clarin_core.domain.devices import Device, PairingCode
from clarin_core.domain.inbox_events import (
    ContactsSynced,
    DeviceCodeShown,
    DeviceCreated,
    DeviceDeleted,
    DeviceUpdated,
    InboxEvent,
    QuickReplyCreated,
    QuickReplyDeleted,
    QuickReplyUpdated,
)
from clarin_server.http import chat_frames
from clarin_server.http.chat_frames import ChatEvent, MessageEvent
from clarin_server.qr import as_png_url

Data = dict[str, Any]

FOR_ADMINS = ("qr_code", "png", "pair_code")
"""What links a phone: an agent who sees it could take a device over."""


def name_and_data(event: InboxEvent) -> tuple[str, Data]:
    """Return what the frame of an event of the inbox is called, and what it tells."""
    match event:
        case DeviceCreated() | DeviceUpdated() | DeviceDeleted() | DeviceCodeShown():
            return _of_device(event)
        case ContactsSynced():
            return "contacts_synced", {"device_id": event.device_id, "count": event.count}
        case QuickReplyCreated():
            return "quick_reply_update", _quick_reply("created", event)
        case QuickReplyUpdated():
            return "quick_reply_update", _quick_reply("updated", event)
        case QuickReplyDeleted():
            return "quick_reply_update", {"action": "deleted", "id": event.quick_reply_id}
        case _:
            return _of_chat(event)


def _of_chat(event: ChatEvent | MessageEvent) -> tuple[str, Data]:
    if isinstance(event, ChatEvent):
        return "chat_update", chat_frames.of_chat(event)
    return chat_frames.of_message(event)


def _of_device(
    event: DeviceCreated | DeviceUpdated | DeviceDeleted | DeviceCodeShown,
) -> tuple[str, Data]:
    match event:
        case DeviceCreated():
            return "device_update", _device("created", event.device)
        case DeviceUpdated() if "status" in event.changed:
            device = event.device
            status = {"status": device.status, "reason": device.reason, "device": device}
            return "device_status", {"device_id": device.id, **status}
        case DeviceUpdated():
            return "device_update", _device("updated", event.device) | {"changed": event.changed}
        case DeviceDeleted():
            return "device_update", {"action": "deleted", "id": event.device_id}
        case DeviceCodeShown():
            return "qr_code", _code(event.code)


def _device(action: str, device: Device) -> Data:
    return {"action": action, "id": device.id, "device": device}


def _code(code: PairingCode) -> Data:
    about = {"device_id": code.device_id, "expires_at": code.expires_at}
    if code.is_qr:
        return about | {"qr_code": code.code, "png": as_png_url(code.code)}
    return about | {"pair_code": code.code}


def _quick_reply(action: str, event: QuickReplyCreated | QuickReplyUpdated) -> Data:
    return {"action": action, "id": event.quick_reply.id, "quick_reply": event.quick_reply}
