"""Contacts: the people of an account, each with at most one live phone."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from clarin_core.domain.contacts import (
    Contact,
    ContactChange,
    ContactDraft,
    ContactIds,
    ContactQuery,
    NewContact,
)
from clarin_core.domain.events import ContactUpdated, replay
from clarin_core.domain.ids import ContactId
from clarin_core.domain.leads import NewLead
from clarin_core.domain.phone import PhoneNumber
from clarin_core.errors import Conflict, Forbidden, Invalid, NotFound
from clarin_core.testing.strategies import contact_drafts, emails, maybe, names, texts
from clarin_core.testing.tenants import LATER, NOON
from clarin_core.usecases.contacts import claim_contact
from support.desk import Desk, tell

PHONE = "987654321"
KEPT = "+51987654321"

CHANGES: SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "name": maybe(names()),
        "last_name": maybe(names()),
        "short_name": maybe(texts(100)),
        "custom_name": maybe(names()),
        "email": maybe(emails()),
        "company": maybe(names()),
        "age": maybe(st.integers(0, 150)),
        "notes": maybe(texts(50, shortest=0, lines=True)),
        "do_not_contact": st.booleans(),
    },
)


@pytest.mark.parametrize("known", [{}, {"company": "Luz SAC"}, {"last_name": "Paz"}])
def test_a_contact_is_somebody(known: dict[str, Any]) -> None:
    """5.2: a name, a phone or an e-mail address is known of everybody."""
    with pytest.raises(Invalid, match="name"):
        NewContact(**known)


@given(draft=contact_drafts())
def test_people_see_the_best_name(draft: ContactDraft) -> None:
    """CT3: custom name, else name with last name, else push name, else phone."""
    full = " ".join(part for part in (draft.name, draft.last_name) if part)
    order = [draft.custom_name, full or None, draft.push_name, draft.phone]
    assert draft.display_name == next((name for name in order if name), None)


@given(draft=contact_drafts(), more=contact_drafts())
def test_filling_overwrites_nothing(draft: ContactDraft, more: ContactDraft) -> None:
    """CT2, CT12: what was known stays, what was empty is taken, and is named."""
    values = {field: getattr(draft, field) for field in draft.__struct_fields__}
    offered = {field: getattr(more, field) for field in more.__struct_fields__}
    life: dict[str, Any] = {"created_at": NOON, "updated_at": NOON, "version": 1}
    contact = Contact(id=ContactId(1), **life, **values)
    changed = contact.fill(offered, at=LATER)
    for field, before in values.items():
        assert getattr(contact, field) == (offered[field] if before is None else before)
    assert {*changed} == {f for f in values if values[f] is None and offered[f] is not None}
    assert (contact.version, contact.updated_at) == ((2, LATER) if changed else (1, NOON))


def test_a_phone_that_is_known_is_a_conflict_with_the_id() -> None:
    """CT1, PH1: creating never updates, however the number is written."""

    async def story() -> None:
        desk = await Desk.open()
        ana = await desk.contacts.create(desk.agent, NewContact(name="Ana", phone=PHONE))
        assert (ana.phone, ana.version, ana.tags) == (KEPT, 1, [])
        assert await desk.names() == ["contact.created"]
        with pytest.raises(Conflict) as refusal:
            await desk.contacts.create(desk.agent, NewContact(name="Eva", phone="+51 987-654 321"))
        assert (refusal.value.code, refusal.value.id) == ("duplicate_contact", ana.id)
        assert await desk.news() == []
        nameless = [await desk.contacts.create(desk.agent, NewContact(name="Ana")) for _ in "ab"]
        assert len({ana.id, *(contact.id for contact in nameless)}) == 3

    tell(story())


def test_a_number_is_read_in_the_region_of_who_writes_it() -> None:
    """PH4: nine digits mean something else in Chile."""

    async def story() -> None:
        desk = await Desk.open()
        for region, kept in (("PE", "+51987654321"), ("CL", "+56987654321")):
            actor = desk.agent.__class__(
                account_id=desk.tenant.id, user_id=desk.agent.user_id, region=region
            )
            contact = await desk.contacts.create(actor, NewContact(phone=PHONE))
            assert contact.phone == kept

    tell(story())


@settings(max_examples=120, deadline=None)
@given(before=CHANGES, change=CHANGES)
def test_what_is_absent_stays_and_null_clears(
    before: dict[str, Any], change: dict[str, Any]
) -> None:
    """15.18: a change sets what it names; it counts once and is told only if something differs."""

    async def story() -> None:
        desk = await Desk.open()
        ana = await desk.contacts.create(desk.agent, NewContact(name="Ana", phone=PHONE))
        ana = await desk.contacts.update(desk.agent, ana.id, ContactChange(**before))
        await desk.news()
        changed = await desk.contacts.update(desk.agent, ana.id, ContactChange(**change))
        fields = [field for field in ana.__struct_fields__ if field != "updated_at"]
        was = {field: getattr(ana, field) for field in fields}
        differing = sorted(field for field, value in change.items() if was[field] != value)
        assert {field: getattr(changed, field) for field in fields} == was | change | {
            "version": ana.version + bool(differing)
        }
        told = [e.changed for e in await desk.news() if isinstance(e, ContactUpdated)]
        assert told == ([differing] if differing else [])

    tell(story())


def test_a_phone_can_be_given_changed_and_taken_away() -> None:
    """PH1, PH7, CT1: in the kept form; another's is a conflict, nonsense is invalid."""

    async def story() -> None:
        desk = await Desk.open()
        ana = await desk.contacts.create(desk.agent, NewContact(name="Ana", phone=PHONE))
        eva = await desk.contacts.create(desk.agent, NewContact(name="Eva"))
        change = ContactChange(phone="(51) 987654321")
        with pytest.raises(Conflict) as refusal:
            await desk.contacts.update(desk.agent, eva.id, change)
        assert refusal.value.id == ana.id
        same = await desk.contacts.update(desk.agent, ana.id, change)
        assert (same.phone, same.version) == (KEPT, 1)
        with pytest.raises(Invalid, match="phone"):
            await desk.contacts.update(desk.agent, ana.id, ContactChange(phone="12"))
        none = await desk.contacts.update(desk.agent, ana.id, ContactChange(phone=None))
        assert (none.phone, none.version) == (None, 2)
        assert (await desk.contacts.update(desk.agent, eva.id, change)).phone == KEPT

    tell(story())


