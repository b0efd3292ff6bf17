"""Laws of the lead store."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import strategies as st
from msgspec.structs import asdict

from clarin_core.domain.events import LeadRestored
from clarin_core.domain.ids import ContactId, KommoId, LeadId, UserId
from clarin_core.domain.leads import Lead, LeadDraft, LeadQuery, LeadStatus, StageMove
from clarin_core.domain.paging import PageQuery
from clarin_core.errors import ClarinError, Conflict, NotFound
from clarin_core.testing import strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.tenants import LATER, NOON, Tenant, doomed, draft

KOMMO = KommoId(2**62)


class LeadLaws(Contract):
    """What `LeadStore` promises."""

    @law(drafts=strategies.lead_batches(), at=strategies.instants())
    async def test_a_lead_comes_back_as_it_was_added(
        self, account: Tenant, drafts: list[LeadDraft], at: datetime
    ) -> None:
        """No field is lost on the way, in the order given, from version 1 on."""
        added = await account.add_leads(*drafts, at=at)
        assert [as_draft(lead) for lead in added] == drafts
        lives = {(one.created_at, one.updated_at, one.version, one.deleted_at) for one in added}
        assert lives <= {(at, at, 1, None)}
        async with account.begin() as tx:
            assert await tx.leads.get_many([lead.id for lead in added]) == by_id(added)
            assert [await tx.leads.get(lead.id) for lead in added] == added

    @law(before=strategies.lead_drafts(), after=strategies.lead_drafts(), at=strategies.instants())
    async def test_a_saved_lead_comes_back_as_it_was_saved(
        self, account: Tenant, before: LeadDraft, after: LeadDraft, at: datetime
    ) -> None:
        """Every field can be changed, to nothing too, and the version counts it."""
        (lead,) = await account.add_leads(before)
        lead.alter(asdict(after), at=at)
        await account.save_leads(lead)
        async with account.begin() as tx:
            assert await tx.leads.get(lead.id) == lead

    @law()
    async def test_a_lead_keeps_its_links(self, account: Tenant) -> None:
        """LD4, LD9: contact, pipeline, stage and owner are kept and can be changed."""
        contact, agent = await account.add_contact(name="Ana"), await account.hire()
        links = {"contact_id": contact.id, "assigned_to": agent, **first_place(account)}
        lead = await account.add_lead(**links)
        other = await account.add_lead()
        other.alter(links, at=LATER)
        await account.save_leads(other)
        async with account.begin() as tx:
            stored = await tx.leads.get_many([lead.id, other.id])
        assert [{name: getattr(one, name) for name in links} for one in stored] == [links] * 2

    @law(names=st.lists(strategies.names(), max_size=6))
    async def test_ids_rise_and_are_never_reused(self, account: Tenant, names: list[str]) -> None:
        """Section 1: ids are positive, 64-bit, and given once."""
        first = [lead.id for lead in await account.add_leads(*map(draft, names))]
        async with doomed(account.begin()) as tx:
            await tx.leads.add([draft()], at=NOON)
        second = [lead.id for lead in await account.add_leads(*map(draft, names))]
        assert len({*first, *second}) == 2 * len(names)
        assert first + second == sorted(first + second)
        assert all(0 < lead_id < 2**63 for lead_id in first + second)

    @law()
    async def test_a_deleted_lead_is_hidden_until_restored(self, account: Tenant) -> None:
        """SD1: it is in no list and no count, can be got as a deleted one, and comes back."""
        lead = await account.add_lead("Luz", **first_place(account))
        await account.delete_lead(lead.id)
        assert await account.lead_ids() == []
        assert await account.lead_ids(deleted=True) == [lead.id]
        assert (await account.views.stats()).leads == 0
        await self._expect_no_lead(account, lead.id)
        async with account.begin() as tx:
            assert await tx.leads.get_many([lead.id]) == []
            deleted = await tx.leads.get(lead.id, deleted=True)
            deleted.restore(LATER)
            await tx.leads.save([deleted])
            tx.emit(LeadRestored(lead=deleted))
        assert await account.lead_ids() == [lead.id]
        assert await account.lead_ids(deleted=True) == []
        assert (await account.views.lead(lead.id)).version == lead.version + 2

    async def _expect_no_lead(self, account: Tenant, lead_id: LeadId) -> None:
        with pytest.raises(NotFound):
            await account.views.lead(lead_id)
        with pytest.raises(NotFound):
            await account.views.lead_history(lead_id, PageQuery())
        with pytest.raises(NotFound):
            async with account.begin() as tx:
                await tx.leads.get(lead_id)

    @law()
    async def test_a_kommo_id_has_one_live_lead(self, account: Tenant) -> None:
        """Section 3.2: adding, saving and restoring a second one conflicts, in a batch too."""
        first = await account.add_lead(kommo_id=KOMMO)
        other = await account.add_lead()
        other.kommo_id = KOMMO
        with pytest.raises(Conflict) as added:
            await account.add_lead(kommo_id=KOMMO)
        with pytest.raises(Conflict) as saved:
            await account.save_leads(other)
        await account.delete_lead(first.id)
        await account.save_leads(other)
        with pytest.raises(Conflict) as restored:
            await restore(account, first.id)
        with pytest.raises(Conflict) as together:
            await account.add_leads(*[draft(kommo_id=KommoId(1))] * 2)
        codes = {caught.value.code for caught in (added, saved, restored, together)}
        assert codes == {"duplicate_lead"}

    @law()
    async def test_a_kommo_id_counts_within_its_account(self, account: Tenant) -> None:
        """TN2: another account may sync the same Kommo lead."""
        other = await account.stranger()
        mine, theirs = await account.add_lead(kommo_id=KOMMO), await other.add_lead(kommo_id=KOMMO)
        async with account.begin() as tx:
            assert await tx.leads.by_kommo([KOMMO, KommoId(7)]) == {KOMMO: mine}
        async with other.begin() as tx:
            assert await tx.leads.by_kommo([KOMMO]) == {KOMMO: theirs}

    @law()
    async def test_a_lead_is_found_by_kommo_while_it_lives(self, account: Tenant) -> None:
        """KS6: a deleted lead is not the one to update."""
        lead = await account.add_lead(kommo_id=KOMMO)
        await account.delete_lead(lead.id)
        async with account.begin() as tx:
            assert await tx.leads.by_kommo([KOMMO]) == {}

    @law()
    async def test_contacts_give_their_live_leads(self, account: Tenant) -> None:
        """IM3: closed leads count too, deleted ones and those of others do not."""
        ana, eva = await account.add_contact(name="Ana"), await account.add_contact(name="Eva")
        won = await account.add_lead(contact_id=ana.id, status=LeadStatus.WON)
        mine = await account.add_lead(contact_id=ana.id)
        await account.delete_lead((await account.add_lead(contact_id=ana.id)).id)
        await account.add_lead(contact_id=eva.id)
        await account.add_lead()
        async with account.begin() as tx:
            assert await tx.leads.of_contacts([ana.id]) == [won, mine]

    @law(rows=st.lists(st.tuples(st.sampled_from(LeadStatus), strategies.hours(), st.booleans())))
    async def test_open_in_finds_the_oldest_open_lead(
        self, account: Tenant, rows: list[tuple[LeadStatus, datetime, bool]]
    ) -> None:
        """LD3: won, lost and deleted leads stand in nobody's way, nor do other pipelines."""
        contact, idle = await account.add_contact(name="Ana"), await account.add_contact(name="Eva")
        elsewhere = await account.add_pipeline("Otro", "Uno")
        pipelines = {True: account.pipeline.id, False: elsewhere.id}
        stages = {True: account.stages[0], False: elsewhere.stages[0].id}
        leads = [
            await account.add_lead(
                at=at, status=status, contact_id=contact.id,
                pipeline_id=pipelines[here], stage_id=stages[here],
            )
            for status, at, here in rows
        ]  # fmt: skip
        await account.delete_lead((await account.add_lead(contact_id=contact.id)).id)
        mine = [one for one in leads if one.is_open and one.pipeline_id == account.pipeline.id]
        oldest = sorted(mine, key=lambda one: (one.created_at, one.id))[:1]
        async with account.begin() as tx:
            found = await tx.leads.open_in(account.pipeline.id, [contact.id, idle.id])
        assert list(found.items()) == [(contact.id, lead.id) for lead in oldest]

    @law()
    async def test_a_contact_gives_its_live_leads(self, account: Tenant) -> None:
        """CT9: whoever changes a person finds all leads that show it."""
        ana, eva = await account.add_contact(name="Ana"), await account.add_contact(name="Eva")
        other = await account.add_contact(name="Ida")
        owners = (eva, ana, other, ana)
        leads = [await account.add_lead(contact_id=owner.id) for owner in owners]
        gone = await account.add_lead(contact_id=ana.id)
        await account.delete_lead(gone.id)
        async with account.begin() as tx:
            found = await tx.leads.of_contacts([ana.id, eva.id, ContactId(2**62)])
        assert found == [leads[0], leads[1], leads[3]]

    @law()
    async def test_a_stage_gives_its_leads_up_to_a_limit(self, account: Tenant) -> None:
        """LD7: deleted leads must move too before a stage can go."""
        here, there = account.stages[:2]
        placed = partial(account.add_lead, pipeline_id=account.pipeline.id)
        mine = [await placed(stage_id=here) for _ in range(3)]
        await placed(stage_id=there)
        await account.delete_lead(mine[1].id)
        async with account.begin() as tx:
            found = await tx.leads.in_stages([here], limit=10)
            some = await tx.leads.in_stages([here, there], limit=2)
        assert {lead.id for lead in found} == {lead.id for lead in mine}
        assert len(some) == 2

    @law(places=st.lists(st.integers(0, 5), max_size=6))
    async def test_the_history_folds_to_the_current_stage(
        self, account: Tenant, places: list[int]
    ) -> None:
        """LD4, property 14: a line a real move, newest first; each begins where one ended."""
        lead, agent = await account.add_lead(), await account.hire()
        moved = [await move(account, lead.id, place, by=agent) for place in places]
        moves = [line for lines in moved for line in lines]
        history = (await account.views.lead_history(lead.id, PageQuery())).data
        assert history == moves[::-1]
        stages = [None, *(line.to_stage for line in moves)]
        assert [line.from_stage for line in moves] == stages[:-1]
        stored = await account.views.lead(lead.id)
        assert (stored.stage_id, stored.version) == (stages[-1], 1 + len(moves))

    @law()
    async def test_a_stage_belongs_to_its_pipeline(self, account: Tenant) -> None:
        """Section 3.2: a lead cannot be in a stage of one pipeline and in another pipeline."""
        other = await account.add_pipeline("Otro", "Uno")
        lead = await account.add_lead(**first_place(account))
        lead.pipeline_id = other.id
        with pytest.raises(ClarinError):
            await account.save_leads(lead)
        with pytest.raises(ClarinError):
            await account.add_lead(pipeline_id=other.id, stage_id=account.stages[0])
        assert (await account.views.lead(lead.id)).pipeline_id == account.pipeline.id
        assert await account.lead_ids() == [lead.id]

    @law()
    async def test_concurrent_locks_do_not_deadlock(self, account: Tenant) -> None:
        """Rows are locked in ascending order, whatever order the caller names them in."""
        ids = [lead.id for lead in await account.add_leads(*[draft()] * 4)]

        async def touch(named: list[LeadId]) -> None:
            async with account.begin() as tx:
                leads = await tx.leads.get_many(named)
                for lead in leads:
                    lead.touch(LATER)
                await tx.leads.save(leads)

        await asyncio.gather(*(touch(named) for named in [ids, ids[::-1]] * 3))
        page = await account.views.leads(LeadQuery())
        assert [lead.version for lead in page.data] == [7] * 4


