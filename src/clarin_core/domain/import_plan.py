"""What the rows of a file make of the contacts and leads that are there.

Records are changed in memory, row after row; they are stored and announced together.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Generic, TypeVar

from msgspec import structs

from clarin_core.domain.contacts import Contact
from clarin_core.domain.csv_import import ImportRow, RejectedRow
from clarin_core.domain.events import (
    ContactCreated,
    ContactUpdated,
    Event,
    LeadCreated,
    LeadMoved,
    LeadUpdated,
)
from clarin_core.domain.ids import ID_MAX, ContactId, LeadId
from clarin_core.domain.import_people import SOURCE, Person, Reading, details_of
from clarin_core.domain.import_places import Place
from clarin_core.domain.imports import ImportJob, RowOutcome, RowResult
from clarin_core.domain.leads import Lead, LeadDraft, LeadStatus, StageMove

E = TypeVar("E", Contact, Lead)


@dataclass(slots=True, eq=False)
class Record(Generic[E]):
    """A contact or lead that rows speak of, and what has become of it in this batch."""

    entity: E
    is_new: bool = False
    changed: set[str] = field(default_factory=set)

    def take(self, values: Mapping[str, Any], *, overwrite: bool, at: datetime) -> bool:
        """Set what is empty, or all that is given (IM4); return whether anything changed."""
        given = {k: v for k, v in values.items() if v is not None}
        if not overwrite:
            given = {k: v for k, v in given.items() if getattr(self.entity, k) is None}
        changed = self.entity.alter(given, at=at)
        self.changed.update(changed)
        return bool(changed)


@dataclass(slots=True, eq=False)
class LeadRecord(Record[Lead]):
    """A lead with its moves; a new one has a number above all ids until it is stored."""

    moves: list[StageMove] = field(default_factory=list)

    def draft(self) -> LeadDraft:
        """Return what is to be stored of a new lead."""
        fields = LeadDraft.__struct_fields__
        return LeadDraft(**{name: getattr(self.entity, name) for name in fields})

    def store(self, lead: Lead) -> None:
        """Take the stored lead, whose id its moves name from now on."""
        self.entity = lead
        self.moves = [structs.replace(move, lead_id=lead.id) for move in self.moves]


@dataclass(slots=True, eq=False)
class Applied:
    """A row and the records that it was applied to."""

    row: ImportRow
    contact: Record[Contact]
    lead: LeadRecord | None = None
    is_created: bool = False
    is_changed: bool = False

    @property
    def target_id(self) -> int:
        """What the row's tags are put on, once it is stored."""
        return self.lead.entity.id if self.lead else self.contact.entity.id

    def outcome(self) -> RowOutcome:
        """Return what became of the row."""
        changed = RowResult.UPDATED if self.is_changed else RowResult.DUPLICATE
        return RowOutcome(
            row=self.row.row,
            result=RowResult.CREATED if self.is_created else changed,
            lead_id=self.lead.entity.id if self.lead else None,
            contact_id=self.contact.entity.id,
        )


