"""R20: however many processes read an account, Kommo never sees more than it allows."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from secrets import token_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarin_core.domain.budget import Pace
from clarin_core.domain.remote import RemoteKind
from clarin_core.ports.budget import Budget
from clarin_core.ports.crm import CrmError, CrmList, CrmSync
from clarin_embedded import EmbeddedValkey
from clarin_kommo import KommoCrm, Waiting
from clarin_memory import MemoryBudget
from clarin_redis import Realm, RedisBudget, RedisLink
from support.kommo.account import KommoAccount
from support.kommo.faults import PASSING, Fault, Faults
from support.kommo.gate import PER_SECOND
from support.kommo.hours import Hours
from support.kommo.server import Kommo
from support.kommo.stage import CONNECTION, new_account, staged

PATIENCE_S = 10.0
Ask = Callable[[CrmSync], Awaitable[object]]


def asks(seed: int, count: int) -> list[Ask]:
    """Return some questions of all kinds."""
    kinds: list[Ask] = [
        lambda crm: crm.leads(CrmList()),
        lambda crm: crm.contacts(CrmList(is_gentle=True)),
        lambda crm: crm.pipelines(),
        lambda crm: crm.deleted(RemoteKind.LEAD),
        lambda crm: crm.account(),
    ]
    return random.Random(seed).choices(kinds, k=count)


async def crowd(crms: list[CrmSync], seed: int, count: int) -> None:
    """Ask all at once; what goes wrong goes wrong."""

    async def one(at: int, ask: Ask) -> None:
        with suppress(CrmError):
            await ask(crms[at % len(crms)])

    await asyncio.gather(*(one(at, ask) for at, ask in enumerate(asks(seed, count))))


def network(kommo: Kommo, seed: int) -> None:
    """Let requests and answers take their time, some of them much more than others."""
    chance = random.Random(seed)
    kommo.delay = (lambda: chance.random() ** 4 * 3, lambda: chance.random() ** 2)


@asynccontextmanager
async def processes(
    hours: Hours, account: KommoAccount, budgets: list[Budget]
) -> AsyncIterator[tuple[Kommo, list[CrmSync]]]:
    """Let as many processes as there are budgets read an account."""
    async with AsyncExitStack() as stack:
        kommo = await stack.enter_async_context(Kommo(hours, account))
        waiting = Waiting(hours.sleep, account.faults.chance)
        crms = [
            await stack.enter_async_context(KommoCrm(kommo.url, budget, hours, waiting=waiting))
            for budget in budgets
        ]
        syncs = [await stack.enter_async_context(crm.connect(CONNECTION)) for crm in crms]
        await stack.enter_async_context(hours.passing())
        yield kommo, syncs


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.0, 0.2]))
def test_a_crowd_violates_nothing(seed: int, share: float) -> None:
    """Of several connections, with a network that delays some more than others, and with faults."""

    async def story() -> None:
        hours = Hours()
        faults = Faults(seed, share=share, kinds=[*PASSING, Fault.RESET])
        account = new_account(hours, faults=faults)
        account.book.add_lead()
        budget = MemoryBudget(Pace(), seconds=hours.seconds)
        async with processes(hours, account, [budget] * 3) as (kommo, crms):
            network(kommo, seed)
            await crowd(crms, seed, 40)
        assert account.gate.violations == 0
        assert account.gate.most <= PER_SECOND
        assert len(account.gate.arrivals) >= 40

    asyncio.run(story())


def test_who_asks_without_a_budget_is_seen() -> None:
    """The simulation counts: the test above could fail, and hammering has its price."""

    async def story() -> None:
        hours = Hours()
        account = new_account(hours)
        budget = MemoryBudget(Pace(per_second=100, most=100), seconds=hours.seconds)
        async with processes(hours, account, [budget]) as (_, crms):
            await crowd(crms, 7, 60)
        assert account.gate.violations > 0
        assert account.gate.most > PER_SECOND

    asyncio.run(story())


class EarthHours(Hours):
    """Hours that go like those of the world, and may be set forward: as Redis has them here."""

    def __init__(self) -> None:
        super().__init__()
        self._start = self.at
        self._began = time.time()

    @property
    def shift(self) -> timedelta:
        return self.at - self._start

    def seconds(self) -> float:
        return time.time() - self._began + self.shift.total_seconds()


def test_processes_that_share_a_redis_violate_nothing(valkey: EmbeddedValkey) -> None:
    """Three of them, each with a link of its own, and each with all that it can ask."""

    async def story() -> None:
        hours, realm = EarthHours(), Realm(token_bytes(32), "")
        account = new_account(hours)
        alone = MemoryBudget(Pace(per_second=0.01, most=1), seconds=hours.seconds)
        async with AsyncExitStack() as stack:
            budgets: list[Budget] = []
            for _ in range(3):
                link = RedisLink(valkey.url, call_s=PATIENCE_S)
                await stack.enter_async_context(link)
                budgets.append(RedisBudget(link, alone, realm, Pace(), shift=lambda: hours.shift))
            kommo, crms = await stack.enter_async_context(processes(hours, account, budgets))
            network(kommo, 7)
            await crowd(crms, 7, 60)
        assert account.gate.violations == 0
        assert account.gate.most <= PER_SECOND
        assert len(account.gate.arrivals) == 60

    asyncio.run(story())


def test_gentle_lists_leave_the_others_their_turns() -> None:
    """One a second of them; what else is asked goes at its pace meanwhile."""

    async def story() -> None:
        async with staged() as stage, stage.crm.connect(stage.connection) as crm:
            start = stage.hours.seconds()
            slow = asyncio.gather(*(crm.leads(CrmList(is_gentle=True)) for _ in range(10)))
            await asyncio.gather(*(crm.contacts(CrmList()) for _ in range(20)))
            assert stage.hours.seconds() - start < 6
            await slow
            assert 9 <= stage.hours.seconds() - start < 12

    asyncio.run(story())


def test_a_backfill_goes_at_the_pace() -> None:
    """Six requests a second, as long as answers are not slower than the spaces between them."""

    async def story() -> None:
        async with staged() as stage, stage.crm.connect(stage.connection) as crm:
            for _ in range(250 * 18):
                stage.book.add_lead()
            start = stage.hours.seconds()
            stage.kommo.delay = (lambda: 0.05, lambda: 0.1)
            pages = await asyncio.gather(*(crm.leads(CrmList(page=page)) for page in range(1, 19)))
            assert sum(len(page.items) for page in pages) == 250 * 18
            assert stage.requests == 18
            assert stage.hours.seconds() - start < 18 / 6 + 0.5

    asyncio.run(story())


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_tells_the_same_story_again(seed: int) -> None:
    """Which faults, which waits, which requests: so that a failure can be had again."""

    async def story() -> list[object]:
        faults = Faults(seed, share=0.5)
        async with staged(faults=faults) as stage, stage.crm.connect(stage.connection) as crm:
            stage.book.add_lead()
            for ask in asks(seed, 12):
                with suppress(CrmError):
                    await ask(crm)
            return [stage.account.gate.arrivals, stage.account.asked, faults.shown]

    first, again = asyncio.run(story()), asyncio.run(story())
    assert first == again
    assert first[2]
