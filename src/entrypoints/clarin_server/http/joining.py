"""Frames that are written together, because a write costs more than what it carries.

Where it is quiet a frame is written at once. What comes within a few milliseconds of that waits
for the next write, which carries all of it to each socket: in the same order, and as one piece
of memory for all sockets that have seen the same. It waits, too, when the process has written
much just now, whoever it was for. So few frames lose no time, and many cost little work.

Whatever else is written to a socket, from a pong to a goodbye, comes after what waits for it.
"""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic
from typing import NamedTuple, Protocol

from clarin_server.http.frames import Frame
from clarin_server.http.socket import Socket

_WINDOW_S = 0.005
_AT_ONCE_MAX = 250  # Sockets that are written to at once in a window: a quarter of its time.
_BYTES_MAX = 64 * 1024


class _Part(NamedTuple):
    frame: Frame
    seq: int
    speaker: str


class Bundle:
    """What waits to be written to the sockets of one account."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._bytes = 0

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._parts)

    @property
    def is_full(self) -> bool:
        """Whether it is large enough to be written without waiting for more."""
        return self._bytes > _BYTES_MAX

    def add(self, frame: Frame, *, seq: int = 0, speaker: str = "") -> None:
        """Add the frame of an event, or of what passes and has no number."""
        self._parts.append(_Part(frame, seq, speaker))
        self._bytes += len(frame.for_admins)

    def write_to(self, sockets: Iterable[Socket]) -> tuple[int, int]:
        """Write to each live socket what it has not seen; return how many writes and events."""
        parts, self._parts, self._bytes = self._parts, [], 0
        speakers = {part.speaker for part in parts if part.speaker}
        last = max(part.seq for part in parts)
        joined: dict[tuple[int, bool, str], tuple[bytes, int]] = {}
        writes = events = 0
        for socket in sockets:
            if socket.live:
                name = socket.name if socket.name in speakers else ""
                key = socket.seq if socket.seq < last else last, socket.is_admin, name
                body, count = joined.get(key) or joined.setdefault(key, _join(parts, *key))
                if body:
                    socket.put(body)
                    writes, events = writes + 1, events + count
                if socket.seq < last:
                    socket.seq = last
        return writes, events


def _join(parts: list[_Part], seq: int, is_admin: bool, name: str) -> tuple[bytes, int]:
    """Return the frames for one who has seen the events up to `seq`, and how many are events."""
    due = [part for part in parts if part.seq > seq or (not part.seq and part.speaker != name)]
    body = b"".join(part.frame.shown_to(is_admin=is_admin) for part in due)
    return body, sum(part.seq > 0 for part in due)


class Sender(Protocol):
    """Who has something to write."""

    flushed_at: float

    def flush(self) -> int:
        """Write what waits; return how many writes that were."""
        ...


class Window:
    """Says when those who have something to write do it; one timer for all of them."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._began_at = clock()
        self._writes = 0
        self._senders: set[Sender] = set()
        self._timer: asyncio.TimerHandle | None = None

    def offer(self, sender: Sender) -> None:
        """Have somebody write, now or within the window."""
        if sender in self._senders:
            return
        if self._may_write(sender):
            self._flush(sender)
            return
        self._senders.add(sender)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WINDOW_S, self._flush_all)

    def _may_write(self, sender: Sender) -> bool:
        now = self._clock()
        if now - self._began_at >= _WINDOW_S:
            self._began_at, self._writes = now, 0
        return self._writes < _AT_ONCE_MAX and now - sender.flushed_at >= _WINDOW_S

    def _flush_all(self) -> None:
        self._timer = None
        self._began_at, self._writes = self._clock(), 0
        senders, self._senders = self._senders, set()
        for sender in senders:
            self._flush(sender)

    def _flush(self, sender: Sender) -> None:
        self._writes += sender.flush()
        sender.flushed_at = self._clock()
        if self._writes >= _AT_ONCE_MAX:
            self._began_at = sender.flushed_at  # It took time itself.
