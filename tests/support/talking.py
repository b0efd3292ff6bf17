"""A desk at which people talk: a device, a chat, and what is done there."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from clarin_core.domain.chats import Chat, ChatView
from clarin_core.domain.devices import DeviceStatus
from clarin_core.domain.ids import ChatId, DeviceId, MediaId, MessageId
from clarin_core.domain.media import MediaDraft, MediaState
from clarin_core.domain.messages import Message, MessageStatus, MessageView
from clarin_core.domain.outbox import OutboxItem
from clarin_core.domain.sending import NewMessage
from clarin_core.ports.storage import Storage
from clarin_core.testing.inbox import PHOTO, Inbox, inbox_of, somebody
from clarin_core.testing.tenants import OnPurposeError
from clarin_core.usecases.messages import MessageUseCases
from clarin_memory import MemoryBlobs, MemoryPublisher
from clarin_server.plugins import connect_storage
from support.cabinet import media_over
from support.desk import Desk, Ticking

FAR = datetime(2099, 1, 1, tzinfo=UTC)
HERE = replace(PHOTO, state=MediaState.STORED, size=7, filename="sol.jpg")


@dataclass(frozen=True, slots=True)
class Talking:
    """An agent who talks with somebody over a device that is not connected."""

    desk: Desk
    inbox: Inbox
    chat: Chat
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)

    @classmethod
    async def open(cls, storage: Storage) -> "Talking":
        """Return a fresh one, of which nothing was told yet."""
        desk = await Desk.open(storage)
        inbox = await inbox_of(desk.tenant)
        return cls(desk, inbox, await inbox.open_one())

    @property
    def messages(self) -> MessageUseCases:
        storage, clock = self.desk.tenant.storage, self.desk.clock
        return MessageUseCases(storage, clock, media_over(storage, clock, self.blobs).for_message)

    async def send(self, body: str = "hola", /, **fields: Any) -> MessageView:
        """Say something in the chat."""
        said: dict[str, Any] = {"chat_id": self.chat.id, "body": body}
        return await self.messages.send(self.desk.agent, NewMessage(**said | fields))

    async def write(
        self, to: str, body: str = "hola", *, device_id: DeviceId | None = None
    ) -> MessageView:
        """Say something to a phone."""
        new = NewMessage(device_id=device_id or self.inbox.device_id, to=to, body=body)
        return await self.messages.send(self.desk.agent, new)

    async def hear(self, body: str | None = "hola", /, **fields: Any) -> Message:
        """Let the other side have said something, by now unless told otherwise."""
        usual = {"sent_at": self.desk.clock(), "sender": self.chat.identity}
        draft = self.inbox.said(self.chat, body, **usual | fields)
        (message,) = await self.inbox.say(draft)
        async with self.desk.tenant.begin() as tx:
            chat = await tx.chats.get(self.chat.id)
            chat.take([message], at=message.sent_at)
            await tx.chats.save([chat])
        return message

    async def become(self, message_id: MessageId, status: MessageStatus, **fields: Any) -> Message:
        """Let a message be so; nothing is to be done for it any more, unless it waits."""
        async with self.desk.tenant.begin() as tx:
            message = await tx.messages.get(message_id)
            message.alter({"status": status} | fields, at=self.desk.clock())
            await tx.messages.save([message])
            if status is not MessageStatus.QUEUED:
                for item in await tx.outbox.of_message(message_id):
                    await tx.outbox.remove(item)
        return message

    async def arrive(self, message_id: MessageId, wa_message_id: str = "OWN") -> Message:
        """Let WhatsApp have a message."""
        return await self.become(message_id, MessageStatus.SENT, wa_message_id=wa_message_id)

    async def connect(self) -> None:
        """Let the device be connected."""
        async with self.desk.tenant.begin() as tx:
            device = await tx.devices.get(self.inbox.device_id)
            device.become(DeviceStatus.CONNECTED, at=self.desk.clock())
            await tx.devices.save(device)

    async def add_file(self, draft: MediaDraft = HERE, /, **fields: Any) -> MediaId:
        """Commit a file, by default one that is here."""
        return await self.inbox.add_media(replace(draft, key=f"{self.desk.clock()}", **fields))

    async def other_chats(self, *numbers: int) -> list[ChatId]:
        """Open chats with others."""
        return [chat.id for chat in await self.inbox.open(*map(somebody, numbers))]

    async def seen(self) -> ChatView:
        """Return the chat as people see it."""
        return await self.desk.tenant.views.chat(self.chat.id)

    async def errands(self) -> list[OutboxItem]:
        """Return all that the device has to do, oldest first; nothing of it is done."""
        found: list[OutboxItem] = []
        with suppress(OnPurposeError):
            async with self.desk.tenant.begin() as tx:
                while item := await tx.outbox.next(self.inbox.device_id, at=FAR):
                    found.append(item)
                    await tx.outbox.remove(item)
                raise OnPurposeError
        return found

    async def picture(self) -> tuple[dict[str, Any], Sequence[OutboxItem]]:
        """Return all that there is."""
        return await self.desk.tenant.picture(), await self.errands()


def talk(address: str, story: Callable[[Talking], Awaitable[None]]) -> None:
    """Run a story over the storage at an address."""

    async def told() -> None:
        publisher = MemoryPublisher()
        async with connect_storage(address, clock=Ticking(), publisher=publisher) as storage:
            await story(await Talking.open(storage))

    asyncio.run(told())
