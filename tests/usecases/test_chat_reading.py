"""Reading chats: what is unread, and what the other side is told; on memory and PostgreSQL."""

import asyncio

from clarin_core.domain.chats import Chat, ChatRead
from clarin_core.domain.ids import ChatId, MessageId
from clarin_core.domain.inbound import RevokeSeen
from clarin_core.domain.inbox_events import ChatUpdated
from clarin_core.domain.outbox import OutboxKind
from clarin_core.errors import Invalid
from support.desk import Desk, tell_over
from support.office import Office, refused
from support.talk import ANA, at, said


def test_reading_tells_the_other_side(address: str) -> None:
    """CH7: what was unread until now, the newest first, and once."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.hear(*(said(ANA, f"{n}", n) for n in range(3)))
        assert chat.unread_count == 3
        read = await office.read(chat)
        assert (read.unread_count, read.version) == (0, chat.version + 2)
        (event,) = await office.news_of(ChatUpdated)
        assert isinstance(event, ChatUpdated)
        assert event.changed == ["read_up_to", "unread_count"]
        assert event.chats[0].unread_count == 0
        assert await office.read(chat) == read
        assert await desk.news() == []
        (errand,) = await office.errands()
        assert (errand.kind, errand.chat_id) == (OutboxKind.READ, chat.id)
        assert errand.wa_message_ids == ["2", "1", "0"]

    tell_over(address, story)


def test_reading_names_a_message_and_never_goes_back(address: str) -> None:
    """CH7: the greater place stays; those after it are unread."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.hear(*(said(ANA, f"{n}", n) for n in range(4)))
        messages = await office.messages(chat)
        counts = [(await office.read(chat, messages[place])).unread_count for place in (1, 0, 2)]
        assert counts == [2, 2, 1]
        told = [errand.wa_message_ids for errand in await office.errands()]
        assert told == [["1", "0"], ["2"]]

    tell_over(address, story)


def test_of_many_unread_messages_the_newest_hundred_are_told(address: str) -> None:
    """CH7: all are read, whatever the device tells of them."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.hear(*(said(ANA, f"{n}", n) for n in range(103)))
        assert (await office.read(chat)).unread_count == 0
        (errand,) = await office.errands()
        assert errand.wa_message_ids == [f"{n}" for n in range(102, 2, -1)]

    tell_over(address, story)


def test_where_nothing_is_unread_nothing_is_told(address: str) -> None:
    """CH7: neither of own messages, nor of what was taken back, nor in a chat without any."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        empty = await office.open("987 654 322")
        assert (await office.read(empty)).version == empty.version
        await office.chats.delete(desk.agent, empty.id)
        await office.hear(said(ANA, "1", 1, is_from_me=True), said(ANA, "2", 2))
        chat = await office.hear(RevokeSeen(chat=ANA, wa_message_id="2", at=at(3)))
        _, revoked = await office.messages(chat)
        assert (await office.read(chat, revoked)).read_up_to == revoked.place
        assert await office.errands() == []

    tell_over(address, story)


def test_reading_names_a_message_of_the_chat(address: str) -> None:
    """Section 5: another chat's is invalid, an unknown one not found."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.hear(said(ANA, "1", 1))
        other = await office.open("987 654 322", initial_message="hola")
        (message,) = await office.messages(other)
        await refused(office.read(chat, message), Invalid)
        unknown = ChatRead(up_to_message_id=MessageId(2**62))
        await refused(desk.chats.read(desk.agent, chat.id, unknown))
        await refused(desk.chats.read(desk.agent, ChatId(2**62), ChatRead()))
        assert (await desk.tenant.views.chat(chat.id)).unread_count == 1

    tell_over(address, story)


async def read_on(office: Office, chat: Chat) -> None:
    for _ in range(6):
        await office.read(chat)


def test_what_comes_while_somebody_reads_is_read_or_unread(address: str) -> None:
    """R10, CH7: the count is that of the messages after the place, whatever came first."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.hear(said(ANA, "first", 0))
        one_by_one = ([said(ANA, f"{n}", n)] for n in range(1, 9))
        await asyncio.gather(office.ear.hear(*one_by_one), *map(read_on, [office] * 3, [chat] * 3))
        (after,) = await office.shown()
        messages = await office.messages(chat)
        assert after.read_up_to is not None
        unread = [one for one in messages if one.place > after.read_up_to]
        assert (len(messages), after.unread_count) == (9, len(unread))
        told = [wa_id for errand in await office.errands() for wa_id in errand.wa_message_ids]
        read = [one.wa_message_id for one in messages if one.place <= after.read_up_to]
        assert sorted(told) == sorted(filter(None, read))

    tell_over(address, story)
