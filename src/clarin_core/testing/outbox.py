"""Laws of the outbox and of what is known of files."""

from datetime import timedelta

import pytest
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from clarin_core.domain.outbox import OutboxDraft, OutboxItem
from clarin_core.errors import NotFound
from clarin_core.testing import inbox_strategies, strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.inbox import inbox_of, somebody
from clarin_core.testing.tenants import LATER, NOON, Tenant

MINUTE = timedelta(minutes=1)

items = st.tuples(
    st.sampled_from([0, 0, 0, 1]), st.integers(0, 1), st.sampled_from(["due", "late", "begun"])
)


class OutboxLaws(Contract):
    """What `OutboxStore` promises."""

    @law(draft=inbox_strategies.outbox_drafts(), has_message=st.booleans())
    async def test_an_errand_comes_back_as_it_was_added(
        self, account: Tenant, draft: OutboxDraft, has_message: bool
    ) -> None:
        """No field is lost on the way; it is due at once."""
        inbox = await inbox_of(account)
        chat = await inbox.open_one()
        (message,) = await inbox.say(inbox.said(chat))
        where = {"device_id": inbox.device_id, "chat_id": chat.id}
        draft = replace(draft, **where, message_id=message.id if has_message else None)
        (item,) = await inbox.order(draft)
        assert asdict(item) == asdict(draft) | {
            "id": item.id, "attempts": 0, "not_before": NOON, "token": None,
        }  # fmt: skip
        async with account.begin() as tx:
            assert await tx.outbox.next(inbox.device_id, at=NOON) == item

    @law(token=strategies.maybe(st.integers(1, 2**62)), at=strategies.instants())
    async def test_a_saved_errand_comes_back_as_it_was_saved(
        self, account: Tenant, token: int | None, at: object
    ) -> None:
        """That it was begun, and how long it waits."""
        inbox = await inbox_of(account)
        (item,) = await inbox.order(inbox.to_do(await inbox.open_one()))
        item = replace(item, token=token, not_before=at, attempts=3, doubts=2)
        async with account.begin() as tx:
            await tx.outbox.save(item)
        async with account.begin() as tx:
            begun = await tx.outbox.at_work(inbox.device_id)
            due = await tx.outbox.next(inbox.device_id, at=item.not_before)
        assert (begun, due) == (([], item) if token is None else ([item], None))

    @law(drawn=st.lists(items, min_size=2, max_size=8))
    async def test_errands_of_a_chat_are_done_in_their_order(
        self, account: Tenant, drawn: list[tuple[int, int, str]]
    ) -> None:
        """R8: the oldest that is due; what waits or is at work holds up its own chat alone."""
        boxes = [await inbox_of(account), await inbox_of(account)]
        people = [somebody(1), somebody(2)]
        chats = [await box.open(*people) for box in boxes]
        drafts = [boxes[box].to_do(chats[box][chat]) for box, chat, _ in drawn]
        added = await boxes[0].order(*drafts)
        assert [item.id for item in added] == sorted(item.id for item in added)
        assert [item.chat_id for item in added] == [draft.chat_id for draft in drafts]
        left = [
            await self._become(account, item, how[2])
            for item, how in zip(added, drawn, strict=True)
        ]
        for box in boxes:
            async with account.begin() as tx:
                begun = await tx.outbox.at_work(box.device_id)
            assert begun == [one for one in left if one.device_id == box.device_id and one.token]
        await self._expect_in_order(account, left)

    @law()
    async def test_an_errand_that_is_done_with_is_gone(self, account: Tenant) -> None:
        """It may be done with twice; it cannot be saved any more."""
        inbox = await inbox_of(account)
        (item,) = await inbox.order(inbox.to_do(await inbox.open_one()))
        for _ in range(2):
            async with account.begin() as tx:
                await tx.outbox.remove(item)
        with pytest.raises(NotFound):
            async with account.begin() as tx:
                await tx.outbox.save(item)

    @law()
    async def test_errands_of_a_message_come_oldest_first(self, account: Tenant) -> None:
        """Those at work, too; neither another message's nor what is about none."""
        inbox = await inbox_of(account)
        chat = await inbox.open_one()
        message, other = await inbox.say(*[inbox.said(chat)] * 2)
        about = (message, other, None, message)
        drafts = [inbox.to_do(chat, message_id=one and one.id) for one in about]
        added = await inbox.order(*drafts)
        await self._become(account, added[0], "begun")
        async with account.begin() as tx:
            assert await tx.outbox.of_message(message.id) == [added[0], added[3]]

    async def _become(self, account: Tenant, item: OutboxItem, how: str) -> OutboxItem:
        if how == "begun":
            item.begin(7)
        item.not_before = LATER + MINUTE if how == "late" else NOON
        async with account.begin() as tx:
            await tx.outbox.save(item)
        return item

    async def _expect_in_order(self, account: Tenant, left: list[OutboxItem]) -> None:
        """Do what is due, one after the other, and compare each with what a list says."""
        for device_id in {item.device_id for item in left}:
            while True:
                first = {item.chat_id: item for item in reversed(left)}
                due = [
                    item
                    for item in left
                    if item.device_id == device_id and first[item.chat_id] is item
                    and item.token is None and item.not_before <= LATER
                ]  # fmt: skip
                async with account.begin() as tx:
                    item = await tx.outbox.next(device_id, at=LATER)
                    assert item == (due[0] if due else None)
                    if item is None:
                        break
                    await tx.outbox.remove(item)
                left = [one for one in left if one.id != item.id]
