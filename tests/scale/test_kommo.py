"""R19, R20, R21: over HTTP and into PostgreSQL, through storms, faults and kills: it ends equal.

Kommo is the simulated one, with its lists, its late visibility, its limit and its faults; time is
simulated, too, so that an hour takes seconds. Whoever keeps the mirror is killed at any await.
"""

import asyncio
import random
from contextlib import suppress

import pytest

from clarin_core.domain.kommo import KommoPhase
from clarin_core.errors import Unavailable
from clarin_postgres import PostgresStorage
from support.kommo import Fault, Faults
from support.kommo.faults import PASSING
from support.kommo.stage import KommoStage, staged
from support.mirroring import Mirroring, beside
from support.storms import Storm

SEEDS = [*range(1), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 10))]
LAGS = (0.0, 0.0, 2.0, 30.0, 300.0)
HARMS = (*PASSING, Fault.AGAIN, Fault.MID_LIST_204)
TURNS = 18


async def kept(room: Mirroring, chance: random.Random, storm: Storm) -> None:
    """Keep the mirror for a while, in a storm, and be killed now and then."""
    room.clock.forward(seconds=chance.choice([1, 5, 5, 70]))
    mirror = room.mirror or await room.open()
    task = asyncio.ensure_future(mirror.go_on())
    for _ in range(chance.randrange(6)):
        await asyncio.sleep(chance.random() / 50)
        storm.rage(chance.randrange(12))
    if chance.random() < 0.4:
        task.cancel()
    with suppress(asyncio.CancelledError, Unavailable):
        await task
    if task.cancelled():
        await room.open()


async def calm(room: Mirroring, stage: KommoStage) -> None:
    """Let Kommo behave, show all that it knows, and be read to the end."""
    stage.account.faults.calm()
    stage.account.faults._share = 0.0
    await room.open()
    for turn in range(200):
        await room.turn(seconds=60)
        link = await room.link()
        state = link.state
        is_quiet = state.sweep is None and not state.sweeps_due and state.backfill is None
        if is_quiet and link.fault is None and turn > 30:
            break


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_storm_over_http_the_mirror_is_equal(database: str, seed: int) -> None:
    """And Kommo was never asked more often than it allows."""

    async def story() -> None:
        chance = random.Random(seed)
        faults = Faults(seed, share=0.1, kinds=HARMS)
        async with (
            staged(faults=faults) as stage,
            PostgresStorage(database, clock=stage.hours) as storage,
            beside(stage.book, stage.crm, stage.hours, storage, token="long-lived-canary") as room,
        ):
            stage.book._lag = lambda: chance.choice(LAGS)
            storm = Storm(stage.book, seed)
            storm.rage(400)
            faults._share, share = 0.0, faults._share
            await room.connect(*(one.id for one in stage.book.pipelines[:2]))
            faults._share = share
            for _ in range(TURNS):
                await kept(room, chance, storm)
            await calm(room, stage)
            assert await room.shown() == await room.meant()
            assert (await room.link()).phase is KommoPhase.LIVE
            told = len(await room.events())
            await room.turn(3)
            assert len(await room.events()) == told
            assert stage.account.gate.violations == 0
            assert stage.account.gate.most <= 7

    asyncio.run(story())
