"""Laws of the quick replies: unique shortcuts, and a list by them."""

import asyncio
from datetime import datetime

import pytest
from hypothesis import strategies as st
from msgspec.structs import asdict

from clarin_core.domain.ids import QuickReplyId
from clarin_core.domain.inbox_events import QuickReplyUpdated
from clarin_core.domain.quick_replies import (
    NewQuickReply,
    QuickReply,
    QuickReplyQuery,
    shortcut_key,
)
from clarin_core.errors import Conflict, NotFound
from clarin_core.testing import strategies
from clarin_core.testing.contract import Capability, Contract, law
from clarin_core.testing.tenants import LATER, NOON, Tenant

WRITERS = 4


class QuickReplyLaws(Contract):
    """What `QuickReplyStore` and `Views.quick_replies` promise."""

    @law(new=strategies.new_quick_replies(), at=strategies.instants())
    async def test_a_quick_reply_comes_back_as_it_was_added(
        self, account: Tenant, new: NewQuickReply, at: datetime
    ) -> None:
        """No text is lost on the way; a new one starts at version 1."""
        async with account.begin() as tx:
            reply = await tx.quick_replies.add(new, at=at)
        life = {"id": reply.id, "created_at": at, "updated_at": at, "version": 1}
        assert asdict(reply) == asdict(new) | life
        async with account.begin() as tx:
            assert await tx.quick_replies.get(reply.id) == reply
        assert await shown(account) == [reply]

    @law(before=strategies.new_quick_replies(), after=strategies.new_quick_replies())
    async def test_a_saved_quick_reply_comes_back_as_it_was_saved(
        self, account: Tenant, before: NewQuickReply, after: NewQuickReply
    ) -> None:
        """Every text can be changed, the shortcut to another spelling of itself, too."""
        async with account.begin() as tx:
            reply = await tx.quick_replies.add(before, at=NOON)
        assert await save(account, reply.id, **asdict(after)) in await shown(account)
        again = await save(account, reply.id, shortcut=spelled(after.shortcut))
        assert again.shortcut == spelled(after.shortcut)
        assert await shown(account) == [again]

    @law(shortcut=strategies.shortcuts())
    async def test_a_shortcut_belongs_to_one_quick_reply(
        self, account: Tenant, shortcut: str
    ) -> None:
        """Section 3.3: another spelling conflicts with the id of the one that has it."""
        reply = await account.add_quick_reply(shortcut)
        other = await account.add_quick_reply(f"{shortcut[:90]}-otro")
        with pytest.raises(Conflict) as added:
            await account.add_quick_reply(spelled(shortcut))
        with pytest.raises(Conflict) as saved:
            await save(account, other.id, shortcut=spelled(shortcut))
        for caught in (added, saved):
            assert (caught.value.code, caught.value.id) == ("shortcut_exists", reply.id)

    @law()
    async def test_concurrent_quick_replies_share_no_shortcut(self, account: Tenant) -> None:
        """One is kept, the others are told which one."""

        async def add(_: int) -> int | None:
            try:
                return (await account.add_quick_reply("hola")).id
            except Conflict as error:
                return error.id

        ids = await asyncio.gather(*map(add, range(WRITERS)))
        assert [one.id for one in await shown(account)] == [ids[0]]
        assert set(ids) == {ids[0]}

    @law()
    async def test_a_shortcut_counts_within_its_account(self, account: Tenant) -> None:
        """TN2: two accounts may use the same one."""
        other = await account.stranger()
        mine, theirs = [await one.add_quick_reply("hola") for one in (account, other)]
        assert (await shown(account), await shown(other)) == ([mine], [theirs])

    @law()
    async def test_a_removed_quick_reply_frees_its_shortcut(self, account: Tenant) -> None:
        """It is gone for good, and another one may be found by its shortcut."""
        reply = await account.add_quick_reply("hola")
        async with account.begin() as tx:
            await tx.quick_replies.remove(reply.id)
        with pytest.raises(NotFound):
            async with account.begin() as tx:
                await tx.quick_replies.get(reply.id)
        assert (await account.add_quick_reply("HOLA")).id > reply.id

    @law(texts=st.lists(strategies.shortcuts(), max_size=6, unique_by=shortcut_key))
    async def test_quick_replies_are_listed_by_shortcut(
        self, account: Tenant, texts: list[str]
    ) -> None:
        """Without regard to case, whatever the order in which they came."""
        for shortcut in texts:
            await account.add_quick_reply(shortcut)
        assert [one.shortcut for one in await shown(account)] == sorted(texts, key=shortcut_key)

    @law(needs=Capability.SEARCHING)
    async def test_quick_replies_are_searched_by_all_their_texts(self, account: Tenant) -> None:
        """Part of a text is enough, case and accents do not count."""
        reply = await account.add_quick_reply("Envío")
        await account.add_quick_reply("otro")
        await save(account, reply.id, title="Costo de envío", body="Cuesta\n10 soles")
        for search in ("ENVIO", "costo", "10 SOLES"):
            page = await account.views.quick_replies(QuickReplyQuery(search=search))
            assert ([one.id for one in page.data], page.total) == ([reply.id], 1)


def spelled(shortcut: str) -> str:
    """Return a shortcut in capitals if that means the same, else as it is."""
    return {shortcut_key(one): one for one in (shortcut, shortcut.upper())}[shortcut_key(shortcut)]


async def shown(account: Tenant) -> list[QuickReply]:
    """Return up to 200 quick replies in the order of the list."""
    return (await account.views.quick_replies(QuickReplyQuery(limit=200))).data


async def save(account: Tenant, reply_id: QuickReplyId, **values: str) -> QuickReply:
    """Commit other texts of a quick reply, and return it."""
    async with account.begin() as tx:
        reply = await tx.quick_replies.get(reply_id)
        reply.alter(values, at=LATER)
        await tx.quick_replies.save(reply)
        tx.emit(QuickReplyUpdated(quick_reply=reply))
    return reply
