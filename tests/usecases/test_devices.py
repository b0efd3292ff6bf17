"""Devices: as many as the account may have, connected when administrators want it."""

import asyncio

import pytest

from clarin_core.domain.chats import Chat
from clarin_core.domain.devices import Device, DeviceChange, DeviceQuery, DeviceStatus, NewDevice
from clarin_core.domain.ids import ChatId
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.phone import PhoneNumber
from clarin_core.errors import Conflict, Forbidden, NotFound
from clarin_core.testing.tenants import NOON, Tenant
from clarin_memory import MemoryStorage
from support.desk import Desk, tell

JID = "51900000001:7@s.whatsapp.net"
SALES = NewDevice(name="Ventas")


def test_a_device_is_made_renamed_and_removed() -> None:
    """Each step is told, and one that changes nothing is not."""

    async def story() -> None:
        desk = await Desk.open()
        device = await desk.devices.create(desk.admin, SALES)
        assert await desk.names() == ["device.created"]
        change = DeviceChange(name="Cobranza", version=1)
        changed = await desk.devices.update(desk.admin, device.id, change)
        assert (changed.name, changed.version) == ("Cobranza", 2)
        assert await desk.names() == ["device.updated"]
        await desk.devices.update(desk.admin, device.id, DeviceChange(name="Cobranza"))
        assert await desk.names() == []
        await desk.devices.delete(desk.admin, device.id)
        assert await desk.names() == ["device.deleted"]
        with pytest.raises(NotFound):
            await desk.tenant.views.device(device.id)

    tell(story())


def test_an_account_has_as_many_devices_as_it_may() -> None:
    """409 device_limit, also for those who come at one moment; a removal makes room."""

    async def story() -> None:
        desk = await Desk.open()
        await allow(desk, 2)
        made = await asyncio.gather(
            *(desk.devices.create(desk.admin, SALES) for _ in range(5)), return_exceptions=True
        )
        devices = [one for one in made if isinstance(one, Device)]
        refused = [one for one in made if isinstance(one, Conflict)]
        assert (len(devices), [one.code for one in refused]) == (2, ["device_limit"] * 3)
        assert (await desk.tenant.views.devices(DeviceQuery())).data == devices
        await desk.devices.delete(desk.admin, devices[0].id)
        await desk.devices.create(desk.admin, SALES)

    tell(story())


def test_a_device_with_chats_is_not_removed() -> None:
    """409 has_chats, and it is there as before."""

    async def story() -> None:
        desk = await Desk.open()
        device = await desk.devices.create(desk.admin, SALES)
        add_chat(desk.tenant, device)
        with pytest.raises(Conflict) as caught:
            await desk.devices.delete(desk.admin, device.id)
        assert caught.value.code == "has_chats"
        assert await desk.tenant.views.device(device.id) == device

    tell(story())


def test_a_device_is_connected_when_it_is_wanted() -> None:
    """Section 6: wanted once is wanted; whoever runs devices finds it among those."""

    async def story() -> None:
        desk = await Desk.open()
        device = await desk.devices.create(desk.admin, SALES)
        await desk.news()
        wanted = await desk.devices.connect(desk.admin, device.id)
        assert (wanted.is_wanted, wanted.status) == (True, DeviceStatus.CONNECTING)
        assert await desk.tenant.storage.leases.wanted() == [desk.tenant.key_of(device)]
        assert await desk.devices.connect(desk.admin, device.id) == wanted
        assert await desk.names() == ["device.updated"]
        idle = await desk.devices.disconnect(desk.admin, device.id)
        assert (idle.is_wanted, idle.status) == (False, DeviceStatus.DISCONNECTED)
        assert await desk.tenant.storage.leases.wanted() == []
        assert await desk.devices.disconnect(desk.admin, device.id) == idle
        assert await desk.names() == ["device.updated"]

    tell(story())


def test_a_device_whose_keys_are_lost_can_be_paired_anew() -> None:
    """It never connects again; nobody who may still have it is cut off by chance."""

    async def story() -> None:
        desk = await Desk.open()
        device = await desk.devices.create(desk.admin, SALES)
        for turn in (desk.devices.disconnect, desk.devices.connect):
            await turn(desk.admin, device.id)
            with pytest.raises(Conflict):
                await desk.devices.unlink(desk.admin, device.id)
        async with desk.tenant.begin() as tx:
            paired = await tx.devices.get(device.id)
            paired.pair(JID, PhoneNumber("+51900000001"), at=desk.clock())
            await tx.devices.save(paired)
        with pytest.raises(Conflict):
            await desk.devices.unlink(desk.admin, device.id)
        await desk.devices.disconnect(desk.admin, device.id)
        gone = await desk.devices.unlink(desk.admin, device.id)
        assert (gone.status, gone.jid, gone.is_leaving) == (DeviceStatus.LOGGED_OUT, None, False)
        assert gone.reason
        assert (await desk.devices.connect(desk.admin, device.id)).is_wanted

    tell(story())


def test_agents_do_nothing_to_devices() -> None:
    """Section 7: they are the administrators' affair."""

    async def story() -> None:
        desk = await Desk.open()
        device = await desk.devices.create(desk.admin, SALES)
        for refused in (
            desk.devices.create(desk.agent, SALES),
            desk.devices.update(desk.agent, device.id, DeviceChange(name="Otro")),
            desk.devices.delete(desk.agent, device.id),
            desk.devices.connect(desk.agent, device.id),
            desk.devices.disconnect(desk.agent, device.id),
        ):
            with pytest.raises(Forbidden):
                await refused

    tell(story())


async def allow(desk: Desk, devices: int) -> None:
    """Let the account have so many devices."""
    async with desk.tenant.begin() as tx:
        account = await tx.account.get()
        account.max_devices = devices
        await tx.account.save(account)


def add_chat(tenant: Tenant, device: Device) -> None:
    """Put a chat of a device where the storage keeps chats."""
    assert isinstance(tenant.storage, MemoryStorage)
    space = tenant.storage._shared.spaces.peek(tenant.id)
    assert space is not None
    chat = Chat(
        id=ChatId(1), device_id=device.id, identity=Identity(IdentityKind.LID, "1"),
        created_at=NOON, updated_at=NOON, version=1,
    )  # fmt: skip
    space.tables.chats.put(chat.id, chat)
