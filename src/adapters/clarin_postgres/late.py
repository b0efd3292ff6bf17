"""Transactions that begin late, and so take few round trips; why that is right, `storage` says."""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from clarin_core.domain.ids import AccountId
from clarin_core.errors import Conflict, Contention, Invalid, NotFound
from clarin_postgres.connection import Line, Pool, Row
from clarin_postgres.events import Encoded, columns_of
from clarin_postgres.reader import Reads, begin_in
from clarin_postgres.scope import Statements
from clarin_postgres.totals import Gains

IDS = 100  # So many are taken at a time; what a process does not use is lost, and nothing else.
_REMEMBERED_MAX = 10_000

_WRITE_KEPT = "-- late.write_kept\nselect write_kept($1, $2)"
_WRITE = """-- late.write
    select w.last_seq, w.epoch from write_at_once(
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) w"""

_REFUSALS = (Contention, Conflict, Invalid, NotFound)
"""What says that nothing was written."""


class Kind(Enum):
    """Rows that may be seen without a lock, in the order in which they are locked at the end."""

    PIPELINE = "pipelines"
    CONTACT = "contacts"
    LEAD = "leads"
    TAG = "tags"


class Seen(NamedTuple):
    """A row as it was seen: its mark, and what its store wants to know of it later."""

    mark: int
    told: Any


class Memory:
    """What attempts of one storage share: ids to give, and default pipelines as last seen."""

    def __init__(self, writers: Pool) -> None:
        self._writers = writers
        self._ids: dict[str, deque[int]] = defaultdict(deque)
        self._defaults = OrderedDict[AccountId, Row]()

    async def next_id(self, text: str) -> int:
        """Return an id that nobody has, of those that a statement takes from their sequence."""
        ids = self._ids[text]
        while not ids:
            async with self._writers.line() as line:
                ids.extend(row["id"] for row in await line.fetch(text, IDS))
        return ids.popleft()

    def default_of(self, account_id: AccountId) -> Row | None:
        """Return the account's default pipeline as it was once."""
        return self._defaults.get(account_id)

    def remember(self, account_id: AccountId, row: Row) -> None:
        """Keep the account's default pipeline as it is now."""
        self._defaults[account_id] = row
        if len(self._defaults) > _REMEMBERED_MAX:
            self._defaults.popitem(last=False)

    def forget(self, account_id: AccountId) -> None:
        """Look for the account's default pipeline again the next time."""
        self._defaults.pop(account_id, None)


@dataclass(slots=True)
class Late(Statements):
    """What has been seen and kept, until a statement cannot wait for the end and begins it all."""

    account_id: AccountId
    reads: Reads
    writers: Pool
    memory: Memory
    opened: AsyncExitStack
    doubt: Callable[[], None]
    default: Row | None = None
    relies_on_memory: bool = False
    unmirrored: set[int] = field(default_factory=set)
    _line: Line | None = None
    _seen: dict[Kind, dict[int, Seen]] = field(default_factory=lambda: {kind: {} for kind in Kind})
    _kept: dict[str, list[msgspec.Raw]] = field(default_factory=dict)

    @property
    def has_begun(self) -> bool:
        """Whether this is a transaction like any other by now."""
        return self._line is not None

    @property
    def is_unproven(self) -> bool:
        """Whether a refusal may come of what is remembered, or of how it is kept."""
        return not self.has_begun and (self.relies_on_memory or bool(self._kept))

    @property
    def may_look(self) -> bool:
        """Whether something may be read without a lock: not after anything was written."""
        return not (self.has_begun or self._kept)

    async def fetch(self, text: str, *arguments: object) -> list[Row]:
        """Run a statement in the transaction, which begins if it has not."""
        return await (self._line or await self._begin()).fetch(text, *arguments)

    async def first(self, text: str, *arguments: object) -> Row | None:
        """Run a statement in the transaction and return its first row, None if there is none."""
        rows = await self.fetch(text, *arguments)
        return rows[0] if rows else None

    async def look(self, text: str, *arguments: object) -> Row | None:
        """Return a row as it is now, or None; who goes by it has to say that it `saw` it."""
        rows = await self.look_for_all(text, *arguments)
        return rows[0] if rows else None

    async def look_for_all(self, text: str, *arguments: object) -> list[Row]:
        """Return rows as they are now; who goes by one has to say that it `saw` it."""
        return await self.reads.fetch(self.account_id, text, *arguments)

    def remembered(self) -> Row | None:
        """Return the default pipeline as it was once, if that is known."""
        row = self.memory.default_of(self.account_id)
        self.relies_on_memory = row is not None
        return row

    def saw(self, kind: Kind, row: Row, told: object) -> None:
        """Have the end find out whether a row is still as it was, by its columns id and mark."""
        self._seen[kind][row["id"]] = Seen(row["mark"], told)

    def seen(self, kind: Kind) -> Mapping[int, Seen]:
        """Return the rows of a kind that were seen."""
        return self._seen[kind]

    def keep(self, kind: str, row: object) -> None:
        """Write a row at the end, as it is now."""
        self._kept.setdefault(kind, []).append(msgspec.Raw(msgspec.json.encode(row)))

    async def write(
        self, events: Sequence[Encoded], at: datetime, origin: bytes, gains: Gains
    ) -> Row | None:
        """Be the whole transaction in one statement; return what `APPEND` would."""
        if not (self._kept or events):
            if self.relies_on_memory:
                await self._begin()
            return None
        async with self.writers.line() as line:
            is_told = False
            try:
                row = await line.first(
                    _WRITE, self.account_id, *self._guards(), self._kept, *columns_of(events), at,
                    origin, *gains.values,
                )  # fmt: skip
                is_told = True
            except _REFUSALS:
                is_told = True
                raise
            finally:
                if not is_told:
                    self.doubt()
        if self.default is not None:  # It was compared.
            self.memory.remember(self.account_id, self.default)
        return row

    async def _begin(self) -> Line:
        """Open the transaction; what is sent along are numbers, as `begin_in` wants it."""
        begin = begin_in(self.account_id)
        if any(self._seen.values()):
            guards = ", ".join(f"'{{{','.join(map(str, ids))}}}'" for ids in self._guards())
            begin += f"; select hold_seen({self.account_id:d}, {guards})"
        line = await self.opened.enter_async_context(self.writers.line())
        await self.opened.enter_async_context(line.transaction(begin))
        if self._kept:
            await line.fetch(_WRITE_KEPT, self.account_id, self._kept)
        self._line = line
        return line

    def _guards(self) -> list[list[int]]:
        guards: list[list[int]] = []
        for rows in self._seen.values():
            guards += [[*rows], [seen.mark for seen in rows.values()]]
        return [*guards, [*self.unmirrored]]
