"""Laws of two chats that turn out to be one (CT7)."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.chats import Chat
from clarin_core.domain.ids import ChatId
from clarin_core.domain.messages import Mark, MessageQuery
from clarin_core.domain.replies import Reaction, Vote, counting
from clarin_core.domain.tags import TagTarget
from clarin_core.errors import NotFound
from clarin_core.testing import inbox_strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.inbox import Inbox, chats_shown, inbox_of, moved, somebody
from clarin_core.testing.tenants import LATER, NOON, Tenant, links_of

WA_IDS = st.lists(st.none() | st.sampled_from("ABC"), max_size=5)


class UnitingLaws(Contract):
    """What `ChatStore.unite` promises."""

    @law(own=WA_IDS, others=WA_IDS)
    async def test_a_united_chat_has_each_message_once(
        self, account: Tenant, own: list[str | None], others: list[str | None]
    ) -> None:
        """CT7, CH4: the other's messages are there but for those that both had."""
        inbox, survivor, gone = await two_chats(account)
        kept = await inbox.say(*(inbox.said(survivor, wa_message_id=wa) for wa in own))
        theirs = await inbox.say(*(inbox.said(gone, wa_message_id=wa) for wa in others))
        known = {message.wa_message_id for message in kept} - {None}
        both = [message.id for message in theirs if message.wa_message_id in known]
        assert await unite(account, survivor.id, gone.id) == both
        expected = [*kept, *(one for one in theirs if one.id not in both)]
        assert [(one.id, one.version) for one in await inbox.shown(survivor)] == [
            (message.id, message.version) for message in reversed(expected)
        ]
        assert [chat.id for chat in await chats_shown(account)] == [survivor.id]
        with pytest.raises(NotFound):
            await account.views.messages(gone.id, MessageQuery())

    @law(
        own=st.lists(inbox_strategies.reactions(), max_size=5),
        others=st.lists(inbox_strategies.reactions(), max_size=5),
    )
    async def test_a_united_chat_has_the_reactions_that_count(
        self, account: Tenant, own: list[Reaction], others: list[Reaction]
    ) -> None:
        """CH15: as if all of them had been about one chat."""
        inbox, survivor, gone = await two_chats(account)
        await inbox.say(*(inbox.said(survivor, wa_message_id=wa) for wa in "AB"))
        async with account.begin() as tx:
            await tx.messages.react(moved(own, survivor.id) + moved(others, gone.id))
        await unite(account, survivor.id, gone.id)
        best = counting(moved(own + others, survivor.id)).values()
        shown = [one for message in await inbox.shown(survivor) for one in message.reactions]
        assert sorted(shown, key=str) == sorted((one for one in best if one.emoji), key=str)

    @law(
        own=st.lists(inbox_strategies.votes(), max_size=5),
        others=st.lists(inbox_strategies.votes(), max_size=5),
    )
    async def test_a_united_chat_has_the_votes_that_count(
        self, account: Tenant, own: list[Vote], others: list[Vote]
    ) -> None:
        """The vote that stays is not changed by one that is no greater."""
        _, survivor, gone = await two_chats(account)
        async with account.begin() as tx:
            await tx.messages.vote(moved(own, survivor.id) + moved(others, gone.id))
        await unite(account, survivor.id, gone.id)
        best = list(counting(moved(own + others, survivor.id)).values())
        earlier = [replace(vote, at=NOON.replace(year=2000)) for vote in best]
        later = [replace(vote, options=[*vote.options, "z"]) for vote in best]
        async with account.begin() as tx:
            assert await tx.messages.vote(best) == []
            assert await tx.messages.vote(earlier) == []
            assert await tx.messages.vote(later) == later

    @law(own=inbox_strategies.marks(), other=inbox_strategies.marks(), are_one=st.booleans())
    async def test_a_united_chat_has_the_marks_of_both(
        self, account: Tenant, own: Mark, other: Mark, are_one: bool
    ) -> None:
        """What was said of one message before it came is joined."""
        _, survivor, gone = await two_chats(account)
        own = replace(own, wa_message_id="A")
        other = replace(other, wa_message_id="A" if are_one else "B")
        marks = moved([own], survivor.id) + moved([other], gone.id)
        async with account.begin() as tx:
            await tx.messages.put_marks(marks, at=NOON)
        await unite(account, survivor.id, gone.id)
        expected = {mark.wa_message_id: mark for mark in deepcopy(moved([own, other], survivor.id))}
        if are_one:
            expected["A"].join(replace(own, chat_id=survivor.id))
        async with account.begin() as tx:
            keys = [(chat.id, wa) for chat in (survivor, gone) for wa in "AB"]
            taken = await tx.messages.take_marks(keys)
        assert taken == {(survivor.id, wa): mark for wa, mark in expected.items()}

    @law()
    async def test_what_became_of_a_double_is_kept(self, account: Tenant) -> None:
        """As marks of the message that stays, joined with what was said of it before."""
        inbox, survivor, gone = await two_chats(account)
        await inbox.say(*(inbox.said(survivor, wa_message_id=wa) for wa in "AB"))
        known: dict[str, Any] = {"edited_at": LATER, "body": "adiós", "revoked_at": LATER}
        await inbox.say(inbox.said(gone, wa_message_id="A", **known))
        async with account.begin() as tx:
            mark = Mark(chat_id=gone.id, wa_message_id="A", is_read=True)
            await tx.messages.put_marks([mark], at=NOON)
        await unite(account, survivor.id, gone.id)
        expected = Mark(chat_id=survivor.id, wa_message_id="A", is_read=True, **known)
        async with account.begin() as tx:
            assert await tx.messages.take_ripe_marks(survivor.id) == [expected]

    @law()
    async def test_a_united_chat_has_the_tags_of_both(self, account: Tenant) -> None:
        """TG1: tags are a set."""
        _, survivor, gone = await two_chats(account)
        vip, cold, new = await account.add_tags("vip", "frío", "nuevo")
        await account.link(TagTarget.CHAT, *links_of([survivor.id], [vip, cold]))
        await account.link(TagTarget.CHAT, *links_of([gone.id], [new, cold]))
        await unite(account, survivor.id, gone.id)
        assert await account.views.tags_of(TagTarget.CHAT, survivor.id) == [cold, new, vip]

    @law()
    async def test_a_united_chat_does_what_both_had_to_do(self, account: Tenant) -> None:
        """In the old order; what was to be done for a dropped message is done with."""
        inbox, survivor, gone = await two_chats(account)
        await inbox.say(inbox.said(survivor, wa_message_id="A"))
        (double,) = await inbox.say(inbox.said(gone, wa_message_id="A"))
        first, _, last = await inbox.order(
            inbox.to_do(gone), inbox.to_do(gone, message_id=double.id), inbox.to_do(survivor)
        )
        await unite(account, survivor.id, gone.id)
        for item in (first, last):
            async with account.begin() as tx:
                due = await tx.outbox.next(inbox.device_id, at=LATER)
                assert due == replace(item, chat_id=survivor.id)
                await tx.outbox.remove(due)
        async with account.begin() as tx:
            assert await tx.outbox.next(inbox.device_id, at=LATER) is None

    @law()
    async def test_an_errand_at_work_is_moved_too(self, account: Tenant) -> None:
        """Whoever is at it knows the old chat, and saves how far it is."""
        inbox, survivor, gone = await two_chats(account)
        (item,) = await inbox.order(inbox.to_do(gone))
        item.begin(7)
        await unite(account, survivor.id, gone.id)
        async with account.begin() as tx:
            await tx.outbox.save(item)
        async with account.begin() as tx:
            (moved_one,) = await tx.outbox.at_work(inbox.device_id)
        assert moved_one == replace(item, chat_id=survivor.id)

    @law()
    async def test_a_union_leaves_what_the_survivor_says_of_itself(self, account: Tenant) -> None:
        """What is to be shown is counted anew by who asked for it."""
        inbox, survivor, gone = await two_chats(account)
        (message,) = await inbox.say(inbox.said(gone))
        await unite(account, survivor.id, gone.id)
        async with account.begin() as tx:
            chat = await tx.chats.get(survivor.id)
            assert chat == survivor
            tally = (await tx.messages.tally([chat]))[chat.id]
        assert tally.latest == replace(message, chat_id=survivor.id)
        assert tally.unread == 1


async def two_chats(account: Tenant) -> tuple[Inbox, Chat, Chat]:
    """Commit a device with two chats."""
    inbox = await inbox_of(account)
    survivor, gone = await inbox.open(somebody(1), somebody(2))
    return inbox, survivor, gone


async def unite(account: Tenant, survivor: ChatId, gone: ChatId) -> list[int]:
    """Commit the union of two chats, and return the messages that were dropped."""
    async with account.begin() as tx:
        return list(await tx.chats.unite(survivor, gone))
