"""Leads: changed, hidden, shown again, and announced as what they are."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from clarin_core.domain.contacts import NewContact
from clarin_core.domain.events import LeadAssigned, LeadMoved, LeadUpdated, replay
from clarin_core.domain.ids import ContactId, LeadId, UserId
from clarin_core.domain.leads import (
    LeadChange,
    LeadIds,
    LeadQuery,
    LeadView,
    NewLead,
    StageChoice,
)
from clarin_core.domain.tags import NewTag
from clarin_core.errors import Conflict, Forbidden, Invalid, NotFound
from clarin_core.testing.strategies import custom_fields, emails, maybe, names, texts
from support.desk import Desk, tell

PHONE = "987654321"


KEPT = "+51987654321"


FEW = settings(max_examples=120, deadline=None)


# What a change may name, of the lead's own and of its contact's; what is not named is absent.
CHANGES: SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "notes": maybe(texts(50, lines=True)),
        "source": maybe(texts(20)),
        "custom_fields": custom_fields(),
        "value": maybe(st.integers(0, 5)),
        "name": names(),
        "company": maybe(names()),
        "email": maybe(emails()),
    },
)


OF_THE_CONTACT = ("company", "email")


@pytest.mark.parametrize("cleared", [{"name": None}, {"contact_id": None, "name": None}])
def test_a_lead_keeps_somebody(cleared: dict[str, Any]) -> None:
    """LD1: the last thing that says who it is stays."""

    async def story() -> None:
        desk = await Desk.open()
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz"))
        with pytest.raises(Invalid, match="must stay"):
            await desk.leads.update(desk.agent, lead.id, LeadChange(**cleared))
        known = await desk.leads.update(desk.agent, lead.id, LeadChange(name=None, phone=PHONE))
        assert (known.name, known.phone) == (KEPT, KEPT)

    tell(story())


def test_only_active_members_are_assigned() -> None:
    """LD9: on creation and later; the event tells who it was before."""

    async def story() -> None:
        desk = await Desk.open()
        me, nobody = desk.agent.user_id, UserId(10**6)
        stranger = (await desk.stranger()).agent.user_id
        for wrong in (nobody, stranger):
            with pytest.raises(NotFound, match="member"):
                await desk.leads.create(desk.agent, NewLead(name="Luz", assigned_to=wrong))
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz", assigned_to=me))
        for wrong in (nobody, stranger):
            with pytest.raises(NotFound, match="member"):
                await desk.leads.update(desk.agent, lead.id, LeadChange(assigned_to=wrong))
        await desk.news()
        free = await desk.leads.update(desk.agent, lead.id, LeadChange(assigned_to=None))
        (event,) = await desk.news()
        assert isinstance(event, LeadAssigned)
        assert (event.before, event.lead.assigned_to, free.assigned_to) == (me, None, None)

    tell(story())


@FEW
@given(before=CHANGES, change=CHANGES)
def test_what_is_absent_stays_and_null_clears(
    before: dict[str, Any], change: dict[str, Any]
) -> None:
    """CT9, 15.18: a change sets what it names, on the lead or on its contact, and nothing else.

    Version and events count it once, and only if something differs; the events name what.
    """

    async def story() -> None:
        desk = await Desk.open()
        new = NewLead(name="Luz", phone=PHONE)
        lead = await desk.leads.create(desk.agent, new)
        lead = await desk.leads.update(desk.agent, lead.id, LeadChange(**before))
        await desk.news()
        changed = await desk.leads.update(desk.agent, lead.id, LeadChange(**change))
        fields = [field for field in LeadView.__struct_fields__ if field not in ("updated_at",)]
        was = {field: getattr(lead, field) for field in fields}
        differing = {field for field, value in change.items() if was[field] != value}
        assert {field: getattr(changed, field) for field in fields} == was | change | {
            "version": lead.version + bool(differing)
        }
        events = await desk.news()
        told = [set(event.changed) for event in events if isinstance(event, LeadUpdated)]
        assert told == ([differing] if differing else [])
        assert len(events) == bool(differing) + bool(differing & {*OF_THE_CONTACT})

    tell(story())


def test_editing_the_person_of_a_lead_edits_the_contact_of_all_its_leads() -> None:
    """CT9: no copying back and forth."""

    async def story() -> None:
        desk = await Desk.open()
        one = await desk.leads.create(desk.agent, NewLead(name="Uno", phone=PHONE))
        new = NewLead(name="Dos", phone=PHONE, allow_duplicate=True)
        two = await desk.leads.create(desk.agent, new)
        change = LeadChange(phone="987000111", company="Luz SAC")
        await desk.leads.update(desk.agent, one.id, change)
        shown = await desk.tenant.views.lead(two.id)
        assert (shown.phone, shown.company, shown.name) == ("+51987000111", "Luz SAC", "Dos")

    tell(story())


def test_a_phone_of_another_contact_cannot_be_taken() -> None:
    """CT1: a phone belongs to one contact; the conflict names it, and nothing is changed."""

    async def story() -> None:
        desk = await Desk.open()
        ana = await desk.contacts.create(desk.agent, NewContact(name="Ana", phone="987000111"))
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz", phone=PHONE))
        await desk.news()
        change = LeadChange(phone="987000111", notes="x")
        with pytest.raises(Conflict) as refusal:
            await desk.leads.update(desk.agent, lead.id, change)
        assert (refusal.value.code, refusal.value.id) == ("duplicate_contact", ana.id)
        assert await desk.tenant.views.lead(lead.id) == lead
        assert await desk.news() == []

    tell(story())


def test_a_lead_without_a_contact_gets_one_with_its_first_value() -> None:
    """CT9, LD2: the events name what the lead got, and nothing that stayed empty."""

    async def story() -> None:
        desk = await Desk.open()
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz"))
        await desk.news()
        nothing = LeadChange(phone=None, email=None)
        assert (await desk.leads.update(desk.agent, lead.id, nothing)).version == 1
        assert await desk.news() == []
        change = LeadChange(phone=PHONE, email=None)
        known = await desk.leads.update(desk.agent, lead.id, change)
        _, updated = await desk.news()
        assert isinstance(updated, LeadUpdated)
        assert updated.changed == ["contact_id", "phone"]
        assert (known.version, known.phone, known.contact_name) == (2, KEPT, "Luz")

    tell(story())


def test_a_lead_can_change_its_contact() -> None:
    """CT9: it shows the new one, or nobody; a contact must be there."""

    async def story() -> None:
        desk = await Desk.open()
        ana = await desk.contacts.create(desk.agent, NewContact(name="Ana", phone="987000111"))
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz", phone=PHONE))
        moved = await desk.leads.update(desk.agent, lead.id, LeadChange(contact_id=ana.id))
        assert (moved.contact_name, moved.phone) == ("Ana", "+51987000111")
        alone = await desk.leads.update(desk.agent, lead.id, LeadChange(contact_id=None))
        assert (alone.contact_id, alone.phone, alone.name) == (None, None, "Luz")
        change = LeadChange(contact_id=ContactId(10**6))
        with pytest.raises(NotFound, match="contact"):
            await desk.leads.update(desk.agent, lead.id, change)
        await desk.contacts.delete(desk.agent, ana.id)
        with pytest.raises(NotFound, match="contact"):
            await desk.leads.update(desk.agent, lead.id, LeadChange(contact_id=ana.id))

    tell(story())


def test_one_change_of_many_kinds_is_one_version_and_tells_each_kind() -> None:
    """5.4: moved, assigned and updated are announced apart, each with the state afterwards."""

    async def story() -> None:
        desk = await Desk.open()
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz"))
        await desk.news()
        stage, me = desk.tenant.stages[1], desk.agent.user_id
        change = LeadChange(name="Sol", stage_id=stage, assigned_to=me, version=1)
        changed = await desk.leads.update(desk.agent, lead.id, change)
        moved, assigned, updated = await desk.news()
        assert isinstance(moved, LeadMoved)
        assert isinstance(assigned, LeadAssigned)
        assert isinstance(updated, LeadUpdated)
        assert updated.changed == ["name"]
        versions = {moved.leads[0].version, assigned.lead.version, updated.leads[0].version}
        assert versions == {changed.version} == {2}

    tell(story())


def test_who_saw_another_version_is_refused() -> None:
    """Section 1: a version that is named must be the stored one."""

    async def story() -> None:
        desk = await Desk.open()
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz"))
        await desk.leads.update(desk.agent, lead.id, LeadChange(name="Sol", version=1))
        for stale in (1, 3):
            with pytest.raises(Conflict) as refusal:
                await desk.leads.update(desk.agent, lead.id, LeadChange(name="Mar", version=stale))
            assert refusal.value.code == "version_conflict"

    tell(story())


def test_a_lead_can_be_hidden_and_shown_again() -> None:
    """SD1: hidden from all that live leads are in; what it is stays."""

    async def story() -> None:
        desk = await Desk.open()
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz", phone=PHONE))
        await desk.leads.delete(desk.agent, lead.id)
        views = desk.tenant.views
        assert (await views.leads(LeadQuery())).total == 0
        assert (await views.stats()).leads == 0
        for touch in (
            lambda: views.lead(lead.id),
            lambda: desk.leads.update(desk.agent, lead.id, LeadChange(name="Sol")),
            lambda: desk.leads.delete(desk.agent, lead.id),
        ):
            with pytest.raises(NotFound):
                await touch()
        restored = await desk.leads.restore(desk.agent, lead.id)
        assert (restored.name, restored.phone, restored.version) == ("Luz", KEPT, 3)
        with pytest.raises(NotFound):
            await desk.leads.restore(desk.agent, lead.id)
        assert (await desk.names())[2:] == ["lead.deleted", "lead.restored"]

    tell(story())


def test_a_batch_is_hidden_whole_or_not_at_all_by_administrators() -> None:
    """SD3, section 7: one event for all of it; agents may not."""

    async def story() -> None:
        desk = await Desk.open()
        leads = [await desk.leads.create(desk.agent, NewLead(name=name)) for name in "abc"]
        ids = frozenset(lead.id for lead in leads)
        with pytest.raises(Forbidden):
            await desk.leads.delete_many(desk.agent, LeadIds(ids=ids))
        with pytest.raises(NotFound):
            await desk.leads.delete_many(desk.admin, LeadIds(ids=ids | {LeadId(10**6)}))
        assert len(await desk.news()) == 3
        assert (await desk.leads.delete_many(desk.admin, LeadIds(ids=ids))).count == 3
        assert await desk.names() == ["lead.deleted"]

    tell(story())


def test_the_events_of_a_life_add_up_to_the_lead() -> None:
    """R5: replaying the log gives what is stored."""

    async def story() -> None:
        desk = await Desk.open()
        stages = desk.tenant.stages
        lead = await desk.leads.create(desk.admin, NewLead(name="Luz", tags=frozenset({"a"})))
        await desk.leads.update(desk.agent, lead.id, LeadChange(phone=PHONE, notes="x"))
        await desk.leads.move(desk.agent, lead.id, StageChoice(stage_id=stages[4]))
        await desk.leads.move(desk.agent, lead.id, StageChoice(stage_id=stages[1]))
        await desk.leads.delete(desk.agent, lead.id)
        await desk.leads.restore(desk.agent, lead.id)
        state = replay(await desk.news())
        view = await desk.tenant.views.lead(lead.id)
        stored = state.leads[lead.id]
        assert all(
            getattr(view, name) == getattr(stored, name) for name in stored.__struct_fields__
        )
        assert {link.tag_id for link in state.lead_tags} == {*view.tag_ids}
        assert view.contact_id is not None
        assert state.contacts[view.contact_id].phone == view.phone

    tell(story())


def test_another_account_is_not_there() -> None:
    """TN1, TN2: whatever a stranger names is as unknown as what nobody has."""

    async def story() -> None:
        desk = await Desk.open()
        other = await desk.stranger()
        lead = await desk.leads.create(desk.admin, NewLead(name="Luz", phone=PHONE))
        tag = await desk.tags.create(desk.admin, NewTag(name="vip"))
        seen = await desk.tenant.picture()
        mine = await other.leads.create(other.admin, NewLead(name="Sol", phone=PHONE))
        assert mine.contact_id != lead.contact_id
        refused = [
            lambda ids: other.leads.update(other.admin, ids[0], LeadChange(name="x")),
            lambda ids: other.leads.delete(other.admin, ids[0]),
            lambda ids: other.leads.delete_many(other.admin, LeadIds(ids=frozenset({ids[0]}))),
            lambda ids: other.leads.restore(other.admin, ids[0]),
            lambda ids: other.leads.create(other.admin, NewLead(contact_id=ids[1])),
            lambda ids: other.leads.update(other.admin, mine.id, LeadChange(contact_id=ids[1])),
            lambda ids: other.leads.create(other.admin, NewLead(name="x", stage_id=ids[2])),
            lambda ids: other.leads.move(other.admin, mine.id, StageChoice(stage_id=ids[2])),
            lambda ids: other.leads.create(
                other.admin, NewLead(name="x", tag_ids=frozenset({ids[3]}))
            ),
        ]
        foreign = (lead.id, lead.contact_id, desk.tenant.stages[0], tag.id)
        for attempt in refused:
            texts_ = [await refusal(attempt, ids) for ids in (foreign, (10**6,) * 4)]
            assert texts_[0] == texts_[1]
        assert await desk.tenant.picture() == seen

    tell(story())


async def refusal(attempt: Any, ids: Any) -> str:
    """Return how an attempt was refused, without the id."""
    with pytest.raises(NotFound) as refused:
        await attempt(ids)
    return f"{refused.value.what} {refused.value.code}"