async def move(
    account: Tenant, lead_id: LeadId, place: int, *, by: UserId | None = None
) -> list[StageMove]:
    """Commit a lead's move to a stage of the default pipeline, as the use case does it."""
    stage = account.pipeline.stages[place]
    async with account.begin() as tx:
        lead = await tx.leads.get(lead_id)
        moved = lead.move(account.pipeline, stage, by=by, at=LATER)
        moves = [move for move in [moved] if move is not None]
        await tx.leads.save([lead])
        await tx.leads.log_moves(moves)
    return moves


async def restore(account: Tenant, lead_id: LeadId) -> None:
    """Commit a lead's return."""
    async with account.begin() as tx:
        lead = await tx.leads.get(lead_id, deleted=True)
        lead.restore(LATER)
        await tx.leads.save([lead])


def first_place(account: Tenant) -> dict[str, Any]:
    """Return the first stage of the default pipeline as a draft's fields."""
    return {"pipeline_id": account.pipeline.id, "stage_id": account.stages[0]}


def as_draft(lead: Lead) -> LeadDraft:
    """Return what a lead says, without its life."""
    return LeadDraft(**{name: getattr(lead, name) for name in LeadDraft.__struct_fields__})


def by_id(leads: list[Lead]) -> list[Lead]:
    """Return leads in the order of their ids."""
    return sorted(leads, key=lambda lead: lead.id)
