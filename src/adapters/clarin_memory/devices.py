"""Devices, and who may act for them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import UNSET
from msgspec.structs import replace

from clarin_core.domain.devices import Device, DeviceKey, DeviceLease, DeviceQuery, NewDevice
from clarin_core.domain.ids import DeviceId
from clarin_core.domain.paging import Page
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.devices import Call, DeviceLeases
from clarin_core.ports.inbox import DeviceStore
from clarin_core.ports.small import Clock
from clarin_memory.paging import BY_ID
from clarin_memory.reader import Reader
from clarin_memory.state import AccountTables, Scope, SharedTables
from clarin_memory.tables import copied, rival


@dataclass(frozen=True, slots=True)
class MemoryDeviceStore(DeviceStore):
    """The devices of one account."""

    scope: Scope

    async def get(self, device_id: DeviceId) -> Device:
        """Return a device; raises NotFound."""
        return copied(_device(self.scope.tables, device_id))

    async def hold(self, device_id: DeviceId, token: int) -> Device:
        """Return a device for whoever has its lease; raises NotFound, Conflict `lease_lost`."""
        device = await self.get(device_id)
        lease = self.scope.shared.leases.peek(self._key(device_id))
        if lease is None or lease.token != token:
            raise Conflict("lease_lost", "somebody else acts for the device", id=device_id)
        return device

    async def count(self) -> int:
        """Return how many devices there are."""
        return sum(1 for _ in self.scope.tables.devices.rows())

    async def add(self, new: NewDevice, *, at: datetime) -> Device:
        """Store a new device."""
        device = Device(
            id=DeviceId(self.scope.ids.next("device")),
            name=new.name,
            created_at=at,
            updated_at=at,
            version=1,
        )
        self.scope.tables.devices.put(device.id, device)
        return device

    async def save(self, device: Device) -> None:
        """Store a changed device; raises Conflict `duplicate_device` with the id."""
        _device(self.scope.tables, device.id)
        if other := rival(self.scope.tables.devices.rows(), [device], lambda row: row.jid):
            raise Conflict("duplicate_device", "a device has this address", id=other.id)
        self.scope.tables.devices.put(device.id, device)

    async def remove(self, device_id: DeviceId) -> None:
        """Remove a device; raises Conflict `has_chats` when it has any."""
        if any(chat.device_id == device_id for chat in self.scope.tables.chats.rows()):
            raise Conflict("has_chats", "chats are in the device")
        self.scope.tables.devices.drop(device_id)
        self.scope.tables.aside.drop(device_id)
        for media in list(self.scope.tables.media.rows()):
            if media.device_id == device_id:
                self.scope.tables.media.put(media.id, replace(media, device_id=None))
        self.scope.shared.leases.drop(self._key(device_id))

    async def set_aside(
        self, device_id: DeviceId, heard: Sequence[bytes], reason: str, *, at: datetime
    ) -> None:
        """Keep what a device heard and nobody could store; memory forgets why and when."""
        _device(self.scope.tables, device_id)
        before = self.scope.tables.aside.peek(device_id) or []
        self.scope.tables.aside.put(device_id, [*before, *heard])

    async def take_aside(self, device_id: DeviceId, *, skip: int) -> bytes | None:
        """Remove and return the oldest thing that was set aside, after so many older ones."""
        heard = self.scope.tables.aside.find(device_id) or []
        if skip >= len(heard):
            return None
        taken = heard.pop(skip)
        self.scope.tables.aside.put(device_id, heard)
        return taken

    def _key(self, device_id: DeviceId) -> DeviceKey:
        return DeviceKey(account_id=self.scope.account_id, device_id=device_id)


class DeviceViews(Reader):
    """What an account reads of its devices."""

    async def device(self, device_id: DeviceId) -> Device:
        """Return a device; raises NotFound."""
        return copied(_device(self._tables, device_id))

    async def devices(self, query: DeviceQuery) -> Page[Device]:
        """Return devices by id."""
        rows = self._tables.devices.rows()
        found = (device for device in rows if query.status in (UNSET, device.status))
        return self._page(found, BY_ID, query, copied)


@dataclass(frozen=True, slots=True)
class MemoryDeviceLeases(DeviceLeases):
    """The leases of all devices.

    They are no part of a transaction: who takes or gives up a device waits for the account's
    lock instead, and so for what is being written.
    """

    shared: SharedTables
    clock: Clock

    async def wanted(self) -> list[DeviceKey]:
        """Return the devices that are wanted and that nobody has, by account and id."""
        keys = [
            DeviceKey(account_id=account_id, device_id=device.id)
            for account_id, space in sorted(self.shared.spaces.items())
            for device in sorted(space.tables.devices.rows(), key=BY_ID.key)
            if device.is_wanted and not self._is_shut_out(device)
        ]
        return [key for key in keys if self._is_free(key)]

    async def calls(self, keys: Collection[DeviceKey], *, at: datetime) -> list[Call]:
        """Return those of some devices that have something to do; one that is gone has."""
        calls = [self._call(key, at) for key in keys]
        return [call for call in calls if call != Call(key=call.key, is_wanted=True)]

    async def lease(self, key: DeviceKey, owner: str, ttl: timedelta) -> DeviceLease | None:
        """Take a device; None when somebody has it, or when there is no such device."""
        space = self.shared.spaces.peek(key.account_id)
        if space is None:
            return None
        async with space.lock:
            if key.device_id not in space.tables.devices or not self._is_free(key):
                return None
            last, until = self.shared.leases.peek(key), self.clock() + ttl
            token = last.token + 1 if last else 1
            taken = DeviceLease(key=key, owner=owner, token=token, expires_at=until)
            self.shared.leases.put(key, taken)
            return taken

    async def renew(self, leases: Collection[DeviceLease], ttl: timedelta) -> set[DeviceKey]:
        """Let leases last so long from now; those left out were lost or given up."""
        kept = [lease for lease in leases if self._is_last(lease)]
        for lease in kept:
            self.shared.leases.put(lease.key, replace(lease, expires_at=self.clock() + ttl))
        return {lease.key for lease in kept}

    async def release(self, lease: DeviceLease) -> None:
        """Give a device up, so that nothing is written under the lease any more."""
        space = self.shared.spaces.peek(lease.key.account_id)
        if space is None:
            return
        async with space.lock:
            if self._is_last(lease):
                over = replace(lease, token=lease.token + 1, expires_at=self.clock())
                self.shared.leases.put(lease.key, over)

    def _call(self, key: DeviceKey, at: datetime) -> Call:
        space = self.shared.spaces.peek(key.account_id)
        tables = space.tables if space else AccountTables()
        device = tables.devices.peek(key.device_id)
        return Call(
            key=key,
            is_wanted=device is not None and device.is_wanted,
            wants_contacts=device is not None and device.wants_contacts,
            has_errands=any(
                item.device_id == key.device_id and item.token is None and item.not_before <= at
                for item in tables.outbox.rows()
            ),
            has_files=any(
                media.device_id == key.device_id and media.not_before <= at
                for media in tables.media.rows()
            ),
        )

    def _is_shut_out(self, device: Device) -> bool:
        return device.restricted_until is not None and device.restricted_until > self.clock()

    def _is_free(self, key: DeviceKey) -> bool:
        last = self.shared.leases.peek(key)
        return last is None or last.expires_at <= self.clock()

    def _is_last(self, lease: DeviceLease) -> bool:
        last = self.shared.leases.peek(lease.key)
        return last is not None and (last.owner, last.token) == (lease.owner, lease.token)


def _device(tables: AccountTables, device_id: DeviceId) -> Device:
    device = tables.devices.peek(device_id)
    if device is None:
        raise NotFound("device", device_id)
    return device
