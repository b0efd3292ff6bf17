"""How far a mirror of Kommo has come: what is kept so that a kill costs nothing.

A list is walked by its pages, in whatever order they come; `Walk` knows which are stored. All
instants here are Kommo's own, of rows that were stored: no clock of ours decides what is read next.
"""

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct, field

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import PAGE_MAX, RemoteKind

_FIRST_PROBE = 4
_DOUBTS_MAX = 2


class Walk(Struct, kw_only=True, omit_defaults=True):
    """The pages of one list: those up to `upto` are stored, and so are those in `beyond`.

    The list has at least `floor` pages, and fewer than `ceiling`. Nobody tells how many, so that
    the end is looked for by doubling and halving: the pages that this brings are stored, too.
    """

    upto: int = 0
    beyond: list[int] = []
    floor: int = 1
    ceiling: int | None = None
    rows: int = 0
    doubts: int = 0

    @property
    def last(self) -> int | None:
        """The last page, once that is known."""
        return self.floor if self.ceiling == self.floor + 1 else None

    @property
    def is_done(self) -> bool:
        """Whether every page is stored."""
        return self.last is not None and self.upto >= self.last

    @property
    def total(self) -> int | None:
        """About how many rows there are, once the last page is known."""
        return None if self.last is None else max(self.rows, self.last * PAGE_MAX)

    def choose(self, busy: Collection[int]) -> int | None:
        """Return a page to fetch while others are being fetched; None if there is none now."""
        probe = self._probe()
        if probe is not None and not any(page > self.floor for page in busy):
            return probe
        taken = {*busy, *self.beyond}
        pages = range(self.upto + 1, self.floor + 1)
        return next((page for page in pages if page not in taken), None)

    def store(self, page: int, *, rows: int, has_next: bool) -> None:
        """Count a page with what it had; an announced one that is empty is asked for again."""
        if rows == 0 and page > 1:
            self._end_before(page)
            return
        self.rows += rows
        self.beyond = sorted({*self.beyond, page})
        while self.beyond and self.beyond[0] <= self.upto + 1:
            self.upto = max(self.upto, self.beyond.pop(0))
        self.floor = max(self.floor, page + has_next)
        if not has_next or (self.ceiling is not None and self.ceiling <= self.floor):
            self.ceiling = self.floor + 1

    def _probe(self) -> int | None:
        """Return the page that tells most about where the end is."""
        if self.last is not None or (self.floor == 1 and self.upto == 0):
            return None
        if self.ceiling is None:
            return max(_FIRST_PROBE, 2 * self.floor)
        return (self.floor + self.ceiling) // 2

    def _end_before(self, page: int) -> None:
        if page > self.floor:
            self.ceiling = min(page, self.ceiling or page)
            return
        self.doubts += 1
        if self.doubts >= _DOUBTS_MAX:
            self.doubts = 0
            self.floor = max([page - 1, self.upto, *self.beyond])
            self.ceiling = self.floor + 1


class Backfill(Struct, kw_only=True, omit_defaults=True):
    """A first reading of everything, or one anew; `is_full` mends what was changed here, too.

    `since` and `rows_then` are of when the process that is at it began: its rate is counted
    from there.
    """

    start: datetime
    since: datetime
    rows_then: int = 0
    contacts: Walk = field(default_factory=Walk)
    leads: Walk = field(default_factory=Walk)
    is_full: bool = False

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return self.contacts.rows + self.leads.rows

    @property
    def is_done(self) -> bool:
        """Whether all is stored."""
        return self.contacts.is_done and self.leads.is_done

    def walk(self, kind: RemoteKind) -> Walk:
        """Return the walk over leads or contacts."""
        return self.leads if kind is RemoteKind.LEAD else self.contacts


class Sweep(Struct, kw_only=True, omit_defaults=True):
    """A slow walk over all that is there, by id, to find what vanished without a word.

    `page` comes next, and everything up to `after` was seen; `missing` was asked for by its id
    in vain.
    """

    kind: RemoteKind
    page: int = 1
    after: KommoId = KommoId(0)
    missing: list[KommoId] = []


class Stream(Struct, kw_only=True, omit_defaults=True):
    """The changes of leads, of contacts, or the hints: all up to `upto` are stored."""

    upto: datetime


class SyncState(Struct, kw_only=True, omit_defaults=True):
    """Where the mirror stands. What is in `again` is to be read by its id soon.

    `suspects` are the kinds of which a sweep missed so much that it was not believed yet.
    """

    backfill: Backfill | None = None
    leads: Stream | None = None
    contacts: Stream | None = None
    hints: Stream | None = None
    again: list[KommoId] = []
    sweep: Sweep | None = None
    sweeps_due: list[RemoteKind] = []
    suspects: list[RemoteKind] = []
    swept_at: datetime | None = None

    def stream(self, kind: RemoteKind) -> Stream | None:
        """Return the stream of leads or contacts."""
        return self.leads if kind is RemoteKind.LEAD else self.contacts

    def ask_for_sweeps(self, *kinds: RemoteKind) -> None:
        """Let sweeps begin as soon as there is time for them."""
        self.sweeps_due += [kind for kind in kinds if kind not in self.sweeps_due]

    def begin_streams(self, at: datetime) -> None:
        """Follow the changes from an instant on, as far as they are not followed from before."""
        self.leads = self.leads or Stream(upto=at)
        self.contacts = self.contacts or Stream(upto=at)
        self.hints = self.hints or Stream(upto=at)
