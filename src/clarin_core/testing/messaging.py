"""The contract of messaging: what is heard counts until it is acknowledged, what is sent once."""

import pytest
from msgspec.structs import replace

from clarin_core.domain.inbound import Activity, Inbound, MessageSeen, Presence, ReceiptSeen
from clarin_core.domain.media import MediaType
from clarin_core.domain.messages import Card, Location, MessageKind, MessageStatus, Poll, Quoted
from clarin_core.ports.messaging import (
    NotSent,
    OutcomeUnknown,
    Outgoing,
    Refused,
    Step,
)
from clarin_core.testing.messaging_sessions import SessionLaws
from clarin_core.testing.messaging_stage import NOBODY, Stage, arrived, connected, messages

OUTGOING = [
    ("text", Outgoing(to=NOBODY, body="hola\n👍")),
    (
        "reply",
        Outgoing(to=NOBODY, body="sí", quoted=Quoted(wa_message_id="3EB0AA", body="¿vienes?")),
    ),
    (
        "media",
        Outgoing(
            to=NOBODY,
            body="la factura",
            media=b"%PDF-1.7",
            media_type=MediaType.DOCUMENT,
            mimetype="application/pdf",
            filename="factura.pdf",
        ),
    ),
    (
        "location",
        Outgoing(to=NOBODY, location=Location(latitude=-12.5, longitude=-77, name="Lima")),
    ),
    ("cards", Outgoing(to=NOBODY, cards=[Card(name="Ana", vcard="BEGIN:VCARD\nEND:VCARD")])),
    ("poll", Outgoing(to=NOBODY, body="¿Cuándo?", poll=Poll(options=["a", "b"], selectable=1))),
]


