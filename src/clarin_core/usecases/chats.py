"""What one can do with chats."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.actor import Actor
from clarin_core.domain.chats import (
    Chat,
    ChatChange,
    ChatDetail,
    ChatIds,
    ChatRead,
    NewChat,
)
from clarin_core.domain.command import ANY_VERSION, Precondition
from clarin_core.domain.ids import ChatId
from clarin_core.domain.inbox_events import ChatDeleted, ChatUpdated
from clarin_core.domain.messages import Place
from clarin_core.domain.outbox import OutboxDraft, OutboxKind
from clarin_core.errors import Invalid, NotFound
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.contacts import Deleted
from clarin_core.usecases.inbox_people import chat_with
from clarin_core.usecases.messages import say

_RECEIPTS_MAX = 100


@dataclass(frozen=True, slots=True)
class ChatUseCases:
    """What one can do with chats. One method is one use case."""

    storage: Storage
    clock: Clock

    async def open(self, actor: Actor, new: NewChat) -> ChatDetail:
        """Return the chat of a device with a phone, which is opened if there is none.

        An initial message is queued in the same transaction.
        """
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await chat_with(tx, new.device_id, new.phone, region=actor.region, at=at)
            if new.initial_message is not UNSET:
                await say(tx, actor, chat, new.initial_message, at=at)
        return await self._view(actor, chat.id)

    async def update(self, actor: Actor, chat_id: ChatId, change: ChatChange) -> ChatDetail:
        """Pin it, archive it, name it, give it to somebody."""
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await tx.chats.get(chat_id)
            chat.expect(change.version)
            values = change.values()
            await _require_member(tx, chat, change)
            if changed := chat.alter(values, at=self.clock()):
                await tx.chats.save([chat])
                tx.emit(ChatUpdated(chats=[chat], changed=list(changed)))
        return await self._view(actor, chat_id)

    async def read(self, actor: Actor, chat_id: ChatId, read: ChatRead) -> ChatDetail:
        """Have read up to a message, by default all; the other side is told (CH7)."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await tx.chats.get(chat_id)
            place = await _read_place(tx, chat, read)
            if place is not None:
                await _read_up_to(tx, chat, place, at=at)
        return await self._view(actor, chat_id)

    async def delete(self, actor: Actor, chat_id: ChatId, seen: Precondition = ANY_VERSION) -> None:
        """Hide a chat with its messages; a new one brings it back without them (CH18)."""
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await tx.chats.get(chat_id)
            chat.expect(seen.version)
            await self._delete(tx, [chat])

    async def delete_many(self, actor: Actor, batch: ChatIds) -> Deleted:
        """Hide several chats, all or none (SD3)."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            found = await tx.chats.get_many(batch.ids)
            chats = [chat for chat in found if chat.deleted_at is None]
            if missing := batch.ids - {chat.id for chat in chats}:
                raise NotFound("chat", min(missing))
            await self._delete(tx, chats)
        return Deleted(count=len(chats))

    async def _delete(self, tx: Transaction, chats: Sequence[Chat]) -> None:
        at, ends = self.clock(), await tx.messages.ends([chat.id for chat in chats])
        for chat in chats:
            chat.clear(ends.get(chat.id), at=at)
        await tx.chats.save(chats)
        tx.emit(ChatDeleted(chats=list(chats)))

    async def _view(self, actor: Actor, chat_id: ChatId) -> ChatDetail:
        return await self.storage.views(actor.account_id).chat(chat_id)


async def _require_member(tx: Transaction, chat: Chat, change: ChatChange) -> None:
    """Raise NotFound unless whom it is given to works in the account."""
    owner = change.assigned_to
    if owner is UNSET or owner in (None, chat.assigned_to):
        return
    if not await tx.members.active([owner]):
        raise NotFound("member", owner)


async def _read_place(tx: Transaction, chat: Chat, read: ChatRead) -> Place | None:
    if read.up_to_message_id is UNSET:
        return chat.last_place
    message = await tx.messages.get(read.up_to_message_id)
    if message.chat_id != chat.id:
        raise Invalid("up_to_message_id", "is not a message of this chat")
    return message.place


async def _read_up_to(tx: Transaction, chat: Chat, place: Place, *, at: datetime) -> None:
    """Count anew, and let the device tell the other side what was read just now."""
    unread = await tx.messages.unread(chat, place, limit=_RECEIPTS_MAX)
    if not chat.read(place, at=at):
        return
    tally = (await tx.messages.tally([chat]))[chat.id]
    chat.show(tally.latest, tally.unread, at=at)
    await tx.chats.save([chat])
    tx.emit(ChatUpdated(chats=[chat], changed=["read_up_to", "unread_count"]))
    if unread:
        told = OutboxDraft(
            kind=OutboxKind.READ,
            device_id=chat.device_id,
            chat_id=chat.id,
            wa_message_ids=unread,
        )
        await tx.outbox.add([told], at=at)
