"""The simulated town: it scans, it talks, it answers, and it does not remember for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from clarin_core.domain.inbound import (
    EditSeen,
    MessageSeen,
    Presence,
    ReactionSeen,
    ReceiptSeen,
    RevokeSeen,
    VoteSeen,
)
from clarin_core.domain.jid import Identity
from clarin_core.domain.media import MediaType
from clarin_core.domain.media_types import sniff
from clarin_core.domain.messages import MessageKind, MessageStatus, Poll
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.replies import option_digest
from clarin_core.ports.messaging import (
    CodeShown,
    Heard,
    Outgoing,
    Paired,
    Refused,
    SentAs,
    Session,
    SessionStep,
    Step,
)
from clarin_core.testing.messaging_stage import KEY
from clarin_whatsapp import Town, TownMessaging, conversation, town, townsfolk
from clarin_whatsapp.small_talk import SCRIPTS
from support.world import Hourglass

MINUTE = timedelta(minutes=1)
SHOP = "51900000001:7@s.whatsapp.net"
TICK = timedelta(seconds=0.5)
PATIENCE = 20_000


@dataclass
class Visit:
    """A device in a town, and what it heard; all of it is acknowledged."""

    town: Town
    glass: Hourglass
    session: Session
    heard: list[Heard] = field(default_factory=list)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        async for delivery in self.session.heard():
            self.heard.append(delivery.heard)
            await delivery.ack()
        self.is_over.set()

    async def passes(self, time: timedelta) -> None:
        end = self.glass() + time
        await self.until(lambda: self.glass() >= end)

    async def until(self, done: Callable[[], object]) -> None:
        for _ in range(PATIENCE):
            if done():
                return
            self.glass.forward(TICK)
            for _ in range(8):
                await asyncio.sleep(0)
        raise AssertionError("it never came to be")

    async def first(self, kind: type, when: Callable[[Heard], object] = bool) -> Heard:
        def found() -> list[Heard]:
            return [one for one in self.heard if isinstance(one, kind) and when(one)]

        await self.until(found)
        return found()[0]

    async def send(self, message: Outgoing) -> SentAs:
        sending = asyncio.ensure_future(self.session.send(message))
        await self.until(sending.done)
        return await sending

    @property
    def new(self) -> list[MessageSeen]:
        """What was said since the device is there."""
        said = (one for one in self.heard if isinstance(one, MessageSeen))
        return [message for message in said if not message.is_history]


@asynccontextmanager
async def visiting(seed: int = 1, jid: str | None = SHOP) -> AsyncIterator[Visit]:
    glass = Hourglass()
    place = Town(seed, clock=glass, sleep=glass.sleep)
    async with TownMessaging(place).session(KEY, jid=jid) as session:
        visit = Visit(place, glass, session)
        listening = asyncio.create_task(visit.listen())
        yield visit
    await listening


def a_customer() -> Identity:
    return Identity.of_phone(townsfolk.inhabitant(0).phone)


async def story(seed: int, time: timedelta) -> list[Heard]:
    async with visiting(seed) as visit:
        await visit.passes(time)
    return visit.heard


def test_a_seed_tells_the_same_story_again() -> None:
    first, again, other = (asyncio.run(story(seed, MINUTE)) for seed in (7, 7, 8))
    assert len(first) > 5
    assert first == again
    assert first != other


def test_a_phone_scans_a_code_and_brings_its_past() -> None:
    async def told() -> None:
        async with visiting(jid=None) as visit:
            paired = await visit.first(Paired)
            assert isinstance(visit.heard[0], CodeShown)
            assert isinstance(paired, Paired)
            assert paired.phone == townsfolk.shop_phone(1)
            assert visit.glass() - visit.heard[0].expires_at < timedelta(0)
            await visit.until(lambda: len(visit.new) > 3)
            past = [one for one in visit.heard if isinstance(one, MessageSeen) and one.is_history]
            chats = {message.chat for message in past}
            assert len(chats) == townsfolk.CIRCLE
            assert len(past) > 5 * len(chats)
            assert all(message.sent_at < visit.glass() for message in past)
            assert {message.is_from_me for message in past} == {True, False}

    asyncio.run(told())


def test_a_code_is_typed_on_the_phone_that_was_named() -> None:
    async def told() -> None:
        async with visiting(jid=None) as visit:
            await visit.first(CodeShown)
            phone = PhoneNumber("+51987654321")
            await visit.session.pair_code(phone)
            paired = await visit.first(Paired)
            assert isinstance(paired, Paired)
            assert paired.phone == phone

    asyncio.run(told())


def test_a_device_of_an_earlier_run_is_known() -> None:
    async def told() -> None:
        async with visiting() as visit:
            assert await visit.first(SessionStep) == SessionStep(step=Step.CONNECTED)
            await visit.first(MessageSeen)
            assert {message.is_history for message in visit.new} == {False}

    asyncio.run(told())


def test_who_is_unlinked_can_be_paired_anew() -> None:
    async def told() -> None:
        async with visiting() as visit:
            await visit.first(SessionStep)
            leaving = asyncio.ensure_future(visit.session.log_out())
            await visit.first(SessionStep, lambda one: one != SessionStep(step=Step.CONNECTED))
            await leaving
            assert visit.town.lines == {}

    asyncio.run(told())


def test_whoever_is_written_to_reads_and_answers() -> None:
    async def told() -> None:
        async with visiting() as visit:
            await visit.first(SessionStep)
            stranger = PhoneNumber("+51912345678")
            to = Identity.of_phone(stranger)
            sent = await visit.send(Outgoing(to=to, body="¡Buenas!"))
            await visit.first(
                ReceiptSeen,
                lambda one: (
                    isinstance(one, ReceiptSeen)
                    and one.wa_message_ids == [sent.wa_message_id]
                    and one.status is MessageStatus.READ
                ),
            )
            await visit.first(
                MessageSeen, lambda one: isinstance(one, MessageSeen) and one.chat.identity == to
            )

    asyncio.run(told())


def test_nobody_has_a_number_that_ends_in_0000() -> None:
    async def told() -> None:
        async with visiting() as visit:
            await visit.first(SessionStep)
            with pytest.raises(Refused):
                await visit.send(Outgoing(to=Identity.of_phone(PhoneNumber("+51912340000"))))

    asyncio.run(told())


def test_a_poll_is_voted_in() -> None:
    async def told() -> None:
        async with visiting() as visit:
            await visit.first(SessionStep)
            poll = Poll(options=["hoy", "mañana"], selectable=1)
            sent = await visit.send(Outgoing(to=a_customer(), body="¿Cuándo?", poll=poll))
            vote = await visit.first(VoteSeen)
            assert isinstance(vote, VoteSeen)
            assert vote.wa_message_id == sent.wa_message_id
            assert vote.options[0] in map(option_digest, poll.options)

    asyncio.run(told())


def test_in_an_hour_with_a_shop_that_answers_everything_happens() -> None:
    async def told() -> None:
        async with visiting(3) as visit:
            await visit.first(SessionStep)
            answered = 0
            for _ in range(240):
                await visit.passes(timedelta(seconds=15))
                theirs = [one for one in visit.new if not one.is_from_me]
                for message in theirs[answered:]:
                    await visit.send(Outgoing(to=message.chat.identity, body="claro que sí"))
                answered = len(theirs)
            kinds = {message.kind for message in visit.new}
            assert kinds >= {
                MessageKind.TEXT, MessageKind.IMAGE, MessageKind.AUDIO, MessageKind.DOCUMENT,
                MessageKind.LOCATION,
            }  # fmt: skip
            assert {type(one) for one in visit.heard} >= {
                EditSeen, Presence, ReactionSeen, ReceiptSeen, RevokeSeen,
            }  # fmt: skip
            assert any(message.quoted for message in visit.new)
            assert any(message.chat.other for message in visit.new)

    asyncio.run(told())


def test_files_are_what_they_are_said_to_be() -> None:
    async def told() -> None:
        async with visiting() as visit:
            await visit.first(SessionStep)
            for kind in MediaType.IMAGE, MediaType.AUDIO, MediaType.DOCUMENT:
                offer = visit.town.offer(kind.value)
                fetching = asyncio.ensure_future(visit.session.fetch(offer.source))
                await visit.until(fetching.done)
                content = await fetching
                assert sniff(content).mimetype == offer.mimetype
                assert sniff(content).as_(offer.type) is kind
                assert len(content) == offer.size

    asyncio.run(told())


def test_whoever_is_not_answered_stops_asking() -> None:
    """Else a night without anybody at the desk would fill the inbox."""
    heard = asyncio.run(story(2, timedelta(hours=2)))
    said = [one for one in heard if isinstance(one, MessageSeen)]
    early = [one for one in said if one.sent_at < said[0].sent_at + timedelta(minutes=10)]
    late = [one for one in said if one.sent_at > said[-1].sent_at - timedelta(minutes=10)]
    assert len(late) < len(early)
    assert len(late) <= townsfolk.CIRCLE * 4


def test_the_town_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it lives, and whatever is said to it."""
    monkeypatch.setattr(town, "LETTERS_MAX", 40)
    monkeypatch.setattr(town, "PEOPLE_MAX", 30)
    monkeypatch.setattr(town, "FILES_MAX", 5)
    monkeypatch.setattr(town, "UNACKNOWLEDGED_MAX", 20)

    async def told() -> None:
        async with visiting() as visit:
            await visit.first(SessionStep)
            here = visit.town
            other = here.admit("51900000001:8@s.whatsapp.net", here.owner(here.lines[SHOP]))
            for number in range(1, 60):
                to = Identity.of_phone(PhoneNumber(f"+5198765{number:04}"))
                kind = MediaType.IMAGE
                await visit.send(Outgoing(to=to, media=b"x" * number, media_type=kind))
            await visit.passes(timedelta(minutes=30))
            assert len(here.people) <= 60
            assert len(here.files) <= 5 + len(here._own_files)
            assert len(here._bags.letters) <= 40
            assert len(here._talks) <= 30
            assert len(other.unacknowledged) <= 20
            assert max(len(person.screen) for person in here.people.values()) < 20
            assert len(here._deeds) < 40 * 30

    asyncio.run(told())


