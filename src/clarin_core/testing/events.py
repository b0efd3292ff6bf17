"""Laws of the log: dense, in commit order, readable from any point."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import strategies as st

from clarin_core.domain.actor import Origin
from clarin_core.domain.events import (
    PAGE_BYTES_MAX,
    Event,
    EventQuery,
    LeadCreated,
    LeadUpdated,
    TagDeleted,
)
from clarin_core.domain.ids import TagId
from clarin_core.domain.paging import PageQuery
from clarin_core.errors import TooOld
from clarin_core.testing import entities, strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.tenants import NOON, Tenant, draft, leads_in

WRITERS = 6


class EventLaws(Contract):
    """What the log of an account promises."""

    @law()
    async def test_a_new_account_has_an_empty_log(self, account: Tenant) -> None:
        """R4: numbers start after 0, and an epoch names the history."""
        position = await account.views.position()
        assert (position.seq, position.trimmed_to, await account.events()) == (0, 0, [])
        assert position.epoch

    @law(batches=st.lists(st.integers(0, 4), max_size=6))
    async def test_the_log_is_dense_from_1(self, account: Tenant, batches: list[int]) -> None:
        """R3: every event has the next number, whatever a transaction emits or not."""
        names = iter(range(100))
        for size in batches:
            await account.emit(*(gone(next(names)) for _ in range(size)))
        log = await account.events()
        assert [recorded.seq for recorded in log] == list(range(1, sum(batches) + 1))
        assert [recorded.event for recorded in log] == [gone(name) for name in range(sum(batches))]
        assert (await account.views.position()).seq == sum(batches)

    @law(after=st.integers(0, 7), limit=st.integers(1, 9))
    async def test_the_log_is_read_from_any_point(
        self, account: Tenant, after: int, limit: int
    ) -> None:
        """R4: a page holds what follows `after`, at most `limit`, and where the log stands."""
        await account.emit(*map(gone, range(7)))
        page = await account.views.events(EventQuery(after=after, limit=limit))
        assert [one.seq for one in page.data] == list(range(after + 1, min(after + limit, 7) + 1))
        assert page.position == await account.views.position()

    @law()
    async def test_a_page_of_the_log_has_a_bound(self, account: Tenant) -> None:
        """A larger limit is cut to 1000."""
        await account.emit(*map(gone, range(1001)))
        page = await account.views.events(EventQuery(limit=5000))
        assert [recorded.seq for recorded in page.data] == list(range(1, 1001))

    @law()
    async def test_a_page_of_the_log_has_a_bound_in_bytes(self, account: Tenant) -> None:
        """It ends with the event that fills it, be it the first; the next one goes on there."""
        large, small = LeadUpdated(leads=[], changed=["x" * PAGE_BYTES_MAX]), gone(1)
        await account.emit(small, large, small, large, small)
        for after, ends in ((0, 2), (2, 4), (1, 2), (4, 5)):
            page = await account.views.events(EventQuery(after=after, limit=10))
            assert [one.seq for one in page.data] == list(range(after + 1, ends + 1))
            assert page.position.seq == 5

    @law(beyond=st.integers(1, 2**62))
    async def test_a_point_after_the_end_is_refused(self, account: Tenant, beyond: int) -> None:
        """R4: who knows more than the log comes from another history, and must start anew."""
        await account.emit(gone(1), gone(2))
        with pytest.raises(TooOld):
            await account.views.events(EventQuery(after=2 + beyond))

    @law(origin=strategies.origins(), event=entities.events())
    async def test_an_event_is_kept_whole(
        self, account: Tenant, origin: Origin, event: Event
    ) -> None:
        """R5: every event comes back as it was emitted, with its origin and time."""
        async with account.begin(origin) as tx:
            tx.emit(event)
        (recorded,) = await account.events()
        assert (recorded.event, recorded.origin) == (event, origin)
        assert recorded.at.utcoffset() == timedelta(0)

    @law()
    async def test_an_event_is_kept_as_it_was_when_emitted(self, account: Tenant) -> None:
        """R5: what happens to an entity after `emit` is another event's affair."""
        async with account.begin() as tx:
            (lead,) = await tx.leads.add([draft("Luz")], at=NOON)
            tx.emit(LeadCreated(leads=[lead]))
            lead.name = "Sol"
        assert [lead.name for lead in leads_in(await account.events())] == ["Luz"]

    @law()
    async def test_events_stay_in_their_account(self, account: Tenant) -> None:
        """R22: two logs count for themselves."""
        other = await account.stranger()
        await account.emit(gone(1), gone(2))
        await other.emit(gone(3))
        assert [(one.seq, one.event) for one in await other.events()] == [(1, gone(3))]
        assert (await account.views.position()).seq == 2

    @law()
    async def test_concurrent_commits_leave_no_gap(self, account: Tenant) -> None:
        """R3: numbers are given in the order of the commits, each once."""

        async def write(number: int) -> None:
            async with account.begin() as tx:
                (lead,) = await tx.leads.add([draft(f"Luz {number}")], at=NOON)
                await asyncio.sleep(0)
                tx.emit(LeadCreated(leads=[lead]), gone(number))

        await asyncio.gather(*map(write, range(WRITERS)))
        log = await account.events()
        assert [recorded.seq for recorded in log] == list(range(1, 2 * WRITERS + 1))
        assert all(isinstance(recorded.event, LeadCreated) for recorded in log[::2])
        assert sorted(lead.id for lead in leads_in(log)) == sorted(await account.lead_ids())

    @law()
    async def test_positions_are_those_of_the_logs(self, account: Tenant) -> None:
        """R3: one look finds out which accounts have news."""
        other = await account.stranger()
        await account.emit(gone(1), gone(2))
        await other.emit(gone(3))
        found = await self.storage.positions([account.id, other.id])
        assert found[account.id] == await account.views.position()
        assert found[other.id] == await other.views.position()
        assert [found[one.id].seq for one in (account, other)] == [2, 1]

    @law()
    async def test_a_list_says_to_which_event_it_belongs(self, account: Tenant) -> None:
        """R5: a page's `seq` is the last event of its snapshot."""
        await account.emit(gone(1), gone(2), gone(3))
        page = await account.views.pipelines(PageQuery())
        assert page.seq == 3
        assert (await account.views.pipelines(PageQuery(after=""))).seq == 3


def gone(number: int) -> TagDeleted:
    """Return a small event that differs by number."""
    return TagDeleted(tag_id=TagId(number + 1))
