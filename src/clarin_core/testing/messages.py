"""Laws of the message store."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from clarin_core.domain.chats import Chat
from clarin_core.domain.ids import ChatId, MessageId
from clarin_core.domain.messages import (
    Direction,
    Message,
    MessageDraft,
    MessageStatus,
    Place,
)
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.transaction import Transaction
from clarin_core.testing import inbox_strategies, strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.inbox import Inbox, inbox_of, somebody
from clarin_core.testing.tenants import LATER, NOON, Tenant

WRITERS = 6
WA_IDS = ["A", "B", "C"]

wa_ids = st.none() | st.sampled_from(WA_IDS)
texts = st.tuples(
    st.sampled_from(Direction), strategies.hours(), st.booleans(), st.sampled_from([0, 0, 1])
)
places = strategies.maybe(st.tuples(strategies.hours(), st.integers(0, 7)))


class MessageLaws(Contract):
    """What `MessageStore` promises of messages."""

    @law(draft=inbox_strategies.message_drafts(), has_file=st.booleans())
    async def test_a_message_comes_back_as_it_was_added(
        self, account: Tenant, draft: MessageDraft, has_file: bool
    ) -> None:
        """No field is lost on the way; a new message starts at version 1."""
        inbox = await inbox_of(account)
        chat, media_id = await inbox.open_one(), await inbox.add_media()
        (draft,) = inbox.in_(chat, replace(draft, media_id=media_id if has_file else None))
        async with account.begin() as tx:
            (message,) = await tx.messages.add([draft], at=LATER)
        assert message is not None
        life = {"id": message.id, "created_at": LATER, "updated_at": LATER, "version": 1}
        assert asdict(message) == asdict(draft) | life
        async with account.begin() as tx:
            assert await tx.messages.get(message.id) == message

    @law(before=inbox_strategies.message_drafts(), after=inbox_strategies.message_drafts())
    async def test_a_saved_message_comes_back_as_it_was_saved(
        self, account: Tenant, before: MessageDraft, after: MessageDraft
    ) -> None:
        """Every field can be changed, to nothing too."""
        inbox = await inbox_of(account)
        chat, other = await inbox.open(somebody(1), somebody(2))
        (message,) = await inbox.say(*inbox.in_(chat, before))
        message.alter(asdict(inbox.in_(other, after)[0]), at=LATER)
        async with account.begin() as tx:
            await tx.messages.get(message.id)
            await tx.messages.save([message])
        async with account.begin() as tx:
            assert await tx.messages.get(message.id) == message

    @law(stored=st.lists(wa_ids, max_size=3), added=st.lists(wa_ids, max_size=8))
    async def test_a_message_is_stored_once(
        self, account: Tenant, stored: list[str | None], added: list[str | None]
    ) -> None:
        """CH4: by WhatsApp's id within its chat; those without one are all new."""
        inbox = await inbox_of(account)
        chat, other = await inbox.open(somebody(1), somebody(2))
        await inbox.say(*(inbox.said(other, wa_message_id=wa) for wa in WA_IDS))
        await inbox.say(*(inbox.said(chat, wa_message_id=wa) for wa in stored))
        drafts = [inbox.said(chat, f"{n}", wa_message_id=wa) for n, wa in enumerate(added)]
        async with account.begin() as tx:
            answer = await tx.messages.add(drafts, at=LATER)
        assert [message is not None for message in answer] == [
            wa is None or (wa not in stored and added.index(wa) == place)
            for place, wa in enumerate(added)
        ]
        new = [message for message in answer if message is not None]
        texts = [draft.body for draft, one in zip(drafts, answer, strict=True) if one is not None]
        assert [message.body for message in new] == texts
        assert [message.id for message in new] == sorted(message.id for message in new)
        shown = await inbox.shown(chat)
        assert len(shown) == len(new) + stored.count(None) + len(set(stored) - {None})

    @law()
    async def test_what_comes_twice_at_one_moment_is_stored_once(self, account: Tenant) -> None:
        """CH4: of transactions that bring the same messages in any order, one stores each."""
        inbox = await inbox_of(account)
        chats = await inbox.open(somebody(1), somebody(2))
        drafts = [inbox.said(chat, wa_message_id=wa) for chat in chats for wa in WA_IDS]

        async def bring(number: int) -> int:
            async with account.begin() as tx:
                await asyncio.sleep(0)
                batch = drafts if number % 2 else drafts[::-1]
                added = await tx.messages.add(batch, at=NOON)
                await asyncio.sleep(0)
            return sum(message is not None for message in added)

        counts = await asyncio.gather(*map(bring, range(WRITERS)))
        assert sum(counts) == len(drafts)
        assert [len(await inbox.shown(chat)) for chat in chats] == [len(WA_IDS)] * 2

    @law()
    async def test_messages_are_found_by_whatsapps_id_in_their_chat(self, account: Tenant) -> None:
        """CH4: the same id in another chat is another message."""
        inbox = await inbox_of(account)
        chat, other = await inbox.open(somebody(1), somebody(2))
        a, _, theirs = await inbox.say(
            inbox.said(chat, wa_message_id="A"),
            inbox.said(chat),
            inbox.said(other, wa_message_id="B"),
        )
        keys = [(chat.id, "A"), (chat.id, "B"), (other.id, "A"), (other.id, "B")]
        async with account.begin() as tx:
            assert await tx.messages.by_wa(keys) == {keys[0]: a, keys[3]: theirs}

    @law(statuses=st.lists(st.sampled_from(MessageStatus), max_size=6))
    async def test_unsettled_messages_are_those_nobody_knows_of(
        self, account: Tenant, statuses: list[MessageStatus]
    ) -> None:
        """Those that are sending or unknown, of the chats asked for, by id."""
        inbox = await inbox_of(account)
        chat, other = await inbox.open(somebody(1), somebody(2))
        own = await inbox.say(*(inbox.said(chat, status=status) for status in statuses))
        await inbox.say(inbox.said(other, status=MessageStatus.UNKNOWN))
        async with account.begin() as tx:
            found = await tx.messages.unsettled([chat.id])
        unsettled = (MessageStatus.SENDING, MessageStatus.UNKNOWN)
        assert found == [message for message in own if message.status in unsettled]

    @law()
    async def test_a_chat_has_one_message_of_whatsapps_id(self, account: Tenant) -> None:
        """CH4: to save a second one conflicts with the id of the first; elsewhere it may be."""
        inbox = await inbox_of(account)
        chat, other = await inbox.open(somebody(1), somebody(2))
        first, second, elsewhere = await inbox.say(
            inbox.said(chat, wa_message_id="A"), inbox.said(chat), inbox.said(other)
        )
        with pytest.raises(Conflict) as saved:
            async with account.begin() as tx:
                await tx.messages.save([replace(second, wa_message_id="A")])
        assert (saved.value.code, saved.value.id) == ("duplicate_message", first.id)
        async with account.begin() as tx:
            await tx.messages.save([replace(elsewhere, wa_message_id="A")])
            assert await tx.messages.get(second.id) == second

    @law()
    async def test_a_removed_message_is_gone_with_what_was_to_be_done(
        self, account: Tenant
    ) -> None:
        """Other messages and their errands stay; so does what was said of it by its id."""
        inbox = await inbox_of(account)
        chat = await inbox.open_one()
        gone, kept = await inbox.say(*[inbox.said(chat)] * 2)
        await inbox.order(inbox.to_do(chat, message_id=gone.id))
        (errand,) = await inbox.order(inbox.to_do(chat, message_id=kept.id))
        async with account.begin() as tx:
            await tx.messages.remove([gone.id])
        assert [message.id for message in await inbox.shown(chat)] == [kept.id]
        async with account.begin() as tx:
            assert await tx.outbox.next(inbox.device_id, at=LATER) == errand
            with pytest.raises(NotFound):
                await tx.messages.get(gone.id)

    @law(said=st.lists(texts, max_size=8), read=places, cleared=places)
    async def test_a_tally_is_what_one_counts(
        self,
        account: Tenant,
        said: list[tuple[Direction, datetime, bool, int]],
        read: tuple[datetime, int] | None,
        cleared: tuple[datetime, int] | None,
    ) -> None:
        """CH6, CH7: the greatest that was not revoked, and what is to be read; nothing cleared."""
        inbox = await inbox_of(account)
        chats = await inbox.open(somebody(1), somebody(2))
        messages = await inbox.say(*in_chats(inbox, chats, said))
        set_places(chats, messages, read, cleared)
        async with account.begin() as tx:
            tallies = await tx.messages.tally(chats)
        assert tallies.keys() == {chat.id for chat in chats}
        for chat in chats:
            own = [one for one in messages if one.chat_id == chat.id and not chat.hides(one.place)]
            shown = [one for one in own if one.revoked_at is None]
            expected = max(shown, key=lambda one: (one.sent_at, one.id), default=None)
            unread = [one for one in shown if one.direction is Direction.IN]
            if chat.read_up_to is not None:
                unread = [one for one in unread if (one.sent_at, one.id) > chat.read_up_to]
            assert tallies[chat.id] == (expected, len(unread))

    @law(said=st.lists(texts, max_size=8))
    async def test_a_chat_ends_with_its_greatest_message(
        self, account: Tenant, said: list[tuple[Direction, datetime, bool, int]]
    ) -> None:
        """CH5, CH18: whoever said it, and be it revoked; without messages it has no end."""
        inbox = await inbox_of(account)
        chats = await inbox.open(somebody(1), somebody(2))
        expected: dict[ChatId, Place] = {}
        for message in await inbox.say(*in_chats(inbox, chats, said)):
            before = expected.get(message.chat_id, message.place)
            expected[message.chat_id] = max(before, message.place)
        async with account.begin() as tx:
            assert await tx.messages.ends([chat.id for chat in chats]) == expected

    @law(said=st.lists(texts, max_size=12), read=places, cleared=places, up_to=st.integers(0, 11))
    async def test_unread_messages_are_those_that_are_counted(
        self,
        account: Tenant,
        said: list[tuple[Direction, datetime, bool, int]],
        read: tuple[datetime, int] | None,
        cleared: tuple[datetime, int] | None,
        up_to: int,
    ) -> None:
        """CH7: of the chat, up to the place, the newest first; without WhatsApp's id it is none."""
        inbox = await inbox_of(account)
        chats = await inbox.open(somebody(1), somebody(2))
        messages = await inbox.say(*in_chats(inbox, chats, said))
        set_places(chats, messages, read, cleared)
        last = messages[up_to % len(messages)].place if messages else Place(NOON, MessageId(1))
        async with account.begin() as tx:
            for chat in chats:
                unread = [
                    one for one in messages
                    if one.chat_id == chat.id and chat.is_unread(one) and not chat.hides(one.place)
                    and one.place <= last and one.wa_message_id
                ]  # fmt: skip
                unread.sort(key=lambda one: one.place, reverse=True)
                ids = [one.wa_message_id for one in unread]
                assert await tx.messages.unread(chat, last, limit=12) == ids

    @law()
    async def test_of_many_unread_messages_the_newest_are_given(self, account: Tenant) -> None:
        """CH7: by the sender's time, whatever came first."""
        inbox = await inbox_of(account)
        chat = await inbox.open_one()
        said = [inbox.said(chat, wa_message_id=f"{n}", sent_at=at(n)) for n in (3, 1, 4, 2, 0)]
        messages = await inbox.say(*said)
        async with account.begin() as tx:
            end = messages[2].place
            assert await tx.messages.unread(chat, end, limit=3) == ["4", "3", "2"]

    @law()
    async def test_concurrent_changes_of_a_message_all_count(self, account: Tenant) -> None:
        """R10: whatever finds a message locks it."""
        inbox = await inbox_of(account)
        chat = await inbox.open_one()
        status = MessageStatus.UNKNOWN
        (message,) = await inbox.say(inbox.said(chat, "0", wa_message_id="A", status=status))

        async def by_wa(tx: Transaction) -> list[Message]:
            return list((await tx.messages.by_wa([(chat.id, "A")])).values())

        async def got(tx: Transaction) -> list[Message]:
            return [await tx.messages.get(message.id)]

        async def unsettled(tx: Transaction) -> list[Message]:
            return await tx.messages.unsettled([chat.id])

        ways = [by_wa, got, unsettled]

        async def count(number: int) -> None:
            async with account.begin() as tx:
                (one,) = await ways[number % len(ways)](tx)
                await asyncio.sleep(0)
                one.alter({"body": f"{int(one.body or 0) + 1}"}, at=LATER)
                await tx.messages.save([one])

        await asyncio.gather(*map(count, range(WRITERS)))
        assert (await account.views.message(message.id)).body == f"{WRITERS}"


def at(second: int) -> datetime:
    """Return a time after noon."""
    return NOON.replace(second=second)


def in_chats(
    inbox: Inbox, chats: Sequence[Chat], said: Sequence[tuple[Direction, datetime, bool, int]]
) -> list[MessageDraft]:
    """Return messages to be, of which every third is not known to WhatsApp."""
    return [
        inbox.said(
            chats[which], direction=direction, sent_at=at, wa_message_id=f"{n}" if n % 3 else None,
            revoked_at=LATER if is_revoked else None,
        )
        for n, (direction, at, is_revoked, which) in enumerate(said)
    ]  # fmt: skip


def set_places(
    chats: Sequence[Chat],
    messages: Sequence[Message],
    read: tuple[datetime, int] | None,
    cleared: tuple[datetime, int] | None,
) -> None:
    """Let chats be read and cleared somewhere among their messages."""
    ids = [message.id for message in messages] or [MessageId(0)]
    for chat in chats:
        chat.read_up_to, chat.cleared_up_to = (
            place and Place(place[0], ids[place[1] % len(ids)]) for place in (read, cleared)
        )
