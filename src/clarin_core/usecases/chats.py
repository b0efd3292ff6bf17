"""What one can do with chats."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.actor import Actor
from clarin_core.domain.chats import (
    Chat,
    ChatChange,
    ChatDraft,
    ChatIds,
    ChatRead,
    ChatView,
    NewChat,
)
from clarin_core.domain.command import ANY_VERSION, Precondition
from clarin_core.domain.ids import ChatId, DeviceId
from clarin_core.domain.inbound import Peer
from clarin_core.domain.inbox_events import ChatDeleted, ChatOpened, ChatUpdated
from clarin_core.domain.jid import Identity
from clarin_core.domain.messages import Place
from clarin_core.domain.outbox import OutboxDraft, OutboxKind
from clarin_core.domain.phone import normalize_phone
from clarin_core.errors import Invalid, NotFound
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.contacts import Deleted
from clarin_core.usecases.inbox_people import People

_RECEIPTS_MAX = 100


@dataclass(frozen=True, slots=True)
class ChatUseCases:
    """What one can do with chats. One method is one use case."""

    storage: Storage
    clock: Clock

    async def open(self, actor: Actor, new: NewChat) -> ChatView:
        """Return the chat of a device with a phone, which is opened if there is none."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await chat_with(tx, new.device_id, new.phone, region=actor.region, at=at)
        return await self._view(actor, chat.id)

    async def update(self, actor: Actor, chat_id: ChatId, change: ChatChange) -> ChatView:
        """Pin it, archive it, name it, give it to somebody."""
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await tx.chats.get(chat_id)
            chat.expect(change.version)
            values = change.values()
            owner = values.get("assigned_to")
            if owner is not None and not await tx.members.active([owner]):
                raise NotFound("member", owner)
            if changed := chat.alter(values, at=self.clock()):
                await tx.chats.save([chat])
                tx.emit(ChatUpdated(chats=[chat], changed=list(changed)))
        return await self._view(actor, chat_id)

    async def read(self, actor: Actor, chat_id: ChatId, read: ChatRead) -> ChatView:
        """Have read up to a message, by default all; the other side is told (CH7)."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await tx.chats.get(chat_id)
            place = await _read_place(tx, chat, read)
            if place is not None and chat.read(place, at=at):
                await _tell_read(tx, chat, at=at)
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
        at = self.clock()
        for chat in chats:
            chat.clear(at)
        await tx.chats.save(chats)
        tx.emit(ChatDeleted(chats=list(chats)))

    async def _view(self, actor: Actor, chat_id: ChatId) -> ChatView:
        return await self.storage.views(actor.account_id).chat(chat_id)


async def chat_with(
    tx: Transaction, device_id: DeviceId, phone: str, *, region: str, at: datetime
) -> Chat:
    """Return the live chat of a device with a phone, which is opened if there is none."""
    device = await tx.devices.get(device_id)
    peer = Peer(identity=Identity.of_phone(normalize_phone(phone, region)))
    people = await People.meet(tx, [peer], at=at)
    ((chat, is_new),) = await tx.chats.claim(
        [ChatDraft(device_id=device.id, identity=peer.identity)], at=at
    )
    if not is_new and chat.deleted_at is None:
        return chat
    contact = (await people.contacts({peer.identity: None}))[peer.identity]
    chat.alter({"contact_id": contact.id, "deleted_at": None}, at=at)
    await tx.chats.save([chat])
    tx.emit(ChatOpened(chats=[chat]))
    return chat


async def _read_place(tx: Transaction, chat: Chat, read: ChatRead) -> Place | None:
    if read.up_to_message_id is UNSET:
        return chat.last_place
    message = await tx.messages.get(read.up_to_message_id)
    if message.chat_id != chat.id:
        raise Invalid("up_to_message_id", "is not a message of this chat")
    return message.place


async def _tell_read(tx: Transaction, chat: Chat, *, at: datetime) -> None:
    """Count anew, and let the device tell the other side what was read just now."""
    tally = (await tx.messages.tally([chat]))[chat.id]
    chat.show(tally.latest, tally.unread, at=at)
    await tx.chats.save([chat])
    tx.emit(ChatUpdated(chats=[chat], changed=["read_up_to", "unread_count"]))
    item = OutboxDraft(kind=OutboxKind.READ, device_id=chat.device_id, chat_id=chat.id)
    await tx.outbox.add([item], at=at)