def test_who_saw_another_version_is_refused() -> None:
    """Section 1: a version that is named must be the stored one."""

    async def story() -> None:
        desk = await Desk.open()
        ana = await desk.contacts.create(desk.agent, NewContact(name="Ana"))
        await desk.contacts.update(desk.agent, ana.id, ContactChange(name="Eva", version=1))
        with pytest.raises(Conflict) as refusal:
            await desk.contacts.update(desk.agent, ana.id, ContactChange(name="Luz", version=1))
        assert refusal.value.code == "version_conflict"

    tell(story())


def test_a_hidden_contact_frees_its_phone_and_its_leads_go_on_showing_it() -> None:
    """SD1, CT9: gone from lists and look-ups, not from what is linked to it."""

    async def story() -> None:
        desk = await Desk.open()
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz", phone=PHONE))
        assert lead.contact_id is not None
        await desk.contacts.delete(desk.agent, lead.contact_id)
        views = desk.tenant.views
        assert (await views.contacts(ContactQuery())).total == 0
        with pytest.raises(NotFound):
            await views.contact(lead.contact_id)
        assert (await views.lead(lead.id)).phone == KEPT
        other = await desk.contacts.create(desk.agent, NewContact(name="Otra", phone=PHONE))
        assert other.id != lead.contact_id

    tell(story())


