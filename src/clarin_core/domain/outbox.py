"""The outbox: what a device still has to do on WhatsApp.

An item is stored in the transaction that wants it, and done by whoever holds the device's lease,
one after the other. `attempt` is committed before the wire is touched: an item that is at work
under a lease that has ended has an outcome that nobody knows.
"""

from datetime import datetime, timedelta
from enum import Enum

from msgspec import Struct

from clarin_core.domain.accounts import ResendUnknown
from clarin_core.domain.ids import ChatId, DeviceId, MessageId, OutboxId

TRIES_MAX = 8
WAITS_MAX = timedelta(days=1)
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

    After `expires_at` it is not worth doing any more. `doubts` is how often the message was sent
    again though nobody knew what had become of it.
    """

    kind: OutboxKind
    device_id: DeviceId
    chat_id: ChatId
    message_id: MessageId | None = None
    wa_message_ids: list[str] = []
    text: str | None = None
    expires_at: datetime | None = None
    doubts: int = 0


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

    def repeat(self, at: datetime) -> None:
        """Wait to be done again, whatever became of it; ask `may_repeat` before."""
        self.doubts += 1
        self.token = None
        self.not_before = at + _FIRST_PAUSE


def may_repeat(item: OutboxItem, policy: ResendUnknown, *, is_campaign: bool) -> bool:
    """Return whether what nobody knows of is sent again without a person who says so.

    It may then arrive twice, so an account has to want it. Never for a campaign: an advertisement
    that comes twice is worse than one that is missing.
    """
    return policy is ResendUnknown.ONCE and item.doubts == 0 and not is_campaign
