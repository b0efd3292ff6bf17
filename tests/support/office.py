"""A desk with a device: what comes to its chats, and what is done with them."""

from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec import UNSET

from clarin_core.domain.chats import Chat, ChatChange, ChatQuery, ChatRead, NewChat
from clarin_core.domain.events import Event
from clarin_core.domain.ids import DeviceId
from clarin_core.domain.inbound import Inbound
from clarin_core.domain.messages import MessageQuery, MessageView
from clarin_core.domain.outbox import OutboxItem
from clarin_core.domain.phone import PhoneNumber
from clarin_core.errors import ClarinError, NotFound
from clarin_core.testing.tenants import NOON
from support.desk import Desk
from support.talk import Ear

MUCH_LATER = NOON + timedelta(days=9)
OWN_PHONE = PhoneNumber("+51900000001")


class Office:
    """A desk with a device that hears."""

    def __init__(self, desk: Desk, ear: Ear, device_id: DeviceId) -> None:
        self.desk, self.ear, self.device_id = desk, ear, device_id
        self.chats, self.agent, self.tenant = desk.chats, desk.agent, desk.tenant

    @classmethod
    async def of(cls, desk: Desk) -> "Office":
        device = await desk.tenant.add_device(phone=OWN_PHONE)
        storage = desk.tenant.storage
        ear = await Ear.of(storage, desk.tenant.id, device.id, clock=lambda: MUCH_LATER)
        return cls(desk, ear, device.id)

    async def open(self, phone: str = "987 654 321", **fields: str) -> Chat:
        new = NewChat(device_id=self.device_id, phone=phone, **fields)
        return await self.chats.open(self.agent, new)

    async def hear(self, *heard: Inbound) -> Chat:
        """Hear what is in one chat, and return it; what happened is no news."""
        await self.ear.hear(heard)
        (chat,) = await self.shown()
        await self.desk.news()
        return chat

    async def read(self, chat: Chat, message: MessageView | None = None) -> Chat:
        up_to = UNSET if message is None else message.id
        return await self.chats.read(self.agent, chat.id, ChatRead(up_to_message_id=up_to))

    async def update(self, chat: Chat, **fields: Any) -> Chat:
        return await self.chats.update(self.agent, chat.id, ChatChange(**fields))

    async def shown(self) -> Sequence[Chat]:
        return (await self.tenant.views.chats(ChatQuery())).data

    async def messages(self, chat: Chat) -> list[MessageView]:
        """Return the messages by WhatsApp's id, which is how they came in these tests."""
        page = await self.tenant.views.messages(chat.id, MessageQuery(limit=200))
        return page.data[::-1]

    async def errands(self) -> list[OutboxItem]:
        """Do all that the device has to do, and return what that was."""
        done: list[OutboxItem] = []
        async with self.tenant.begin() as tx:
            while item := await tx.outbox.next(self.device_id, at=MUCH_LATER):
                await tx.outbox.remove(item)
                done.append(item)
        return done

    async def news_of(self, *kinds: type[Event]) -> list[Event]:
        return [event for event in await self.desk.news() if isinstance(event, kinds)]


async def refused(work: Awaitable[object], kind: type[ClarinError] = NotFound) -> ClarinError:
    with pytest.raises(kind) as caught:
        await work
    return caught.value
