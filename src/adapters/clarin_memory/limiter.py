"""Limits of this process alone, for a bounded number of keys."""

from collections import OrderedDict, deque
from datetime import datetime
from itertools import count
from typing import NamedTuple

from clarin_core.domain.limits import Rate, Tries, refusal
from clarin_core.errors import RateLimited
from clarin_core.ports.limiter import Limiter, Try
from clarin_core.ports.small import Clock


class _Counted(NamedTuple):
    at: datetime
    mark: str


class MemoryLimiter(Limiter):
    """Keeps the moments of tries, and when each bucket is full."""

    def __init__(self, clock: Clock, *, keys_max: int = 20_000) -> None:
        self._clock = clock
        self._keys_max = keys_max
        self._marks = count(1)
        self._tries = OrderedDict[str, deque[_Counted]]()
        self._full_at = OrderedDict[str, datetime]()

    @property
    def keys_known(self) -> int:
        """Number of keys that take memory."""
        return len(self._tries) + len(self._full_at)

    async def take(self, key: str, tries: Tries) -> Try:
        """Count a try, or raise RateLimited and count nothing."""
        at = self._clock()
        counted = self._tries.get(key) or deque[_Counted]()
        while counted and not at - tries.window < counted[0].at <= at:
            counted.popleft()
        if len(counted) >= tries.count:
            raise refusal(counted[-tries.count].at + tries.window - at)
        tried = Try(key, str(next(self._marks)))
        counted.append(_Counted(at, tried.mark))
        self._tries[key] = counted
        self._tries.move_to_end(key)
        if len(self._tries) > self._keys_max:
            self._tries.popitem(last=False)
        return tried

    async def give_back(self, tried: Try) -> None:
        """Let this very try not count."""
        counted = self._tries.get(tried.key, deque())
        left = deque(one for one in counted if one.mark != tried.mark)
        if left:
            self._tries[tried.key] = left
        else:
            self._tries.pop(tried.key, None)

    async def forget(self, key: str) -> None:
        """Let all tries of a key not count."""
        self._tries.pop(key, None)

    async def spend(self, key: str, rate: Rate) -> None:
        """Take a token for one request, or raise RateLimited."""
        self._spend(key, rate)

    def spend_now(self, key: str, rate: Rate) -> bool:
        """Take a token if there is one."""
        try:
            self._spend(key, rate)
        except RateLimited:
            return False
        return True

    def _spend(self, key: str, rate: Rate) -> None:
        at = self._clock()
        self._full_at[key] = rate.spend(self._full_at.get(key, at), at=at)
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._keys_max:
            self._full_at.popitem(last=False)


class Unlimited(Limiter):
    """Lets everything in: for where limits are off."""

    async def take(self, key: str, tries: Tries) -> Try:
        """Let a try in."""
        return Try(key, "")

    async def give_back(self, tried: Try) -> None:
        """Do nothing: nothing was counted."""

    async def forget(self, key: str) -> None:
        """Do nothing: nothing was counted."""

    async def spend(self, key: str, rate: Rate) -> None:
        """Let a request in."""

    def spend_now(self, key: str, rate: Rate) -> bool:
        """Let a request in."""
        return True
