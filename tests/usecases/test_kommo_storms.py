"""Whatever people do there while it is read, and however often we are killed: it ends equal.

Each seed is a history: changes come between and during requests, some are seen late, clocks differ,
requests fail, and whoever keeps the mirror is killed at any await.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from clarin_core.domain.kommo_sync import SyncState
from clarin_core.ports.crm import CrmGarbage, CrmRateLimited, CrmUnreachable
from clarin_core.usecases.mirror import follow
from clarin_core.usecases.mirror.sweep import Sweeping
from support.mirroring import LONG, Mirroring, mirroring
from support.storms import DEEDS, Storm

SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 40))]
SECONDS = (1, 5, 5, 5, 70)
LAGS = (0, 0, 0, 3, 40, 200)
FAILURES = (None, None, CrmUnreachable(), CrmRateLimited(1), CrmGarbage(3))
AWAITS = 200
UNTOLD = (Storm.merge, Storm.purge, Storm.rename_tag)
"""After these nobody tells who is gone: only a sweep finds out."""


@pytest.fixture(autouse=True)
def _pages_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So there are more of them than usual before it is too much."""
    monkeypatch.setattr(follow, "_HINT_PAGES_MAX", 10_000)


class Restless(list[str]):
    """What was asked; each time something happens before the answer."""

    def __init__(self, happen: Callable[[], None]) -> None:
        super().__init__()
        self._happen = happen

    def append(self, what: str) -> None:
        super().append(what)
        self._happen()


async def rage(room: Mirroring, storm: Storm, chance: random.Random) -> None:
    """Keep the mirror through a storm, with failures and kills."""
    room.memory.asked = Restless(lambda: storm.rage(chance.choice([0, 0, 1, 2])))
    for _ in range(chance.randrange(10, 40)):
        if chance.random() < 0.3:
            room.memory.failures.extend(chance.choice(FAILURES) for _ in range(4))
        room.clock.forward(seconds=chance.choice(SECONDS))
        mirror = room.mirror or await room.open()
        task = asyncio.ensure_future(mirror.go_on())
        if chance.random() < 0.4:
            await kill(task, after=chance.randrange(AWAITS))
            await room.open()
        await asyncio.wait([task])
        assert task.cancelled() or task.result() in (True, False)
    room.memory.asked = []
    room.memory.failures.clear()


async def kill(task: "asyncio.Future[bool]", *, after: int) -> None:
    for _ in range(after):
        await asyncio.sleep(0)
    task.cancel()


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_storm_the_mirror_is_equal(seed: int) -> None:
    """Convergence, crash safety, no loss; and what was seen tells nothing any more (KS9)."""

    async def story() -> None:
        chance = random.Random(seed)
        lag: Callable[[], float] = (lambda: chance.choice(LAGS)) if seed % 2 else float
        skew = timedelta(minutes=chance.choice([-90, 0, 90]))
        async with mirroring(page_max=chance.choice([3, 5, 10]), lag=lag, skew=skew) as room:
            storm = Storm(room.book, seed)
            storm.rage(chance.randrange(60))
            await room.connect()
            await rage(room, storm, chance)
            await room.calm_down()
            assert await room.shown() == await room.meant()
            told = len(await room.events())
            await room.turn(3)
            assert len(await room.events()) == told

    asyncio.run(story())


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_told_needs_no_sweep(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Following alone: moves, ends, bulk changes of one second, tags, links, the recycle bin."""
    monkeypatch.setattr("support.storms.DEEDS", tuple(d for d in DEEDS if d not in UNTOLD))

    async def no_sweep(_: Sweeping, __: SyncState) -> None:
        pass

    monkeypatch.setattr(Sweeping, "run", no_sweep)

    async def story() -> None:
        chance = random.Random(seed)
        lag: Callable[[], float] = (lambda: chance.choice(LAGS)) if seed % 2 else float
        async with mirroring(page_max=chance.choice([3, 5, 10]), lag=lag) as room:
            storm = Storm(room.book, seed)
            storm.rage(30)
            room.clock.forward(seconds=LONG.total_seconds())
            await room.connect()
            await room.turn()
            await rage(room, storm, chance)
            room.clock.forward(seconds=660)
            await room.turn(2, seconds=90)
            await room.turn(2)
            assert await room.shown() == await room.meant()

    asyncio.run(story())
