"""The outbox: what a device still has to do on WhatsApp.

An item is stored in the transaction that wants it, and done by whoever holds the device's lease,
one after the other. `attempt` is committed before the wire is touched: an item that is at work
under a lease that has ended has an outcome that nobody knows.
"""

from datetime import datetime, timedelta
from enum import Enum

from msgspec import Struct

from clarin_core.domain.ids import ChatId, DeviceId, MessageId, OutboxId

TRIES_MAX = 8
_FIRST_PAUSE = timedelta(seconds=1)
_PAUSE_MAX = timedelta(minutes=10)


class OutboxKind(Enum):
    """What is to be done."""

    SEND = "send"
    EDIT = "edit"
    REVOKE = "revoke"
    REACT = "react"
    READ = "read"
    TYPING = "typing"


class OutboxDraft(Struct, kw_only=True, omit_defaults=True):
    """Something to do; what it needs beyond the message is in the other fields.

    After `expires_at` it is not worth doing any more.
    """

    kind: OutboxKind
    device_id: DeviceId
    chat_id: ChatId
    message_id: MessageId | None = None
    wa_message_ids: list[str] = []
    text: str | None = None
    expires_at: datetime | None = None


class OutboxItem(OutboxDraft, kw_only=True, omit_defaults=True):
    """The entity; `token` is the lease under which it is at work, None while it waits."""

    id: OutboxId
    attempts: int = 0
    not_before: datetime
    token: int | None = None

    def begin(self, token: int) -> None:
        """Be at work under a lease."""
        self.attempts += 1
        self.token = token

    def put_off(self, at: datetime) -> bool:
        """Wait longer each time; False when that was the last."""
        self.token = None
        self.not_before = at + min(_FIRST_PAUSE * 2 ** (self.attempts - 1), _PAUSE_MAX)
        return self.attempts < TRIES_MAX
