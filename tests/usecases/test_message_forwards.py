"""What was said is said again elsewhere: the words and the file, and nothing of what became of it.

And whatever goes wrong on the way of any message, nothing half is left (CH12).
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from clarin_core.domain.actor import Actor
from clarin_core.domain.chats import ChatQuery
from clarin_core.domain.devices import DeviceStatus
from clarin_core.domain.ids import ChatId, MediaId, MessageId
from clarin_core.domain.inbox_events import MessageQueued
from clarin_core.domain.media import MediaState
from clarin_core.domain.messages import (
    Card,
    Location,
    MessageKind,
    MessageStatus,
    MessageView,
    PastBody,
    Poll,
    Quoted,
)
from clarin_core.domain.replies import PollResult, Vote
from clarin_core.domain.sending import (
    Forward,
    MessageChoice,
    MessageEdit,
    NewMessage,
    NewPoll,
    NewReaction,
    Typing,
)
from clarin_core.errors import Conflict, Invalid, NotFound
from clarin_core.testing.inbox import inbox_of, somebody
from clarin_core.testing.tenants import NOON, OnPurposeError
from clarin_core.usecases.messages import MessageUseCases
from clarin_memory.outbox import MemoryOutboxStore
from clarin_postgres.outbox import PostgresOutboxStore
from support.talking import Talking, talk

LIMA = Location(latitude=-12.05, longitude=-77.04, name="Lima")
EVA = Card(name="Eva", vcard="BEGIN:VCARD")
POLL = Poll(options=["sí", "no"], selectable=1)

CONTENTS: list[dict[str, Any]] = [
    {"body": "hola"},
    {"kind": MessageKind.LOCATION, "body": None, "location": LIMA},
    {"kind": MessageKind.CONTACT, "body": None, "cards": [EVA, EVA]},
    {"kind": MessageKind.POLL, "body": "¿Vienes?", "poll": POLL},
]


async def forward(at: Talking, message_id: MessageId, *chats: ChatId) -> list[MessageView]:
    wanted = Forward(message_id=message_id, chat_ids=frozenset(chats))
    return await at.messages.forward(at.desk.agent, wanted)


@pytest.mark.parametrize("content", CONTENTS)
def test_what_was_said_is_said_elsewhere(content: dict[str, Any], address: str) -> None:
    """In the order of chats, as a message of one's own, whoever said it first."""

    async def story(at: Talking) -> None:
        chats = await at.other_chats(4, 3, 2)
        other_than_text = {name: value for name, value in content.items() if name != "body"}
        said = await at.hear(content["body"], wa_message_id="A", **other_than_text)
        sent = await forward(at, said.id, *chats, at.chat.id)
        assert [one.chat_id for one in sent] == sorted([*chats, at.chat.id])
        for one in sent:
            assert one == await at.desk.tenant.views.message(one.id)
            assert {name: getattr(one, name) for name in content} == content
            assert (one.status, one.actor) == (MessageStatus.QUEUED, at.desk.agent.user_id)
        errands = await at.errands()
        assert [one.message_id for one in errands] == [one.id for one in sent]
        assert await at.desk.names() == ["message.queued"] * 4
        shown = (await at.desk.tenant.views.chats(ChatQuery())).data
        assert {chat.last_message_id for chat in shown} == {one.id for one in sent}

    talk(address, story)


def test_only_the_content_goes_on(address: str) -> None:
    """No quote, no history, no votes; and the poll can be answered anew."""

    async def story(at: Talking) -> None:
        (other,) = await at.other_chats(2)
        said = await at.hear(
            "¿Vienes?", wa_message_id="A", kind=MessageKind.POLL, poll=POLL, edited_at=NOON,
            edits=[PastBody(body="¿Viene?", until=NOON)], quoted=Quoted(wa_message_id="B"),
            sender_name="Eva",
        )  # fmt: skip
        vote = Vote(
            chat_id=at.chat.id, wa_message_id="A", voter=somebody(1), options=["sí"], at=NOON
        )
        async with at.desk.tenant.begin() as tx:
            await tx.messages.vote([vote])
        (sent,) = await forward(at, said.id, other)
        assert (sent.quoted, sent.edits, sent.edited_at, sent.sender_name) == (None, [], None, None)
        assert sent.results == [PollResult(option=one, votes=0) for one in POLL.options]

    talk(address, story)


def test_a_file_goes_on_while_it_is_here(address: str) -> None:
    """CH16: the same file, embedded in answer and event; one that is lost does not."""

    async def story(at: Talking) -> None:
        (other,) = await at.other_chats(2)
        photo = {"kind": MessageKind.IMAGE, "wa_message_id": "A"}
        said = await at.hear("mira", media_id=await at.add_file(), **photo)
        (sent,) = await forward(at, said.id, other)
        assert (sent.kind, sent.body) == (MessageKind.IMAGE, "mira")
        assert sent.media == (await at.desk.tenant.views.message(said.id)).media
        (told,) = await at.desk.news()
        assert isinstance(told, MessageQueued)
        assert told.file == sent.media
        states = [await at.add_file(state=one) for one in MediaState if one.value != "stored"]
        for number, media_id in enumerate([*states, None]):
            lost = await at.hear(**photo | {"wa_message_id": f"L{number}", "media_id": media_id})
            with pytest.raises(Invalid) as caught:
                await forward(at, lost.id, other)
            assert caught.value.field == "message_id"

    talk(address, story)


