"""Tags: a set on each record, unique by name without regard to case."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarin_core.domain.contacts import NewContact
from clarin_core.domain.events import (
    ContactTagged,
    ContactUntagged,
    LeadTagged,
    LeadUntagged,
    TagRenamed,
    replay,
)
from clarin_core.domain.ids import TagId
from clarin_core.domain.inbox_events import ChatTagged, ChatUntagged
from clarin_core.domain.leads import LeadQuery, NewLead, TagsMode
from clarin_core.domain.tags import (
    NewTag,
    Tag,
    TagAssignment,
    TagChange,
    TagLink,
    TagOrigin,
    TagTarget,
)
from clarin_core.errors import Conflict, Forbidden, Invalid, NotFound
from clarin_core.testing.inbox import inbox_of
from clarin_core.testing.strategies import tag_names
from support.desk import Desk, tell

FEW = settings(max_examples=60, deadline=None)
TARGETS = st.sampled_from(TagTarget)
LINK_EVENTS = (LeadTagged, LeadUntagged, ContactTagged, ContactUntagged, ChatTagged, ChatUntagged)


@FEW
@given(
    target=TARGETS,
    steps=st.lists(
        st.tuples(st.booleans(), st.frozensets(st.integers(0, 3), min_size=1)), max_size=8
    ),
)
def test_assigning_and_removing_is_a_set(
    target: TagTarget, steps: list[tuple[bool, frozenset[int]]]
) -> None:
    """TG1, TG2, TG6: order and repetition do not matter; the events tell exactly what changed."""

    async def story() -> None:
        desk = await Desk.open()
        tags = [await desk.tags.create(desk.admin, NewTag(name=name)) for name in "dbca"]
        target_id = await somebody(desk, target)
        await desk.news()
        model: set[int] = set()
        for is_put, places in steps:
            before, chosen = set(model), {tags[place].id for place in places}
            model = model | chosen if is_put else model - chosen
            act = desk.tags.assign if is_put else desk.tags.remove
            shown = await act(desk.agent, assignment(target, target_id, *chosen))
            assert {tag.id for tag in shown} == model
            assert [tag.name for tag in shown] == sorted(tag.name for tag in shown)
            told = [link for event in await desk.news() for link in links_of(event)]
            assert told == [
                TagLink(target_id=target_id, tag_id=TagId(tag_id))
                for tag_id in sorted(before ^ model)
            ]

    tell(story())


@pytest.mark.parametrize("target", TagTarget)
def test_an_unknown_tag_puts_nothing(target: TagTarget) -> None:
    """TG1: one unknown or foreign id among known ones is 404, and nothing is assigned."""

    async def story() -> None:
        desk = await Desk.open()
        foreign = await (other := await desk.stranger()).tags.create(other.admin, NewTag(name="x"))
        vip = await desk.tags.create(desk.admin, NewTag(name="vip"))
        target_id = await somebody(desk, target)
        await desk.news()
        for wrong in (foreign.id, TagId(10**6)):
            for act in (desk.tags.assign, desk.tags.remove):
                with pytest.raises(NotFound, match=f"tag {wrong}"):
                    await act(desk.agent, assignment(target, target_id, vip.id, wrong))
        assert await desk.tenant.views.tags_of(target, target_id) == []
        assert await desk.news() == []

    tell(story())


@pytest.mark.parametrize("target", TagTarget)
def test_an_unknown_record_gets_nothing(target: TagTarget) -> None:
    """TN2: links never cross accounts; a foreign record is as unknown as none."""

    async def story() -> None:
        desk = await Desk.open()
        other = await desk.stranger()
        vip = await desk.tags.create(desk.admin, NewTag(name="vip"))
        foreign = await somebody(other, target)
        for wrong in (foreign, 10**6):
            with pytest.raises(NotFound, match=f"{target.value} {wrong}"):
                await desk.tags.assign(desk.agent, assignment(target, wrong, vip.id))
        assert await other.tenant.views.tags_of(target, foreign) == []

    tell(story())


def test_a_tag_must_be_named() -> None:
    """TG1: by `tag_id`, by `tag_ids`, or by both."""
    with pytest.raises(Invalid, match="tag_id"):
        TagAssignment(entity_type=TagTarget.LEAD, entity_id=1)
    both = TagAssignment(
        entity_type=TagTarget.LEAD,
        entity_id=1,
        tag_id=TagId(3),
        tag_ids=frozenset({TagId(3), TagId(1)}),
    )
    assert both.all_tag_ids == [1, 3]


@FEW
@given(name=tag_names())
def test_a_name_counts_once_whatever_its_case(name: str) -> None:
    """TG3, section 2: the conflict names the tag; the form that was typed is kept."""

    async def story() -> None:
        desk = await Desk.open()
        tag = await desk.tags.create(desk.admin, NewTag(name=f"  {name.replace(' ', '  ')} "))
        assert tag.name == name
        assert (tag.origin, tag.version, tag.color) == (TagOrigin.LOCAL, 1, "#6366f1")
        for again in {name, name.upper(), name.lower()}:
            if again.casefold() == name.casefold() and len(again) <= 100:
                with pytest.raises(Conflict) as refusal:
                    await desk.tags.create(desk.admin, NewTag(name=again))
                assert (refusal.value.code, refusal.value.id) == ("tag_exists", tag.id)
        assert await desk.names() == ["tag.created"]

    tell(story())


def test_a_tag_can_be_renamed_but_not_into_another() -> None:
    """TG3: its own name in another case is free; nothing that stays the same is told."""

    async def story() -> None:
        desk = await Desk.open()
        vip, new = [
            await desk.tags.create(desk.admin, NewTag(name=name)) for name in ("vip", "nuevo")
        ]
        await desk.news()
        with pytest.raises(Conflict) as refusal:
            await desk.tags.update(desk.admin, vip.id, TagChange(name="NUEVO"))
        assert (refusal.value.code, refusal.value.id) == ("tag_exists", new.id)
        for change, version, told in (
            (TagChange(name="vip"), 1, 0),
            (TagChange(name=" vip "), 1, 0),
            (TagChange(name="VIP"), 2, 1),
            (TagChange(color="#ff0000"), 3, 1),
            (TagChange(), 3, 0),
        ):
            changed = await desk.tags.update(desk.admin, vip.id, change)
            events = await desk.news()
            assert (changed.version, len(events)) == (version, told)
            assert all(isinstance(e, TagRenamed) and e.tag == changed for e in events)
        with pytest.raises(Conflict) as refusal:
            await desk.tags.update(desk.admin, vip.id, TagChange(name="x", version=1))
        assert refusal.value.code == "version_conflict"

    tell(story())


@pytest.mark.parametrize("target", TagTarget)
def test_a_deleted_tag_leaves_its_records_as_they_are(target: TagTarget) -> None:
    """TG3: only the links go, and one event says so."""

    async def story() -> None:
        desk = await Desk.open()
        vip, new = [await desk.tags.create(desk.admin, NewTag(name=name)) for name in "vn"]
        target_id = await somebody(desk, target)
        await desk.tags.assign(desk.agent, assignment(target, target_id, vip.id, new.id))
        await desk.news()
        await desk.tags.delete(desk.admin, vip.id)
        assert await desk.names() == ["tag.deleted"]
        assert await desk.tenant.views.tags_of(target, target_id) == [new]
        with pytest.raises(NotFound):
            await desk.tags.delete(desk.admin, vip.id)
        assert (await desk.tags.create(desk.admin, NewTag(name="v"))).id != vip.id

    tell(story())


def test_leads_are_found_by_their_tags() -> None:
    """TG4: any of the tags, or all of them."""

    async def story() -> None:
        desk = await Desk.open()
        tags = [await desk.tags.create(desk.admin, NewTag(name=name)) for name in "abc"]
        ids: dict[tuple[int, ...], int] = {}
        for places in ((), (0,), (0, 1), (1,), (2,)):
            lead = await somebody(desk, TagTarget.LEAD)
            ids[places] = lead
            for place in places:
                put = assignment(TagTarget.LEAD, lead, tags[place].id)
                await desk.tags.assign(desk.agent, put)
        wanted = frozenset({tags[0].id, tags[1].id})
        for mode, found in (
            (TagsMode.ANY, {(0,), (0, 1), (1,)}),
            (TagsMode.ALL, {(0, 1)}),
        ):
            page = await desk.tenant.views.leads(LeadQuery(tag_ids=wanted, tags_mode=mode))
            assert {lead.id for lead in page.data} == {ids[places] for places in found}

    tell(story())


def test_only_administrators_make_change_and_delete_tags() -> None:
    """Section 7: agents put them on records."""

    async def story() -> None:
        desk = await Desk.open()
        vip = await desk.tags.create(desk.admin, NewTag(name="vip"))
        await desk.news()
        for attempt in (
            desk.tags.create(desk.agent, NewTag(name="x")),
            desk.tags.update(desk.agent, vip.id, TagChange(name="x")),
            desk.tags.delete(desk.agent, vip.id),
        ):
            with pytest.raises(Forbidden):
                await attempt
        assert await desk.news() == []
        target_id = await somebody(desk, TagTarget.CONTACT)
        await desk.tags.assign(desk.agent, assignment(TagTarget.CONTACT, target_id, vip.id))

    tell(story())


def test_another_account_s_tags_are_not_there() -> None:
    """TN1: neither to change nor to delete; a name is each account's own."""

    async def story() -> None:
        desk = await Desk.open()
        other = await desk.stranger()
        vip = await desk.tags.create(desk.admin, NewTag(name="vip"))
        assert (await other.tags.create(other.admin, NewTag(name="VIP"))).id != vip.id
        for key in (vip.id, TagId(10**6)):
            for attempt in (
                other.tags.update(other.admin, key, TagChange(name="x")),
                other.tags.delete(other.admin, key),
            ):
                with pytest.raises(NotFound, match=f"^tag {key} does not exist$"):
                    await attempt

    tell(story())


