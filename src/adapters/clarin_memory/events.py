"""One account's log."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

import msgspec

from clarin_core.domain.actor import Origin
from clarin_core.domain.events import (
    PAGE_BYTES_MAX,
    Event,
    EventPage,
    EventQuery,
    Position,
    Recorded,
    read_event,
)
from clarin_core.errors import TooOld

_encode = msgspec.json.Encoder().encode


class _Entry(NamedTuple):
    at: datetime
    origin: Origin
    body: bytes


def encoded(event: Event) -> bytes:
    """Return an event as it is now; whatever becomes of its entities, it stays so."""
    return _encode(event)


class Log:
    """Events numbered from 1 without gaps; the oldest may be gone."""

    def __init__(self) -> None:
        self._epoch = uuid4().hex
        self._trimmed_to = 0
        self._entries: list[_Entry] = []

    @property
    def seq(self) -> int:
        """The last event's number, 0 before the first."""
        return self._trimmed_to + len(self._entries)

    @property
    def position(self) -> Position:
        """Where the log stands."""
        return Position(epoch=self._epoch, seq=self.seq, trimmed_to=self._trimmed_to)

    def append(self, bodies: Sequence[bytes], *, at: datetime, origin: Origin) -> None:
        """Number some more events."""
        self._entries += [_Entry(at, origin, body) for body in bodies]

    def read(self, query: EventQuery) -> EventPage:
        """Return events after a number; raises TooOld outside the log."""
        if not self._trimmed_to <= query.after <= self.seq:
            raise TooOld(query.after)
        return EventPage(data=list(self._page(query)), position=self.position)

    def _page(self, query: EventQuery) -> Iterator[Recorded]:
        first, size = query.after - self._trimmed_to, 0
        for seq, (at, origin, body) in enumerate(
            self._entries[first : first + query.size], query.after + 1
        ):
            yield Recorded(seq=seq, at=at, origin=origin, event=read_event(body))
            size += len(body)
            if size >= PAGE_BYTES_MAX:
                return

    def trim(self, before: datetime, *, kept_max: int) -> None:
        """Forget the events at the beginning that happened before a time, or are too many."""
        kept = (place for place, entry in enumerate(self._entries) if entry.at >= before)
        gone = max(next(kept, len(self._entries)), len(self._entries) - kept_max)
        del self._entries[:gone]
        self._trimmed_to += gone
