"""Events: named once, readable for ever, adding up to the state."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.events import (
    ContactCreated,
    ContactTagged,
    ContactUntagged,
    Event,
    EventAction,
    EventQuery,
    LeadCreated,
    LeadDeleted,
    LeadRestored,
    LeadTagged,
    LeadUntagged,
    PipelineChanged,
    State,
    TagCreated,
    TagDeleted,
    TagRenamed,
    replay,
)
from clarin_core.domain.ids import LeadId, PipelineId, TagId
from clarin_core.domain.leads import Lead, LeadStatus
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.tags import Tag, TagLink, TagOrigin
from clarin_core.testing.tenants import LATER, NOON

NAMES = {
    "lead.created", "lead.updated", "lead.stage_moved", "lead.assigned", "lead.deleted",
    "lead.restored", "lead.tagged", "lead.untagged",
    "contact.created", "contact.updated", "contact.deleted", "contact.restored", "contact.merged",
    "contact.tagged", "contact.untagged",
    "tag.created", "tag.renamed", "tag.deleted", "pipeline.changed",
    "quick_reply.created", "quick_reply.updated", "quick_reply.deleted",
    "device.created", "device.updated", "device.deleted", "device.code_shown",
    "device.contacts_synced",
    "chat.opened", "chat.updated", "chat.deleted", "chat.tagged", "chat.untagged",
    "chat.united",
    "message.received", "message.queued", "message.sent", "message.status_changed",
    "message.edited", "message.revoked", "reaction.changed", "poll.voted", "media.changed",
    "import.advanced", "import.finished", "kommo.advanced", "account.changed", "membership.changed",
}  # fmt: skip

LINKS = st.lists(
    st.builds(TagLink, target_id=st.integers(1, 3), tag_id=st.integers(1, 2).map(TagId)), max_size=4
)
LINK_EVENTS = st.lists(
    st.tuples(st.sampled_from([LeadTagged, LeadUntagged, ContactTagged, ContactUntagged]), LINKS),
    max_size=6,
)


def test_names_are_the_log_s_and_never_change() -> None:
    """Section 10: what is stored must be read by every later version."""
    assert {kind.__struct_config__.tag for kind in get_args(Event)} == NAMES
    assert {kind.__struct_config__.tag_field for kind in get_args(Event)} == {"name"}


@pytest.mark.parametrize("event", [
    LeadTagged(links=[TagLink(target_id=1, tag_id=TagId(2))]),
    TagDeleted(tag_id=TagId(7)),
    ContactCreated(contacts=[]),
])  # fmt: skip
def test_an_event_is_read_back(event: Event) -> None:
    """15.19: encode and decode; absent instead of null."""
    body = msgspec.json.encode(event)
    assert msgspec.json.decode(body, type=Event) == event
    assert b"null" not in body


@given(steps=LINK_EVENTS)
def test_links_add_up_to_sets(steps: list[tuple[Any, list[TagLink]]]) -> None:
    """15.15: put twice is put, taken twice is taken; leads and contacts apart."""
    events = [kind(links=links) for kind, links in steps]
    state = replay(events)
    model: dict[str, set[TagLink]] = {"Lead": set(), "Contact": set()}
    for kind, links in steps:
        noun = kind.__name__.removesuffix("Untagged").removesuffix("Tagged")
        put = not kind.__name__.endswith("Untagged")
        model[noun] = model[noun] | {*links} if put else model[noun] - {*links}
    assert (state.lead_tags, state.contact_tags) == (model["Lead"], model["Contact"])


@given(steps=LINK_EVENTS, cut=st.integers(0, 6))
def test_a_history_can_be_replayed_in_pieces(
    steps: list[tuple[Any, list[TagLink]]], cut: int
) -> None:
    """R5: the state at any point and the events after it are the state at the end."""
    events = [kind(links=links) for kind, links in steps]
    assert replay(events[cut:], replay(events[:cut])) == replay(events)


def test_a_deleted_tag_takes_its_links_along() -> None:
    """TG3: from leads and contacts; other tags stay."""
    links = [TagLink(target_id=1, tag_id=TagId(tag)) for tag in (1, 2)]
    state = replay(
        [
            TagCreated(tags=[tag(1, "vip"), tag(2, "nuevo")]),
            LeadTagged(links=links),
            ContactTagged(links=links),
            TagRenamed(tag=tag(2, "otro")),
            TagDeleted(tag_id=TagId(1)),
        ]
    )
    assert state == State(
        tags={TagId(2): tag(2, "otro")}, lead_tags={links[1]}, contact_tags={links[1]}
    )


def test_what_is_deleted_softly_stays_in_the_state() -> None:
    """SD1: a lead that is hidden can come back; a pipeline that is gone cannot."""
    new, hidden, back = lead(), lead(), lead()
    hidden.delete(LATER)
    assert replay([LeadCreated(leads=[new])]).leads == {new.id: new}
    assert (
        replay([LeadCreated(leads=[new]), LeadDeleted(leads=[hidden])]).leads[new.id].deleted_at
        == LATER
    )
    assert replay([LeadDeleted(leads=[hidden]), LeadRestored(lead=back)]).leads == {new.id: back}
    pipeline = Pipeline(
        id=PipelineId(3), name="Uno", is_default=False, position=0, stages=[],
        created_at=NOON, updated_at=NOON, version=1,
    )  # fmt: skip
    made, gone = [
        PipelineChanged(action=action, pipeline=pipeline)
        for action in (EventAction.CREATED, EventAction.DELETED)
    ]
    assert replay([made]).pipelines == {pipeline.id: pipeline}
    assert replay([made, gone]).pipelines == {}


@given(limit=st.integers(1, 2**31))
def test_pages_of_the_log_are_bounded(limit: int) -> None:
    """Section 11 of the architecture: at most a thousand events."""
    assert EventQuery(limit=limit).size == min(limit, 1000)


def tag(key: int, name: str) -> Tag:
    """Return a tag."""
    return Tag(
        id=TagId(key), name=name, color="#6366f1", origin=TagOrigin.LOCAL,
        created_at=NOON, updated_at=NOON, version=1,
    )  # fmt: skip


def lead() -> Lead:
    """Return a lead."""
    return Lead(
        id=LeadId(5), name="Luz", status=LeadStatus.NEW,
        created_at=NOON, updated_at=NOON, version=1,
    )  # fmt: skip
