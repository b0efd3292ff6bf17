"""What one can say: at once in the chat, and in the outbox of its device (CH12 to CH17)."""

from datetime import timedelta

import pytest

from clarin_core.domain.contacts import ContactQuery
from clarin_core.domain.events import replay
from clarin_core.domain.ids import ChatId, DeviceId, MediaId, MessageId
from clarin_core.domain.inbox_events import MessageQueued
from clarin_core.domain.media import MediaState, MediaType, attachment_of
from clarin_core.domain.messages import (
    Direction,
    MessageKind,
    MessageQuery,
    MessageStatus,
    Poll,
    Quoted,
)
from clarin_core.domain.outbox import WAITS_MAX, OutboxKind
from clarin_core.domain.replies import PollResult
from clarin_core.domain.sending import NewMessage, NewPoll
from clarin_core.errors import Conflict, Invalid, NotFound
from support.talking import Talking, talk

PHONE = "987 654 321"


def test_a_message_waits_until_it_is_sent(address: str) -> None:
    """CH12: queued and in the outbox, for the one who said it; the answer is what is read."""

    async def story(at: Talking) -> None:
        said = await at.send(" hola ")
        assert said == await at.desk.tenant.views.message(said.id)
        assert (said.status, said.direction) == (MessageStatus.QUEUED, Direction.OUT)
        assert (said.kind, said.body) == (MessageKind.TEXT, "hola")
        assert (said.actor, said.wa_message_id) == (at.desk.agent.user_id, None)
        (errand,) = await at.errands()
        assert (errand.kind, errand.message_id) == (OutboxKind.SEND, said.id)
        assert (errand.device_id, errand.chat_id) == (at.inbox.device_id, at.chat.id)
        assert (errand.doubts, errand.expires_at) == (0, said.sent_at + WAITS_MAX)
        (told,) = await at.desk.news()
        assert isinstance(told, MessageQueued)
        chat = await at.seen()
        assert (chat.last_message, chat.last_message_id) == ("hola", said.id)
        assert told.chat.last_place == chat.last_place

    talk(address, story)


def test_the_outbox_keeps_the_order_of_what_was_said(address: str) -> None:
    """CH5, R8: so does the chat."""

    async def story(at: Talking) -> None:
        said = [await at.send(f"{number}") for number in range(3)]
        assert [errand.message_id for errand in await at.errands()] == [one.id for one in said]
        page = await at.desk.tenant.views.messages(at.chat.id, MessageQuery())
        assert page.data == said[::-1]

    talk(address, story)


def test_who_answers_has_read(address: str) -> None:
    """CH7: up to the own message; what comes later, or by its sender's clock, is unread."""

    async def story(at: Talking) -> None:
        for _ in range(2):
            await at.hear()
        ahead = await at.hear("ya voy", sent_at=at.desk.clock() + timedelta(minutes=3))
        assert (await at.seen()).unread_count == 3
        said = await at.send()
        chat = await at.seen()
        assert (chat.unread_count, chat.read_up_to) == (1, said.place)
        assert chat.last_message_id == ahead.id
        await at.hear("¿sigues?")
        assert (await at.seen()).unread_count == 2
        await at.send("sí")
        state = replay(await at.desk.news()).inbox
        chat = await at.seen()
        assert (state.chats[chat.id].unread_count, chat.unread_count) == (0, 0)
        assert state.chats[chat.id].last_message == chat.last_message == "sí"

    talk(address, story)


def test_a_phone_is_written_to_in_its_chat(address: str) -> None:
    """CH1: one for each device, opened with a contact if there is none."""

    async def story(at: Talking) -> None:
        first = await at.write(PHONE)
        assert await at.desk.names() == ["contact.created", "chat.opened", "message.queued"]
        again = await at.write("+51 987654321")
        assert await at.desk.names() == ["message.queued"]
        other = (await at.desk.tenant.add_device()).id
        elsewhere = await at.write(PHONE, device_id=other)
        assert (first.chat_id, first.device_id) == (again.chat_id, again.device_id)
        assert elsewhere.chat_id != first.chat_id
        assert elsewhere.device_id == other
        (contact,) = (await at.desk.tenant.views.contacts(ContactQuery())).data
        for said in (first, elsewhere):
            assert (await at.desk.tenant.views.chat(said.chat_id)).contact_id == contact.id
        with pytest.raises(Invalid) as caught:
            await at.write("12")
        assert (caught.value.field, caught.value.code) == ("to", "invalid_phone")

    talk(address, story)


def test_a_deleted_chat_comes_back_by_its_phone_alone(address: str) -> None:
    """CH18: with the new message and without the old ones; its id is nobody's until then."""

    async def story(at: Talking) -> None:
        old = await at.send("de antes")
        await at.inbox.delete(at.chat)
        with pytest.raises(NotFound):
            await at.send()
        said = await at.write(str(at.chat.identity.phone), "de nuevo")
        assert said.chat_id == at.chat.id
        page = await at.desk.tenant.views.messages(at.chat.id, MessageQuery())
        assert page.data == [said]
        for late in (
            at.messages.retry(at.desk.agent, old.id),
            at.send("re", quoted_message_id=old.id),
        ):
            with pytest.raises(NotFound):
                await late

    talk(address, story)


