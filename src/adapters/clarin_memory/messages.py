"""Messages, and what was said of them, inside a transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.chats import Chat
from clarin_core.domain.ids import ChatId, MessageId
from clarin_core.domain.messages import (
    UNSETTLED,
    Mark,
    Message,
    MessageDraft,
    Place,
    newest,
)
from clarin_core.domain.replies import Reaction, Vote
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.inbox import MessageStore, Tally, WaKey
from clarin_memory.marks import drop_mark, put_mark
from clarin_memory.replies import keep
from clarin_memory.state import AccountTables, Scope
from clarin_memory.tables import copied, rival


@dataclass(frozen=True, slots=True)
class MemoryMessageStore(MessageStore):
    """The messages of one account."""

    scope: Scope

    async def get(self, message_id: MessageId) -> Message:
        """Return a message; raises NotFound."""
        message = self.scope.tables.messages.find(message_id)
        if message is None:
            raise NotFound("message", message_id)
        return message

    async def by_wa(self, keys: Collection[WaKey]) -> dict[WaKey, Message]:
        """Return the messages that WhatsApp names so."""
        wanted = set(keys)
        found = ((wa_key(row), row) for row in self.scope.tables.messages.rows())
        return {key: copied(row) for key, row in found if key is not None and key in wanted}

    async def unsettled(self, chat_ids: Collection[ChatId]) -> list[Message]:
        """Return the messages that are sending or of unknown outcome, by id."""
        wanted = set(chat_ids)
        rows = self.scope.tables.messages.rows()
        found = (row for row in rows if row.chat_id in wanted and row.status in UNSETTLED)
        return [copied(row) for row in sorted(found, key=lambda row: row.id)]

    async def add(self, drafts: Sequence[MessageDraft], *, at: datetime) -> list[Message | None]:
        """Store messages, and return them in the order given; None for one that is there."""
        taken = {wa_key(row) for row in self.scope.tables.messages.rows()} - {None}
        for draft in drafts:
            self._check_links(draft)
        answer: list[Message | None] = []
        for draft in drafts:
            key = wa_key(draft)
            answer.append(None if key in taken else self._add(draft, at))
            taken |= {key} - {None}
        return answer

    async def save(self, messages: Sequence[Message]) -> None:
        """Store changed messages; raises Conflict `duplicate_message`, NotFound."""
        tables = self.scope.tables
        for message in messages:
            if message.id not in tables.messages:
                raise NotFound("message", message.id)
            self._check_links(message)
        if other := rival(tables.messages.rows(), messages, wa_key):
            raise Conflict("duplicate_message", "a message has this id", id=other.id)
        for message in messages:
            tables.messages.put(message.id, message)

    async def remove(self, message_ids: Collection[MessageId]) -> None:
        """Remove messages, and what was still to be done for them."""
        drop_messages(self.scope.tables, set(message_ids))

    async def tally(self, chats: Collection[Chat]) -> dict[ChatId, Tally]:
        """Count anew what some chats have to show (CH6, CH7)."""
        return {chat.id: self._tally(chat) for chat in chats}

    async def ends(self, chat_ids: Collection[ChatId]) -> dict[ChatId, Place]:
        """Return where the greatest message of each chat stands, revoked or not."""
        wanted, found = set(chat_ids), dict[ChatId, Place]()
        for row in self.scope.tables.messages.rows():
            if row.chat_id in wanted:
                found[row.chat_id] = max(row.place, found.get(row.chat_id, row.place))
        return found

    async def unread(self, chat: Chat, up_to: Place, *, limit: int) -> list[str]:
        """Return WhatsApp's ids of a chat's unread messages up to a place, the newest first."""
        unread = [row for row in self._shown(chat) if chat.is_unread(row) and row.place <= up_to]
        unread.sort(key=lambda row: row.place, reverse=True)
        return [row.wa_message_id for row in unread if row.wa_message_id][:limit]

    async def take_marks(self, keys: Collection[WaKey]) -> dict[WaKey, Mark]:
        """Remove and return what was said of messages before they came."""
        found = ((key, self.scope.tables.marks.find(key)) for key in set(keys))
        taken = {key: mark for key, mark in found if mark is not None}
        for key in taken:
            drop_mark(self.scope.tables, key)
        return taken

    async def take_ripe_marks(self, chat_id: ChatId) -> list[Mark]:
        """Remove and return the marks of a chat whose message is there, by WhatsApp's id."""
        there = {wa_key(row) for row in self.scope.tables.messages.rows() if row.chat_id == chat_id}
        marks = {(mark.chat_id, mark.wa_message_id) for mark in self.scope.tables.marks.rows()}
        taken = await self.take_marks(marks & there)
        return [taken[key] for key in sorted(taken)]

    async def put_marks(self, marks: Collection[Mark], *, at: datetime) -> None:
        """Keep what was said of messages that are not there."""
        for mark in marks:
            self._check_chat(mark.chat_id)
        for mark in marks:
            put_mark(self.scope.tables, mark, at)

    async def react(self, reactions: Sequence[Reaction]) -> list[Reaction]:
        """Keep reactions, and return those that changed something, in the order given."""
        for reaction in reactions:
            self._check_chat(reaction.chat_id)
        return keep(self.scope.tables.reactions, reactions)

    async def vote(self, votes: Sequence[Vote]) -> list[Vote]:
        """Keep votes like reactions."""
        for vote in votes:
            self._check_chat(vote.chat_id)
        return keep(self.scope.tables.votes, votes)

    async def votes(self, keys: Collection[WaKey]) -> list[Vote]:
        """Return the votes that count on some messages, those of one in the order of voters."""
        wanted = set(keys)
        rows = self.scope.tables.votes.rows()
        return sorted((row for row in rows if row.key[:2] in wanted), key=lambda row: row.key)

    def _add(self, draft: MessageDraft, at: datetime) -> Message:
        message_id = MessageId(self.scope.ids.next("message"))
        values = {name: getattr(draft, name) for name in MessageDraft.__struct_fields__}
        message = Message(id=message_id, created_at=at, updated_at=at, version=1, **values)
        self.scope.tables.messages.put(message_id, message)
        return copied(message)

    def _tally(self, chat: Chat) -> Tally:
        own = self._shown(chat)
        return Tally(copied(newest(own)), sum(map(chat.is_unread, own)))

    def _shown(self, chat: Chat) -> list[Message]:
        rows = self.scope.tables.messages.rows()
        return [row for row in rows if row.chat_id == chat.id and not chat.hides(row.place)]

    def _check_links(self, message: MessageDraft) -> None:
        """Raise NotFound for another account's chat, device or file (TN2)."""
        self._check_chat(message.chat_id)
        if message.device_id not in self.scope.tables.devices:
            raise NotFound("device", message.device_id)
        if message.media_id is not None and message.media_id not in self.scope.tables.media:
            raise NotFound("media", message.media_id)

    def _check_chat(self, chat_id: ChatId) -> None:
        if chat_id not in self.scope.tables.chats:
            raise NotFound("chat", chat_id)


def wa_key(message: MessageDraft) -> WaKey | None:
    """Return what names a message to WhatsApp, None for one that it does not know."""
    return None if message.wa_message_id is None else (message.chat_id, message.wa_message_id)


def drop_messages(tables: AccountTables, message_ids: Collection[MessageId]) -> None:
    """Forget messages, and what was still to be done for them."""
    for message_id in message_ids:
        tables.messages.drop(message_id)
    for item in list(tables.outbox.rows()):
        if item.message_id in message_ids:
            tables.outbox.drop(item.id)
