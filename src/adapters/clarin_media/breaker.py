"""Leaves a place alone that does not answer, so that who would wait for it is free for others."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from clarin_core.errors import Unavailable

MEDIA_STORE = "the media store"

_FAILURES = 5
_WITHIN_S = 10.0
_REST_S = 2.0


class Breaker:
    """Refuses at once after some failures in a short time, and then lets one try now and then."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failed = deque[float](maxlen=_FAILURES)
        self._rests_until: float | None = None

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Try something inside that raises Unavailable when it fails.

        Raises Unavailable at once while the place is left alone.
        """
        if self._rests_until is not None:
            if self._clock() < self._rests_until:
                raise Unavailable(MEDIA_STORE)
            self._rest()  # The others, while this one tries.
        try:
            yield
        except Unavailable:
            self._note_failure()
            raise
        self._failed.clear()
        self._rests_until = None

    def _note_failure(self) -> None:
        self._failed.append(self._clock())
        is_often = len(self._failed) == _FAILURES and self._failed[-1] - self._failed[0] < _WITHIN_S
        if is_often or self._rests_until is not None:
            self._rest()

    def _rest(self) -> None:
        self._rests_until = self._clock() + _REST_S
