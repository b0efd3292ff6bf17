"""How often something may be done: few tries in a window, or a rate with a burst."""

from datetime import datetime, timedelta

from msgspec import Struct

from clarin_core.errors import RateLimited

_SECOND = timedelta(seconds=1)


class Tries(Struct, frozen=True):
    """At most `count` in any window, wherever it begins."""

    count: int
    window: timedelta

    def halved(self) -> "Tries":
        """Return the half of it, one at least: what is left to who cannot ask the others."""
        return Tries(max(1, self.count // 2), self.window)


class Rate(Struct, frozen=True):
    """A bucket of `burst` tokens that gets `per_second` new ones until it is full."""

    per_second: float
    burst: int

    @property
    def interval(self) -> timedelta:
        """How long a token takes to come."""
        return _SECOND / self.per_second

    def spend(self, full_at: datetime, *, at: datetime) -> datetime:
        """Return when the bucket is full again after a token is taken; raises RateLimited.

        A bucket is known by the moment at which it is full, and nothing runs to fill it. None is
        full later than after its whole burst, but by a clock that was set back: that one is full.
        Source: the generic cell rate algorithm, ITU-T I.371, annex A.
        """
        full_burst = self.interval * self.burst
        full_at = (full_at if at < full_at <= at + full_burst else at) + self.interval
        if (wait := full_at - at - full_burst) > timedelta():
            raise refusal(wait, "too many requests")
        return full_at


def refusal(wait: timedelta, reason: str = "too many tries") -> RateLimited:
    """Return the error that says how long to wait, in whole seconds and enough of them."""
    return RateLimited(wait // _SECOND + 1, reason)
