"""What happened. Each change appends its events in its own transaction.

An event carries the state after the change, so that state plus events is the later state:
`replay` is that law as a function, and the shipped contract holds every storage to it.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from clarin_core.domain.accounts import Account
from clarin_core.domain.actor import Origin, Role
from clarin_core.domain.command import Command
from clarin_core.domain.contacts import Contact
from clarin_core.domain.event_base import DomainEvent
from clarin_core.domain.ids import ContactId, LeadId, PipelineId, TagId, UserId
from clarin_core.domain.imports import ImportJob
from clarin_core.domain.inbox_events import InboxEvent
from clarin_core.domain.inbox_state import InboxState
from clarin_core.domain.kommo import KommoProgress
from clarin_core.domain.leads import Lead, StageMove
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.tags import Tag, TagLink


class EventAction(Enum):
    """What a pipeline went through."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class LeadCreated(DomainEvent, frozen=True, kw_only=True, tag="lead.created"):
    """New leads, one or a batch."""

    leads: list[Lead]


class LeadUpdated(DomainEvent, frozen=True, kw_only=True, tag="lead.updated"):
    """Leads with other values; `changed` names fields, those of the contact included."""

    leads: list[Lead]
    changed: list[str]


class LeadMoved(DomainEvent, frozen=True, kw_only=True, tag="lead.stage_moved"):
    """Leads in another stage; `changed` names the fields that differ, empty for a batch."""

    leads: list[Lead]
    moves: list[StageMove]
    changed: list[str] = field(default_factory=list)


class LeadAssigned(DomainEvent, frozen=True, kw_only=True, tag="lead.assigned"):
    """A lead with another owner; None is nobody."""

    lead: Lead
    before: UserId | None = None


class LeadDeleted(DomainEvent, frozen=True, kw_only=True, tag="lead.deleted"):
    """Hidden leads."""

    leads: list[Lead]


class LeadRestored(DomainEvent, frozen=True, kw_only=True, tag="lead.restored"):
    """A lead that is back."""

    lead: Lead


class LeadTagged(DomainEvent, frozen=True, kw_only=True, tag="lead.tagged"):
    """Tags put on leads."""

    links: list[TagLink]


class LeadUntagged(DomainEvent, frozen=True, kw_only=True, tag="lead.untagged"):
    """Tags taken off leads."""

    links: list[TagLink]


class ContactCreated(DomainEvent, frozen=True, kw_only=True, tag="contact.created"):
    """New contacts, one or a batch."""

    contacts: list[Contact]


class ContactUpdated(DomainEvent, frozen=True, kw_only=True, tag="contact.updated"):
    """Contacts with other values."""

    contacts: list[Contact]
    changed: list[str]


class ContactDeleted(DomainEvent, frozen=True, kw_only=True, tag="contact.deleted"):
    """Hidden contacts."""

    contacts: list[Contact]


class ContactRestored(DomainEvent, frozen=True, kw_only=True, tag="contact.restored"):
    """A contact that is back."""

    contact: Contact


class ContactMerged(DomainEvent, frozen=True, kw_only=True, tag="contact.merged"):
    """A contact that has all of some others now, which are hidden (CT6)."""

    contact: Contact
    gone: list[Contact]


class ContactTagged(DomainEvent, frozen=True, kw_only=True, tag="contact.tagged"):
    """Tags put on contacts."""

    links: list[TagLink]


class ContactUntagged(DomainEvent, frozen=True, kw_only=True, tag="contact.untagged"):
    """Tags taken off contacts."""

    links: list[TagLink]


class TagCreated(DomainEvent, frozen=True, kw_only=True, tag="tag.created"):
    """New tags."""

    tags: list[Tag]


class TagRenamed(DomainEvent, frozen=True, kw_only=True, tag="tag.renamed"):
    """A tag with another name or colour."""

    tag: Tag


class TagDeleted(DomainEvent, frozen=True, kw_only=True, tag="tag.deleted"):
    """A tag that is gone, with its links (TG3)."""

    tag_id: TagId


class PipelineChanged(DomainEvent, frozen=True, kw_only=True, tag="pipeline.changed"):
    """A pipeline as it is after the change, or was before its deletion."""

    action: EventAction
    pipeline: Pipeline


class ImportAdvanced(DomainEvent, frozen=True, kw_only=True, tag="import.advanced"):
    """An import that goes on."""

    job: ImportJob


class ImportFinished(DomainEvent, frozen=True, kw_only=True, tag="import.finished"):
    """An import that came to its end, well or not."""

    job: ImportJob


class KommoAdvanced(DomainEvent, frozen=True, kw_only=True, tag="kommo.advanced"):
    """A mirror of Kommo that goes on, or cannot."""

    progress: KommoProgress


