"""Laws of the chat store."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.chats import Chat, ChatDraft
from clarin_core.domain.contacts import ContactDraft
from clarin_core.domain.ids import ChatId
from clarin_core.domain.jid import Identity
from clarin_core.domain.messages import Place
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.transaction import Transaction
from clarin_core.testing import inbox_strategies, strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.inbox import chats_shown, inbox_of, somebody
from clarin_core.testing.tenants import LATER, NOON, Tenant

PEOPLE = [somebody(number) for number in range(3)]
CLAIMANTS = 6
WRITERS = 8

claims = st.lists(st.tuples(st.booleans(), st.sampled_from(PEOPLE)), max_size=8)


class ChatLaws(Contract):
    """What `ChatStore` promises, but for what is united."""

    @law(
        identity=inbox_strategies.identities(),
        name=strategies.maybe(strategies.names()),
        is_known=st.booleans(),
    )
    async def test_a_chat_comes_back_as_it_was_claimed(
        self, account: Tenant, identity: Identity, name: str | None, is_known: bool
    ) -> None:
        """No field is lost on the way; a new chat starts at version 1 with nothing in it."""
        inbox, person = await inbox_of(account), await account.add_contact(name="Ana")
        draft = inbox.with_(identity, name=name, contact_id=person.id if is_known else None)
        async with account.begin() as tx:
            ((chat, is_new),) = await tx.chats.claim([draft], at=LATER)
        values = {name: getattr(draft, name) for name in ChatDraft.__struct_fields__}
        born = Chat(id=chat.id, created_at=LATER, updated_at=LATER, version=1, **values)
        assert (chat, is_new) == (born, True)
        async with account.begin() as tx:
            assert await tx.chats.get(chat.id) == chat

    @law(values=inbox_strategies.chat_values(), identity=inbox_strategies.identities())
    async def test_a_saved_chat_comes_back_as_it_was_saved(
        self, account: Tenant, values: dict[str, Any], identity: Identity
    ) -> None:
        """Every field can be changed, whom it is with, too."""
        inbox, person = await inbox_of(account), await account.add_contact(name="Ana")
        chat = await inbox.open_one()
        others = {"contact_id": person.id, "assigned_to": await account.hire()}
        chat.alter({**values, **others, "identity": identity}, at=LATER)
        await inbox.save(chat)
        async with account.begin() as tx:
            assert await tx.chats.get_many([chat.id]) == [chat]
            assert await tx.chats.of_contacts([person.id]) == [chat]

    @law(stored=claims, claimed=claims)
    async def test_a_claim_gives_each_identity_of_a_device_one_chat(
        self,
        account: Tenant,
        stored: list[tuple[bool, Identity]],
        claimed: list[tuple[bool, Identity]],
    ) -> None:
        """CH1: known chats are found, equal drafts share one, two devices have two."""
        boxes = [await inbox_of(account), await inbox_of(account)]

        async def claim(wanted: list[tuple[bool, Identity]]) -> list[tuple[Chat, bool]]:
            drafts = [boxes[which].with_(who) for which, who in wanted]
            async with account.begin() as tx:
                return await tx.chats.claim(drafts, at=LATER)

        before = dict(zip(stored, await claim(stored), strict=True))
        answer = await claim(claimed)
        whom = [(boxes[which].device_id, who) for which, who in claimed]
        assert [(chat.device_id, chat.identity) for chat, _ in answer] == whom
        assert [is_new for _, is_new in answer] == [
            one not in before and claimed.index(one) == place for place, one in enumerate(claimed)
        ]
        ids = {one: chat.id for one, (chat, _) in zip(claimed, answer, strict=True)}
        assert len(set(ids.values())) == len(ids)
        assert all(before[one][0].id == ids[one] for one in before.keys() & ids.keys())

    @law()
    async def test_a_claim_leaves_a_known_chat_as_it_is(self, account: Tenant) -> None:
        """A deleted one, too: what brings it back is the caller's decision (CH18)."""
        inbox, person = await inbox_of(account), await account.add_contact(name="Ana")
        live, deleted = await inbox.open(*PEOPLE[:2])
        deleted = await inbox.delete(deleted)
        drafts = [inbox.with_(who, contact_id=person.id, name="Eva") for who in PEOPLE[:2]]
        async with account.begin() as tx:
            answer = await tx.chats.claim(drafts, at=LATER)
        assert answer == [(live, False), (deleted, False)]

    @law()
    async def test_concurrent_claims_of_an_identity_get_one_chat(self, account: Tenant) -> None:
        """CH1: two messages at one moment do not open two chats."""
        inbox = await inbox_of(account)

        async def claim(_: int) -> tuple[int, bool]:
            async with account.begin() as tx:
                await asyncio.sleep(0)
                ((chat, is_new),) = await tx.chats.claim([inbox.with_(PEOPLE[0])], at=NOON)
                await asyncio.sleep(0)
            return chat.id, is_new

        answers = await asyncio.gather(*map(claim, range(CLAIMANTS)))
        assert len({chat_id for chat_id, _ in answers}) == 1
        assert sum(is_new for _, is_new in answers) == 1

    @law()
    async def test_crossing_claims_of_chats_do_not_deadlock(self, account: Tenant) -> None:
        """Batches that name the same people in opposite orders all come to their end."""
        inbox = await inbox_of(account)

        async def claim(people: list[Identity]) -> list[ChatId]:
            async with account.begin() as tx:
                drafts = [inbox.with_(one) for one in people]
                return [chat.id for chat, _ in await tx.chats.claim(drafts, at=NOON)]

        answers = await asyncio.gather(*map(claim, [PEOPLE, PEOPLE[::-1]] * 3))
        assert len({tuple(sorted(ids)) for ids in answers}) == 1

    @law()
    async def test_concurrent_changes_of_a_chat_all_count(self, account: Tenant) -> None:
        """R10: whatever finds a chat locks it, so that no read-modify-write is lost."""
        inbox, person = await inbox_of(account), await account.add_contact(name="Ana")
        chat = await inbox.open_one(contact_id=person.id)
        ways: list[Callable[[Transaction], Awaitable[list[Chat]]]] = [
            lambda tx: tx.chats.get_many([chat.id]),
            lambda tx: tx.chats.of_contacts([person.id]),
            lambda tx: tx.chats.of_identities([chat.identity]),
            lambda tx: _claimed(tx, inbox.with_(chat.identity)),
            lambda tx: _got(tx, chat.id),
        ]

        async def change(number: int) -> None:
            async with account.begin() as tx:
                (one,) = await ways[number % len(ways)](tx)
                await asyncio.sleep(0)
                one.alter({"unread_count": one.unread_count + 1}, at=LATER)
                await tx.chats.save([one])

        await asyncio.gather(*map(change, range(WRITERS)))
        assert (await account.views.chat(chat.id)).unread_count == WRITERS

    @law()
    async def test_a_device_and_identity_have_one_chat(self, account: Tenant) -> None:
        """CH1: a second one conflicts with the id of the first, a deleted one, too."""
        inbox = await inbox_of(account)
        first, other = await inbox.open(*PEOPLE[:2])
        await inbox.delete(first)
        with pytest.raises(Conflict) as saved:
            await inbox.save(replace(other, identity=first.identity))
        assert (saved.value.code, saved.value.id) == ("duplicate_chat", first.id)
        async with account.begin() as tx:
            assert await tx.chats.get(other.id) == other

    @law()
    async def test_a_deleted_chat_is_hidden_and_can_be_got(self, account: Tenant) -> None:
        """CH18: it is in no list, can be got as a deleted one, and keeps what it hides."""
        inbox = await inbox_of(account)
        chat = await inbox.open_one()
        (message,) = await inbox.say(inbox.said(chat))
        chat.take([message], at=NOON)
        await inbox.save(chat)
        deleted = await inbox.delete(chat)
        assert deleted.cleared_up_to == Place(message.sent_at, message.id)
        assert await chats_shown(account) == []
        with pytest.raises(NotFound):
            await account.views.chat(chat.id)
        async with account.begin() as tx:
            with pytest.raises(NotFound):
                await tx.chats.get(chat.id)
            assert await tx.chats.get(chat.id, deleted=True) == deleted
            assert await tx.chats.get_many([chat.id]) == [deleted]

    @law()
    async def test_chats_of_contacts_come_by_id(self, account: Tenant) -> None:
        """On every device, deleted ones, too, and of nobody else."""
        boxes = [await inbox_of(account), await inbox_of(account)]
        ana, eva, ida = await account.add_contacts(*[ContactDraft(name="Ana")] * 3)
        chats = [await box.open_one(contact_id=ana.id) for box in boxes]
        other = await boxes[0].open_one(2, contact_id=eva.id)
        await boxes[0].open_one(3)
        deleted = await boxes[0].delete(chats[0])
        async with account.begin() as tx:
            assert await tx.chats.of_contacts([eva.id, ana.id]) == [deleted, chats[1], other]
            assert await tx.chats.of_contacts([ida.id]) == []

    @law()
    async def test_chats_of_identities_come_by_id(self, account: Tenant) -> None:
        """On every device, deleted ones, too, and of nobody else (CT7)."""
        boxes = [await inbox_of(account), await inbox_of(account)]
        chats = [await box.open_one() for box in boxes]
        other = await boxes[0].open_one(2)
        await boxes[0].open_one(3)
        deleted = await boxes[0].delete(chats[0])
        wanted = [somebody(2), somebody(1), somebody(4)]
        async with account.begin() as tx:
            assert await tx.chats.of_identities(wanted) == [deleted, chats[1], other]
            assert await tx.chats.of_identities([]) == []


async def _got(tx: Transaction, chat_id: ChatId) -> list[Chat]:
    return [await tx.chats.get(chat_id)]


async def _claimed(tx: Transaction, draft: ChatDraft) -> list[Chat]:
    return [chat for chat, _ in await tx.chats.claim([draft], at=NOON)]
