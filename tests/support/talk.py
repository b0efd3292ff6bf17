"""What a device of an account hears, and who hears it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from clarin_core.domain.devices import DeviceKey, DeviceLease
from clarin_core.domain.ids import AccountId, DeviceId
from clarin_core.domain.inbound import Inbound, MessageSeen, Peer, ReceiptSeen
from clarin_core.domain.jid import Identity
from clarin_core.domain.messages import MessageKind, MessageStatus
from clarin_core.domain.phone import PhoneNumber
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.testing.tenants import NOON
from clarin_core.usecases.inbox import InboxUseCases

ANA = Peer(identity=Identity.of_phone(PhoneNumber("+51987654321")))
EVA = Peer(identity=Identity.of_phone(PhoneNumber("+51987654322")))


@dataclass(frozen=True, slots=True)
class Ear:
    """Whoever holds the lease of a device."""

    inbox: InboxUseCases
    lease: DeviceLease

    @classmethod
    async def of(
        cls, storage: Storage, account_id: AccountId, device_id: DeviceId, *, clock: Clock
    ) -> Self:
        """Lease a device."""
        key = DeviceKey(account_id=account_id, device_id=device_id)
        lease = await storage.leases.lease(key, "node", timedelta(hours=1))
        assert lease is not None
        return cls(InboxUseCases(storage, clock, lambda size_bytes: bytes(size_bytes)), lease)

    async def hear(self, *batches: Sequence[Inbound]) -> None:
        """Hear some events, each batch at once."""
        for batch in batches:
            await self.inbox.receive(self.lease, batch)


def at(minute: int) -> datetime:
    """Return a time after noon."""
    return NOON + timedelta(minutes=minute)


def said(chat: Peer, wa_id: str, minute: int, **fields: Any) -> MessageSeen:
    """Return a text, from the other side unless told otherwise."""
    own = fields.get("is_from_me", False)
    values: dict[str, Any] = {
        "wa_message_id": wa_id, "is_from_me": False, "sender": None if own else chat,
        "sender_name": None if own else "Sol", "kind": MessageKind.TEXT, "body": f"dice {wa_id}",
        "sent_at": at(minute),
    }  # fmt: skip
    return MessageSeen(chat=chat, **values | fields)


def receipt(chat: Peer, status: MessageStatus, *wa_ids: str, **fields: Any) -> ReceiptSeen:
    """Return a receipt for some messages."""
    return ReceiptSeen(chat=chat, wa_message_ids=[*wa_ids], status=status, at=at(9), **fields)