def test_the_phone_book_gives_no_phone_twice() -> None:
    folk = [townsfolk.inhabitant(number) for number in range(townsfolk.FOLK)]
    shops = {townsfolk.shop_phone(number) for number in range(1, 100)}
    phones = {person.phone for person in folk}
    assert len(phones) == townsfolk.FOLK
    assert not phones & shops
    assert not any(phone.endswith("0000") for phone in phones)
    assert len({person.name for person in folk}) > 200
    assert {townsfolk.inhabitant_with(person.phone) for person in folk} == {*folk}
    neighbours = map(townsfolk.circle_of, (townsfolk.shop_phone(1), townsfolk.shop_phone(2)))
    assert not set.intersection(*({one.phone for one in circle} for circle in neighbours))


def test_every_line_of_every_script_can_be_said() -> None:
    place = Town(1, clock=Hourglass(), sleep=Hourglass().sleep)
    said = [conversation.said_as(line, place) for script in SCRIPTS for line in script]
    assert all(one.body or one.media or one.location for one in said)
    assert not any("[" in (one.body or "") for one in said)


def test_a_town_that_breaks_ends_its_sessions() -> None:
    """Rather than standing still without a word."""

    async def told() -> None:
        async with visiting() as visit:
            await visit.first(SessionStep)
            visit.town.plan(0, lambda: 1 / 0)
            await visit.until(visit.is_over.is_set)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(told())
