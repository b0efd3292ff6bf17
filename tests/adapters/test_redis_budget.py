"""The budget of many processes: its contract on a real server, and what happens without one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from secrets import token_bytes

import pytest

from clarin_core.domain.budget import Pace, Wait
from clarin_core.ports.budget import Budget, Turn
from clarin_core.testing import BudgetContract
from clarin_core.testing.budget import PACE, Budgets, Hours
from clarin_embedded import EmbeddedValkey
from clarin_memory import MemoryBudget
from clarin_redis import Realm, RedisBudget, RedisLink

NOWHERE = "redis://127.0.0.1:1"
PATIENCE_S = 10.0  # A busy machine may be slow where the law is not about that.
ALONE = Pace(per_second=1, most=1)

URL = ""


@pytest.fixture(scope="module", autouse=True)
def address(valkey: EmbeddedValkey) -> str:
    """Return where the server is."""
    global URL
    URL = valkey.url
    return URL


class Nobody(Budget):
    """Gives no turn: Redis was to answer."""

    async def claim(self, key: str, *, is_gentle: bool = False) -> Turn | Wait:
        raise AssertionError("Redis did not answer")

    async def answered(self, turn: Turn) -> None:
        pass

    async def rest(self, key: str, seconds: float) -> None:
        pass

    async def shut(self, key: str, seconds: float) -> None:
        pass


@asynccontextmanager
async def pair(hours: Hours) -> AsyncIterator[Budgets]:
    realm = Realm(token_bytes(32), "")
    async with AsyncExitStack() as stack:
        one, other = [
            RedisBudget(
                await stack.enter_async_context(RedisLink(URL, call_s=PATIENCE_S)),
                Nobody(),
                realm,
                PACE,
                shift=lambda: timedelta(seconds=hours.shift),
            )
            for _ in range(2)
        ]
        yield one, other


class TestRedisBudget(BudgetContract):
    """Two processes, one server, which has a clock of its own."""

    ticks = True

    def open(self, hours: Hours) -> AbstractAsyncContextManager[Budgets]:
        return pair(hours)


def test_without_redis_each_goes_by_itself() -> None:
    """Slowly: the local budget is the one that counts, and keeps what it was told before."""

    async def story() -> None:
        hours = Hours()
        async with RedisLink(NOWHERE) as link:
            local = MemoryBudget(ALONE, seconds=hours)
            budget = RedisBudget(link, local, Realm(token_bytes(32), ""), PACE)
            turn = await budget.claim("acme")
            assert isinstance(turn, Turn)
            hours.forward(1)
            assert isinstance(await budget.claim("acme"), Wait)
            await budget.answered(turn)
            hours.forward(1)
            assert isinstance(await budget.claim("acme"), Turn)
            await budget.shut("globex", 60)
            assert isinstance(await budget.claim("globex"), Wait)
            await budget.rest("initech", 60)
            assert isinstance(await budget.claim("initech"), Wait)

    asyncio.run(story())


def test_what_is_over_leaves_nothing_behind() -> None:
    """A key lives no longer than the last thing that it counts."""

    async def story() -> None:
        hours = Hours()
        async with RedisLink(URL, call_s=PATIENCE_S) as link:
            realm = Realm(token_bytes(32), "")
            budget = RedisBudget(link, Nobody(), realm, PACE)
            await budget.claim("acme")
            found = await link.ask(lambda client: client.keys(realm.name("budget", "*")))
            assert found is not None
            (name,) = found
            left = await link.ask(lambda client: client.pttl(name))
            assert left is not None
            assert 0 < left <= PACE.held_s * 1000
            assert hours.shift == 0

    asyncio.run(story())
