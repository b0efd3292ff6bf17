"""What one can do to what was said: here and now while it waits, on WhatsApp once it is there."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from clarin_core.domain.command import Precondition
from clarin_core.domain.events import replay
from clarin_core.domain.ids import MessageId
from clarin_core.domain.inbox_events import MessageEdited, MessageStatusChanged
from clarin_core.domain.messages import MessageKind, MessageStatus, MessageView
from clarin_core.domain.outbox import OutboxKind
from clarin_core.domain.sending import (
    TYPING_COUNTS,
    MessageChoice,
    MessageEdit,
    NewReaction,
    Typing,
    TypingState,
)
from clarin_core.errors import Conflict, Invalid, NotFound
from support.talking import HERE, Talking, talk

QUEUED, FAILED = MessageStatus.QUEUED, MessageStatus.FAILED
SENDING, UNKNOWN = MessageStatus.SENDING, MessageStatus.UNKNOWN
ON_WHATSAPP = [
    MessageStatus.SENT,
    MessageStatus.DELIVERED,
    MessageStatus.READ,
    MessageStatus.PLAYED,
]

Act = Callable[[Talking, MessageId], Awaitable[MessageView]]


def edit(at: Talking, message_id: MessageId) -> Awaitable[MessageView]:
    return at.messages.edit(at.desk.agent, MessageEdit(message_id=message_id, body="otra"))


def delete(at: Talking, message_id: MessageId) -> Awaitable[MessageView]:
    return at.messages.revoke(at.desk.agent, MessageChoice(message_id=message_id))


def react(at: Talking, message_id: MessageId) -> Awaitable[MessageView]:
    return at.messages.react(at.desk.agent, NewReaction(message_id=message_id, emoji="👍"))


def retry(at: Talking, message_id: MessageId) -> Awaitable[MessageView]:
    return at.messages.retry(at.desk.agent, message_id)


def give_up(at: Talking, message_id: MessageId) -> Awaitable[MessageView]:
    return at.messages.give_up(at.desk.agent, message_id)


ALLOWED: dict[Act, list[MessageStatus]] = {
    edit: [QUEUED, FAILED, *ON_WHATSAPP],
    delete: [QUEUED, FAILED, *ON_WHATSAPP],
    react: ON_WHATSAPP,
    retry: [FAILED, UNKNOWN],
    give_up: [UNKNOWN],
}
"""In which states an own message allows what."""


@pytest.mark.parametrize("act", ALLOWED)
def test_a_message_allows_what_its_state_allows(act: Act, address: str) -> None:
    """Section 6: anything else is 409 invalid_state with its id, and nothing happens."""

    async def story(at: Talking) -> None:
        for status in MessageStatus:
            if status is MessageStatus.RECEIVED:
                continue
            said = await at.send()
            await at.become(said.id, status, wa_message_id=f"WA{said.id}")
            before = await at.picture()
            if status in ALLOWED[act]:
                await act(at, said.id)
                assert await at.picture() != before, status
            else:
                with pytest.raises(Conflict) as caught:
                    await act(at, said.id)
                assert (caught.value.code, caught.value.id) == ("invalid_state", said.id)
                assert await at.picture() == before, status

    talk(address, story)


@pytest.mark.parametrize("act", ALLOWED)
def test_what_people_do_not_see_they_cannot_touch(act: Act, address: str) -> None:
    """R22, CH18: another account's message, one of a deleted chat, one that was cleared."""

    async def story(at: Talking) -> None:
        other = await Talking.open(at.desk.tenant.storage)
        foreign = await other.send()
        own = await at.send()
        await at.become(own.id, UNKNOWN)
        await at.inbox.delete(at.chat)
        for hidden in (foreign.id, own.id, MessageId(2**62)):
            with pytest.raises(NotFound):
                await act(at, hidden)
        await at.write(str(at.chat.identity.phone))
        with pytest.raises(NotFound):
            await act(at, own.id)
        assert (await other.picture())[0]["messages"] == [foreign]

    talk(address, story)


def test_a_waiting_message_is_said_otherwise(address: str) -> None:
    """CH10 knows nothing of it: nobody saw it; the chat shows it, and it is sent once."""

    async def story(at: Talking) -> None:
        said = await at.send("hola", media_id=await at.add_file(HERE))
        errands = await at.errands()
        await at.desk.news()
        changed = await edit(at, said.id)
        assert (changed.body, changed.edited_at, changed.edits) == ("otra", None, [])
        assert (changed.status, changed.version) == (QUEUED, 2)
        assert changed == await at.desk.tenant.views.message(said.id)
        assert await at.errands() == errands
        told, *_ = news = await at.desk.news()
        assert isinstance(told, MessageEdited)
        assert told.files == [changed.media]
        chat = await at.seen()
        assert chat.last_message == replay(news).inbox.chats[chat.id].last_message == "otra"
        await edit(at, said.id)
        assert await at.desk.names() == []

    talk(address, story)


