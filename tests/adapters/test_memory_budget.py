"""The budget of one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from clarin_core.testing import BudgetContract
from clarin_core.testing.budget import PACE, Budgets, Hours
from clarin_memory import MemoryBudget


@asynccontextmanager
async def twice_the_same(hours: Hours) -> AsyncIterator[Budgets]:
    budget = MemoryBudget(PACE, seconds=hours)
    yield budget, budget


class TestMemoryBudget(BudgetContract):
    """Both processes are the same one."""

    def open(self, hours: Hours) -> AbstractAsyncContextManager[Budgets]:
        return twice_the_same(hours)


def test_memory_is_bounded() -> None:
    """The key that was silent longest is forgotten."""

    async def story() -> None:
        budget = MemoryBudget(PACE, seconds=Hours(), keys_max=10)
        for key in range(100):
            await budget.claim(str(key))
        assert budget.keys_known == 10

    asyncio.run(story())
