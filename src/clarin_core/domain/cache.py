"""What is kept of reads: under which key, of which event, and what makes it stale.

Everything that can change has a *name* within its account, such as `lead:7` or `contact:8`. A
kept value knows the names of all that it was made of; an event knows the names of all that it
changed. So a value is stale when one of its names was changed by an event after its own, and
nobody has to know who keeps what.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from clarin_core.domain.events import (
    AccountChanged,
    ContactCreated,
    ContactDeleted,
    ContactMerged,
    ContactRestored,
    ContactUpdated,
    Event,
    LeadAssigned,
    LeadCreated,
    LeadDeleted,
    LeadMoved,
    LeadRestored,
    LeadTagged,
    LeadUntagged,
    LeadUpdated,
    MembershipChanged,
    PipelineChanged,
    TagCreated,
    TagDeleted,
    TagRenamed,
)
from clarin_core.domain.ids import AccountId, LeadId, UserId
from clarin_core.domain.inbox_events import (
    QuickReplyCreated,
    QuickReplyDeleted,
    QuickReplyUpdated,
)
from clarin_core.domain.leads import LeadView

ACCOUNT = "account"
LEADS = "leads"
TAGS = "tags"
PIPELINES = "pipelines"
QUICK_REPLIES = "quick"


class CacheKey(NamedTuple):
    """What is kept: a kind of read of an account, and which one."""

    account_id: AccountId
    kind: str
    which: str = ""

    @property
    def text(self) -> str:
        """`kind:account`, or `kind:account:which`."""
        which = f":{self.which}" if self.which else ""
        return f"{self.kind}:{self.account_id}{which}"


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """A kept read: it shows the account as it was after event `seq` of history `epoch`, or later.

    `names` is what it was made of, `body` what is answered. What is told beside the body is
    `page_seq` of a page and `version` of an entity.
    """

    epoch: str
    seq: int
    names: tuple[str, ...]
    body: bytes
    page_seq: int | None = None
    version: int | None = None


def lead_key(account_id: AccountId, lead_id: LeadId) -> CacheKey:
    """Return where a lead is kept."""
    return CacheKey(account_id, "lead", str(lead_id))


def names_in_lead(lead: LeadView) -> tuple[str, ...]:
    """Return what a lead is made of: itself, its contact, its pipeline and its tags."""
    parts = [("contact", lead.contact_id), ("pipeline", lead.pipeline_id)]
    found = [f"{kind}:{key}" for kind, key in parts if key is not None]
    return (f"lead:{lead.id}", *found, *_named("tag", lead.tag_ids))


def names_in_leads(leads: Iterable[LeadView]) -> tuple[str, ...]:
    """Return what a page of leads is made of: those on it, and which ones there are."""
    return (LEADS, *dict.fromkeys(name for lead in leads for name in names_in_lead(lead)))


def member_name(user_id: UserId) -> str:
    """Return the name of a user's place in an account."""
    return f"member:{user_id}"


def names_changed(event: Event) -> Iterable[str]:
    """Return the names of all that an event changed."""
    match event:
        case LeadCreated() | LeadDeleted():
            return (LEADS, *_named("lead", (lead.id for lead in event.leads)))
        case LeadRestored():
            return (LEADS, f"lead:{event.lead.id}")
        case LeadUpdated() | LeadMoved():
            return _named("lead", (lead.id for lead in event.leads))
        case LeadAssigned():
            return (f"lead:{event.lead.id}",)
        case LeadTagged() | LeadUntagged():
            return _named("lead", (link.target_id for link in event.links))
        case _:
            return _people_changed(event)


def _people_changed(event: Event) -> Iterable[str]:
    match event:
        case ContactCreated() | ContactUpdated() | ContactDeleted():
            return _named("contact", (contact.id for contact in event.contacts))
        case ContactMerged():
            return _named("contact", (one.id for one in (event.contact, *event.gone)))
        case ContactRestored():
            return (f"contact:{event.contact.id}",)
        case _:
            return _others_changed(event)


def _others_changed(event: Event) -> Iterable[str]:
    match event:
        case TagCreated():
            return (TAGS,)
        case TagRenamed():
            return (TAGS, f"tag:{event.tag.id}")
        case TagDeleted():
            return (TAGS, f"tag:{event.tag_id}")
        case PipelineChanged():
            return (PIPELINES, f"pipeline:{event.pipeline.id}")
        case QuickReplyCreated() | QuickReplyUpdated() | QuickReplyDeleted():
            return (QUICK_REPLIES,)
        case AccountChanged():
            return (ACCOUNT,)
        case MembershipChanged():
            return (member_name(event.user_id),)
        case _:
            return ()


def _named(kind: str, keys: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{kind}:{key}" for key in keys)