class LeadPlan:
    """The leads of one batch: those that are there, and those that rows open."""

    def __init__(self, known: Iterable[Lead], *, job: ImportJob, at: datetime) -> None:
        self._records = {lead.id: LeadRecord(lead) for lead in known}
        self._overwrite = job.overwrite
        self._by = job.origin.user_id
        self._at = at
        self._numbers = count(ID_MAX + 1)
        self._by_kommo = {one.entity.kommo_id: one for one in self._records.values()}
        self._by_contact = defaultdict[ContactId, list[LeadRecord]](list)
        for record in self._records.values():
            if record.entity.contact_id is not None:
                self._by_contact[record.entity.contact_id].append(record)

    @property
    def new(self) -> list[LeadRecord]:
        """The leads that rows opened, in their order."""
        return [record for record in self._records.values() if record.is_new]

    @property
    def altered(self) -> list[LeadRecord]:
        """The leads that were there and are to be stored as they are now."""
        records = (record for record in self._records.values() if not record.is_new)
        return [record for record in records if record.changed or record.moves]

    @property
    def moves(self) -> list[StageMove]:
        """What the stage history has to learn."""
        return [move for record in self._records.values() for move in record.moves]

    def apply(self, applied: Applied, owner: ContactId, place: Place) -> None:
        """Give a row's lead, which may be a new one, what the row says."""
        row = applied.row
        record = self._find(row, owner, place)
        applied.is_created = record is None
        applied.lead = record = record or self._open(row)
        values = {"name": row.lead_name, "notes": row.notes, "value": row.value}
        applied.is_changed |= record.take(values, overwrite=self._overwrite, at=self._at)
        if record.take({"contact_id": owner}, overwrite=True, at=self._at):
            self._by_contact[owner].append(record)
            applied.is_changed = True
        if self._enters(record.entity, row, place):
            applied.is_changed |= self._move(record, place)

    def _find(self, row: ImportRow, owner: ContactId, place: Place) -> LeadRecord | None:
        """Return the lead that a row means.

        With a Kommo id that is the lead that has it. Otherwise it is the contact's oldest lead
        in the row's stage, so that closed leads are found again, else in its pipeline, if open.
        """
        if row.kommo_id is not None:
            return self._by_kommo.get(row.kommo_id)
        own = [one for one in self._by_contact[owner] if one.entity.contact_id == owner]
        there = [one for one in own if one.entity.stage_id == place.stage.id]
        near = [one for one in own if one.entity.pipeline_id == place.pipeline.id]
        still_open = [one for one in near if one.entity.is_open]
        return min(there or still_open, key=lambda one: one.entity.id, default=None)

    def _open(self, row: ImportRow) -> LeadRecord:
        lead = Lead(
            id=LeadId(next(self._numbers)),
            status=LeadStatus.NEW,
            source=SOURCE,
            kommo_id=row.kommo_id,
            created_at=self._at,
            updated_at=self._at,
            version=1,
        )
        record = self._records[lead.id] = LeadRecord(lead, is_new=True)
        if row.kommo_id is not None:
            self._by_kommo[row.kommo_id] = record
        return record

    def _enters(self, lead: Lead, row: ImportRow, place: Place) -> bool:
        """Tell whether a lead goes where its row is; a pipeline without a stage means any."""
        if lead.stage_id is None:
            return True
        elsewhere = row.pipeline is not None and lead.pipeline_id != place.pipeline.id
        return self._overwrite and (row.stage is not None or elsewhere)

    def _move(self, record: LeadRecord, place: Place) -> bool:
        moved = record.entity.move(place.pipeline, place.stage, by=self._by, at=self._at)
        if moved:
            record.moves.append(moved)
        return moved is not None


def apply_readings(
    readings: Sequence[Reading],
    contacts: Mapping[Person, Record[Contact]],
    leads: LeadPlan | None,
    places: Mapping[int, Place],
    *,
    job: ImportJob,
    at: datetime,
) -> list[Applied]:
    """Apply rows in order to contacts and leads; without leads, notes are the contact's."""
    everything = []
    for reading in readings:
        row, contact = reading.row, contacts[reading.person]
        notes = row.notes if leads is None else None
        values = {**reading.values, "notes": notes}
        changed = contact.take(values, overwrite=job.overwrite, at=at)
        if reading.former is not None:  # The file speaks of one person, now with a phone.
            known = details_of(contacts[reading.former].entity)
            changed |= contact.take(known, overwrite=False, at=at)
        is_new = reading.is_first and contact.is_new
        applied = Applied(row, contact, is_created=is_new, is_changed=changed or is_new)
        if leads is not None:
            leads.apply(applied, contacts[reading.owner].entity.id, places[row.row])
        everything.append(applied)
    return everything


def contact_events(records: Sequence[Record[Contact]]) -> Iterator[Event]:
    """Give at most one event of each kind for the contacts of a batch."""
    if new := [record.entity for record in records if record.is_new]:
        yield ContactCreated(contacts=new)
    if altered := [record for record in records if record.changed and not record.is_new]:
        contacts = [record.entity for record in altered]
        yield ContactUpdated(contacts=contacts, changed=_fields(altered))


def lead_events(plan: LeadPlan) -> Iterator[Event]:
    """Give at most one event of each kind for the leads of a batch, once they are stored."""
    if new := [record.entity for record in plan.new]:
        yield LeadCreated(leads=new)
    if moved := [record for record in plan.altered if record.moves]:
        moves = [move for record in moved for move in record.moves]
        yield LeadMoved(leads=[record.entity for record in moved], moves=moves)
    if altered := [record for record in plan.altered if record.changed]:
        yield LeadUpdated(leads=[record.entity for record in altered], changed=_fields(altered))


def outcomes_of(
    rows: Iterable[ImportRow | RejectedRow], applied: Iterable[Applied]
) -> list[RowOutcome]:
    """Return what became of the rows up to the first one that was not applied."""
    done = {one.row.row: one.outcome() for one in applied}
    outcomes = list[RowOutcome]()
    for row in rows:
        outcome = _refused(row) if isinstance(row, RejectedRow) else done.get(row.row)
        if outcome is None:
            break
        outcomes.append(outcome)
    return outcomes


def _refused(row: RejectedRow) -> RowOutcome:
    return RowOutcome(
        row=row.row, result=RowResult.INVALID, code=row.code, field=row.field, reason=row.reason
    )


def _fields(records: Iterable[Record[E]]) -> list[str]:
    return sorted({name for record in records for name in record.changed})
