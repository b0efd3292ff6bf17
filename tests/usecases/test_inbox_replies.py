"""What is told of receipts, reactions and votes, whatever they came before."""

from typing import TypeVar

from clarin_core.domain.events import Event
from clarin_core.domain.ids import ChatId
from clarin_core.domain.inbound import Peer, ReactionSeen, VoteSeen
from clarin_core.domain.inbox_events import MessageStatusChanged, PollVoted, ReactionChanged
from clarin_core.domain.jid import Identity
from clarin_core.domain.messages import (
    MessageKind,
    MessageStatus,
    Poll,
)
from clarin_core.domain.replies import (
    PollCount,
    PollResult,
    Sender,
    Vote,
    chosen_in,
    option_digest,
    results_of,
)
from support.desk import Desk, tell_over
from support.office import OWN_PHONE, Office
from support.talk import ANA, at, receipt, said

OWN = Peer(identity=Identity.of_phone(OWN_PHONE))
POLL = Poll(options=["sí", "no", "tal vez"], selectable=2)
ASKED = said(ANA, "P", 1, kind=MessageKind.POLL, poll=POLL)

E = TypeVar("E", bound=Event)


def felt(sender: Peer, emoji: str) -> ReactionSeen:
    return ReactionSeen(chat=ANA, wa_message_id="A", sender=sender, emoji=emoji, at=at(3))


def voted(voter: Peer, minute: int, *options: str) -> VoteSeen:
    digests = [option_digest(option) for option in options]
    return VoteSeen(chat=ANA, wa_message_id="P", voter=voter, options=digests, at=at(minute))


async def told(office: Office, kind: type[E]) -> list[E]:
    return [event for event in await office.desk.news() if isinstance(event, kind)]


def counts(event: PollVoted) -> dict[str, int]:
    """Return the results of the one poll that an event tells of."""
    (poll,) = event.polls
    return {result.option: result.votes for result in poll.results}


def test_a_reaction_says_whose_it_is(address: str) -> None:
    """Section 9: by the name that people see; the account's own is its own."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        await office.hear(said(ANA, "A", 1))
        await office.ear.hear([felt(ANA, "👍"), felt(OWN, "❤️")])
        (event,) = await told(office, ReactionChanged)
        assert sorted(event.senders, key=lambda sender: sender.is_from_me) == [
            Sender(identity=ANA.identity, name="Sol"),
            Sender(identity=OWN.identity, is_from_me=True),
        ]

    tell_over(address, story)


def test_a_vote_is_told_with_the_results_of_its_poll(address: str) -> None:
    """Section 9: digests are matched with the options; a later vote replaces an earlier one."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        await office.hear(ASKED)
        await office.ear.hear([voted(ANA, 2, "sí", "tal vez")], [voted(OWN, 3, "sí")])
        first, second = await told(office, PollVoted)
        assert [len(event.votes) for event in (first, second)] == [1, 1]
        assert counts(first) == {"sí": 1, "no": 0, "tal vez": 1}
        assert counts(second) == {"sí": 2, "no": 0, "tal vez": 1}
        await office.ear.hear([voted(ANA, 4, "no")])
        (third,) = await told(office, PollVoted)
        assert counts(third) == {"sí": 1, "no": 1, "tal vez": 0}
        (chat,) = await office.shown()
        (poll,) = await office.messages(chat)
        assert third.polls == [
            PollCount(chat_id=chat.id, message_id=poll.id, wa_message_id="P", results=poll.results)
        ]

    tell_over(address, story)


def test_a_vote_that_comes_before_its_poll_is_told_again_with_it(address: str) -> None:
    """Section 9: at first nobody knows what it says; with the poll it counts, on screens, too."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        early = voted(ANA, 2, "no")
        await office.ear.hear([early])
        (first,) = await told(office, PollVoted)
        assert ([vote.voter for vote in first.votes], first.polls) == ([ANA.identity], [])
        await office.ear.hear([ASKED])
        (second,) = await told(office, PollVoted)
        assert second.votes == first.votes
        assert counts(second) == {"sí": 0, "no": 1, "tal vez": 0}
        (chat,) = await office.shown()
        (poll,) = await office.messages(chat)
        assert poll.results == second.polls[0].results
        await office.ear.hear([early, ASKED])
        assert await desk.news() == []

    tell_over(address, story)


def test_a_poll_that_nobody_voted_in_is_no_vote(address: str) -> None:
    """Section 9: alone it is a message like others."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        await office.ear.hear([ASKED])
        assert await told(office, PollVoted) == []

    tell_over(address, story)


def test_a_receipt_is_told_with_the_address_of_its_chat(address: str) -> None:
    """Section 9: which screens need that know no ids yet."""

    async def story(desk: Desk) -> None:
        office = await Office.of(desk)
        chat = await office.hear(said(ANA, "A", 1, is_from_me=True))
        await office.ear.hear([receipt(ANA, MessageStatus.READ, "A")])
        (event,) = await told(office, MessageStatusChanged)
        assert event.jids == {chat.id: "51987654321@s.whatsapp.net"}

    tell_over(address, story)


def test_options_are_matched_by_their_digests() -> None:
    """WhatsApp tells which option it was, and not what it says; one that is unknown is none."""
    digests = [option_digest(option) for option in ("tal vez", "sí", "otra")]
    vote = Vote(chat_id=ChatId(1), wa_message_id="P", voter=ANA.identity, options=digests, at=at(1))
    assert chosen_in(vote, POLL.options) == ["sí", "tal vez"]
    assert results_of(POLL.options, [vote, vote]) == [
        PollResult(option="sí", votes=2),
        PollResult(option="no", votes=0),
        PollResult(option="tal vez", votes=2),
    ]