def test_an_older_message_changes_no_preview(address: str) -> None:
    """CH6: the chat shows its greatest message, and says nothing."""

    async def story(at: Talking) -> None:
        said = await at.send("uno")
        await at.send("dos")
        await at.desk.news()
        await edit(at, said.id)
        assert await at.desk.names() == ["message.edited"]
        assert (await at.seen()).last_message == "dos"

    talk(address, story)


def test_a_sent_message_is_edited_on_whatsapp(address: str) -> None:
    """It says what it said until WhatsApp has it; each edit is an errand, in their order."""

    async def story(at: Talking) -> None:
        said = await at.send("hola")
        await at.arrive(said.id)
        await at.desk.news()
        for body in ("otra", "hola"):
            asked = MessageEdit(message_id=said.id, body=body)
            assert (await at.messages.edit(at.desk.agent, asked)).body == "hola"
        errands = await at.errands()
        assert [(one.kind, one.text) for one in errands] == [
            (OutboxKind.EDIT, "otra"), (OutboxKind.EDIT, "hola"),
        ]  # fmt: skip
        assert {(one.message_id, *one.wa_message_ids) for one in errands} == {(said.id, "OWN")}
        assert await at.desk.names() == []

    talk(address, story)


def test_only_own_texts_are_edited(address: str) -> None:
    """422 for others' messages, and for what has no text."""

    async def story(at: Talking) -> None:
        theirs = await at.hear(wa_message_id="A")
        sound = await at.send()
        await at.become(sound.id, QUEUED, kind=MessageKind.AUDIO)
        poll = await at.send()
        await at.become(poll.id, MessageStatus.SENT, kind=MessageKind.POLL, wa_message_id="P")
        before = await at.picture()
        for one in (theirs, sound, poll):
            with pytest.raises(Invalid) as caught:
                await edit(at, one.id)
            assert caught.value.field == "message_id"
        with pytest.raises(Invalid):
            await delete(at, theirs.id)
        assert await at.picture() == before

    talk(address, story)


@pytest.mark.parametrize("status", [QUEUED, FAILED])
def test_a_waiting_message_is_called_off(status: MessageStatus, address: str) -> None:
    """It is never sent, nor shown; the chat shows what came before it. Twice is once."""

    async def story(at: Talking) -> None:
        await at.hear("¿y?")
        said = await at.send("nada")
        await at.become(said.id, status)
        await at.desk.news()
        gone = await delete(at, said.id)
        assert (gone.status, gone.error, gone.body) == (FAILED, "called off", None)
        assert gone.revoked_at
        assert await at.errands() == []
        news = await at.desk.news()
        chat, state = await at.seen(), replay(news).inbox
        assert (chat.last_message, chat.unread_count) == ("¿y?", 0)
        assert state.chats[chat.id].last_message == "¿y?"
        assert state.messages[said.id].revoked_at == gone.revoked_at
        assert isinstance(news[0], MessageStatusChanged)
        assert news[0].jids == {chat.id: at.chat.identity.jid}
        assert await delete(at, said.id) == gone
        assert await at.desk.names() == []
        for act in (edit, retry, react):
            with pytest.raises(Conflict) as caught:
                await act(at, said.id)
            assert "taken back" in str(caught.value)

    talk(address, story)


def test_a_sent_message_is_deleted_on_whatsapp(address: str) -> None:
    """It is there until WhatsApp says that it is not."""

    async def story(at: Talking) -> None:
        said = await at.send("ay")
        await at.arrive(said.id)
        await at.desk.news()
        assert (await delete(at, said.id)).body == "ay"
        (errand,) = await at.errands()
        assert (errand.kind, errand.message_id) == (OutboxKind.REVOKE, said.id)
        assert errand.wa_message_ids == ["OWN"]
        assert await at.desk.names() == []
        await at.become(said.id, MessageStatus.SENT, revoked_at=at.desk.clock())
        before = await at.picture()
        assert (await delete(at, said.id)).body is None
        assert await at.picture() == before

    talk(address, story)


def test_one_reacts_to_own_messages_and_to_others(address: str) -> None:
    """CH15: an errand each; an empty one takes it back. It shows when WhatsApp has it."""

    async def story(at: Talking) -> None:
        own, theirs = await at.send(), await at.hear(wa_message_id="THEIRS")
        await at.arrive(own.id)
        await at.desk.news()
        for message_id, emoji in ((own.id, "👍"), (theirs.id, "❤️"), (theirs.id, "")):
            asked = NewReaction(message_id=message_id, emoji=emoji)
            assert (await at.messages.react(at.desk.agent, asked)).reactions == []
        assert [(one.kind, one.wa_message_ids, one.text) for one in await at.errands()] == [
            (OutboxKind.REACT, ["OWN"], "👍"),
            (OutboxKind.REACT, ["THEIRS"], "❤️"),
            (OutboxKind.REACT, ["THEIRS"], ""),
        ]
        assert await at.desk.names() == []
        gone = await at.hear(wa_message_id="B", revoked_at=at.desk.clock())
        with pytest.raises(Conflict):
            await react(at, gone.id)

    talk(address, story)


