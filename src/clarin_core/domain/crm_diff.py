"""What leads of another CRM make of the leads that are there: remote and local in, changes out.

Kommo owns a lead's name, place, value, contact and its own tags; notes, the owner here, custom
fields, a reason for a loss and tags that somebody put here are ours, and are not looked at (KS7).
What is said twice, or late, changes nothing: of one lead the newest word counts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

import msgspec

from clarin_core.domain.events import (
    Event,
    LeadCreated,
    LeadDeleted,
    LeadMoved,
    LeadRestored,
    LeadUpdated,
)
from clarin_core.domain.ids import ContactId, KommoId, LeadId
from clarin_core.domain.kommo import KnownContact, KnownLead, LeadRecord
from clarin_core.domain.leads import Lead, LeadDraft, LeadStatus, StageMove
from clarin_core.domain.pipelines import Pipeline, Stage
from clarin_core.domain.remote import RemoteContact, RemoteLead
from clarin_core.domain.tags import NAME_MAX, TagLink, tag_key
from clarin_core.domain.text import clean_text
from clarin_core.errors import Invalid

SOURCE = "kommo"
OWNED = frozenset(
    ("name", "contact_id", "pipeline_id", "stage_id", "closed_at", "value", "currency")
)
"""What only Kommo changes of a lead that it knows."""

_DIGEST_BYTES = 16
_LINE_MAX = 255
_VALUE_MAX = 2**53
_TAGS_MAX = 100
_WHOLE_ONLY = {"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND"}
"""ISO 4217: currencies without a minor unit."""

_encode = msgspec.json.Encoder(order="deterministic").encode


R = TypeVar("R", RemoteLead, RemoteContact)


class Place(NamedTuple):
    """A stage here and its pipeline."""

    pipeline: Pipeline
    stage: Stage


Places = Mapping[tuple[KommoId, KommoId], Place]
"""Where leads are here, by pipeline and stage there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What is here of some leads: by Kommo's ids, deleted leads included."""

    known: Mapping[KommoId, KnownLead]
    leads: Mapping[KommoId, Lead]
    people: Mapping[KommoId, ContactId]
    places: Places
    currency: str | None


@dataclass(slots=True, eq=False)
class LeadChange:
    """What became of one lead; a new one has no `lead` until it is stored."""

    said: RemoteLead
    lead: Lead | None = None
    draft: LeadDraft | None = None
    place: Place | None = None
    changed: tuple[str, ...] = ()
    move: StageMove | None = None
    is_restored: bool = False


@dataclass(slots=True)
class LeadPlan:
    """What some leads come to."""

    at: datetime
    changes: list[LeadChange] = field(default_factory=list)

    @property
    def new(self) -> list[LeadChange]:
        """Leads to be stored."""
        return [one for one in self.changes if one.draft is not None]

    @property
    def drafts(self) -> list[LeadDraft]:
        """The same as drafts."""
        return [one.draft for one in self.changes if one.draft is not None]

    @property
    def altered(self) -> list[Lead]:
        """Leads that were there, and are not what they were."""
        changed = (one for one in self.changes if one.draft is None and one.changed)
        return [one.lead for one in changed if one.lead is not None]

    @property
    def moves(self) -> list[StageMove]:
        """What the stage history has to learn; new leads must be stored by then."""
        moves = [one.move for one in self.changes if one.move is not None]
        entries = (_entry(one.lead, self.at) for one in self.new if one.lead is not None)
        return [*moves, *entries]

    @property
    def tags(self) -> dict[int, frozenset[str]]:
        """The names of Kommo's tags on each lead."""
        known = ((one.lead, one.said) for one in self.changes)
        return {lead.id: tag_names(said) for lead, said in known if lead is not None}

    @property
    def records(self) -> list[LeadRecord]:
        """What is kept of all of them."""
        known = ((one.lead, one.said) for one in self.changes)
        return [
            LeadRecord(
                lead_id=lead.id, digest=digest_of(said), said=said, contacts=contacts_of(said)
            )
            for lead, said in known
            if lead is not None
        ]

    def store(self, leads: Sequence[Lead]) -> None:
        """Take the new leads, which are stored now."""
        for one, lead in zip(self.new, leads, strict=True):
            one.lead = lead

    def events(self) -> Iterator[Event]:
        """Give at most one event of each kind, but one for each lead that is back."""
        if new := [one.lead for one in self.new if one.lead is not None]:
            yield LeadCreated(leads=new)
        old = [one for one in self.changes if one.draft is None and one.changed]
        for one in old:
            if one.is_restored and one.lead is not None:
                yield LeadRestored(lead=one.lead)
        yield from _events_of([one for one in old if not one.is_restored])


def plan_leads(batch: Iterable[RemoteLead], local: Local, *, at: datetime) -> LeadPlan:
    """Return what some leads come to; each of them is live, in a known place, and there once."""
    plan = LeadPlan(at)
    for said in batch:
        lead = local.leads.get(said.id)
        change = _open(said, local) if lead is None else _alter(lead, said, local, at=at)
        plan.changes.append(change)
    return plan


def newest(batch: Iterable[R]) -> list[R]:
    """Return each entity once, as it was said last."""
    latest: dict[KommoId, R] = {}
    for one in batch:
        before = latest.get(one.id)
        if before is None or one.updated_at >= before.updated_at:
            latest[one.id] = one
    return list(latest.values())


def news(
    batch: Iterable[R], known: Mapping[KommoId, KnownLead | KnownContact], *, is_full: bool
) -> list[R]:
    """Return the entities that say anything new; `is_full` also those that say the same again.

    An older word than the known one counts for nothing, since pages may come late. Several
    changes may share one second: of two words of one second the one that comes later counts.
    """
    return [one for one in newest(batch) if _is_news(one, known.get(one.id), is_full=is_full)]