class MessagingContract(SessionLaws):
    """What a messaging adapter must keep; extend it, and say in `open` how to open yours.

    It needs the other side, too: a server of the test's, or a simulation.
    """

    def test_what_is_said_is_heard(self) -> None:
        """In order, with its id, its chat, its sender and its time."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (_, ear):
                names = [stage.she_says(body) for body in ("uno", "dos", "¿tres? 👍")]
                heard = [await ear.message(body) for body in ("uno", "dos", "¿tres? 👍")]
                assert [message.wa_message_id for message in heard] == names
                for message in heard:
                    assert message.chat.identity == stage.her
                    assert message.sender == message.chat
                    assert message.kind is MessageKind.TEXT
                    assert not message.is_from_me
                    assert message.sent_at.tzinfo is not None

        self.tell(story)

    def test_what_the_phone_says_is_heard_as_ones_own(self) -> None:
        """In the chat of whom it was said to."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (_, ear):
                name = stage.phone_says("desde el teléfono")
                heard = await ear.message("desde el teléfono")
                assert (heard.wa_message_id, heard.is_from_me) == (name, True)
                assert heard.chat.identity == stage.her

        self.tell(story)

    def test_what_was_acknowledged_does_not_come_again(self) -> None:
        """R1: not to this session, not to the next one, not after a disconnection."""

        async def story(stage: Stage) -> None:
            jid = stage.link()
            async with connected(stage, jid) as (_, ear):
                stage.she_says("uno")
                await ear.message("uno")
                stage.break_off(jid)
                await ear.step(Step.DISCONNECTED)
                await ear.step(Step.CONNECTED)
                stage.she_says("dos")
                await ear.message("dos")
            async with connected(stage, jid) as (_, ear):
                stage.she_says("tres")
                await ear.message("tres")

        self.tell(story)

    def test_what_was_not_acknowledged_comes_again(self) -> None:
        """R1: each by itself, to the next session, and after a disconnection."""

        async def story(stage: Stage) -> None:
            if not stage.messaging.redelivers:
                pytest.skip("what this adapter has told is not told again")
            jid = stage.link()
            async with connected(stage, jid, acknowledges=False) as (_, ear):
                for body in ("uno", "dos", "tres"):
                    stage.she_says(body)
                await ear.message("uno")
                await (await ear.delivery()).ack()
                await ear.message("tres")
            async with connected(stage, jid, acknowledges=False) as (_, ear):
                await ear.message("uno")
                await ear.message("tres")
                stage.break_off(jid)
                await ear.step(Step.DISCONNECTED)
                await ear.step(Step.CONNECTED)
                await ear.message("uno")

        self.tell(story)

    def test_a_device_does_not_miss_what_was_said_meanwhile(self) -> None:
        """WhatsApp keeps it until the device is there."""

        async def story(stage: Stage) -> None:
            jid = stage.link()
            stage.she_says("¿hay alguien?")
            async with connected(stage, jid) as (_, ear):
                await ear.message("¿hay alguien?")

        self.tell(story)

    @pytest.mark.parametrize("content", range(6), ids=lambda at: OUTGOING[at][0])
    def test_what_is_sent_arrives_as_it_is(self, content: int) -> None:
        """Once, with all that it says, under the id that the sender is told."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (session, _):
                sent = await session.send(replace(OUTGOING[content][1], to=stage.her))
                seen = arrived(stage)
                assert seen.wa_message_id == sent.wa_message_id
                assert sent.at.tzinfo is not None
                assert said(seen) == said(OUTGOING[content][1])
                if OUTGOING[content][1].media is not None:
                    assert seen.media is not None
                    assert await session.fetch(seen.media.source) == OUTGOING[content][1].media

        self.tell(story)

    def test_receipts_name_what_was_sent(self) -> None:
        """They may come before the answer, but surely under that id."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (session, ear):
                sent = await session.send(Outgoing(to=stage.her, body="hola"))
                stage.she_reads(sent.wa_message_id)
                for status in (MessageStatus.DELIVERED, MessageStatus.READ):
                    receipt = await ear.first(ReceiptSeen)
                    assert receipt.wa_message_ids == [sent.wa_message_id]
                    assert (receipt.status, receipt.is_own) == (status, False)
                    assert receipt.chat.identity == stage.her

        self.tell(story)

    def test_an_id_that_is_honoured_is_delivered_once(self) -> None:
        """R15: however often it is sent, also when the first time nobody knew."""

        async def story(stage: Stage) -> None:
            if not stage.messaging.honours_ids:
                pytest.skip("this adapter does not take ids")
            async with connected(stage) as (session, _):
                message = Outgoing(to=stage.her, wa_message_id="3EB0ABCDEF", body="hola")
                stage.doubt_next(is_done=True)
                with pytest.raises(OutcomeUnknown):
                    await session.send(message)
                for _ in range(2):
                    assert (await session.send(message)).wa_message_id == "3EB0ABCDEF"
                seen = arrived(stage)
                assert seen.wa_message_id == "3EB0ABCDEF"

        self.tell(story)

    def test_what_surely_failed_did_not_arrive(self) -> None:
        """To send it again is safe: it arrives once."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (session, _):
                stage.fail_next()
                with pytest.raises(NotSent):
                    await session.send(Outgoing(to=stage.her, body="hola"))
                assert messages(stage) == []
                await session.send(Outgoing(to=stage.her, body="hola"))
                assert len(messages(stage)) == 1

        self.tell(story)

    @pytest.mark.parametrize("is_done", [True, False])
    def test_a_doubt_is_told_as_one(self, is_done: bool) -> None:
        """Whether it arrived or not: the adapter never tries again by itself."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (session, _):
                stage.doubt_next(is_done=is_done)
                with pytest.raises(OutcomeUnknown):
                    await session.send(Outgoing(to=stage.her, body="hola"))
                assert len(messages(stage)) == is_done

        self.tell(story)

    def test_nobody_is_refused(self) -> None:
        """A message to a number that has no WhatsApp does not stay in doubt."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (session, _):
                with pytest.raises(Refused):
                    await session.send(Outgoing(to=NOBODY, body="hola"))

        self.tell(story)

    def test_an_own_message_is_edited_and_taken_back(self) -> None:
        """The other side sees both, of that message."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (session, _):
                name = (await session.send(Outgoing(to=stage.her, body="ola"))).wa_message_id
                await session.edit(stage.her, name, "hola")
                await session.revoke(stage.her, name)
                edited, revoked = stage.seen()[-2:]
                assert shape(edited) == ("EditSeen", name, "hola")
                assert shape(revoked) == ("RevokeSeen", name, None)

        self.tell(story)

    def test_reactions_find_their_message(self) -> None:
        """Ones own and the other side's; an empty one takes it back."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (session, _):
                own = (await session.send(Outgoing(to=stage.her, body="hola"))).wa_message_id
                hers = stage.she_says("hola")
                await session.react(stage.her, own, "👍", is_own=True)
                await session.react(stage.her, hers, "❤️", is_own=False)
                await session.react(stage.her, hers, "", is_own=False)
                assert [shape(one) for one in stage.seen()[-3:]] == [
                    ("ReactionSeen", own, "👍"),
                    ("ReactionSeen", hers, "❤️"),
                    ("ReactionSeen", hers, ""),
                ]

        self.tell(story)

    def test_the_other_side_sees_what_was_read_and_that_somebody_types(self) -> None:
        """Nothing else of what is done with a chat here."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (session, _):
                name = stage.she_says("hola")
                await session.mark_read(stage.her, [name])
                await session.type(stage.her, Activity.COMPOSING)
                receipt, typing = stage.seen()[-2:]
                assert isinstance(receipt, ReceiptSeen)
                assert (receipt.wa_message_ids, receipt.status) == ([name], MessageStatus.READ)
                assert isinstance(typing, Presence)
                assert typing.activity is Activity.COMPOSING

        self.tell(story)

    def test_an_offered_file_is_fetched(self) -> None:
        """By its source; what is gone is refused."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (session, ear):
                stage.she_offers(b"%PDF")
                heard = await ear.first(MessageSeen)
                assert heard.media is not None
                assert heard.media.size == len(b"%PDF")
                assert await session.fetch(heard.media.source) == b"%PDF"
                with pytest.raises(Refused):
                    await session.fetch(b"no such source")

        self.tell(story)

    def test_the_phone_knows_whom_it_talked_with(self) -> None:
        """By the names that they gave themselves."""

        async def story(stage: Stage) -> None:
            async with connected(stage) as (session, _):
                assert await session.contacts() == []
                stage.she_says("hola")
                (known,) = await session.contacts()
                assert (known.chat.identity, known.push_name) == (stage.her, "Ana")

        self.tell(story)


def said(message: MessageSeen | Outgoing) -> tuple[object, ...]:
    """Return what it says, of either side."""
    fields = (message.body, message.quoted, message.location, message.cards, message.poll)
    if isinstance(message, Outgoing):
        return (*fields, message.media_type, message.mimetype, message.filename)
    media = message.media
    return (*fields, *((media.type, media.mimetype, media.filename) if media else [None] * 3))


def shape(seen: Inbound | Presence) -> tuple[str, object, object]:
    """Return the kind of something, the message that it is about, and what it says of it."""
    text = getattr(seen, "body", getattr(seen, "emoji", None))
    return type(seen).__name__, getattr(seen, "wa_message_id", None), text
