"""How Kommo, and what lies between it and us, can fail: as planned, or from a seed."""

import random
from collections import Counter, deque
from collections.abc import Iterable
from enum import Enum


class Fault(Enum):
    """What becomes of an answer."""

    TOO_MANY = "429 without a word about how long"
    TOO_MANY_WAIT = "429 with Retry-After in seconds"
    TOO_MANY_UNTIL = "429 with Retry-After as a date"
    TOO_MANY_LONG = "429 with Retry-After of an hour"
    BROKEN = "500"
    BAD_GATEWAY = "502, in HTML"
    UNAVAILABLE = "503"
    HEAVY = "504"
    PAGE_OF_HTML = "200 with a page of HTML"
    NO_LIST = "200 with JSON that is no list"
    NOTHING = "200 with an empty body"
    TRUNCATED = "200 with JSON that ends in the middle"
    CUT_OFF = "fewer bytes than announced, then the end"
    TOO_LONG = "more bytes than announced"
    RESET = "the connection is reset instead of an answer"
    SILENT = "no answer, ever"
    AGAIN = "the page before, once more"
    MID_LIST_204 = "nothing, although there is something"
    REFUSED = "400"
    MOVED = "302 to somewhere else"
    BLOCKED = "403, in HTML"
    UNPAID = "402"


PASSING = (
    Fault.TOO_MANY, Fault.TOO_MANY_WAIT, Fault.TOO_MANY_UNTIL, Fault.BROKEN, Fault.BAD_GATEWAY,
    Fault.UNAVAILABLE, Fault.HEAVY, Fault.PAGE_OF_HTML, Fault.NO_LIST, Fault.NOTHING,
    Fault.TRUNCATED, Fault.CUT_OFF, Fault.TOO_LONG, Fault.RESET,
)  # fmt: skip
"""Those after which the same question has a right answer."""


class Faults:
    """Which fault comes next: those that were planned, then a share by chance."""

    def __init__(
        self, seed: int = 0, *, share: float = 0.0, kinds: Iterable[Fault] = PASSING
    ) -> None:
        self._random = random.Random(seed)
        self._share = share
        self._kinds = list(kinds)
        self._planned: deque[Fault | None] = deque()
        self.shown: Counter[Fault] = Counter()

    def plan(self, *faults: Fault | None) -> None:
        """Let the next answers be these; None is a good one."""
        self._planned.extend(faults)

    def calm(self) -> None:
        """Forget what was planned."""
        self._planned.clear()

    def next(self) -> Fault | None:
        """Return what becomes of the next answer."""
        fault = self._chosen()
        if fault is not None:
            self.shown[fault] += 1
        return fault

    def chance(self) -> float:
        """Return a number from 0 up to 1, for jitter."""
        return self._random.random()

    def _chosen(self) -> Fault | None:
        if self._planned:
            return self._planned.popleft()
        return self._random.choice(self._kinds) if self._random.random() < self._share else None
