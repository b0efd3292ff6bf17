"""Laws of what is said of messages: before they come, and by others."""

import asyncio
from collections.abc import Sequence

from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.messages import Mark
from clarin_core.domain.replies import Reaction, Vote, counting
from clarin_core.testing import inbox_strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.inbox import inbox_of, moved, somebody
from clarin_core.testing.tenants import NOON, Tenant

WRITERS = 6


class ReplyLaws(Contract):
    """What `MessageStore` promises of marks, reactions and votes."""

    @law(mark=inbox_strategies.marks())
    async def test_a_mark_is_taken_once(self, account: Tenant, mark: Mark) -> None:
        """CH8: what was said too early is kept whole, until the message comes."""
        inbox = await inbox_of(account)
        chat, other = await inbox.open(somebody(1), somebody(2))
        (mark,) = moved([mark], chat.id)
        key = chat.id, mark.wa_message_id
        async with account.begin() as tx:
            await tx.messages.put_marks([mark], at=NOON)
        async with account.begin() as tx:
            assert await tx.messages.take_marks([(other.id, key[1])]) == {}
            assert await tx.messages.take_marks([key, (chat.id, "otro")]) == {key: mark}
        async with account.begin() as tx:
            assert await tx.messages.take_marks([key]) == {}

    @law()
    async def test_ripe_marks_are_those_whose_message_is_there(self, account: Tenant) -> None:
        """CT7: in the chat alone, and taken once."""
        inbox = await inbox_of(account)
        chat, other = await inbox.open(somebody(1), somebody(2))
        await inbox.say(*(inbox.said(chat, wa_message_id=name) for name in "BAC"))
        await inbox.say(inbox.said(other, wa_message_id="D"))
        marks = [Mark(chat_id=chat.id, wa_message_id=name, is_read=True) for name in "DBAX"]
        foreign = Mark(chat_id=other.id, wa_message_id="D")
        async with account.begin() as tx:
            await tx.messages.put_marks([*marks, foreign], at=NOON)
        async with account.begin() as tx:
            assert await tx.messages.take_ripe_marks(chat.id) == [marks[2], marks[1]]
            assert await tx.messages.take_ripe_marks(chat.id) == []
            assert await tx.messages.take_ripe_marks(other.id) == [foreign]

    @law(drawn=st.lists(inbox_strategies.marks(), min_size=1, max_size=4), cut=st.integers(0, 4))
    async def test_the_last_mark_of_a_message_replaces_the_others(
        self, account: Tenant, drawn: list[Mark], cut: int
    ) -> None:
        """Of one batch and of several."""
        chat = await (await inbox_of(account)).open_one()
        marks = [replace(mark, chat_id=chat.id, wa_message_id="A") for mark in drawn]
        for batch in (marks[:cut], marks[cut:]):
            async with account.begin() as tx:
                await tx.messages.put_marks(batch, at=NOON)
        async with account.begin() as tx:
            key = chat.id, "A"
            assert await tx.messages.take_marks([key]) == {key: marks[-1]}

    @law(drawn=st.lists(inbox_strategies.reactions(), max_size=8), data=st.data())
    async def test_reactions_count_whatever_their_order(
        self, account: Tenant, drawn: list[Reaction], data: st.DataObject
    ) -> None:
        """CH15: the later one wins, of equal times the greater; news is what changed that."""
        inbox = await inbox_of(account)
        chats = await inbox.open(somebody(1), somebody(2))
        kept = []
        for chat, order in zip(chats, (drawn, data.draw(st.permutations(drawn))), strict=True):
            reactions = moved(order, chat.id)
            cut = data.draw(st.integers(0, len(reactions)))
            async with account.begin() as tx:
                first = await tx.messages.react(reactions[:cut])
            assert first == list(counting(reactions[:cut]).values())
            async with account.begin() as tx:
                second = await tx.messages.react(reactions[cut:])
            best = counting([*first, *reactions[cut:]])
            assert second == [one for one in best.values() if not is_in(one, first)]
            async with account.begin() as tx:
                assert await tx.messages.react(list(best.values())) == []
            kept.append({one.key[1:]: one.rank for one in best.values()})
        assert kept[0] == kept[1]

    @law(drawn=st.lists(inbox_strategies.votes(), max_size=8), data=st.data())
    async def test_votes_count_whatever_their_order(
        self, account: Tenant, drawn: list[Vote], data: st.DataObject
    ) -> None:
        """A later vote replaces an earlier one, of equal times the greater options."""
        chat = await (await inbox_of(account)).open_one()
        votes = moved(drawn, chat.id)
        cut = data.draw(st.integers(0, len(votes)))
        async with account.begin() as tx:
            first = await tx.messages.vote(votes[:cut])
            assert first == list(counting(votes[:cut]).values())
            second = await tx.messages.vote(votes[cut:])
        best = counting([*first, *votes[cut:]])
        assert second == [one for one in best.values() if not is_in(one, first)]
        async with account.begin() as tx:
            assert await tx.messages.vote(list(best.values())) == []
            kept = sorted(best.values(), key=lambda vote: vote.key)
            keys = [(chat.id, wa_id) for wa_id in ("A", "B")]
            assert await tx.messages.votes(keys) == kept
            some = [vote for vote in kept if vote.wa_message_id == "A"]
            assert await tx.messages.votes(keys[:1]) == some

    @law()
    async def test_simultaneous_reactions_leave_the_one_that_counts(self, account: Tenant) -> None:
        """CH15: batches in opposite orders come to their end, and the latest is there."""
        inbox = await inbox_of(account)
        chat = await inbox.open_one()
        people = [somebody(number) for number in range(3)]
        await inbox.say(inbox.said(chat, wa_message_id="A"))

        async def react(number: int) -> None:
            at = NOON.replace(minute=number)
            said = [
                Reaction(chat_id=chat.id, wa_message_id="A", sender=one, emoji=f"{number}", at=at)
                for one in (people if number % 2 else people[::-1])
            ]
            async with account.begin() as tx:
                await asyncio.sleep(0)
                await tx.messages.react(said)

        await asyncio.gather(*map(react, range(WRITERS)))
        (view,) = await inbox.shown(chat)
        assert [one.emoji for one in view.reactions] == [f"{WRITERS - 1}"] * len(people)


def is_in(reply: object, replies: Sequence[object]) -> bool:
    """Return whether this one very reply is among others; an equal one is not it."""
    return any(one is reply for one in replies)