def digest_of(said: RemoteLead | RemoteContact) -> bytes:
    """Return what tells whether two words say the same."""
    return blake2b(_encode(said), digest_size=_DIGEST_BYTES).digest()


def contacts_of(said: RemoteLead) -> list[KommoId]:
    """Return a lead's contacts, the main one first."""
    return [link.contact_id for link in sorted(said.contacts, key=lambda link: not link.is_main)]


def tag_names(said: RemoteLead | RemoteContact) -> frozenset[str]:
    """Return the names of an entity's tags that can be a tag's here, one for each tag."""
    names = (line(tag.name, longest=NAME_MAX) for tag in said.tags[:_TAGS_MAX])
    return frozenset({tag_key(name): name for name in names if name is not None}.values())


def tag_changes(
    now: Iterable[TagLink], wanted: Iterable[TagLink]
) -> tuple[list[TagLink], list[TagLink]]:
    """Return the links to be made and those to be taken away, sorted."""
    there, meant = set(now), set(wanted)
    return sorted(meant - there), sorted(there - meant)


def bury(leads: Collection[Lead], *, at: datetime) -> LeadDeleted | None:
    """Hide the leads that are gone there."""
    live = [lead for lead in leads if lead.deleted_at is None]
    for lead in live:
        lead.delete(at)
    return LeadDeleted(leads=live) if live else None


def relink(
    leads: Mapping[KommoId, Lead],
    known: Iterable[KnownLead],
    people: Mapping[KommoId, ContactId],
    *,
    at: datetime,
) -> list[Lead]:
    """Give leads their main contact, which was not there before; return those that changed."""
    pairs = ((leads.get(one.kommo_id), people.get(one.contacts[0])) for one in known)
    found = [(lead, person) for lead, person in pairs if lead is not None and person is not None]
    return [lead for lead, person in found if lead.alter({"contact_id": person}, at=at)]


def minor_units(price: Decimal | None, currency: str | None) -> int | None:
    """Return an amount in minor units; None for one that a lead cannot have."""
    if price is None or not price.is_finite():
        return None
    scaled = price if currency in _WHOLE_ONLY else price * 100
    return int(scaled) if 0 <= scaled <= _VALUE_MAX else None


def line(text: str, *, longest: int = _LINE_MAX) -> str | None:
    """Return a text as one line that may be kept, None if nothing of it may."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    try:
        return clean_text("text", " ".join(printable.split())[:longest], shortest=1,
                          longest=longest, lines=False)  # fmt: skip
    except Invalid:
        return None


def _is_news(
    one: RemoteLead | RemoteContact, known: KnownLead | KnownContact | None, *, is_full: bool
) -> bool:
    if known is None:
        return True
    if one.updated_at < known.updated_at:
        return False
    return is_full or known.is_gone or known.digest != digest_of(one)


def _open(said: RemoteLead, local: Local) -> LeadChange:
    place = local.places[said.pipeline_id, said.stage_id]
    values = _values(said, local)
    blank = LeadDraft(status=LeadStatus.NEW)
    placed = _placed(place, said, status=blank.status)
    draft = LeadDraft(**{"status": blank.status} | values | placed)
    draft.source, draft.kommo_id = SOURCE, said.id
    return LeadChange(said, draft=draft, place=place)


def _alter(lead: Lead, said: RemoteLead, local: Local, *, at: datetime) -> LeadChange:
    place, before = local.places[said.pipeline_id, said.stage_id], lead.stage_id
    values = _values(said, local) | _placed(place, said, status=lead.status)
    change = LeadChange(said, lead=lead, place=place, is_restored=lead.deleted_at is not None)
    values |= {"deleted_at": None, "kommo_id": said.id}
    change.changed = lead.alter(values, at=at)
    if "stage_id" in change.changed:
        change.move = StageMove(lead_id=lead.id, from_stage=before, to_stage=place.stage.id, at=at)
    return change


def _values(said: RemoteLead, local: Local) -> dict[str, Any]:
    contacts = contacts_of(said)
    value = minor_units(said.price, local.currency)
    return {
        "name": line(said.name) or f"Lead #{said.id}",
        "contact_id": local.people.get(contacts[0]) if contacts else None,
        "value": value,
        "currency": None if value is None else local.currency,
    }


def _placed(place: Place, said: RemoteLead, *, status: LeadStatus) -> dict[str, Any]:
    """Return where the lead is; an end has Kommo's time (KS8)."""
    blank = Lead(
        id=LeadId(0), status=status, created_at=said.created_at, updated_at=said.updated_at,
        version=1,
    )  # fmt: skip
    values = blank.place(place.pipeline, place.stage, at=said.closed_at or said.updated_at)
    if values["closed_at"] is not None:
        values["closed_at"] = said.closed_at or said.updated_at
    return values


def _entry(lead: Lead, at: datetime) -> StageMove:
    if lead.stage_id is None:
        raise ValueError("a mirrored lead has a place")
    return StageMove(lead_id=lead.id, to_stage=lead.stage_id, at=at)


def _events_of(changes: Sequence[LeadChange]) -> Iterator[Event]:
    if moved := [one for one in changes if one.move is not None]:
        moves = [one.move for one in moved if one.move is not None]
        leads = [one.lead for one in moved if one.lead is not None]
        yield LeadMoved(leads=leads, moves=moves)
    place = {"pipeline_id", "stage_id", "status", "closed_at", "loss_reason"}
    rest = [one for one in changes if one.move is None or set(one.changed) - place]
    if leads := [one.lead for one in rest if one.lead is not None]:
        changed = {name for one in rest for name in one.changed}
        yield LeadUpdated(leads=leads, changed=sorted(changed))
