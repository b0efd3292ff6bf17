"""How far a mirror of Kommo has come: what is kept so that a kill costs nothing.

A list is walked by its pages, in whatever order they come; `Walk` knows which are stored. All
instants here are Kommo's own, of rows that were stored: no clock of ours decides what is read next.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from msgspec import Struct, field

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import RemoteKind

_FIRST_PROBE = 4
_DOUBTS_MAX = 2


class Walk(Struct, kw_only=True, omit_defaults=True):
    """The pages of one list: those up to `upto` are stored, and so are those in `beyond`.

    The list has at least `floor` pages, and fewer than `ceiling`. Nobody tells how many, so that
    the end is looked for by doubling and halving: the pages that this brings are stored, too.
    The fullest page had `widest` rows, and the last one `tail`.
    """

    upto: int = 0
    beyond: list[int] = []
    floor: int = 1
    ceiling: int | None = None
    rows: int = 0
    widest: int = 0
    tail: int | None = None
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
        if self.last is None:
            return None
        tail = self.widest if self.tail is None else self.tail
        return max(self.rows, (self.last - 1) * self.widest + tail)

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
        self.widest = max(self.widest, rows)
        self.tail = self.tail if has_next else rows
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

    `start` is when it began, None before it did. `since` and `rows_then` are of when the process
    that is at it began: its rate is counted from there. Without `contacts` leads alone are read.
    """

    since: datetime
    start: datetime | None = None
    rows_then: int = 0
    contacts: Walk | None = None
    leads: Walk = field(default_factory=Walk)
    is_full: bool = False

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return self.leads.rows + (self.contacts.rows if self.contacts else 0)

    @property
    def is_done(self) -> bool:
        """Whether all is stored."""
        return self.leads.is_done and (self.contacts is None or self.contacts.is_done)

    def walk(self, kind: RemoteKind) -> Walk | None:
        """Return the walk over leads or contacts."""
        return self.leads if kind is RemoteKind.LEAD else self.contacts

    def choose(self, busy: Mapping[RemoteKind, Collection[int]]) -> tuple[RemoteKind, int] | None:
        """Return a page to fetch while others are being fetched; None if there is none now.

        Contacts come first, so that leads find theirs; but how many leads there are is asked for
        at once.
        """
        first = [RemoteKind.CONTACT, RemoteKind.LEAD]
        if self.leads.last is None and not busy[RemoteKind.LEAD]:
            first.reverse()
        for kind in first:
            walk = self.walk(kind)
            if walk is not None and (page := walk.choose(busy[kind])) is not None:
                return kind, page
        return None

    def take_over(self, at: datetime) -> None:
        """Count the rate anew, in the process that goes on with it."""
        self.since, self.rows_then = at, self.rows


class Sweep(Struct, kw_only=True, omit_defaults=True):
    """A slow walk over all that is there, by id, to find what vanished without a word.

    `page` comes next, and everything up to `after` was seen; `missing` was asked for by its id
    in vain. A second one is believed, and collects nothing.
    """

    kind: RemoteKind
    page: int = 1
    after: KommoId = KommoId(0)
    missing: list[KommoId] = []
    is_second: bool = False


class SyncState(Struct, kw_only=True, omit_defaults=True):
    """Where the mirror stands.

    All that Kommo said of leads and contacts and in hints up to these instants is stored. What is
    in `again_leads` and `again_contacts` is to be read by its id soon. A sweep that missed so
    much of a kind that it was not believed is repeated: `suspects`, since `suspected_at`.
    """

    backfill: Backfill | None = None
    leads_upto: datetime | None = None
    contacts_upto: datetime | None = None
    hints_upto: datetime | None = None
    again_leads: list[KommoId] = []
    again_contacts: list[KommoId] = []
    sweep: Sweep | None = None
    sweeps_due: list[RemoteKind] = []
    suspects: list[RemoteKind] = []
    suspected_at: datetime | None = None
    swept_at: datetime | None = None

    def upto(self, kind: RemoteKind) -> datetime | None:
        """Return up to when leads or contacts were followed."""
        return self.leads_upto if kind is RemoteKind.LEAD else self.contacts_upto

    def follow_to(self, kind: RemoteKind, upto: datetime) -> bool:
        """Move on, never back; return whether that is further than before."""
        before = self.upto(kind)
        if before is not None and upto <= before:
            return False
        if kind is RemoteKind.LEAD:
            self.leads_upto = upto
        else:
            self.contacts_upto = upto
        return True

    def begin(self, start: datetime) -> None:
        """Follow what the backfill reads from an instant on: what was before is in its pages."""
        if self.backfill is None or self.backfill.start is not None:
            return
        self.backfill.start = start
        self.leads_upto = self.hints_upto = start
        if self.backfill.contacts is not None or self.contacts_upto is None:
            self.contacts_upto = start

    def again(self, kind: RemoteKind) -> list[KommoId]:
        """Return what is to be read by its id soon."""
        return self.again_leads if kind is RemoteKind.LEAD else self.again_contacts

    def read_again(self, kind: RemoteKind, kommo_ids: Iterable[KommoId]) -> None:
        """Let some more be read by their ids soon."""
        wanted = self.again(kind)
        wanted += sorted({*kommo_ids}.difference(wanted))

    def ask_for_sweep(self, kind: RemoteKind) -> None:
        """Let a sweep begin as soon as there is time for it."""
        if kind not in self.sweeps_due:
            self.sweeps_due.append(kind)