def test_without_a_queue_the_device_has_to_be_connected(address: str) -> None:
    """409 device_not_connected with the device, and nothing is stored."""

    async def story(at: Talking) -> None:
        before = await at.picture()
        poll = NewPoll(chat_id=at.chat.id, question="¿?", options=["a", "b"], queue=False)
        for refused in (at.send(queue=False), at.messages.ask(at.desk.agent, poll)):
            with pytest.raises(Conflict) as caught:
                await refused
            error = caught.value
            assert (error.code, error.id) == ("device_not_connected", at.inbox.device_id)
        assert await at.picture() == before
        await at.connect()
        await at.send(queue=False)
        await at.messages.ask(at.desk.agent, poll)
        assert len(await at.errands()) == 2

    talk(address, story)


@pytest.mark.parametrize("type_", MediaType)
def test_a_file_is_sent_as_what_it_is(address: str, type_: MediaType) -> None:
    """CH16: the answer and the event show it; what has no caption is not given one."""

    async def story(at: Talking) -> None:
        media_id = await at.add_file(type=type_)
        new = NewMessage(chat_id=at.chat.id, media_id=media_id)
        said = await at.messages.send(at.desk.agent, new)
        assert said == await at.desk.tenant.views.message(said.id)
        assert said.media == attachment_of(await at.desk.tenant.views.media(media_id))
        assert (said.kind.value, said.body) == (type_.value, None)
        (told,) = await at.desk.news()
        assert isinstance(told, MessageQueued)
        assert told.file == said.media
        if type_ in (MediaType.AUDIO, MediaType.STICKER):
            with pytest.raises(Invalid) as caught:
                await at.send("mira", media_id=media_id)
            assert caught.value.field == "body"
        else:
            assert (await at.send("mira", media_id=media_id)).body == "mira"

    talk(address, story)


@pytest.mark.parametrize("state", [one for one in MediaState if one is not MediaState.STORED])
def test_a_file_that_is_not_here_is_not_sent(address: str, state: MediaState) -> None:
    """CH16: pending, failed, expired; the field is named."""

    async def story(at: Talking) -> None:
        media_id = await at.add_file(state=state)
        with pytest.raises(Invalid) as caught:
            await at.send(media_id=media_id)
        assert caught.value.field == "media_id"

    talk(address, story)


def test_a_quote_is_what_the_store_has(address: str) -> None:
    """CH14: body, cut, and sender; an own message has none."""

    async def story(at: Talking) -> None:
        theirs = await at.hear("¿cuánto? " * 200, wa_message_id="THEIRS")
        own = await at.send("cien")
        await at.arrive(own.id)
        answer = await at.send("por hora", quoted_message_id=theirs.id)
        assert answer.quoted == Quoted(
            wa_message_id="THEIRS", body=(theirs.body or "")[:1000], sender=at.chat.identity
        )
        again = await at.send("digo", quoted_message_id=own.id)
        assert again.quoted == Quoted(wa_message_id="OWN", body="cien")

    talk(address, story)


def test_what_whatsapp_does_not_have_here_is_not_quoted(address: str) -> None:
    """CH14: of another chat, not sent yet, or taken back."""

    async def story(at: Talking) -> None:
        waiting, doubtful = await at.send(), await at.send()
        await at.become(doubtful.id, MessageStatus.UNKNOWN, wa_message_id="MAYBE")
        gone = await at.hear(wa_message_id="A", revoked_at=at.desk.clock())
        other = await at.inbox.open_one(2)
        (elsewhere,) = await at.inbox.say(at.inbox.said(other, wa_message_id="B"))
        before = await at.picture()
        for one in (waiting, doubtful, gone, elsewhere):
            with pytest.raises(Invalid) as caught:
                await at.send(quoted_message_id=one.id)
            assert caught.value.field == "quoted_message_id"
        assert await at.picture() == before

    talk(address, story)


def test_a_poll_is_a_message_with_options(address: str) -> None:
    """CH17: in the given order, without votes yet."""

    async def story(at: Talking) -> None:
        new = NewPoll(
            chat_id=at.chat.id, question="¿Cuándo?", options=["lunes", "martes"], max_selections=2
        )
        said = await at.messages.ask(at.desk.agent, new)
        assert said == await at.desk.tenant.views.message(said.id)
        assert (said.kind, said.body) == (MessageKind.POLL, "¿Cuándo?")
        assert said.poll == Poll(options=["lunes", "martes"], selectable=2)
        assert said.results == [PollResult(option=one, votes=0) for one in new.options]
        assert (await at.seen()).last_message == "¿Cuándo?"
        assert await at.desk.names() == ["message.queued"]

    talk(address, story)


def test_what_is_anothers_does_not_exist(address: str) -> None:
    """R22: chat, device, file and message of another account; nothing happens in either."""

    async def story(at: Talking) -> None:
        other = await Talking.open(at.desk.tenant.storage)
        foreign = await other.hear(wa_message_id="A")
        before = await at.picture(), await other.picture()
        asks: list[dict[str, int]] = [
            {"chat_id": other.chat.id},
            {"media_id": await other.inbox.add_media()},
            {"quoted_message_id": foreign.id},
            {"chat_id": ChatId(2**62)},
            {"media_id": MediaId(2**62)},
            {"quoted_message_id": MessageId(2**62)},
        ]
        for asked in asks:
            with pytest.raises(NotFound):
                await at.send(**asked)
        for device_id in (other.inbox.device_id, DeviceId(2**62)):
            with pytest.raises(NotFound):
                await at.write(PHONE, device_id=device_id)
        assert (await at.picture(), await other.picture()) == before

    talk(address, story)
