"""Devices that are run: one owner each, paired by codes, ended as WhatsApp or people say."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

import pytest

from clarin_core.domain.devices import DeviceKey, DeviceStatus, PairingCode, PhonePairing
from clarin_core.domain.ids import DeviceId
from clarin_core.domain.inbox_events import DeviceCodeShown, DeviceUpdated
from clarin_core.domain.messages import MessageStatus
from clarin_core.pool.pool import LEASE, STARTING_MAX
from clarin_core.ports.messaging import Delivery, Session
from support.around import Around, Wrapped
from support.fleet import Fleet, fresh

T = TypeVar("T")


def run(story: Callable[[Fleet], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def told() -> None:
        async with Fleet.open(**options) as fleet:
            await story(fleet)

    asyncio.run(told())


def is_(fleet: Fleet, device_id: DeviceId, status: DeviceStatus) -> Callable[[], Awaitable[bool]]:
    async def so() -> bool:
        return (await fleet.device(device_id)).status is status

    return so


async def codes(fleet: Fleet) -> list[PairingCode]:
    return [one.code for one in await fleet.desk.news() if isinstance(one, DeviceCodeShown)]


def test_a_device_is_paired_with_the_phone_that_scans_its_code() -> None:
    """Section 6: codes are events with an expiry; the address is kept for the next start."""

    async def story(fleet: Fleet) -> None:
        device = await fleet.devices.create(fleet.admin, fresh())
        phone = fleet.world.person("+51900000000", "Clarin")
        shown: list[PairingCode] = []

        async def has_code() -> bool:
            shown.extend(await codes(fleet))
            return bool(shown)

        async with fleet.running():
            await fleet.devices.connect(fleet.admin, device.id)
            await fleet.until(has_code)
            assert shown[0].is_qr
            assert shown[0].expires_at > fleet.glass()
            fleet.world.scan(shown[0].code, phone)
            await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTED))
        paired = await fleet.device(device.id)
        assert (paired.phone, paired.status) == (phone.phone, DeviceStatus.DISCONNECTED)
        assert paired.jid in fleet.world.lines
        async with fleet.running():
            await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTED))
        assert await codes(fleet) == []

    run(story)


def test_a_phone_may_type_a_code_instead() -> None:
    """Section 6: once, however many codes to be scanned are shown meanwhile."""

    async def story(fleet: Fleet) -> None:
        device = await fleet.devices.create(fleet.admin, fresh())
        phone = fleet.world.person("+51900000000", "Clarin")
        shown: list[PairingCode] = []

        async def has_several() -> bool:
            shown.extend(await codes(fleet))
            return len([one for one in shown if one.is_qr]) > 2

        async with fleet.running():
            await fleet.devices.pair(fleet.admin, device.id, PhonePairing(phone=phone.phone))
            await fleet.until(has_several)
            (typed,) = [one.code for one in shown if not one.is_qr]
            fleet.world.scan(typed, phone)
            await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTED))
        assert (await fleet.device(device.id)).pairing_phone is None

    run(story)


def test_a_code_that_nobody_scans_ends_the_attempt() -> None:
    """Section 6: connecting becomes disconnected, and waits for a person."""

    async def story(fleet: Fleet) -> None:
        device = await fleet.devices.create(fleet.admin, fresh())
        async with fleet.running():
            await fleet.devices.connect(fleet.admin, device.id)
            await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTING))
            await fleet.until(is_(fleet, device.id, DeviceStatus.DISCONNECTED))
            left = await fleet.device(device.id)
            assert (left.is_wanted, left.reason) == (False, "no phone scanned a code")
            await fleet.during(timedelta(minutes=10))
            assert (await fleet.device(device.id)).status is DeviceStatus.DISCONNECTED

    run(story)


def test_a_device_is_connected_and_disconnected_as_people_want() -> None:
    """Section 6: at once each time, and it stays paired."""

    async def story(fleet: Fleet) -> None:
        device, owner = await fleet.paired()
        async with fleet.running():
            for _ in range(3):
                await fleet.devices.connect(fleet.admin, device.id)
                await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTED))
                await fleet.devices.disconnect(fleet.admin, device.id)
                before = fleet.glass()
                line = owner.lines[0]

                async def is_silent(line: Any = line) -> bool:
                    return line.ears is None

                await fleet.until(is_silent)
                assert fleet.glass() - before < timedelta(seconds=5)
        assert (await fleet.device(device.id)).jid == owner.lines[0].jid
        assert fleet.diary.failures == []

    run(story)


def test_a_device_is_unlinked_from_its_phone_when_people_want() -> None:
    """Neonize 12.11: the phone is told, and does not keep a dead companion."""

    async def story(fleet: Fleet) -> None:
        device, owner = await fleet.paired()
        async with fleet.running():
            await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTED))
            await fleet.devices.unlink(fleet.admin, device.id)
            await fleet.until(is_(fleet, device.id, DeviceStatus.LOGGED_OUT))
        left = await fleet.device(device.id)
        assert (owner.lines, left.jid, left.is_leaving) == ([], None, False)

    run(story)


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda world, jid: world.unlink(jid), DeviceStatus.LOGGED_OUT),
        (lambda world, jid: world.outdate(), DeviceStatus.OUTDATED),
    ],
    ids=["logged out", "outdated"],
)
def test_what_only_a_person_can_mend_is_left_alone(
    end: Callable[[Any, str], None], status: DeviceStatus
) -> None:
    """Section 6: no retry loop; the queue stays."""

    async def story(fleet: Fleet) -> None:
        device, owner = await fleet.paired()
        async with fleet.running():
            await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTED))
            end(fleet.world, owner.lines[0].jid)
            await fleet.until(is_(fleet, device.id, status))
            version = (await fleet.device(device.id)).version
            await fleet.during(timedelta(minutes=20))
        left = await fleet.device(device.id)
        assert (left.status, left.is_wanted, left.version) == (status, False, version)
        assert left.reason is not None

    run(story)


def test_who_is_shut_out_comes_back_when_it_may() -> None:
    """Section 6: a ban is waited for, and not hammered at."""

    async def story(fleet: Fleet) -> None:
        device, owner = await fleet.paired()
        async with fleet.running():
            await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTED))
            fleet.world.ban(owner.lines[0].jid, timedelta(minutes=30))
            await fleet.until(is_(fleet, device.id, DeviceStatus.BANNED))
            version = (await fleet.device(device.id)).version
            await fleet.during(timedelta(minutes=29))
            assert (await fleet.device(device.id)).version == version
            await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTED))

    run(story)


def test_a_lost_connection_is_told_and_comes_back() -> None:
    """Section 6: connecting with the reason, then connected, without a new session."""

    async def story(fleet: Fleet) -> None:
        device, owner = await fleet.paired()
        async with fleet.running():
            await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTED))
            await fleet.desk.news()
            fleet.world.break_off(owner.lines[0].jid)
            await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTED))
            steps = [
                one.device for one in await fleet.desk.news() if isinstance(one, DeviceUpdated)
            ]
            assert [(one.status, one.reason) for one in steps] == [
                (DeviceStatus.CONNECTING, "the connection was lost"),
                (DeviceStatus.CONNECTED, None),
            ]

    run(story)


def test_without_a_network_a_device_keeps_trying_and_says_why() -> None:
    """Issue: disconnected with the reason; each pause is longer, up to minutes."""

    async def story(fleet: Fleet) -> None:
        device, _ = await fleet.paired()
        fleet.world.is_reachable = False
        async with fleet.running():
            await fleet.until(is_(fleet, device.id, DeviceStatus.DISCONNECTED))
            await fleet.during(timedelta(minutes=30))
            lost = await fleet.device(device.id)
            assert (lost.reason, lost.is_wanted) == ("nobody answers", True)
            tries = [
                one.device.updated_at
                for one in await fleet.desk.news()
                if isinstance(one, DeviceUpdated) and one.device.status is DeviceStatus.CONNECTING
                if "status" in one.changed
            ]
            pauses = [after - before for before, after in pairwise(tries)]
            assert timedelta(seconds=1) <= pauses[0] < timedelta(seconds=5)
            assert pauses == sorted(pauses)
            assert timedelta(minutes=3) < pauses[-1] < timedelta(minutes=8)
            fleet.world.is_reachable = True
            await fleet.until(is_(fleet, device.id, DeviceStatus.CONNECTED))

    run(story)


def test_each_device_has_one_owner() -> None:
    """Reliability 2.7: two pools share the devices; who stops gives them over at once."""

    async def story(fleet: Fleet) -> None:
        made = [await fleet.paired(f"+5190000000{n}") for n in range(4)]
        connected = [is_(fleet, device.id, DeviceStatus.CONNECTED) for device, _ in made]
        first, second = fleet.pool("a"), fleet.pool("b")
        async with fleet.running(second):
            async with fleet.running(first):
                await fleet.until(*connected)
                await fleet.during(2 * LEASE)
                held = {*first.held} & {*second.held}, {*first.held} | {*second.held}
                assert held == (set(), {fleet.tenant.key_of(device) for device, _ in made})
            began = fleet.glass()
            await fleet.until(*connected)
            assert fleet.glass() - began < LEASE
            assert len(second.held) == len(made)
        left = [await fleet.device(device.id) for device, _ in made]
        assert {device.status for device in left} == {DeviceStatus.DISCONNECTED}

    run(story)


def test_a_restart_of_many_devices_is_no_storm() -> None:
    """Neonize 8: at most five connect at once, and one that never answers holds nobody up."""

    async def story(fleet: Fleet) -> None:
        opening: list[int] = []
        silent = DeviceId(1)

        class Slow(Around):
            async def heard(self) -> AsyncIterator[Delivery]:
                opening.append(1)
                await fleet.glass.sleep(1)
                is_first = True
                async for delivery in self.inner.heard():
                    yield delivery
                    if is_first:
                        is_first = False
                        opening.pop()

        class Silent(Around):
            async def heard(self) -> AsyncIterator[Delivery]:
                await asyncio.Event().wait()
                yield await anext(self.inner.heard())

        def wrap(key: DeviceKey, session: Session) -> Session:
            return Silent(session) if key.device_id == silent else Slow(session)

        fleet.messaging = Wrapped(fleet.messaging, wrap)
        made = [await fleet.paired(f"+519000000{n:02}") for n in range(30)]
        others = [is_(fleet, device.id, DeviceStatus.CONNECTED) for device, _ in made[1:]]
        most = 0

        async def watch() -> bool:
            nonlocal most
            most = max(most, len(opening))
            return True

        async with fleet.running():
            await fleet.until(watch, *others)
        assert 1 < most <= STARTING_MAX

    run(story)


def test_one_slow_device_delays_no_other() -> None:
    """Issue: 200 devices in one process; the one whose sends hang is alone with that."""

    async def story(fleet: Fleet) -> None:
        made = [await fleet.paired(f"+51900000{n:03}") for n in range(200)]
        she = fleet.world.person("+51911111111", "Ana")
        hung = fleet.tenant.key_of(made[0][0])

        class Hanging(Around):
            async def around(self, act: Callable[[], Awaitable[T]]) -> T:
                await asyncio.Event().wait()
                return await act()

        fleet.messaging = Wrapped(
            fleet.messaging, lambda key, session: Hanging(session) if key == hung else session
        )
        async with fleet.running():
            await fleet.until(
                *(is_(fleet, device.id, DeviceStatus.CONNECTED) for device, _ in made)
            )
            for device, owner in made:
                await fleet.write(device, she, f"hola de {owner.phone}")
                she.says(owner, "hola")

            async def all_but_one() -> bool:
                return len(she.arrivals) == len(made) - 1

            began = fleet.glass()
            await fleet.until(all_but_one)
            assert fleet.glass() - began < timedelta(seconds=10)
            heard = [one for one in await fleet.said() if one.status is MessageStatus.RECEIVED]
            assert len(heard) == len(made)

    run(story)
