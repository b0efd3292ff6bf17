"""One account's log."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

import msgspec

from clarin_core.domain.actor import Origin
from clarin_core.domain.events import Event, EventPage, EventQuery, Position, Recorded
from clarin_core.errors import TooOld

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder[Event](Event).decode


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
        first = query.after - self._trimmed_to
        picked = enumerate(self._entries[first : first + query.size], query.after + 1)
        return EventPage(
            data=[
                Recorded(seq=seq, at=entry.at, origin=entry.origin, event=_decode(entry.body))
                for seq, entry in picked
            ],
            position=self.position,
        )

    def trim(self, before: datetime, *, kept_max: int) -> None:
        """Forget the events at the beginning that happened before a time, or are too many."""
        kept = (place for place, entry in enumerate(self._entries) if entry.at >= before)
        gone = max(next(kept, len(self._entries)), len(self._entries) - kept_max)
        del self._entries[:gone]
        self._trimmed_to += gone