class AccountChanged(DomainEvent, frozen=True, kw_only=True, tag="account.changed"):
    """The account as it is now; the first event of every account."""

    account: Account


class MembershipChanged(DomainEvent, frozen=True, kw_only=True, tag="membership.changed"):
    """A user's role here, or None when the user may no longer work here."""

    user_id: UserId
    role: Role | None = None


Event = (
    LeadCreated | LeadUpdated | LeadMoved | LeadAssigned | LeadDeleted | LeadRestored
    | LeadTagged | LeadUntagged
    | ContactCreated | ContactUpdated | ContactDeleted | ContactRestored
    | ContactMerged | ContactTagged | ContactUntagged
    | TagCreated | TagRenamed | TagDeleted
    | PipelineChanged | ImportAdvanced | ImportFinished | KommoAdvanced
    | AccountChanged | MembershipChanged
    | InboxEvent
)  # fmt: skip

read_event = msgspec.json.Decoder[Event](Event).decode
"""Returns an event of its JSON, as logs keep it."""


class Recorded(Struct, frozen=True, kw_only=True):
    """An event in its account's log: `seq` is dense, in commit order, from 1."""

    seq: int
    at: datetime
    origin: Origin
    event: Event


class Position(Struct, frozen=True, kw_only=True):
    """Where a log stands: another `epoch` means another history (a restored backup).

    Events up to `trimmed_to` are no longer kept; `seq` is the last one.
    """

    epoch: str
    seq: int
    trimmed_to: int


PAGE_BYTES_MAX = 4 * 1024 * 1024


class EventQuery(Command, frozen=True, kw_only=True):
    """Events after a number, oldest first; a larger limit is cut to 1000.

    A page ends early with the event that fills 4 MiB, so only `position` tells the log's end.
    """

    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Meta(ge=1, le=2**31)] = 200

    @property
    def size(self) -> int:
        """Events of a page."""
        return min(self.limit, 1000)


class EventPage(Struct, frozen=True, kw_only=True):
    """A piece of the log, and where the log stood when it was read."""

    data: list[Recorded]
    position: Position


class State(Struct, kw_only=True):
    """What the events of one account add up to; deleted leads and contacts included."""

    inbox: InboxState = field(default_factory=InboxState)
    leads: dict[LeadId, Lead] = field(default_factory=dict)
    contacts: dict[ContactId, Contact] = field(default_factory=dict)
    tags: dict[TagId, Tag] = field(default_factory=dict)
    pipelines: dict[PipelineId, Pipeline] = field(default_factory=dict)
    lead_tags: set[TagLink] = field(default_factory=set)
    contact_tags: set[TagLink] = field(default_factory=set)


def replay(events: Iterable[Event], state: State | None = None) -> State:
    """Return `state` (by default an empty one) after `events`, which it changes in place."""
    state = state or State()
    for event in events:
        _apply(state, event)
    return state


def _apply(state: State, event: Event) -> None:
    match event:
        case LeadCreated() | LeadUpdated() | LeadMoved() | LeadDeleted():
            state.leads |= {lead.id: lead for lead in event.leads}
        case LeadAssigned() | LeadRestored():
            state.leads[event.lead.id] = event.lead
        case ContactCreated() | ContactUpdated() | ContactDeleted():
            state.contacts |= {contact.id: contact for contact in event.contacts}
        case ContactMerged():
            state.contacts |= {one.id: one for one in (event.contact, *event.gone)}
        case ContactRestored():
            state.contacts[event.contact.id] = event.contact
        case PipelineChanged():
            _apply_pipeline(state, event)
        case _:
            _apply_tags(state, event)


def _apply_pipeline(state: State, event: PipelineChanged) -> None:
    if event.action is EventAction.DELETED:
        del state.pipelines[event.pipeline.id]
    else:
        state.pipelines[event.pipeline.id] = event.pipeline


def _apply_tags(state: State, event: Event) -> None:
    match event:
        case TagCreated():
            state.tags |= {tag.id: tag for tag in event.tags}
        case TagRenamed():
            state.tags[event.tag.id] = event.tag
        case TagDeleted():
            _remove_tag(state, event.tag_id)
        case _:
            _apply_links(state, event)


def _remove_tag(state: State, tag_id: TagId) -> None:
    del state.tags[tag_id]
    for links in (state.lead_tags, state.contact_tags, state.inbox.chat_tags):
        links -= {link for link in links if link.tag_id == tag_id}


def _apply_links(state: State, event: Event) -> None:
    match event:
        case LeadTagged():
            state.lead_tags |= set(event.links)
        case LeadUntagged():
            state.lead_tags -= set(event.links)
        case ContactTagged():
            state.contact_tags |= set(event.links)
        case ContactUntagged():
            state.contact_tags -= set(event.links)
        case _ if isinstance(event, InboxEvent):
            state.inbox.apply(event)
