"""One account's unit of work."""

from typing import Protocol

from clarin_core.domain.events import Event
from clarin_core.ports.inbox import (
    ChatStore,
    DeviceStore,
    MediaStore,
    MessageStore,
    OutboxStore,
    QuickReplyStore,
)
from clarin_core.ports.kommo import KommoStore
from clarin_core.ports.stores import (
    AccountStore,
    ContactStore,
    IdempotencyStore,
    ImportStore,
    LeadStore,
    MemberStore,
    PipelineStore,
    TagStore,
)
from clarin_core.ports.views import Views


class Transaction(Protocol):
    """One account's rows and events, all or nothing."""

    account: AccountStore
    chats: ChatStore
    contacts: ContactStore
    devices: DeviceStore
    idempotency: IdempotencyStore
    imports: ImportStore
    kommo: KommoStore
    leads: LeadStore
    media: MediaStore
    members: MemberStore
    messages: MessageStore
    outbox: OutboxStore
    pipelines: PipelineStore
    quick_replies: QuickReplyStore
    tags: TagStore

    @property
    def views(self) -> Views:
        """The account's reads as the transaction sees them: what it wrote is there, unlocked.

        The log is as it was, since it grows at the commit.
        """
        ...

    def emit(self, *events: Event) -> None:
        """Append events to the account's log, as they are now, when the transaction commits."""
        ...
