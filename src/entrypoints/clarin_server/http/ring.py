"""The last frames of a room, for clients that were away for a moment."""

from collections import deque
from itertools import islice

from clarin_server.http.frames import Frame

Numbered = tuple[int, Frame]


class Ring:
    """Frames numbered without gaps; the oldest go when there are too many, or too much of them."""

    def __init__(self, *, frames_max: int = 1024, bytes_max: int = 4 * 1024 * 1024) -> None:
        self._frames = deque[Numbered]()
        self._bytes = 0
        self._frames_max = frames_max
        self._bytes_max = bytes_max

    def append(self, seq: int, frame: Frame) -> None:
        """Keep the frame that follows the last one."""
        self._frames.append((seq, frame))
        self._bytes += len(frame.for_admins)
        while len(self._frames) > self._frames_max or self._bytes > self._bytes_max:
            self._bytes -= len(self._frames.popleft()[1].for_admins)

    def after(self, seq: int, *, limit: int) -> list[Numbered]:
        """Return the frames after a number, at most `limit`; none if the next one is gone."""
        if not self._frames or seq + 1 < self._frames[0][0]:
            return []
        first = seq + 1 - self._frames[0][0]
        return list(islice(self._frames, first, first + limit))

    def clear(self) -> None:
        """Forget all frames."""
        self._frames.clear()
        self._bytes = 0
