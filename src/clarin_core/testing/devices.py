"""Laws of devices, and of the leases under which somebody acts for them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from clarin_core.domain.devices import (
    Device,
    DeviceKey,
    DeviceLease,
    DeviceQuery,
    DeviceStatus,
    NewDevice,
)
from clarin_core.domain.ids import AccountId, DeviceId
from clarin_core.errors import Conflict, NotFound
from clarin_core.testing import strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.inbox import inbox_of
from clarin_core.testing.tenants import LATER, NOON, Tenant, doomed

LONG = timedelta(hours=1)
OVER = timedelta()
"""A lease for no time is over as soon as it is there, so that nobody has to wait."""

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2200, 1, 1, tzinfo=UTC)
"""On any clock: that of a store may be the world's."""

JID = "51987654321:7@s.whatsapp.net"
TURNS = 10


class DeviceLaws(Contract):
    """What `DeviceStore` and the views of devices promise."""

    @law(new=strategies.new_devices())
    async def test_a_device_comes_back_as_it_was_added(
        self, account: Tenant, new: NewDevice
    ) -> None:
        """It is disconnected, wanted by nobody, and no phone's."""
        async with account.begin() as tx:
            device = await tx.devices.add(new, at=NOON)
        assert device == Device(
            id=device.id, name=new.name, created_at=NOON, updated_at=NOON, version=1
        )
        async with account.begin() as tx:
            assert await tx.devices.get(device.id) == device
        assert await account.views.device(device.id) == device
        assert (await account.views.devices(DeviceQuery())).data == [device]

    @law(values=strategies.device_values())
    async def test_a_saved_device_comes_back_as_it_was_saved(
        self, account: Tenant, values: dict[str, Any]
    ) -> None:
        """Every field can be changed."""
        device = await account.add_device()
        device.alter(values, at=LATER)
        await save(account, device)
        assert await account.views.device(device.id) == device

    @law()
    async def test_an_address_belongs_to_one_device(self, account: Tenant) -> None:
        """Section 3.3: within an account; what is unlinked frees its address."""
        await (await account.stranger()).add_device(jid=JID)
        first, other = await account.add_device(jid=JID), await account.add_device()
        other.jid = JID
        with pytest.raises(Conflict) as caught:
            await save(account, other)
        assert (caught.value.code, caught.value.id) == ("duplicate_device", first.id)
        first.jid = None
        await save(account, first)
        await save(account, other)

    @law()
    async def test_a_removed_device_is_gone(self, account: Tenant) -> None:
        """It is neither read nor listed nor counted."""
        gone, kept = await account.add_device(), await account.add_device()
        async with account.begin() as tx:
            await tx.devices.remove(gone.id)
            assert await tx.devices.count() == 1
        with pytest.raises(NotFound):
            await account.views.device(gone.id)
        assert (await account.views.devices(DeviceQuery())).data == [kept]

    @law(heard=st.lists(st.binary(max_size=64), min_size=1, max_size=4), skip=st.integers(0, 3))
    async def test_what_was_set_aside_is_taken_once(
        self, account: Tenant, heard: list[bytes], skip: int
    ) -> None:
        """R8: what nobody could store is kept, in its order, for its device."""
        device, other = await account.add_device(), await account.add_device()
        for one in heard:
            await self._set_aside(account, device, one)
        await self._set_aside(account, other, b"other")
        async with doomed(account.begin()) as tx:
            await tx.devices.take_aside(device.id, skip=0)
        assert [await self._take_aside(account, device, skip) for _ in heard] == [
            *heard[skip:], *[None] * min(skip, len(heard)),
        ]  # fmt: skip
        assert [await self._take_aside(account, device, 0) for _ in heard] == [
            *heard[:skip], *[None] * (len(heard) - len(heard[:skip])),
        ]  # fmt: skip
        assert await self._take_aside(account, other, 0) == b"other"

    @law(drawn=st.lists(st.sampled_from(DeviceStatus), max_size=5))
    async def test_devices_are_listed_by_status(
        self, account: Tenant, drawn: list[DeviceStatus]
    ) -> None:
        """Section 8: by id, those of one status when asked."""
        devices = [await account.add_device(status=status) for status in drawn]
        assert (await account.views.devices(DeviceQuery())).data == devices
        for status in DeviceStatus:
            page = await account.views.devices(DeviceQuery(status=status))
            assert page.data == [one for one in devices if one.status is status]
            assert page.total == drawn.count(status)

    @law()
    async def test_who_counts_devices_waits_for_who_counted(self, account: Tenant) -> None:
        """Section 3.3: so that two at one moment do not both find room for the last one."""

        async def add_one_of_two(_: int) -> bool:
            async with account.begin() as tx:
                has_room = await tx.devices.count() < 2
                await asyncio.sleep(0)
                if has_room:
                    await tx.devices.add(NewDevice(name="Ventas"), at=NOON)
            return has_room

        assert sum(await asyncio.gather(*map(add_one_of_two, range(6)))) == 2

    async def _take_aside(self, account: Tenant, device: Device, skip: int) -> bytes | None:
        async with account.begin() as tx:
            return await tx.devices.take_aside(device.id, skip=skip)

    async def _set_aside(self, account: Tenant, device: Device, heard: bytes) -> None:
        async with account.begin() as tx:
            await tx.devices.set_aside(device.id, heard, "not understood", at=NOON)


