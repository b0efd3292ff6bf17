"""The way to Kommo: turns, and what a request costs that nobody answers."""

import asyncio
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest

from clarin_core.domain.budget import Pace
from clarin_core.ports.budget import Turn
from clarin_core.ports.crm import CrmGarbage, CrmRateLimited, CrmUnreachable
from clarin_kommo import Waiting
from clarin_kommo.line import Line
from clarin_kommo.transport import BODY_BYTES_MAX, Answer, TimedOut, unpacked
from clarin_memory import MemoryBudget
from support.kommo.hours import Hours

ONE = Pace(per_second=1000, most=1, patience_s=20)


def new_line(hours: Hours) -> tuple[Line, MemoryBudget]:
    """Return a line on which one request at a time may be."""
    budget = MemoryBudget(ONE, seconds=hours.seconds)
    return Line(budget, "acme", Waiting(hours.sleep, lambda: 0.5)), budget


async def may_ask(budget: MemoryBudget) -> bool:
    return isinstance(await budget.claim("acme"), Turn)


@pytest.mark.parametrize(("failure", "held_s"), [(CrmUnreachable, 1), (TimedOut, 22)])
def test_what_may_still_arrive_counts(failure: type[CrmUnreachable], held_s: float) -> None:
    """A reset ends a request; one that was given up can be late, and counts until it cannot."""

    async def fail() -> Answer:
        raise failure

    async def story() -> None:
        hours = Hours()
        line, budget = new_line(hours)
        with pytest.raises(failure):
            await line.send(fail)
        hours.forward(held_s - 0.1)
        assert not await may_ask(budget)
        hours.forward(0.1)
        assert await may_ask(budget)

    asyncio.run(story())


def test_nobody_waits_for_a_turn_for_ever() -> None:
    """Whoever has none after a minute comes back later."""

    async def answer() -> Answer:
        return Answer(204, is_json=False, body=b"", at=None, retry_after=None)

    async def story() -> None:
        hours = Hours()
        line, budget = new_line(hours)

        async def take_all(seconds: float) -> None:
            hours.forward(seconds)
            await budget.claim("acme")

        greedy = Line(budget, "acme", Waiting(take_all, lambda: 0.5))
        await budget.claim("acme")
        with pytest.raises(CrmRateLimited):
            await greedy.send(answer)
        hours.forward(21)
        assert (await line.send(answer)).status == 204

    asyncio.run(story())


async def once(packed: bytes) -> AsyncIterator[bytes]:
    yield packed


def test_a_bomb_takes_no_memory() -> None:
    """What is packed a thousandfold is not unpacked to see how large it is."""
    packer = zlib.compressobj(wbits=31)
    bomb = packer.compress(bytes(20 * BODY_BYTES_MAX)) + packer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(CrmGarbage):
            asyncio.run(unpacked(once(bomb)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * BODY_BYTES_MAX
