"""Transactions that begin late, and so take few round trips; why that is right, `storage` says.

Stores that may look without locks and keep what they are to write stand here; all others work as
ever, and begin the transaction with their first statement.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from clarin_core.domain.ids import AccountId, LeadId
from clarin_core.domain.leads import Lead
from clarin_core.errors import Conflict, Contention, Invalid, NotFound
from clarin_core.ports.event_publisher import News
from clarin_postgres.connection import Line, Pool, Row
from clarin_postgres.events import columns_of, news_of
from clarin_postgres.kommo import PostgresKommoStore
from clarin_postgres.leads import LEAD, PostgresLeadStore
from clarin_postgres.paging import struct
from clarin_postgres.reader import Reads, begin_in
from clarin_postgres.scope import Scope, Statements
from clarin_postgres.search import searched_of_lead
from clarin_postgres.transaction import PostgresTransaction, Work

_LOOK = f"""-- leads.look
    select {LEAD}, l.xmin::text::bigint as mark, exists (
        select from kommo_leads x
        where x.account_id = $1 and x.lead_id = l.id and not x.is_gone
    ) as is_mirrored
    from leads l where l.account_id = $1 and l.id = $2 and l.deleted_at is null"""
_SAVE = "-- late.save\nselect save_leads($1, $2)"
_WRITE = """-- late.write
    select w.last_seq, w.epoch from write_at_once($1, $2, $3, $4, $5, $6, $7, $8, $9) w"""

_REFUSALS = (Contention, Conflict, Invalid, NotFound)
"""What says that nothing was written."""
_BOUND = ("contact_id", "pipeline_id", "stage_id", "assigned_to", "kommo_id", "deleted_at")
"""Fields whose change may be refused: by a link, or because somebody else has the value."""


def _bound_in(lead: Lead) -> tuple[Any, ...]:
    return tuple(getattr(lead, name) for name in _BOUND)


@dataclass(slots=True)
class _Seen:
    """A lead as it was seen: its mark, and what may not be changed without asking."""

    mark: int
    bound: tuple[Any, ...]
    is_mirrored: bool


@dataclass(slots=True)
class Late(Statements):
    """What has been seen and kept, until a statement cannot wait for the end and begins it all."""

    account_id: AccountId
    reads: Reads
    writers: Pool
    opened: AsyncExitStack
    doubt: Callable[[], None]
    _line: Line | None = None
    _seen: dict[LeadId, _Seen] = field(default_factory=dict)
    _unmirrored: set[LeadId] = field(default_factory=set)
    _kept: dict[LeadId, msgspec.Raw] = field(default_factory=dict)

    @property
    def has_begun(self) -> bool:
        """Whether this is a transaction like any other by now."""
        return self._line is not None

    async def fetch(self, text: str, *arguments: object) -> list[Row]:
        """Run a statement in the transaction, which begins if it has not."""
        return await (self._line or await self._begin()).fetch(text, *arguments)

    async def first(self, text: str, *arguments: object) -> Row | None:
        """Run a statement in the transaction and return its first row, None if there is none."""
        rows = await self.fetch(text, *arguments)
        return rows[0] if rows else None

    def may_look_at(self, lead_id: LeadId) -> bool:
        """Whether a lead may be read without a lock: not twice, nor after anything was written."""
        return not (self.has_begun or self._kept or lead_id in self._seen)

    async def look_at(self, lead_id: LeadId) -> Lead:
        """Return a live lead as it is now; the end will find out if it is so no more."""
        rows = await self.reads.fetch(self.account_id, _LOOK, lead_id)
        if not rows:
            raise NotFound("lead", lead_id)
        lead = struct(rows[0], Lead)
        self._seen[lead_id] = _Seen(rows[0]["mark"], _bound_in(lead), rows[0]["is_mirrored"])
        return lead

    def has_seen_unmirrored(self, lead_ids: Collection[LeadId]) -> bool:
        """Whether none of some leads was mirrored when it was seen; the end sees to it."""
        seen = [self._seen.get(lead_id) for lead_id in lead_ids]
        if self.has_begun or any(one is None or one.is_mirrored for one in seen):
            return False
        self._unmirrored.update(lead_ids)
        return True

    def may_keep(self, leads: Sequence[Lead]) -> bool:
        """Whether saving these leads can wait, since nothing but another one can refuse it."""
        if self.has_begun:
            return False
        seen = [(lead, self._seen.get(lead.id)) for lead in leads]
        return all(one is not None and one.bound == _bound_in(lead) for lead, one in seen)

    def keep(self, leads: Sequence[Lead]) -> None:
        """Save leads at the end, as they are now."""
        for lead in leads:
            row = {**msgspec.structs.asdict(lead), "search": searched_of_lead(lead)}
            self._kept[lead.id] = msgspec.Raw(msgspec.json.encode(row))

    async def write(
        self, names: list[str], payloads: list[bytes], at: datetime, origin: bytes
    ) -> Row | None:
        """Be the whole transaction in one statement; return what `APPEND` would."""
        if not (self._kept or names):
            return None
        guards, kept = self._guards(), list(self._kept.values())
        async with self.writers.line() as line:
            is_told = False
            try:
                row = await line.first(
                    _WRITE, self.account_id, *guards, kept, names, payloads, at, origin
                )
                is_told = True
            except _REFUSALS:
                is_told = True
                raise
            finally:
                if not is_told:
                    self.doubt()
        return row

    async def _begin(self) -> Line:
        guards = ", ".join(f"'{{{','.join(map(str, ids))}}}'" for ids in self._guards())
        hold = f"; select hold_seen({self.account_id:d}, {guards})" if self._seen else ""
        line = await self.opened.enter_async_context(self.writers.line())
        begin = begin_in(self.account_id) + hold
        await self.opened.enter_async_context(line.transaction(begin))
        if self._kept:
            await line.fetch(_SAVE, self.account_id, list(self._kept.values()))
        self._line = line
        return line

    def _guards(self) -> tuple[list[int], list[int], list[int]]:
        marks = [seen.mark for seen in self._seen.values()]
        return [*self._seen], marks, [*self._unmirrored]


@dataclass(frozen=True)
class _LeadStore(PostgresLeadStore):
    late: Late

    async def get(self, lead_id: LeadId, *, deleted: bool = False) -> Lead:
        if not deleted and self.late.may_look_at(lead_id):
            return await self.late.look_at(lead_id)
        return await super().get(lead_id, deleted=deleted)

    async def save(self, leads: Sequence[Lead]) -> None:
        if self.late.may_keep(leads):
            self.late.keep(leads)
        else:
            await super().save(leads)


@dataclass(frozen=True)
class _KommoStore(PostgresKommoStore):
    late: Late

    async def mirrored_leads(self, lead_ids: Collection[LeadId]) -> set[LeadId]:
        if self.late.has_seen_unmirrored(lead_ids):
            return set()
        return await super().mirrored_leads(lead_ids)


class _Transaction(PostgresTransaction):
    """One account's rows and events in a unit of work that begins late."""

    def __init__(self, scope: Scope, late: Late) -> None:
        super().__init__(scope)
        self.leads = _LeadStore(scope, late)
        self.kommo = _KommoStore(scope, late)
        self._late = late

    async def append(self, origin: bytes, *, at: datetime) -> News | None:
        """Write the log, and with it all that was kept if nothing has begun yet."""
        if self._late.has_begun:
            return await super().append(origin, at=at)
        row = await self._late.write(*columns_of(self._emitted), at, origin)
        if row is None or not self._emitted:
            return None
        if row["last_seq"] is None:
            raise NotFound("account", self._late.account_id)
        return news_of(row, self._late.account_id, self._emitted, origin, at)


class LateWork(Work):
    """A unit of work of one account that begins late."""

    def __init__(self, late: Late) -> None:
        super().__init__(late)
        self._late = late

    def _part(self, scope: Scope) -> PostgresTransaction:
        return _Transaction(scope, self._late)
