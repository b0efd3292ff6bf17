"""Laws of what an account reads of its leads: views, lists, filters and totals."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DataObject
from msgspec.structs import asdict

from clarin_core.domain.contacts import ContactDraft
from clarin_core.domain.leads import (
    PERSON_FIELDS,
    Lead,
    LeadDraft,
    LeadFilter,
    LeadQuery,
    LeadSort,
    StageLeadQuery,
)
from clarin_core.testing import strategies
from clarin_core.testing.boards import SEARCHES, Board, lay_out
from clarin_core.testing.contract import Capability, Contract, law
from clarin_core.testing.leads import first_place
from clarin_core.testing.tenants import LATER, Tenant, draft


class LeadListLaws(Contract):
    """What `Views` promises of leads."""

    @law(draft=strategies.lead_drafts(), at=strategies.instants())
    async def test_a_lead_is_shown_as_it_is(
        self, account: Tenant, draft: LeadDraft, at: datetime
    ) -> None:
        """The view is the lead, alone and in the list; without links it has nothing else."""
        (lead,) = await account.add_leads(draft, at=at)
        view = await account.views.lead(lead.id)
        assert {name: getattr(view, name) for name in Lead.__struct_fields__} == asdict(lead)
        assert (view.tags, view.tag_ids, view.stage_name, view.contact_name) == ([], [], None, None)
        assert {getattr(view, name) for name in PERSON_FIELDS} == {None}
        assert (await account.views.leads(LeadQuery())).data == [view]

    @law(person=strategies.contact_drafts(), name=strategies.maybe(strategies.names()))
    async def test_a_lead_shows_its_person_and_its_stage(
        self, account: Tenant, person: ContactDraft, name: str | None
    ) -> None:
        """CT3, CT9: the contact's values are read, never copied; its name fills an empty one."""
        (contact,) = await account.add_contacts(person)
        lead = await account.add_lead(name, contact_id=contact.id, **first_place(account))
        shown = await account.views.lead(lead.id)
        for field in PERSON_FIELDS:
            assert getattr(shown, field) == getattr(person, field)
        assert shown.contact_name == person.display_name
        assert shown.name == (name or person.display_name)
        assert shown.stage_name == account.pipeline.stages[0].name
        assert (await account.views.leads(LeadQuery())).data == [shown]
        by_stage = await account.views.leads_by_stage(account.stages[0], StageLeadQuery())
        assert by_stage.data == [shown]

    @law()
    async def test_a_changed_contact_changes_its_leads(self, account: Tenant) -> None:
        """CT9: one person, one place to edit."""
        contact = await account.add_contact(name="Ana")
        lead = await account.add_lead(None, contact_id=contact.id)
        contact.alter({"name": "Eva", "email": "eva@x.pe"}, at=LATER)
        async with account.begin() as tx:
            await tx.contacts.get(contact.id)
            await tx.contacts.save([contact])
        view = await account.views.lead(lead.id)
        assert (view.name, view.email, view.version) == ("Eva", "eva@x.pe", lead.version)

    @law(data=st.data())
    async def test_filters_let_through_what_they_say(
        self, account: Tenant, data: DataObject
    ) -> None:
        """TG4 and section 8: every filter, alone and with others, in every order.

        The first instant is included, the last is not.
        """
        board = await lay_out(account, data)
        for fields in data.draw(board.questions()):
            await expect_found(board, fields, data.draw(st.sampled_from(LeadSort)))

    @law(needs=Capability.SEARCHING, data=st.data())
    async def test_a_search_finds_names_people_and_phones(
        self, account: Tenant, data: DataObject
    ) -> None:
        """Section 8: case and accents do not count; `%` and `_` are what they are."""
        board = await lay_out(account, data)
        for text in SEARCHES:
            await expect_found(board, {"search": text}, LeadSort.NEWEST)

    @law(data=st.data())
    async def test_the_board_shows_each_lead_in_its_stage(
        self, account: Tenant, data: DataObject
    ) -> None:
        """A column holds the live leads of its stage, newest first, and all totals agree."""
        board = await lay_out(account, data)
        for _, stage_id in board.places:
            column = await account.views.leads_by_stage(stage_id, StageLeadQuery())
            expected = [one.id for one in board.found(LeadFilter(stage_id=stage_id))]
            assert [lead.id for lead in column.data] == expected
        live = board.found(LeadFilter())
        stats = await account.views.stats()
        assert stats.leads == len(live)
        assert stats.leads_by_status == Counter(lead.status.value for lead in live)
        assert stats.leads_without_stage == [lead.stage_id for lead in live].count(None)
        assert (stats.contacts, stats.tags, stats.pipelines, stats.members) == (2, 3, 2, 1)

    @law()
    async def test_leads_of_one_instant_are_ordered_by_id(self, account: Tenant) -> None:
        """Section 1: the id decides last, in every order."""
        leads = await account.add_leads(*[draft()] * 3)
        ids = [lead.id for lead in leads]
        assert await account.lead_ids(sort=LeadSort.OLDEST) == ids
        assert await account.lead_ids(sort=LeadSort.NEWEST) == ids[::-1]
        assert await account.lead_ids(sort=LeadSort.UPDATED) == ids[::-1]


async def expect_found(board: Board, fields: Mapping[str, Any], sort: LeadSort) -> None:
    """Compare the list, the list of the deleted, and the totals with the model."""
    views, query = board.account.views, LeadFilter(**fields)
    for deleted in (False, True):
        page = await views.leads(LeadQuery(sort=sort, deleted=deleted, **fields))
        expected = board.listed(query, sort, deleted=deleted)
        assert [lead.id for lead in page.data] == expected
        assert page.total == len(expected)
    assert await views.lead_counts(query) == board.counted(query)
