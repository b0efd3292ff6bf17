"""Limits of one process: their contract, and their bounds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from clarin_core.domain.limits import Rate, Tries
from clarin_core.ports.small import Clock
from clarin_core.testing import LimiterContract
from clarin_core.testing.limiter import THREE, WINDOW, Limiters, refused
from clarin_core.testing.watch import Watch
from clarin_memory import MemoryLimiter, Unlimited

ONCE = Tries(1, WINDOW)
ONE = Rate(per_second=1, burst=1)


class TestMemoryLimiter(LimiterContract):
    """One process, so both are the same."""

    def open(self, clock: Clock) -> AbstractAsyncContextManager[Limiters]:
        return opened(clock)


@asynccontextmanager
async def opened(clock: Clock) -> AsyncIterator[Limiters]:
    limiter = MemoryLimiter(clock)
    yield limiter, limiter


def test_a_flood_of_keys_costs_a_bounded_memory() -> None:
    """R23: the key that was silent longest is forgotten, one that goes on is not."""

    async def story() -> None:
        limiter = MemoryLimiter(Watch(), keys_max=10)
        many, slow = Tries(1000, WINDOW), Rate(per_second=1, burst=1000)
        await limiter.take("quiet", ONCE)
        await limiter.spend("quiet", ONE)
        for number in range(500):
            await limiter.take("busy", many)
            await limiter.spend("busy", slow)
            await limiter.take(str(number), ONCE)
            await limiter.spend(str(number), ONE)
            assert limiter.keys_known <= 20
        await refused(limiter.take("busy", Tries(500, WINDOW)))
        await refused(limiter.spend("busy", Rate(per_second=1, burst=500)))
        await limiter.take("quiet", ONCE)
        await limiter.spend("quiet", ONE)

    asyncio.run(story())


def test_what_proved_right_is_not_kept() -> None:
    """Who signs in well costs no memory."""

    async def story() -> None:
        limiter = MemoryLimiter(Watch())
        await limiter.give_back(await limiter.take("192.0.2.7", THREE))
        await limiter.take("ana", THREE)
        await limiter.forget("ana")
        assert limiter.keys_known == 0

    asyncio.run(story())


def test_where_limits_are_off_nothing_is_refused() -> None:
    """CLARIN_RATE_LIMITS=off."""

    async def story() -> None:
        limiter = Unlimited()
        for _ in range(50):
            tried = await limiter.take("ana", ONCE)
            await limiter.spend("ana", ONE)
        await limiter.give_back(tried)
        await limiter.forget("ana")

    asyncio.run(story())
