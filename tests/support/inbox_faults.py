"""Faults of the inbox to plant in the memory storage, each of which some law must find."""

from collections.abc import Callable, Collection
from datetime import timedelta

from msgspec.structs import replace

from clarin_core.domain.contacts import ContactIdentity
from clarin_core.domain.devices import Device, DeviceLease
from clarin_core.domain.ids import DeviceId
from clarin_memory import contacts, devices, paging, purge, quick_replies, search, tables
from support.faults import Patch


def capitals_make_another_shortcut(patch: Patch) -> None:
    patch.setattr(quick_replies, "shortcut_key", lambda shortcut: shortcut)


def quick_replies_are_shown_by_id(patch: Patch) -> None:
    patch.setattr(quick_replies, "BY_SHORTCUT", paging.BY_ID)


def a_body_is_not_searched(patch: Patch) -> None:
    is_in = search.Needle.is_in
    patch.setattr(search.Needle, "is_in", lambda needle, *texts: is_in(needle, *texts[:2]))


def every_token_holds(patch: Patch) -> None:
    get = devices.MemoryDeviceStore.get

    async def hold(self: devices.MemoryDeviceStore, device_id: DeviceId, token: int) -> Device:
        return await get(self, device_id)

    patch.setattr(devices.MemoryDeviceStore, "hold", hold)


def every_device_is_free(patch: Patch) -> None:
    patch.setattr(devices.MemoryDeviceLeases, "_is_free", lambda self, key: True)


def every_lease_is_the_last(patch: Patch) -> None:
    patch.setattr(devices.MemoryDeviceLeases, "_is_last", lambda self, lease: True)


def tokens_begin_anew(patch: Patch) -> None:
    put: Callable[..., None] = tables.Table.put

    def wrong(table: object, key: object, row: object) -> None:
        put(table, key, replace(row, token=1) if isinstance(row, DeviceLease) else row)

    patch.setattr(tables.Table, "put", wrong)


def a_release_is_forgotten(patch: Patch) -> None:
    async def release(self: devices.MemoryDeviceLeases, lease: DeviceLease) -> None:
        pass

    patch.setattr(devices.MemoryDeviceLeases, "release", release)


def a_renewal_waits(patch: Patch) -> None:
    right = devices.MemoryDeviceLeases.renew

    async def renew(self: devices.MemoryDeviceLeases, lease: DeviceLease, ttl: timedelta) -> bool:
        space = self.shared.spaces.peek(lease.key.account_id)
        assert space is not None
        async with space.lock:
            return await right(self, lease, ttl)

    patch.setattr(devices.MemoryDeviceLeases, "renew", renew)


def addresses_need_not_be_unique(patch: Patch) -> None:
    patch.setattr(devices, "rival", lambda *args: None)


def an_alias_is_dropped(patch: Patch) -> None:
    put = contacts.MemoryContactStore.put_identities

    async def wrong(self: contacts.MemoryContactStore, rows: Collection[ContactIdentity]) -> None:
        await put(self, [replace(row, alias=None) for row in rows])

    patch.setattr(contacts.MemoryContactStore, "put_identities", wrong)


def identities_are_shown_as_they_came(patch: Patch) -> None:
    patch.setattr(contacts, "_name_of", lambda row: ("", ""))


def a_purge_leaves_identities(patch: Patch) -> None:
    patch.setattr(purge, "_forget_contacts", lambda tables: None)