def test_a_contact_comes_back_unless_its_phone_is_taken() -> None:
    """SD2: the conflict names who has it; afterwards the contact can come back."""

    async def story() -> None:
        desk = await Desk.open()
        ana = await desk.contacts.create(desk.agent, NewContact(name="Ana", phone=PHONE))
        await desk.contacts.delete(desk.agent, ana.id)
        eva = await desk.contacts.create(desk.agent, NewContact(name="Eva", phone=PHONE))
        await desk.news()
        with pytest.raises(Conflict) as refusal:
            await desk.contacts.restore(desk.agent, ana.id)
        assert (refusal.value.code, refusal.value.id) == ("duplicate_contact", eva.id)
        assert await desk.news() == []
        await desk.contacts.delete(desk.agent, eva.id)
        restored = await desk.contacts.restore(desk.agent, ana.id)
        assert (restored.phone, restored.version) == (KEPT, 3)
        assert await desk.names() == ["contact.deleted", "contact.restored"]
        with pytest.raises(NotFound):
            await desk.contacts.restore(desk.agent, ana.id)

    tell(story())


def test_a_batch_is_hidden_whole_or_not_at_all_by_administrators() -> None:
    """SD3, section 7: one event for all; a hidden one among them is not there."""

    async def story() -> None:
        desk = await Desk.open()
        people = [await desk.contacts.create(desk.agent, NewContact(name=name)) for name in "abc"]
        await desk.contacts.delete(desk.agent, people[0].id)
        some, every = (frozenset(c.id for c in people[first:]) for first in (1, 0))
        await desk.news()
        with pytest.raises(Forbidden):
            await desk.contacts.delete_many(desk.agent, ContactIds(ids=some))
        with pytest.raises(NotFound):
            await desk.contacts.delete_many(desk.admin, ContactIds(ids=every))
        assert await desk.news() == []
        assert (await desk.contacts.delete_many(desk.admin, ContactIds(ids=some))).count == 2
        assert await desk.names() == ["contact.deleted"]

    tell(story())


def test_claiming_finds_fills_or_makes() -> None:
    """CT2, LD2: who has the phone, with what was missing; else somebody new."""

    async def story() -> None:
        desk = await Desk.open()
        for name, company, told in (
            ("Ana", None, ["contact.created"]),
            ("Eva", "Luz SAC", ["contact.updated"]),
            ("Luz", "Sol SAC", []),
        ):
            async with desk.tenant.begin() as tx:
                draft = ContactDraft(phone=PhoneNumber(KEPT), name=name, company=company)
                contact = await claim_contact(tx, draft, at=LATER)
            assert await desk.names() == told
        assert (contact.name, contact.company, contact.version) == ("Ana", "Luz SAC", 2)

    tell(story())


def test_the_events_of_a_life_add_up_to_the_contact() -> None:
    """R5: replaying the log gives what is stored."""

    async def story() -> None:
        desk = await Desk.open()
        ana = await desk.contacts.create(desk.agent, NewContact(name="Ana", phone=PHONE))
        await desk.contacts.update(desk.agent, ana.id, ContactChange(company="Luz", phone=None))
        await desk.contacts.delete(desk.agent, ana.id)
        await desk.contacts.restore(desk.agent, ana.id)
        stored = replay(await desk.news()).contacts[ana.id]
        view = await desk.tenant.views.contact(ana.id)
        assert all(
            getattr(view, name) == getattr(stored, name) for name in stored.__struct_fields__
        )

    tell(story())


def test_another_account_is_not_there() -> None:
    """TN1, TN2: a stranger's contact is as unknown as nobody's; a phone is each account's own."""

    async def story() -> None:
        desk = await Desk.open()
        other = await desk.stranger()
        ana = await desk.contacts.create(desk.agent, NewContact(name="Ana", phone=PHONE))
        await other.contacts.create(other.agent, NewContact(name="Ana", phone=PHONE))
        seen = await desk.tenant.picture()
        for key in (ana.id, ContactId(10**6)):
            for attempt in (
                lambda key: other.contacts.update(other.admin, key, ContactChange(name="x")),
                lambda key: other.contacts.delete(other.admin, key),
                lambda key: other.contacts.delete_many(
                    other.admin, ContactIds(ids=frozenset({key}))
                ),
                lambda key: other.contacts.restore(other.admin, key),
            ):
                with pytest.raises(NotFound, match=f"^contact {key} does not exist$"):
                    await attempt(key)
        assert await desk.tenant.picture() == seen

    tell(story())