@pytest.mark.parametrize(("status", "doubts"), [(FAILED, 0), (UNKNOWN, 1)])
def test_a_person_sends_again(status: MessageStatus, doubts: int, address: str) -> None:
    """It waits behind what was said since; one that was in doubt is not repeated unasked."""

    async def story(at: Talking) -> None:
        said = await at.send("hola")
        await at.become(said.id, status, error="se cayó")
        later = await at.send("¿hola?")
        await at.desk.news()
        again = await retry(at, said.id)
        assert (again.status, again.error, again.sent_at) == (QUEUED, None, said.sent_at)
        errands = await at.errands()
        assert [one.message_id for one in errands] == [later.id, said.id]
        assert (errands[1].kind, errands[1].doubts) == (OutboxKind.SEND, doubts)
        (told,) = await at.desk.news()
        assert isinstance(told, MessageStatusChanged)
        assert told.jids == {at.chat.id: at.chat.identity.jid}
        assert [(one.id, one.status) for one in told.messages] == [(said.id, QUEUED)]

    talk(address, story)


def test_a_person_takes_a_message_for_not_sent(address: str) -> None:
    """It failed, and can be sent again; a receipt that comes after all still counts."""

    async def story(at: Talking) -> None:
        said = await at.send()
        await at.become(said.id, UNKNOWN, error="nadie sabe")
        await at.desk.news()
        given_up = await give_up(at, said.id)
        assert (given_up.status, given_up.error) == (FAILED, "given up")
        assert await at.desk.names() == ["message.status_changed"]
        assert await at.errands() == []
        async with at.desk.tenant.begin() as tx:
            message = await tx.messages.get(said.id)
            assert message.rise(MessageStatus.DELIVERED, at=at.desk.clock())
        assert (await retry(at, said.id)).status is QUEUED

    talk(address, story)


@pytest.mark.parametrize("act", ["retry", "give_up"])
def test_one_settles_what_one_saw(act: str, address: str) -> None:
    """409 version_conflict: somebody else, or an echo, was faster."""

    async def story(at: Talking) -> None:
        said = await at.send()
        stored = await at.become(said.id, UNKNOWN)
        settle = getattr(at.messages, act)
        with pytest.raises(Conflict) as caught:
            await settle(at.desk.agent, said.id, Precondition(version=said.version))
        assert caught.value.code == "version_conflict"
        await settle(at.desk.agent, said.id, Precondition(version=stored.version))

    talk(address, story)


def test_typing_is_shown_for_ten_seconds(address: str) -> None:
    """Then it is not worth an errand any more; nor is it while the device is not connected."""

    async def story(at: Talking) -> None:
        asked = Typing(chat_id=at.chat.id)
        await at.messages.type(at.desk.agent, asked)
        assert await at.errands() == []
        await at.connect()
        before = at.desk.clock()
        await at.messages.type(at.desk.agent, asked)
        await at.messages.type(at.desk.agent, Typing(chat_id=at.chat.id, state=TypingState.PAUSED))
        typing, paused = await at.errands()
        assert (typing.kind, typing.text, paused.text) == (OutboxKind.TYPING, "composing", "paused")
        assert typing.expires_at == before + timedelta(minutes=1) + TYPING_COUNTS
        assert timedelta(seconds=10) == TYPING_COUNTS
        assert await at.desk.names() == []
        await at.inbox.delete(at.chat)
        with pytest.raises(NotFound):
            await at.messages.type(at.desk.agent, asked)

    talk(address, story)


@pytest.mark.parametrize("act", [edit, delete])
def test_nobody_changes_what_is_being_sent(act: Act, address: str) -> None:
    """R15: whoever begins to send it at that moment has it, or finds it changed or gone."""

    async def story(at: Talking) -> None:
        for turn in range(12):
            said = await at.send("hola")

            async def begin_soon(pause: int = turn % 6) -> str | None:
                for _ in range(pause):
                    await asyncio.sleep(0)
                return await begin(at)

            changed, sent = await asyncio.gather(
                act(at, said.id), begin_soon(), return_exceptions=True
            )
            stored = await at.desk.tenant.views.message(said.id)
            if isinstance(changed, Conflict):
                assert (stored.status, stored.body, sent) == (SENDING, "hola", "hola")
            else:
                assert not isinstance(changed, BaseException), changed
                assert sent in ([None] if act is delete else ["otra"])
            await at.become(said.id, MessageStatus.SENT, wa_message_id=f"WA{turn}")

    talk(address, story)


async def begin(at: Talking) -> str | None:
    """Begin to send what is next, as the holder of the device does, and return its text."""
    async with at.desk.tenant.begin() as tx:
        await tx.devices.get(at.inbox.device_id)
        item = await tx.outbox.next(at.inbox.device_id, at=at.desk.clock())
        if item is None or item.message_id is None:
            return None
        await tx.chats.get_many([item.chat_id])
        message = await tx.messages.get(item.message_id)
        item.begin(7)
        await tx.outbox.save(item)
        message.hand_over(at=at.desk.clock())
        await tx.messages.save([message])
    return message.body
