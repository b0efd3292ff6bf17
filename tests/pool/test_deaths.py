"""Whatever step a process dies at: nothing is sent twice, nothing is lost, every doubt is seen."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import cast

import pytest

from clarin_core.domain.messages import Direction, MessageStatus
from clarin_core.pool.pool import LEASE
from clarin_core.ports.storage import Storage
from clarin_whatsapp import Manner, Person
from support.fleet import Fleet
from support.mortal import Life, MortalStorage, mortal

OURS = ["buenos días", "¿sigue interesada?", "quedo atento"]
HERS = ["hola", "sí", "¿cuánto cuesta?"]
SECOND = timedelta(seconds=1)
CAME = {MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.PLAYED}


async def live(fleet: Fleet, life: Life, owner: str) -> None:
    """Run devices until that process has died, or has nothing left to do."""
    storage = cast("Storage", MortalStorage(fleet.tenant.storage, life))
    pool = fleet.pool(owner, storage=storage, messaging=mortal(fleet.messaging, life))

    async def is_quiet() -> bool:
        return life.is_over or await has_nothing_to_do(fleet)

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # Of tasks that died, too.
    with suppress(BaseException):  # The dead do not say goodbye.
        async with fleet.running(pool):
            await fleet.during(SECOND)
            await fleet.until(is_quiet)
            if not life.is_over:
                life.steps_left = 10**9


async def has_nothing_to_do(fleet: Fleet) -> bool:
    said = await fleet.said()
    waiting = {MessageStatus.QUEUED, MessageStatus.SENDING}
    heard = [one.body for one in said if one.direction is Direction.IN]
    return (
        not any(one.status in waiting for one in said)
        and set(heard) >= set(HERS)
        and not any(line.unacknowledged for line in fleet.world.lines.values())
    )


async def story(steps: int, *, honours_ids: bool, manner: Manner) -> bool:
    """Let a process die at a step, and another one go on; return whether the first lived."""
    async with Fleet.open(seed=steps, manner=manner, honours_ids=honours_ids) as fleet:
        device, owner = await fleet.paired()
        ana, eva = fleet.world.person("+51911111111", "Ana"), fleet.world.person("+51922222222")
        for she in (ana, eva):
            await fleet.write(device, she, *OURS)
            for body in HERS:
                she.says(owner, body)
        life = Life(steps)
        await live(fleet, life, "first")
        await fleet.during(2 * LEASE)
        await live(fleet, Life(), "second")
        for she in (ana, eva):
            await check(fleet, she, honours_ids=honours_ids)
        return not life.is_over


async def check(fleet: Fleet, she: Person, *, honours_ids: bool) -> None:
    (chat,) = [one for one in await fleet.shown() if one.identity.phone == she.phone]
    said = [one for one in await fleet.said() if one.chat_id == chat.id]
    arrived = she.arrivals
    assert max(arrived.values(), default=0) <= 1, "something arrived twice"
    ours = {one.body: one.status for one in said if one.direction is Direction.OUT}
    assert set(ours) == set(OURS), "something that was accepted is gone"
    for body, status in ours.items():
        if status in CAME:
            assert arrived[body] == 1, "something is said to have arrived, and did not"
        else:
            assert status is MessageStatus.UNKNOWN
            assert not honours_ids
    theirs = sorted(one.body or "" for one in said if one.direction is Direction.IN)
    assert theirs == sorted(HERS), "something that was heard is gone, or there twice"


@pytest.mark.parametrize("honours_ids", [False, True], ids=["names of theirs", "names of ours"])
def test_a_process_may_die_at_every_step(honours_ids: bool) -> None:
    """R1, R14, R15: proved for each step in turn, until there is none left to die at."""
    for steps in range(1, 1_000):
        if asyncio.run(story(steps, honours_ids=honours_ids, manner=Manner())):
            assert steps > 40
            return
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("honours_ids", [False, True], ids=["names of theirs", "names of ours"])
def test_a_process_may_die_in_a_world_of_bad_manners(honours_ids: bool) -> None:
    """The same where calls fail or are in doubt, and things come late, twice and in disorder."""
    manner = Manner(delay=SECOND, repeated=0.2, broken=0.05, failed=0.2, doubtful=0.2, echoed=0.2)
    for steps in range(1, 200, 9):
        asyncio.run(story(steps, honours_ids=honours_ids, manner=manner))