class LeaseLaws(Contract):
    """What `DeviceLeases` and `DeviceStore.hold` promise (reliability 2.7)."""

    @law()
    async def test_a_device_has_one_lease_at_a_time(self, account: Tenant) -> None:
        """Whoever comes second, or asks for its own once more, gets none."""
        owners = ["a", "b", "a", "c"]
        for _ in range(20):  # That two come at the very same moment takes a few.
            device = await account.add_device()
            taken = await asyncio.gather(*(self._lease(account, device, one) for one in owners))
            leases = [one for one in taken if one is not None]
            assert [(one.key, one.token) for one in leases] == [(account.key_of(device), 1)]
            assert leases[0].owner in owners

    @law()
    async def test_a_token_only_grows(self, account: Tenant) -> None:
        """Whether a lease was over or was given up."""
        device = await account.add_device()
        tokens = []
        for _ in range(3):
            over = await self._take(account, device, "a", OVER)
            given_up = await self._take(account, device, "b", LONG)
            await self.storage.leases.release(given_up)
            tokens += [over.token, given_up.token]
        assert tokens == sorted(set(tokens))

    @law()
    async def test_wanted_devices_are_those_that_nobody_has(self, account: Tenant) -> None:
        """By what people want, and not by how the device is."""
        wanted, idle = await account.add_device(is_wanted=True), await account.add_device()
        assert await self._wanted(account) == [account.key_of(wanted)]
        lease = await self._take(account, wanted, "a", LONG)
        await self._take(account, idle, "a", LONG)
        assert await self._wanted(account) == []
        await self.storage.leases.release(lease)
        assert await self._wanted(account) == [account.key_of(wanted)]
        await self._take(account, wanted, "a", OVER)
        assert await self._wanted(account) == [account.key_of(wanted)]

    @law()
    async def test_who_is_shut_out_is_not_wanted(self, account: Tenant) -> None:
        """Section 6: a device that is banned waits until it may come back."""
        await account.add_device(is_wanted=True, restricted_until=FAR_AHEAD)
        back = await account.add_device(is_wanted=True, restricted_until=LONG_AGO)
        assert await self._wanted(account) == [account.key_of(back)]

    @law()
    async def test_a_device_is_called_when_there_is_something_to_do(self, account: Tenant) -> None:
        """An errand that is due and not at work, a wish of somebody, or that it is gone."""
        inboxes = [await inbox_of(account) for _ in range(3)]
        chats = [await inbox.open_one() for inbox in inboxes]
        (busy,), (late,), (begun,) = [
            await inbox.order(inbox.to_do(chat)) for inbox, chat in zip(inboxes, chats, strict=True)
        ]
        late.not_before = LATER
        begun.begin(7)
        async with account.begin() as tx:
            for item in (late, begun):
                await tx.outbox.save(item)
            for inbox in inboxes:
                device = await tx.devices.get(inbox.device_id)
                device.alter({"is_wanted": True}, at=NOON)
                await tx.devices.save(device)
        curious = await account.add_device(is_wanted=True, wants_contacts=True)
        tired = await account.add_device()
        idle = await account.add_device(is_wanted=True)
        gone = DeviceKey(account_id=account.id, device_id=DeviceId(2**62))
        keys = [
            *(DeviceKey(account_id=account.id, device_id=one.device_id) for one in inboxes),
            *map(account.key_of, (curious, tired, idle)), gone,
        ]  # fmt: skip
        calls = await self.storage.leases.calls(keys, at=NOON)
        wishes = {one.key: (one.is_wanted, one.wants_contacts, one.has_errands) for one in calls}
        assert wishes == {
            keys[0]: (True, False, True), keys[3]: (True, True, False),
            keys[4]: (False, False, False), gone: (False, False, False),
        }  # fmt: skip
        later = await self.storage.leases.calls(keys, at=LATER)
        assert {call.key for call in later if call.has_errands} == {*keys[:2]}
        assert busy.device_id == keys[0].device_id

    @law()
    async def test_a_lease_lasts_as_long_as_it_is_renewed(self, account: Tenant) -> None:
        """Also one that was over, as long as nobody took the device; `ttl` counts from now."""
        device = await account.add_device()
        lease = await self._take(account, device, "a", OVER)
        assert await self._renew(lease, LONG)
        assert await self._lease(account, device, "b") is None
        assert await self._renew(lease, OVER)
        assert await self._lease(account, device, "b") is not None
        assert not await self._renew(lease, LONG)

    @law()
    async def test_the_late_write_of_a_paused_holder_is_refused(self, account: Tenant) -> None:
        """2.7: who slept beyond its lease writes nothing any more, and the next holder does."""
        device = await account.add_device()
        paused = await self._take(account, device, "a", OVER)
        await rename(account, device.id, paused.token, "al principio")
        taker = await self._take(account, device, "b", LONG)
        with pytest.raises(Conflict) as caught:
            await rename(account, device.id, paused.token, "tarde")
        assert (caught.value.code, caught.value.id) == ("lease_lost", device.id)
        await rename(account, device.id, taker.token, "a tiempo")
        assert (await account.views.device(device.id)).name == "a tiempo"
        assert not await self._renew(paused, LONG)
        await self.storage.leases.release(paused)
        assert await self._renew(taker, LONG)

    @law()
    async def test_what_was_given_up_is_not_written_to(self, account: Tenant) -> None:
        """Even if nobody has it yet: a release is the end of a lease, renewals included."""
        device = await account.add_device()
        lease = await self._take(account, device, "a", LONG)
        await self.storage.leases.release(lease)
        for token in (lease.token, lease.token + 1_000):
            with pytest.raises(Conflict, match="somebody else"):
                await rename(account, device.id, token, "tarde")
        assert not await self._renew(lease, LONG)
        assert await self._lease(account, device, "b") is not None

    @law()
    async def test_a_takeover_waits_for_a_write_in_progress(self, account: Tenant) -> None:
        """2.7: who takes a device over sees all that was written before."""
        device = await account.add_device()
        lease = await self._take(account, device, "a", OVER)
        async with account.begin() as tx:
            held = await tx.devices.hold(device.id, lease.token)
            taking = asyncio.create_task(self._take_and_look(account, device))
            for _ in range(TURNS):  # Enough for a takeover that does not wait.
                await asyncio.sleep(0)
                await tx.views.device(device.id)
            held.alter({"name": "escrito"}, at=LATER)
            await tx.devices.save(held)
        assert (await taking).name == "escrito"

    @law()
    async def test_a_renewal_does_not_wait_for_a_write_in_progress(self, account: Tenant) -> None:
        """2.7: a long write must not cost its holder the lease."""
        device = await account.add_device()
        lease = await self._take(account, device, "a", LONG)
        async with account.begin() as tx:
            await tx.devices.hold(device.id, lease.token)
            assert await self._renew(lease, LONG)

    @law()
    async def test_leases_end_with_their_device(self, account: Tenant) -> None:
        """Who acted for it is told that it is gone; a removal that fails changes nothing."""
        device = await account.add_device()
        lease = await self._take(account, device, "a", LONG)
        async with doomed(account.begin()) as tx:
            await tx.devices.remove(device.id)
        assert await self._renew(lease, LONG)
        async with account.begin() as tx:
            await tx.devices.remove(device.id)
        with pytest.raises(NotFound):
            await rename(account, device.id, lease.token, "tarde")
        assert not await self._renew(lease, LONG)
        await self.storage.leases.release(lease)

    @law()
    async def test_there_is_no_lease_of_what_is_not_there(self, account: Tenant) -> None:
        """R22: a device of another account is one that nobody has, and its own lease stays."""
        foreign = await (other := await account.stranger()).add_device()
        lease = await self._take(other, foreign, "a", LONG)
        for device_id in (foreign.id, DeviceId(2**62)):
            key = DeviceKey(account_id=account.id, device_id=device_id)
            assert await self.storage.leases.lease(key, "b", LONG) is None
        nowhere = DeviceKey(account_id=AccountId(2**62), device_id=foreign.id)
        assert await self.storage.leases.lease(nowhere, "b", LONG) is None
        assert await self._renew(lease, LONG)

    async def _renew(self, lease: DeviceLease, ttl: timedelta) -> bool:
        return await self.storage.leases.renew([lease], ttl) == {lease.key}

    async def _lease(self, account: Tenant, device: Device, owner: str) -> DeviceLease | None:
        return await self.storage.leases.lease(account.key_of(device), owner, LONG)

    async def _take(
        self, account: Tenant, device: Device, owner: str, ttl: timedelta
    ) -> DeviceLease:
        lease = await self.storage.leases.lease(account.key_of(device), owner, ttl)
        assert lease is not None
        return lease

    async def _take_and_look(self, account: Tenant, device: Device) -> Device:
        await self._take(account, device, "b", LONG)
        return await account.views.device(device.id)

    async def _wanted(self, account: Tenant) -> list[DeviceKey]:
        keys = await self.storage.leases.wanted()
        assert keys == sorted(keys, key=lambda key: (key.account_id, key.device_id))
        return [key for key in keys if key.account_id == account.id]


async def save(account: Tenant, device: Device) -> None:
    """Commit a device as it is now."""
    async with account.begin() as tx:
        await tx.devices.get(device.id)
        await tx.devices.save(device)


async def rename(account: Tenant, device_id: DeviceId, token: int, name: str) -> None:
    """Commit another name of a device, as the holder of a lease."""
    async with account.begin() as tx:
        device = await tx.devices.hold(device_id, token)
        device.alter({"name": name}, at=LATER)
        await tx.devices.save(device)
