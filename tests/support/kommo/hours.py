"""Time that passes as soon as everybody waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from math import ceil
from time import monotonic

from clarin_core.testing.tenants import NOON

_TURNS_OF_A_QUIET_LOOP = 25


class Hours:
    """A clock, and sleeping by it.

    Whoever waits for a socket of this loop is given some turns of it. Should time pass too early
    nevertheless, the network was slow: that may be at any time.
    """

    def __init__(self) -> None:
        self.at = NOON
        self._order = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def __call__(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        return (self.at - NOON) / timedelta(seconds=1)

    def forward(self, seconds: float) -> None:
        """Let some time pass, and wake whoever slept until then."""
        self.at += timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self.at:
            _, _, woken = heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Return when the time has come."""
        woken = asyncio.get_running_loop().create_future()
        due = self.at + timedelta(microseconds=ceil(max(0.0, seconds) * 1_000_000))
        heappush(self._sleepers, (due, next(self._order), woken))
        await woken

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Let time pass by itself while inside."""
        passing = asyncio.create_task(self._pass())
        try:
            yield
        finally:
            passing.cancel()
            await asyncio.wait([passing])

    async def _pass(self) -> None:
        while True:
            for _ in range(_TURNS_OF_A_QUIET_LOOP):
                await asyncio.sleep(0)
            if self._sleepers:
                self.forward(max(0.0, (self._sleepers[0][0] - self.at).total_seconds()))
            else:
                await asyncio.sleep(0.001)


class RealHours(Hours):
    """The time of everybody else, for what reads Kommo from another process."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)

    def seconds(self) -> float:
        return monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
