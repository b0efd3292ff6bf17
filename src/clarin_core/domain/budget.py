"""How often somebody else may be asked, so that they never see more than they allow.

They count what arrives within any second. When a request arrives nobody knows here: some time
between its being sent and its answer. So it counts from the one until a second after the other,
and whatever the network does, no more arrive than count. A space between two keeps the average.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from msgspec import Struct

WINDOW_S: Final = 1.0
SLOW_S: Final = 60.0  # So long after a rest the spaces are twice as wide.
REST_S_MAX: Final = 3600.0

NEXT, GENTLE, SLOW, REST, SHUT = "next", "gentle", "slow", "rest", "shut"


class Pace(Struct, frozen=True, kw_only=True):
    """At most `most` in any second, and `per_second` on average; of gentle ones fewer.

    A request that is never answered counts for `patience_s` and a second; one more is for what
    lies between having a turn and sending.
    """

    per_second: float = 6.0
    most: int = 7
    gentle_per_second: float = 1.0
    patience_s: float = 20.0

    @property
    def space_s(self) -> float:
        """How far apart two requests are."""
        return 1 / self.per_second

    @property
    def gentle_space_s(self) -> float:
        """How far a gentle request is behind another one."""
        return 1 / self.gentle_per_second

    @property
    def held_s(self) -> float:
        """How long a request counts that is never answered."""
        return self.patience_s + 2 * WINDOW_S


class Why(Enum):
    """Why one has to wait: for others, for the other side to recover, or to be forgiven."""

    BUSY = "busy"
    REST = "rest"
    SHUT = "shut"


class Wait(NamedTuple):
    """What to do before asking again for a turn."""

    seconds: float
    why: Why = Why.BUSY


class Turns:
    """All that counts, by the moment until which it does; times are seconds of one clock."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._until: dict[str, float] = {}
        self._longest = {
            NEXT: pace.space_s * 2,
            GENTLE: pace.gentle_space_s,
            SLOW: SLOW_S + REST_S_MAX,
            REST: REST_S_MAX,
            SHUT: REST_S_MAX,
        }

    def claim(self, mark: str, *, at: float, is_gentle: bool = False) -> Wait | None:
        """Count a request that is sent now, or tell how long to wait and count nothing."""
        self._until = {
            name: end for name, end in self._until.items() if self._counts(name, end, at)
        }
        if wait := self._must_wait(at, is_gentle=is_gentle):
            return wait
        self._until[mark] = at + self._pace.held_s
        self._until[NEXT] = at + self._pace.space_s * (2 if SLOW in self._until else 1)
        if is_gentle:
            self._until[GENTLE] = at + self._pace.gentle_space_s
        return None

    def answered(self, mark: str, *, at: float) -> None:
        """Let a request that was answered count for one more second."""
        if mark in self._until:
            self._until[mark] = at + WINDOW_S

    def rest(self, seconds: float, *, at: float) -> None:
        """Let nobody ask for some time, and everybody more slowly for a while after it."""
        self._extend(REST, at + min(seconds, REST_S_MAX))
        self._extend(SLOW, at + min(seconds, REST_S_MAX) + SLOW_S)

    def shut(self, seconds: float, *, at: float) -> None:
        """Let nobody ask for some time."""
        self._extend(SHUT, at + min(seconds, REST_S_MAX))

    def _extend(self, name: str, until: float) -> None:
        self._until[name] = max(until, self._until.get(name, until))

    def _counts(self, name: str, until: float, at: float) -> bool:
        """Whether it still does; what counts for longer than it can comes of a clock set back.

        A request counts for twice as long then: one that was just sent must not be forgotten
        because the clock was corrected a little.
        """
        return at < until <= at + self._longest.get(name, 2 * self._pace.held_s)

    def _must_wait(self, at: float, *, is_gentle: bool) -> Wait | None:
        for name, why in ((SHUT, Why.SHUT), (REST, Why.REST)):
            if name in self._until:
                return Wait(self._until[name] - at, why)
        waits = [_until_free(self._until, self._longest, self._pace.most, at)]
        waits += [self._until.get(name, at) - at for name in (NEXT, GENTLE)[: 1 + is_gentle]]
        return Wait(longest) if (longest := max(waits)) > 0 else None


def _until_free(
    until: Mapping[str, float], others: Mapping[str, float], most: int, at: float
) -> float:
    """Return how long all places are taken.

    The first one to be free may be one whose answer is not there yet: look again in a second.
    """
    held = [end for name, end in until.items() if name not in others]
    return min(min(held) - at, WINDOW_S) if len(held) >= most else 0.0
