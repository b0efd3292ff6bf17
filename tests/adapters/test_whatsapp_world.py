"""The bad manners of the simulated WhatsApp: each can be had, and none loses or doubles a thing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarin_core.domain.inbound import MessageSeen, Peer, PeerSeen, ReceiptSeen, VoteSeen
from clarin_core.domain.messages import MessageKind, MessageStatus, Poll
from clarin_core.domain.replies import option_digest
from clarin_core.ports.messaging import Heard, NotSent, OutcomeUnknown, Outgoing, Session, Step
from clarin_core.testing.messaging_stage import KEY, Ear, connected
from clarin_whatsapp import WILD, Manner, Person, Said, SimulatedMessaging, World
from support.world import Hourglass, SimulatedStage, new_world

MINUTE = timedelta(minutes=1)
Story = Callable[[SimulatedStage], Awaitable[None]]


def tell(story: Story, manner: Manner | None = None) -> None:
    async def told() -> None:
        stage = SimulatedStage()
        stage.world.chance.manner = manner or stage.world.chance.manner
        async with asyncio.timeout(20):
            await story(stage)

    asyncio.run(told())


@asynccontextmanager
async def listening(world: World, jid: str) -> AsyncIterator[tuple[Session, list[Heard]]]:
    """Open a device, and take down and acknowledge all that it hears."""
    heard: list[Heard] = []

    async def listen(session: Session) -> None:
        async for delivery in session.heard():
            heard.append(delivery.heard)
            await delivery.ack()

    async with asyncio.TaskGroup() as group, SimulatedMessaging(world).session(KEY, jid=jid) as it:
        group.create_task(listen(it))
        yield it, heard


async def passes(glass: Hourglass, done: Callable[[], bool]) -> None:
    """Let time pass until something is so."""
    while not done():
        glass.forward(timedelta(seconds=5))
        await asyncio.sleep(0)


async def talk(seed: int, bodies: list[str]) -> tuple[list[Heard], Person, Person]:
    """Let two people talk in a wild world; return what the device heard, and the two."""
    world, glass = new_world(seed, manner=WILD)
    phone, she = world.person("+51900000000"), world.person("+51911111111", "Ana")
    jid = world.link(phone)
    async with listening(world, jid) as (session, heard):
        for body in bodies:
            she.says(phone, body)
            phone.says(she, body)
            sending = asyncio.ensure_future(outcome(session, she, body))
            await passes(glass, sending.done)
        await passes(glass, lambda: not world.lines[jid].unacknowledged)
    return heard, phone, she


async def outcome(session: Session, to: Person, body: str) -> object:
    """Send something until it did not surely fail."""
    while True:
        try:
            return await session.send(Outgoing(to=to.peer.identity, body=body))
        except OutcomeUnknown as error:
            return error
        except NotSent:
            await asyncio.sleep(0)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), bodies=st.lists(st.sampled_from("abc"), max_size=8))
def test_whatever_happens_nothing_is_lost_and_nobody_sees_anything_twice(
    seed: int, bodies: list[str]
) -> None:
    """The device hears all at least once that its phone shows, and phones show it once."""
    heard, phone, she = asyncio.run(talk(seed, bodies))
    told = {one.wa_message_id for one in heard if isinstance(one, MessageSeen)}
    shown = [one for one in phone.screen if isinstance(one, MessageSeen)]
    typed = len(bodies) * 2
    assert typed <= len(shown) <= typed + len(bodies)
    assert {one.wa_message_id for one in phone.messages} <= told
    assert max(Counter(one.wa_message_id for one in she.messages).values(), default=1) == 1
    assert all(times <= 2 * bodies.count(body or "") for body, times in she.arrivals.items())


def test_a_seed_tells_the_same_story_again() -> None:
    first, again, other = (asyncio.run(talk(seed, list("abcdef")))[0] for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_wild_manners_show() -> None:
    """A run in which nothing goes wrong would prove nothing."""
    heard, *_ = asyncio.run(talk(3, list("abcdefghijklmnop")))
    messages = [one for one in heard if isinstance(one, MessageSeen)]
    theirs = [one for one in messages if not one.is_from_me and not one.is_placeholder]
    assert len({one.wa_message_id for one in theirs}) < len(theirs)
    assert any(one.is_placeholder for one in messages)
    assert [one.body for one in theirs] != sorted(one.body or "" for one in theirs)
    assert Step.DISCONNECTED in {getattr(one, "step", None) for one in heard}


def test_what_cannot_be_decrypted_is_told_before_its_copy() -> None:
    async def story(stage: SimulatedStage) -> None:
        async with connected(stage) as (_, ear):
            name = stage.she_says("hola")
            placeholder, copy = await ear.first(MessageSeen), await ear.first(MessageSeen)
            assert placeholder.is_placeholder
            assert (placeholder.kind, placeholder.body) == (MessageKind.UNKNOWN, None)
            assert (copy.wa_message_id, copy.body) == (placeholder.wa_message_id, "hola")
            assert placeholder.wa_message_id == name

    tell(story, Manner(undecrypted=1))


@pytest.mark.parametrize(("manner", "times"), [(Manner(), 0), (Manner(echoed=1), 1)])
def test_a_device_may_hear_what_it_sent(manner: Manner, times: int) -> None:
    async def story(stage: SimulatedStage) -> None:
        async with connected(stage) as (session, ear):
            await session.send(Outgoing(to=stage.her, body="hola"))
            stage.she_says("fin")
            echoes = 0
            while (await ear.first(MessageSeen)).is_from_me:
                echoes += 1
            assert echoes == times

    tell(story, manner)


def test_another_device_hears_what_one_does() -> None:
    async def story(stage: SimulatedStage) -> None:
        async with connected(stage) as (session, _), connected(stage) as (_, ear):
            hers = stage.she_says("hola")
            await ear.message("hola")
            await session.send(Outgoing(to=stage.her, body="¡hola!"))
            assert (await ear.message("¡hola!")).is_from_me
            await session.mark_read(stage.her, [hers])
            await ear.first(ReceiptSeen)
            receipt = await ear.first(ReceiptSeen)
            assert (receipt.wa_message_ids, receipt.is_own) == ([hers], True)
            assert receipt.status is MessageStatus.READ

    tell(story)


def test_a_phone_may_be_learned_later() -> None:
    async def story(stage: SimulatedStage) -> None:
        phone, lid = stage.she.identities
        stage.she.hides_phone, stage.she.is_revealed = True, False
        async with connected(stage) as (session, ear):
            stage.she_says("hola")
            assert (await ear.message("hola")).chat == Peer(identity=lid)
            await session.send(Outgoing(to=lid, body="¿quién es?"))
            stage.she.reveals_phone()
            assert (await ear.first(PeerSeen)).chat == Peer(identity=lid, other=phone)
            stage.she_says("Ana")
            assert (await ear.message("Ana")).chat == Peer(identity=lid, other=phone)

    tell(story)


def test_a_new_device_is_told_what_was_before() -> None:
    async def story(stage: SimulatedStage) -> None:
        stage.she_says("uno")
        stage.phone_says("dos")
        async with connected(stage) as (_, ear):
            past = [await ear.message("uno"), await ear.message("dos")]
            assert [one.is_history for one in past] == [True, True]
            assert [one.is_from_me for one in past] == [False, True]
            stage.she_says("tres")
            assert not (await ear.message("tres")).is_history

    tell(story)


def test_what_is_sent_waits_for_a_phone_that_is_off() -> None:
    async def story(stage: SimulatedStage) -> None:
        async with connected(stage) as (session, ear):
            stage.she.goes_offline()
            await session.send(Outgoing(to=stage.her, body="hola"))
            assert stage.she.messages == []
            stage.she.comes_online()
            assert [one.body for one in stage.she.messages] == ["hola"]
            assert (await ear.first(ReceiptSeen)).status is MessageStatus.DELIVERED

    tell(story)


def test_votes_are_told_as_digests() -> None:
    async def story(stage: SimulatedStage) -> None:
        async with connected(stage) as (session, ear):
            poll = Poll(options=["hoy", "mañana"], selectable=1)
            sent = await session.send(Outgoing(to=stage.her, body="¿Cuándo?", poll=poll))
            stage.she.votes(sent.wa_message_id, "mañana")
            vote = await ear.first(VoteSeen)
            assert vote.options == [option_digest("mañana")]
            assert vote.voter == vote.chat == stage.she.peer

    tell(story)


def test_a_call_that_loses_its_connection_is_in_doubt() -> None:
    async def story(stage: SimulatedStage) -> None:
        jid = stage.link()
        async with connected(stage, jid) as (session, _):
            stage.world.chance.manner = Manner(delay=MINUTE)
            sending = asyncio.ensure_future(session.send(Outgoing(to=stage.her, body="hola")))
            await asyncio.sleep(0)
            stage.world.break_off(jid)
            await stage.forward(MINUTE)
            with pytest.raises(OutcomeUnknown):
                await sending
            assert stage.she.messages == []

    tell(story)


def test_people_may_be_renamed_play_and_send_what_nobody_knows() -> None:
    async def story(stage: SimulatedStage) -> None:
        async with connected(stage) as (_, ear):
            stage.she.sends(stage.phone, Said(kind=MessageKind.UNKNOWN, raw=b"\x01"))
            assert (await ear.first(MessageSeen)).raw == b"\x01"
            name = stage.phone_says("una nota")
            stage.she.plays(name)
            stage.she.renames("Anita")
            played = [await ear.first(ReceiptSeen) for _ in range(2)][-1]
            assert played.status is MessageStatus.PLAYED
            assert (await ear.first(PeerSeen)).push_name == "Anita"

    tell(story)


def test_a_pairing_is_refused_to_a_device_that_is_too_old() -> None:
    async def story(stage: SimulatedStage) -> None:
        jid = stage.link()
        stage.world.outdate()
        async with stage.messaging.session(KEY, jid=jid) as session:
            ear = Ear(session)
            await ear.step(Step.OUTDATED)
            await ear.end()

    tell(story)
