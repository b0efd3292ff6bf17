"""Short ways to fill an account's inbox, and to look at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from clarin_core.domain.chats import Chat, ChatDraft, ChatQuery, ChatView
from clarin_core.domain.devices import NewDevice
from clarin_core.domain.ids import ChatId, DeviceId, MediaId
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.media import MediaDraft, MediaType
from clarin_core.domain.messages import (
    Direction,
    Message,
    MessageDraft,
    MessageKind,
    MessageQuery,
    MessageStatus,
    MessageView,
)
from clarin_core.domain.outbox import OutboxDraft, OutboxItem, OutboxKind
from clarin_core.testing.tenants import LATER, NOON, Tenant

PHOTO = MediaDraft(key="una-llave", type=MediaType.IMAGE, mimetype="image/jpeg")


@dataclass(frozen=True, slots=True)
class Inbox:
    """A device of an account."""

    account: Tenant
    device_id: DeviceId

    async def open(self, *people: Identity, **fields: object) -> list[Chat]:
        """Commit a claim of chats."""
        drafts = [self.with_(one, **fields) for one in people]
        async with self.account.begin() as tx:
            return [chat for chat, _ in await tx.chats.claim(drafts, at=NOON)]

    async def open_one(self, number: int = 1, **fields: object) -> Chat:
        """Commit the claim of one chat."""
        (chat,) = await self.open(somebody(number), **fields)
        return chat

    async def save(self, *chats: Chat) -> None:
        """Commit chats as they are now."""
        async with self.account.begin() as tx:
            await tx.chats.get_many([chat.id for chat in chats])
            await tx.chats.save(chats)

    async def delete(self, chat: Chat, *, at: datetime = LATER) -> Chat:
        """Hide a chat."""
        async with self.account.begin() as tx:
            stored = await tx.chats.get(chat.id)
            end = (await tx.messages.ends([chat.id])).get(chat.id)
            stored.clear(end, at=at)
            await tx.chats.save([stored])
        return stored

    async def say(self, *drafts: MessageDraft) -> list[Message]:
        """Commit messages that are not there yet."""
        async with self.account.begin() as tx:
            added = await tx.messages.add(drafts, at=NOON)
        return [message for message in added if message is not None]

    async def add_media(self, draft: MediaDraft = PHOTO) -> MediaId:
        """Commit a file and return its id."""
        async with self.account.begin() as tx:
            (media,) = await tx.media.add([draft], at=NOON)
        return media.id

    async def order(self, *drafts: OutboxDraft) -> list[OutboxItem]:
        """Commit things to do."""
        async with self.account.begin() as tx:
            return await tx.outbox.add(drafts, at=NOON)

    async def shown(self, chat: Chat, **fields: object) -> list[MessageView]:
        """Return up to 200 messages in the order of the chat's list."""
        query = replace(MessageQuery(limit=200), **fields)
        return (await self.account.views.messages(chat.id, query)).data

    def with_(self, identity: Identity, **fields: object) -> ChatDraft:
        """Return a chat to be."""
        return replace(ChatDraft(device_id=self.device_id, identity=identity), **fields)

    def in_(self, chat: Chat, *drafts: MessageDraft) -> list[MessageDraft]:
        """Return messages to be that lie in a chat of this device."""
        return [replace(one, chat_id=chat.id, device_id=self.device_id) for one in drafts]

    def said(self, chat: Chat, body: str | None = "hola", /, **fields: object) -> MessageDraft:
        """Return a text to be: of the other side, at noon, unless told otherwise."""
        usual = MessageDraft(
            chat_id=chat.id, device_id=self.device_id, direction=Direction.IN, body=body,
            kind=MessageKind.TEXT, status=MessageStatus.RECEIVED, sent_at=NOON,
        )  # fmt: skip
        return replace(usual, **fields)

    def to_do(self, chat: Chat, **fields: object) -> OutboxDraft:
        """Return something to do, a sign of typing unless told otherwise."""
        usual = OutboxDraft(kind=OutboxKind.TYPING, device_id=self.device_id, chat_id=chat.id)
        return replace(usual, **fields)


async def inbox_of(account: Tenant, *, at: datetime = NOON) -> Inbox:
    """Commit a device and return its inbox."""
    async with account.begin() as tx:
        device = await tx.devices.add(NewDevice(name="Ventas"), at=at)
    return Inbox(account, device.id)


def somebody(number: int) -> Identity:
    """Return somebody by phone."""
    return Identity(IdentityKind.PHONE, f"5199{number:07}")


def moved(replies: Sequence[Any], chat_id: ChatId) -> list[Any]:
    """Return marks, reactions or votes as those of a chat."""
    return [replace(reply, chat_id=chat_id) for reply in replies]


async def chats_shown(account: Tenant, **fields: object) -> list[ChatView]:
    """Return up to 200 chats in the order of the inbox."""
    return (await account.views.chats(replace(ChatQuery(limit=200), **fields))).data
