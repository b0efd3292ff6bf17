"""Merges: several contacts become one, and nothing of any is lost (CT6 to CT8)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarin_core.domain.contacts import Contact, ContactDraft, ContactMerge
from clarin_core.domain.events import ContactMerged, replay
from clarin_core.domain.ids import ContactId
from clarin_core.domain.inbox_events import ChatUpdated
from clarin_core.domain.jid import Identity
from clarin_core.domain.leads import LeadQuery
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.tags import TagTarget
from clarin_core.errors import Conflict, Forbidden, Invalid, NotFound
from clarin_core.testing.inbox import inbox_of
from clarin_core.testing.tenants import lid, links_of
from support.desk import Desk, tell

FEW = settings(max_examples=40, deadline=None)
PHONES = [PhoneNumber(f"+5198765432{digit}") for digit in range(3)]


def merge(kept: Contact, *others: Contact) -> ContactMerge:
    return ContactMerge(keep_id=kept.id, merge_ids=frozenset(one.id for one in others))


@FEW
@given(
    phones=st.permutations(PHONES),
    has_phone=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    owners=st.lists(st.integers(0, 2), min_size=3, max_size=6),
)
def test_a_merge_loses_nothing(
    phones: list[PhoneNumber], has_phone: tuple[bool, ...], owners: list[int]
) -> None:
    """Property 7: leads, tags, identities and phones all lead to the one that stays."""

    async def story() -> None:
        desk = await Desk.open()
        numbers = [p if has else None for p, has in zip(phones, has_phone, strict=True)]
        people = await desk.tenant.add_contacts(
            *(ContactDraft(name=f"Ana {n}", phone=phone) for n, phone in enumerate(numbers))
        )
        leads = [await desk.tenant.add_lead(contact_id=people[n].id) for n in owners]
        tags = await desk.tenant.add_tags(*map(str, owners))
        for place, owner in enumerate(owners):
            await desk.tenant.identify(people[owner], lid(str(place)))
            tag = [one for one in tags if one.name == str(owner)][:1]
            await desk.tenant.link(TagTarget.CONTACT, *links_of([people[owner].id], tag))
        view = await desk.contacts.merge(desk.admin, merge(*people))
        kept, *_ = people
        assert view.phone == next((phone for phone in numbers if phone), None)
        assert set(view.tag_ids) == {tag.id for tag in tags}
        shown = await desk.tenant.views.leads(LeadQuery(contact_id=kept.id))
        assert {lead.id for lead in shown.data} == {lead.id for lead in leads}
        known = {row.identity for row in await desk.tenant.views.contact_identities(kept.id)}
        others = {Identity.of_phone(phone) for phone in numbers[1:] if phone}
        assert known == {lid(str(place)) for place in range(len(owners))} | others

    tell(story())


def test_chats_go_over_and_keep_their_address() -> None:
    """CT7: replies go where the chat points; deleted ones go over, too."""

    async def story() -> None:
        desk = await Desk.open()
        ana, eva = await desk.tenant.add_contacts(*[ContactDraft(name="Ana")] * 2)
        inbox = await inbox_of(desk.tenant)
        own = await inbox.open_one(1, contact_id=ana.id)
        theirs = [await inbox.open_one(n, contact_id=eva.id) for n in (2, 3)]
        await inbox.delete(theirs[1])
        await desk.news()
        await desk.contacts.merge(desk.admin, merge(ana, eva))
        _, told = await desk.news()
        assert isinstance(told, ChatUpdated)
        assert [(one.id, one.identity) for one in told.chats] == [
            (one.id, one.identity) for one in theirs
        ]
        async with desk.tenant.begin() as tx:
            after = await tx.chats.of_contacts([ana.id])
        assert after == [own, *told.chats]

    tell(story())


def test_the_survivor_s_values_win_unless_they_are_empty() -> None:
    """CT6: of the others the first that has one; notes are joined."""

    async def story() -> None:
        desk = await Desk.open()
        people = await desk.tenant.add_contacts(
            ContactDraft(name="Ana", notes="una", age=0),
            ContactDraft(name="Eva", notes="dos", email="eva@x.pe", age=30),
            ContactDraft(name="Ida", notes="una", email="ida@x.pe", do_not_contact=True),
        )
        view = await desk.contacts.merge(desk.admin, merge(*people))
        assert (view.name, view.email, view.age) == ("Ana", "eva@x.pe", 0)
        assert (view.notes, view.do_not_contact) == ("una\ndos", True)
        (event,) = await desk.news()
        assert isinstance(event, ContactMerged)
        assert [one.merged_into for one in event.gone] == [people[0].id] * 2
        assert replay([event]).contacts == {one.id: one for one in (event.contact, *event.gone)}
        for gone in people[1:]:
            with pytest.raises(NotFound):
                await desk.tenant.views.contact(gone.id)

    tell(story())


def test_a_merge_can_be_said_again() -> None:
    """CT8: the same state, and nothing is told."""

    async def story() -> None:
        desk = await Desk.open()
        ana, eva, ida = await desk.tenant.add_contacts(*[ContactDraft(name="Ana")] * 3)
        first = await desk.contacts.merge(desk.admin, merge(ana, eva))
        await desk.news()
        assert await desk.contacts.merge(desk.admin, merge(ana, eva)) == first
        assert await desk.news() == []
        await desk.contacts.merge(desk.admin, merge(ana, eva, ida))
        (event,) = await desk.news()
        assert isinstance(event, ContactMerged)
        assert [one.id for one in event.gone] == [ida.id]

    tell(story())


def test_who_is_restored_is_somebody_of_its_own() -> None:
    """SD2: unless the other one has its phone now; it can be merged anew."""

    async def story() -> None:
        desk = await Desk.open()
        ana, eva, ida = await desk.tenant.add_contacts(
            ContactDraft(name="Ana"), ContactDraft(name="Eva", phone=PHONES[0]),
            ContactDraft(name="Ida"),
        )  # fmt: skip
        await desk.contacts.merge(desk.admin, merge(ana, eva, ida))
        with pytest.raises(Conflict) as caught:
            await desk.contacts.restore(desk.admin, eva.id)
        assert (caught.value.code, caught.value.id) == ("duplicate_contact", ana.id)
        assert (await desk.contacts.restore(desk.admin, ida.id)).merged_into is None
        await desk.contacts.merge(desk.admin, merge(ana, ida))
        with pytest.raises(NotFound):
            await desk.tenant.views.contact(ida.id)

    tell(story())


def test_a_preview_shows_the_merge_and_undoes_it() -> None:
    """What would be there, tags included; nothing is told."""

    async def story() -> None:
        desk = await Desk.open()
        ana, eva = await desk.tenant.add_contacts(
            ContactDraft(name="Ana"), ContactDraft(name="Eva", phone=PHONES[0])
        )
        tags = await desk.tenant.add_tags("vip")
        await desk.tenant.link(TagTarget.CONTACT, *links_of([eva.id], tags))
        before = await desk.tenant.picture()
        preview = await desk.contacts.preview_merge(desk.admin, merge(ana, eva))
        assert (preview.name, preview.phone, preview.tags) == ("Ana", PHONES[0], ["vip"])
        assert await desk.tenant.picture() == before

    tell(story())


def test_only_live_contacts_of_the_account_are_merged() -> None:
    """TN2, SD1: anything else is 404, and nothing is merged."""

    async def story() -> None:
        desk = await Desk.open()
        ana, eva, gone = await desk.tenant.add_contacts(*[ContactDraft(name="Ana")] * 3)
        foreign = await (await desk.stranger()).tenant.add_contact(name="Ana")
        await desk.tenant.delete_contact(gone)
        before = await desk.tenant.picture()
        for wrong in (merge(ana, eva, foreign), merge(ana, eva, gone), merge(gone, ana)):
            with pytest.raises(NotFound):
                await desk.contacts.merge(desk.admin, wrong)
        with pytest.raises(Forbidden):
            await desk.contacts.merge(desk.agent, merge(ana, eva))
        with pytest.raises(Forbidden):
            await desk.contacts.preview_merge(desk.agent, merge(ana, eva))
        assert await desk.tenant.picture() == before

    tell(story())


def test_nobody_is_merged_into_oneself() -> None:
    """CT6."""
    with pytest.raises(Invalid, match="merge_ids"):
        ContactMerge(keep_id=ContactId(1), merge_ids=frozenset([ContactId(1), ContactId(2)]))
