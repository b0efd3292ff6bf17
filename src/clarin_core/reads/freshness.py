"""What this process knows to have changed, and so which kept reads still count.

The race that a cache can lose: somebody reads the old value, somebody else writes, and the old
value is kept after the write. Deleting does not win it, since the late put comes after. Here
nothing is deleted. An entry is stamped with the last event that this process had followed when
its read began, so it may be newer than its stamp, and never older. It counts as long as none of
its names was changed by a later event. A hint of an event that was not followed yet makes all
entries before it doubtful, and the read goes to the storage, until the log was followed.

A hint of this process arrives before the writer is answered. So whoever reads here after that
answer never gets the older value, whatever a cache has kept, and whoever else has put it there.
In another process a value may be old for as long as the hint takes, at most until the next look
at the logs. A crash between commit and hint costs no more than that.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace

from clarin_core.domain.cache import Entry, names_changed
from clarin_core.domain.events import Recorded
from clarin_core.domain.ids import AccountId
from clarin_core.errors import NotFound
from clarin_core.reads.feed import Feed, Listener

_CHANGES_MAX = 100_000  # About 25 MB.
_ACCOUNTS_MAX = 10_000


class Knowledge(Listener):
    """What is known of one account since this process began to listen."""

    def __init__(self, feed: Feed, account_id: AccountId, changes: "Changes") -> None:
        self._feed = feed
        self._changes = changes
        self._stream = feed.attach(account_id, self)
        self._changed: dict[str, int] = {}
        self._since: int | None = None  # Of what happened before nothing is known.
        self._is_closed = False
        self._latest = 0

    async def open(self) -> None:
        """Begin to know, unless that was done before; of no account nothing is ever known."""
        if self._since is None:
            with suppress(NotFound):
                await self._stream.open()
                if not self._is_closed:
                    self.begin_anew("")

    def close(self) -> None:
        """Know nothing more: whoever still reads with this is allowed nothing that was kept."""
        self._is_closed, self._since = True, None
        self._changed.clear()
        self._feed.detach(self._stream, self)

    def take(self, events: Sequence[Recorded]) -> None:
        """Learn what some more events changed."""
        for recorded in events:
            for name in names_changed(recorded.event):
                self._changed[name] = self._latest = recorded.seq
                self._changes.add(self, name, recorded.seq)

    def forget(self, name: str, seq: int) -> None:
        """Forget a change, and with it all that happened before; not if there was a later one."""
        if self._changed.get(name) == seq:
            del self._changed[name]
            self._since = max(self._since or 0, seq)

    def begin_anew(self, reason: str) -> None:
        """Forget it all: only what is read from now on counts."""
        self._changed.clear()
        self._since = self._latest = self._stream.cursor

    def stamp(self) -> tuple[str, int] | None:
        """Return epoch and event of which a read that begins now is; None if it is not worth it."""
        stream = self._stream
        is_known = self._since is not None and stream.is_current
        return (stream.epoch, stream.cursor) if is_known else None

    def allows(self, entry: Entry) -> bool:
        """Return whether an entry is as new as anything that this process knows."""
        stream, seq = self._stream, entry.seq
        if not stream.is_current or self._since is None or entry.epoch != stream.epoch:
            return False
        if not self._since <= seq <= stream.cursor:
            return False
        if seq >= self._latest:
            return True
        return all(self._changed.get(name, 0) <= seq for name in entry.names)

    def renewed(self, entry: Entry) -> Entry:
        """Return an allowed entry as one of now: what has not changed is as if read now."""
        return replace(entry, seq=self._latest) if entry.seq < self._latest else entry


class Freshness:
    """What is known of each account; the one not asked for longest is forgotten."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._changes = Changes()
        self._known = OrderedDict[AccountId, Knowledge]()

    def close(self) -> None:
        """Listen to no account any more."""
        while self._known:
            self._known.popitem()[1].close()

    def of(self, account_id: AccountId) -> Knowledge:
        """Return what is known of an account."""
        known = self._known.get(account_id)
        if known is None:
            known = self._known[account_id] = Knowledge(self._feed, account_id, self._changes)
            if len(self._known) > _ACCOUNTS_MAX:
                self._known.popitem(last=False)[1].close()
        self._known.move_to_end(account_id)
        return known


class Changes:
    """What changed last in all accounts; the oldest changes are forgotten to make room."""

    def __init__(self) -> None:
        self._latest = deque[tuple[Knowledge, str, int]]()

    def add(self, known: Knowledge, name: str, seq: int) -> None:
        """Remember that a name of an account was changed by an event."""
        self._latest.append((known, name, seq))
        if len(self._latest) > _CHANGES_MAX:
            oldest, its_name, its_seq = self._latest.popleft()
            oldest.forget(its_name, its_seq)