def test_what_nobody_said_is_not_forwarded(address: str) -> None:
    """What was taken back, what was not understood, what the system says: 422."""

    async def story(at: Talking) -> None:
        (other,) = await at.other_chats(2)
        gone = await at.hear(wa_message_id="A", revoked_at=at.desk.clock())
        odd = await at.hear(None, wa_message_id="B", kind=MessageKind.UNKNOWN, raw=b"?")
        system = await at.hear(wa_message_id="C", kind=MessageKind.SYSTEM)
        for one in (gone, odd, system):
            with pytest.raises(Invalid):
                await forward(at, one.id, other)
        assert await at.errands() == []

    talk(address, story)


def test_a_message_goes_to_all_chats_or_to_none(address: str) -> None:
    """One that is unknown, another's, deleted, or without its device: nothing is said."""

    async def story(at: Talking) -> None:
        other = await Talking.open(at.desk.tenant.storage)
        gone, kept = await at.inbox.open(somebody(2), somebody(3))
        await at.inbox.delete(gone)
        said = await at.hear(wa_message_id="A")
        foreign = await other.hear(wa_message_id="A")
        before = await at.picture(), await other.picture()
        for chat_id in (gone.id, other.chat.id, ChatId(2**62)):
            with pytest.raises(NotFound, match=f"chat {chat_id} "):
                await forward(at, said.id, kept.id, chat_id)
        with pytest.raises(NotFound):
            await forward(at, foreign.id, kept.id)
        assert (await at.picture(), await other.picture()) == before

    talk(address, story)


def test_all_devices_have_to_be_connected_where_nothing_may_wait(address: str) -> None:
    """409 device_not_connected for one of two, and nothing is said on either."""

    async def story(at: Talking) -> None:
        await at.connect()
        second = await inbox_of(at.desk.tenant)
        there = await second.open_one(5)
        said = await at.hear(wa_message_id="A")
        ids = frozenset({at.chat.id, there.id})
        wanted = Forward(message_id=said.id, chat_ids=ids, queue=False)
        before = await at.picture()
        with pytest.raises(Conflict) as caught:
            await at.messages.forward(at.desk.agent, wanted)
        assert (caught.value.code, caught.value.id) == ("device_not_connected", second.device_id)
        assert await at.picture() == before
        async with at.desk.tenant.begin() as tx:
            device = await tx.devices.get(second.device_id)
            device.become(DeviceStatus.CONNECTED, at=at.desk.clock())
            await tx.devices.save(device)
        assert len(await at.messages.forward(at.desk.agent, wanted)) == 2

    talk(address, story)


class Scene(NamedTuple):
    """Somebody who talks, and messages that were sent, that wait, and that failed."""

    at: Talking
    sent: MessageId
    waits: MessageId
    failed: MessageId
    media_id: MediaId
    others: list[ChatId]


ACTS: dict[str, Callable[[MessageUseCases, Actor, Scene], Awaitable[object]]] = {
    "send": lambda use, actor, on: use.send(
        actor,
        NewMessage(chat_id=on.at.chat.id, media_id=on.media_id, quoted_message_id=on.sent),
    ),
    "write": lambda use, actor, on: use.send(
        actor, NewMessage(device_id=on.at.inbox.device_id, to="987 654 321", body="hola")
    ),
    "ask": lambda use, actor, on: use.ask(
        actor, NewPoll(chat_id=on.at.chat.id, question="¿?", options=["a", "b"])
    ),
    "forward": lambda use, actor, on: use.forward(
        actor, Forward(message_id=on.sent, chat_ids=frozenset(on.others))
    ),
    "edit": lambda use, actor, on: use.edit(actor, MessageEdit(message_id=on.sent, body="otra")),
    "delete": lambda use, actor, on: use.revoke(actor, MessageChoice(message_id=on.sent)),
    "call off": lambda use, actor, on: use.revoke(actor, MessageChoice(message_id=on.waits)),
    "react": lambda use, actor, on: use.react(actor, NewReaction(message_id=on.sent, emoji="👍")),
    "retry": lambda use, actor, on: use.retry(actor, on.failed),
    "type": lambda use, actor, on: use.type(actor, Typing(chat_id=on.at.chat.id)),
}
"""Everything that leaves something to be done, or takes it away."""


@pytest.mark.parametrize("name", ACTS)
def test_nothing_half_is_left_when_the_outbox_fails(
    name: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CH12: message, chat, contact, errand and events are there together, or none of them."""

    async def fail(*_: object, **__: object) -> object:
        raise OnPurposeError

    async def story(at: Talking) -> None:
        await at.connect()
        sent, waits, failed = [(await at.send()).id for _ in range(3)]
        await at.arrive(sent)
        await at.become(failed, MessageStatus.FAILED)
        on = Scene(at, sent, waits, failed, await at.add_file(), await at.other_chats(8, 9))
        before = await at.picture()
        with monkeypatch.context() as patch:
            for store in (MemoryOutboxStore, PostgresOutboxStore):
                patch.setattr(store, "remove" if name == "call off" else "add", fail)
            with pytest.raises(OnPurposeError):
                await ACTS[name](at.messages, at.desk.agent, on)
        assert await at.picture() == before
        await ACTS[name](at.messages, at.desk.agent, on)
        assert await at.picture() != before

    talk(address, story)
