"""Laws of what an account reads of its messages."""

from datetime import datetime

import pytest
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from clarin_core.domain.media import Kept, MediaDraft, attachment_of
from clarin_core.domain.messages import SAID, Message, MessageDraft, MessageQuery, MessageView, Poll
from clarin_core.domain.replies import (
    PollResult,
    Reaction,
    Vote,
    counting,
    option_digest,
)
from clarin_core.errors import NotFound
from clarin_core.testing import inbox_strategies, strategies
from clarin_core.testing.contract import Capability, Contract, law
from clarin_core.testing.inbox import PHOTO, inbox_of, moved, somebody
from clarin_core.testing.tenants import LATER, NOON, Tenant

POLL = Poll(options=["no", "sí", "nunca"], selectable=1)


class MessageListLaws(Contract):
    """What `Views` promises of messages."""

    @law(draft=inbox_strategies.message_drafts(), file=inbox_strategies.media_drafts())
    async def test_a_message_is_shown_as_people_may_see_it(
        self, account: Tenant, draft: MessageDraft, file: MediaDraft
    ) -> None:
        """CH10: nothing of what a revoked one said, nor what was not understood of any."""
        inbox = await inbox_of(account)
        chat, media_id = await inbox.open_one(), await inbox.add_media(file)
        (message,) = await inbox.say(*inbox.in_(chat, replace(draft, media_id=media_id)))
        view = await account.views.message(message.id)
        hidden = {"raw", *(SAID if draft.revoked_at else ())}
        shown = asdict(message).items()
        expected = MessageView(**{name: value for name, value in shown if name not in hidden})
        if draft.revoked_at is None:
            expected.media = attachment_of(await account.views.media(media_id))
        if expected.poll is not None:
            options = expected.poll.options
            expected.results = [PollResult(option=option, votes=0) for option in options]
        assert view == expected
        assert await inbox.shown(chat) == [view]

    @law(sent=st.lists(strategies.hours(), max_size=6))
    async def test_messages_are_shown_newest_first(
        self, account: Tenant, sent: list[datetime]
    ) -> None:
        """CH5: by the sender's time, of one time by their arrival; of this chat alone."""
        inbox = await inbox_of(account)
        chat, other = await inbox.open(somebody(1), somebody(2))
        await inbox.say(inbox.said(other))
        messages = await inbox.say(*(inbox.said(chat, sent_at=at) for at in sent))
        newest = sorted(messages, key=lambda one: (one.sent_at, one.id), reverse=True)
        page = await account.views.messages(chat.id, MessageQuery())
        assert [one.id for one in page.data] == [one.id for one in newest]
        assert page.total == len(messages)

    @law(sent=st.lists(strategies.hours(), min_size=1, max_size=6), cut=st.integers(0, 5))
    async def test_what_was_cleared_is_hidden(
        self, account: Tenant, sent: list[datetime], cut: int
    ) -> None:
        """CH18: what lies at or before the place; in the list and by its id."""
        inbox = await inbox_of(account)
        chat = await inbox.open_one()
        messages = await inbox.say(*(inbox.said(chat, sent_at=at) for at in sent))
        chat.alter({"cleared_up_to": messages[cut % len(messages)].place}, at=LATER)
        await inbox.save(chat)
        kept = {one.id for one in messages if not chat.hides(one.place)}
        assert {one.id for one in await inbox.shown(chat)} == kept
        for message in messages:
            if message.id in kept:
                assert (await account.views.message(message.id)).id == message.id
            else:
                await expect_hidden(account, message)

    @law()
    async def test_each_message_shows_its_own_file(self, account: Tenant) -> None:
        """As it is now; neither one without a file nor another account's file is in the way."""
        inbox, other = await inbox_of(account), await inbox_of(await account.stranger())
        await other.say(other.said(await other.open_one(), media_id=await other.add_media()))
        chat = await inbox.open_one()
        files = [await inbox.add_media(replace(PHOTO, key=f"{n}")) for n in range(2)]
        await inbox.say(*(inbox.said(chat, media_id=one) for one in (*files, None, files[0])))
        async with account.begin() as tx:
            media = await tx.media.get(files[0])
            media.store(kept=Kept(PHOTO.type, PHOTO.mimetype, 7, "0" * 64), at=LATER)
            await tx.media.save(media)
            late, fresh = map(attachment_of, (media, await tx.media.get(files[1])))
        shown = await inbox.shown(chat)
        assert [one.media for one in shown] == [late, None, fresh, late]
        for view in shown:
            assert await account.views.message(view.id) == view

    @law()
    async def test_messages_of_a_deleted_chat_are_hidden(self, account: Tenant) -> None:
        """CH18: with the chat, as if it were not there."""
        inbox = await inbox_of(account)
        chat = await inbox.open_one()
        (message,) = await inbox.say(inbox.said(chat))
        await inbox.delete(chat)
        await expect_hidden(account, message)
        with pytest.raises(NotFound):
            await account.views.messages(chat.id, MessageQuery())

    @law(drawn=st.lists(inbox_strategies.reactions(), max_size=8))
    async def test_messages_show_their_reactions(
        self, account: Tenant, drawn: list[Reaction]
    ) -> None:
        """CH15: those that count and were not taken back, by time and sender."""
        inbox = await inbox_of(account)
        chat, other = await inbox.open(somebody(1), somebody(2))
        await inbox.say(*(inbox.said(chat, wa_message_id=wa) for wa in ("A", "B", None)))
        async with account.begin() as tx:
            await tx.messages.react(moved(drawn, other.id))
            await tx.messages.react(moved(drawn, chat.id))
        best = [one for one in counting(moved(drawn, chat.id)).values() if one.emoji]
        best.sort(key=lambda one: (one.at, one.sender.kind.value, one.sender.value))
        for view in await inbox.shown(chat):
            own = [one for one in best if one.wa_message_id == view.wa_message_id]
            assert view.reactions == own
            assert await account.views.message(view.id) == view

    @law(drawn=st.lists(inbox_strategies.votes(), max_size=8))
    async def test_polls_show_their_results(self, account: Tenant, drawn: list[Vote]) -> None:
        """Every option in its order, with the votes that count; others have none."""
        inbox = await inbox_of(account)
        chat, other = await inbox.open(somebody(1), somebody(2))
        text, poll = await inbox.say(
            inbox.said(chat, wa_message_id="A"), inbox.said(chat, wa_message_id="B", poll=POLL)
        )
        async with account.begin() as tx:
            await tx.messages.vote(moved(drawn, other.id))
            await tx.messages.vote(moved(drawn, chat.id))
        best = [vote for vote in counting(drawn).values() if vote.wa_message_id == "B"]
        assert (await account.views.message(poll.id)).results == [
            PollResult(option=one, votes=sum(option_digest(one) in vote.options for vote in best))
            for one in POLL.options
        ]
        assert (await account.views.message(text.id)).results == []

    @law(needs=Capability.SEARCHING)
    async def test_messages_are_searched_by_what_they_say(self, account: Tenant) -> None:
        """Part of it is enough; case and accents do not count, nor does what was revoked."""
        inbox = await inbox_of(account)
        chat = await inbox.open_one()
        said, _, _, odd = await inbox.say(
            inbox.said(chat, "¿Cuánto\n cuesta?"),
            inbox.said(chat, "CUANTO ya no", revoked_at=NOON),
            inbox.said(chat, None),
            inbox.said(chat, "50%_\\"),
        )
        for text, found in (("cuanto cuesta", [said]), ("%_\\", [odd]), ("ya no", [])):
            assert [one.id for one in await inbox.shown(chat, search=text)] == [
                one.id for one in found
            ]


async def expect_hidden(account: Tenant, message: Message) -> None:
    """Expect that nobody can read a message."""
    with pytest.raises(NotFound):
        await account.views.message(message.id)