def test_the_events_add_up_to_the_tags() -> None:
    """R5: names, links and their end."""

    async def story() -> None:
        desk = await Desk.open()
        vip, new = [await desk.tags.create(desk.admin, NewTag(name=name)) for name in "vn"]
        lead = await somebody(desk, TagTarget.LEAD)
        await desk.tags.assign(desk.agent, assignment(TagTarget.LEAD, lead, vip.id, new.id))
        renamed = await desk.tags.update(desk.admin, new.id, TagChange(name="nuevo"))
        await desk.tags.delete(desk.admin, vip.id)
        state = replay(await desk.news())
        assert state.tags == {new.id: renamed}
        assert state.lead_tags == {TagLink(target_id=lead, tag_id=new.id)}
        assert await tags_of(desk, lead) == [renamed]

    tell(story())


async def somebody(desk: Desk, target: TagTarget) -> int:
    """Return a new record that can have tags."""
    if target is TagTarget.LEAD:
        return (await desk.leads.create(desk.agent, NewLead(name="Luz"))).id
    if target is TagTarget.CHAT:
        return (await (await inbox_of(desk.tenant)).open_one()).id
    return (await desk.contacts.create(desk.agent, NewContact(name="Luz"))).id


async def tags_of(desk: Desk, lead: int) -> list[Tag]:
    """Return the tags of a lead."""
    return await desk.tenant.views.tags_of(TagTarget.LEAD, lead)


def assignment(target: TagTarget, target_id: int, *tag_ids: int) -> TagAssignment:
    """Return which tags to put on, or take off."""
    ids = frozenset(map(TagId, tag_ids))
    return TagAssignment(entity_type=target, entity_id=target_id, tag_ids=ids)


def links_of(event: Any) -> list[TagLink]:
    """Return the links that an event tells of."""
    assert isinstance(event, LINK_EVENTS)
    return event.links
