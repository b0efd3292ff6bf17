"""What devices still have to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from clarin_core.domain.ids import ChatId, DeviceId, MessageId, OutboxId
from clarin_core.domain.outbox import OutboxDraft, OutboxItem
from clarin_core.errors import NotFound
from clarin_core.ports.inbox import OutboxStore
from clarin_memory.state import Scope
from clarin_memory.tables import copied

_PROGRESS = ("attempts", "not_before", "token", "doubts")


@dataclass(frozen=True, slots=True)
class MemoryOutboxStore(OutboxStore):
    """What the devices of one account still have to do."""

    scope: Scope

    async def add(self, drafts: Sequence[OutboxDraft], *, at: datetime) -> list[OutboxItem]:
        """Store things to do, and return them in the order given."""
        for draft in drafts:
            self._check_links(draft)
        return [self._add(draft, at) for draft in drafts]

    async def next(self, device_id: DeviceId, *, at: datetime) -> OutboxItem | None:
        """Return what a device does next: the oldest item that is due."""
        first: dict[ChatId, OutboxItem] = {}
        for item in self._in_order():
            first.setdefault(item.chat_id, item)
        due = (
            copied(item)
            for item in first.values()
            if item.device_id == device_id and item.token is None and item.not_before <= at
        )
        return next(due, None)

    async def at_work(self, device_id: DeviceId) -> list[OutboxItem]:
        """Return what was begun and not ended, oldest first."""
        own = (item for item in self._in_order() if item.device_id == device_id)
        return [copied(item) for item in own if item.token is not None]

    async def of_message(self, message_id: MessageId) -> list[OutboxItem]:
        """Return what is still to be done about a message, oldest first."""
        return [copied(item) for item in self._in_order() if item.message_id == message_id]

    async def save(self, item: OutboxItem) -> None:
        """Store how far an item is; raises NotFound."""
        stored = self.scope.tables.outbox.peek(item.id)
        if stored is None:
            raise NotFound("outbox item", item.id)
        progress = {name: getattr(item, name) for name in _PROGRESS}
        self.scope.tables.outbox.put(item.id, replace(stored, **progress))

    async def remove(self, item: OutboxItem) -> None:
        """Be done with it."""
        self.scope.tables.outbox.drop(item.id)

    def _add(self, draft: OutboxDraft, at: datetime) -> OutboxItem:
        item_id = OutboxId(self.scope.ids.next("outbox"))
        values = {name: getattr(draft, name) for name in OutboxDraft.__struct_fields__}
        item = OutboxItem(id=item_id, not_before=at, **values)
        self.scope.tables.outbox.put(item_id, item)
        return copied(item)

    def _in_order(self) -> list[OutboxItem]:
        return sorted(self.scope.tables.outbox.rows(), key=lambda item: item.id)

    def _check_links(self, draft: OutboxDraft) -> None:
        """Raise NotFound for another account's device, chat or message (TN2)."""
        tables = self.scope.tables
        if draft.device_id not in tables.devices:
            raise NotFound("device", draft.device_id)
        if draft.chat_id not in tables.chats:
            raise NotFound("chat", draft.chat_id)
        if draft.message_id is not None and draft.message_id not in tables.messages:
            raise NotFound("message", draft.message_id)
