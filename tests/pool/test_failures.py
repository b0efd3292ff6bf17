"""What fails again and again is left alone for a while, longer each time, and never for ever."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from clarin_core.domain.devices import DeviceKey, DeviceLease, DeviceStatus
from clarin_core.domain.inbound import PeerSeen
from clarin_core.errors import Contention
from clarin_core.pool.failures import PAUSE_S_MAX, Failures
from clarin_core.ports.messaging import NotSent
from support.around import Around, Wrapped
from support.fleet import Fleet


def run(story: Callable[[Fleet], Coroutine[Any, Any, None]]) -> None:
    async def told() -> None:
        async with Fleet.open() as fleet:
            await story(fleet)

    asyncio.run(told())


def test_pauses_double_up_to_a_bound_however_often_something_failed() -> None:
    """Issue: without a network for weeks a device is still tried every five minutes."""
    failures, pauses = Failures(), []
    for _ in range(3_000):
        failures.add(now=7.0, chance=0.5)
        pauses.append(failures.until - 7.0)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == max(pauses) == PAUSE_S_MAX


@pytest.mark.parametrize("error", [NotSent("not now"), ZeroDivisionError()], ids=str)
def test_an_address_book_that_cannot_be_read_is_left_alone(error: Exception) -> None:
    """Whoever wants it says so every second; the phone is not asked as often, nor let go."""

    async def story(fleet: Fleet) -> None:
        asked = []
        is_broken = True

        class Locked(Around):
            async def contacts(self) -> list[PeerSeen]:
                asked.append(fleet.glass())
                if is_broken:
                    raise error
                return await self.inner.contacts()

        fleet.messaging = Wrapped(fleet.messaging, lambda _, session: Locked(session))
        device, _ = await fleet.paired()

        async def is_connected() -> bool:
            return (await fleet.device(device.id)).status is DeviceStatus.CONNECTED

        async def was_read() -> bool:
            return not (await fleet.device(device.id)).wants_contacts

        async with fleet.running():
            await fleet.until(is_connected)
            await fleet.devices.sync_contacts(fleet.admin, device.id)
            await fleet.during(timedelta(minutes=10))
            pauses = [(after - before).total_seconds() for before, after in pairwise(asked)]
            assert 7 < len(asked) < 12
            assert pauses == sorted(pauses)
            assert await is_connected()
            is_broken = False
            await fleet.until(was_read)
        assert len(fleet.diary.failures) == len(asked) - 1

    run(story)


def test_a_device_that_cannot_be_taken_holds_up_no_other() -> None:
    """Issue: somebody who hangs in the middle of a write keeps its lease from being taken."""

    async def story(fleet: Fleet) -> None:
        stuck, _ = await fleet.paired("+51900000001")
        other, _ = await fleet.paired("+51900000002")
        pool, asked = fleet.pool(), []
        lease = pool.leases.lease

        async def hang(key: DeviceKey, owner: str, ttl: timedelta) -> DeviceLease | None:
            if key.device_id == stuck.id:
                asked.append(fleet.glass())
                raise Contention("storage")
            return await lease(key, owner, ttl)

        async def is_connected() -> bool:
            return (await fleet.device(other.id)).status is DeviceStatus.CONNECTED

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(pool.leases), "lease", lambda _, *args: hang(*args))
            async with pool.running():
                await fleet.until(is_connected)
                await fleet.during(timedelta(minutes=10))
        assert 7 < len(asked) < 12

    run(story)
