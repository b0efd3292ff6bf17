"""Chats, inside a transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.chats import Chat, ChatDraft
from clarin_core.domain.ids import ChatId, ContactId, DeviceId, MessageId
from clarin_core.domain.jid import Identity
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.inbox import ChatStore
from clarin_memory.members import user_row
from clarin_memory.state import AccountTables, Scope
from clarin_memory.tables import copied, rival
from clarin_memory.uniting import unite


@dataclass(frozen=True, slots=True)
class MemoryChatStore(ChatStore):
    """The chats of one account."""

    scope: Scope

    async def get(self, chat_id: ChatId, *, deleted: bool = False) -> Chat:
        """Return a live chat (a deleted one when asked); raises NotFound."""
        chat = self.scope.tables.chats.find(chat_id)
        if chat is None or (chat.deleted_at is not None) is not deleted:
            raise NotFound("chat", chat_id)
        return chat

    async def get_many(self, chat_ids: Collection[ChatId]) -> list[Chat]:
        """Return chats, deleted ones included, by id; unknown ones are left out."""
        found = (self.scope.tables.chats.find(key) for key in sorted(set(chat_ids)))
        return [chat for chat in found if chat is not None]

    async def claim(self, drafts: Sequence[ChatDraft], *, at: datetime) -> list[tuple[Chat, bool]]:
        """Return each draft's chat in the order given, and whether it is new."""
        claimed = {_whom(row): copied(row) for row in self.scope.tables.chats.rows()}
        new = {_whom(draft): draft for draft in reversed(drafts) if _whom(draft) not in claimed}
        for draft in new.values():
            _check_links(self.scope.tables, draft)
        answer = []
        for draft in drafts:
            is_new = _whom(draft) not in claimed
            if is_new:
                claimed[_whom(draft)] = self._add(draft, at)
            answer.append((claimed[_whom(draft)], is_new))
        return answer

    async def of_contacts(self, contact_ids: Collection[ContactId]) -> list[Chat]:
        """Return the chats of some contacts, deleted ones included, by id."""
        wanted = set(contact_ids)
        found = (row for row in self.scope.tables.chats.rows() if row.contact_id in wanted)
        return [copied(chat) for chat in sorted(found, key=lambda chat: chat.id)]

    async def of_identities(self, identities: Collection[Identity]) -> list[Chat]:
        """Return the chats of some identities on any device, deleted ones included, by id."""
        wanted = set(identities)
        found = (row for row in self.scope.tables.chats.rows() if row.identity in wanted)
        return [copied(chat) for chat in sorted(found, key=lambda chat: chat.id)]

    async def save(self, chats: Sequence[Chat]) -> None:
        """Store changed chats; raises Conflict `duplicate_chat`, NotFound for a stranger."""
        tables = self.scope.tables
        for chat in chats:
            if chat.id not in tables.chats:
                raise NotFound("chat", chat.id)
            _check_links(tables, chat)
            if chat.assigned_to is not None:
                user_row(self.scope.shared, chat.assigned_to)
        if other := rival(tables.chats.rows(), chats, _whom):
            raise Conflict("duplicate_chat", "a chat has this device and identity", id=other.id)
        for chat in chats:
            tables.chats.put(chat.id, chat)

    async def unite(self, survivor: ChatId, gone: ChatId) -> list[MessageId]:
        """Give a chat all that another one has, and remove that one; raises NotFound."""
        for chat_id in (survivor, gone):
            if chat_id not in self.scope.tables.chats:
                raise NotFound("chat", chat_id)
        return unite(self.scope.tables, survivor, gone)

    def _add(self, draft: ChatDraft, at: datetime) -> Chat:
        chat_id = ChatId(self.scope.ids.next("chat"))
        values = {name: getattr(draft, name) for name in ChatDraft.__struct_fields__}
        chat = Chat(id=chat_id, created_at=at, updated_at=at, version=1, **values)
        self.scope.tables.chats.put(chat_id, chat)
        return chat


def _whom(chat: ChatDraft) -> tuple[DeviceId, Identity]:
    return chat.device_id, chat.identity


def _check_links(tables: AccountTables, chat: ChatDraft) -> None:
    """Raise NotFound for a device or contact of another account (TN2)."""
    if chat.device_id not in tables.devices:
        raise NotFound("device", chat.device_id)
    if chat.contact_id is not None and chat.contact_id not in tables.contacts:
        raise NotFound("contact", chat.contact_id)
