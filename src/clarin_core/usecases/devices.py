"""What one can do with devices. What becomes of them is told by whoever runs them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.actor import Actor
from clarin_core.domain.command import ANY_VERSION, Precondition
from clarin_core.domain.devices import Device, DeviceChange, NewDevice, PhonePairing
from clarin_core.domain.ids import DeviceId
from clarin_core.domain.inbox_events import DeviceCreated, DeviceDeleted, DeviceUpdated
from clarin_core.domain.phone import normalize_phone
from clarin_core.errors import Conflict
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction


@dataclass(frozen=True, slots=True)
class DeviceUseCases:
    """What one can do with devices. One method is one use case."""

    storage: Storage
    clock: Clock

    async def create(self, actor: Actor, new: NewDevice) -> Device:
        """Make a device, to be paired with a phone when it is connected."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            allowed = (await tx.account.get()).max_devices
            if await tx.devices.count() >= allowed:
                raise Conflict("device_limit", f"the account may have {allowed} devices")
            device = await tx.devices.add(new, at=self.clock())
            tx.emit(DeviceCreated(device=device))
        return device

    async def update(self, actor: Actor, device_id: DeviceId, change: DeviceChange) -> Device:
        """Give a device another name."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            device = await tx.devices.get(device_id)
            device.expect(change.version)
            await save_device(tx, device, device.alter(change.values(), at=self.clock()))
        return device

    async def delete(
        self, actor: Actor, device_id: DeviceId, seen: Precondition = ANY_VERSION
    ) -> None:
        """Remove a device that no chat is in."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            (await tx.devices.get(device_id)).expect(seen.version)
            await tx.devices.remove(device_id)
            tx.emit(DeviceDeleted(device_id=device_id))

    async def connect(self, actor: Actor, device_id: DeviceId) -> Device:
        """Want a device connected, which takes a while; what becomes of it is told (section 6)."""
        return await self._want(actor, device_id, Device.connect)

    async def pair(self, actor: Actor, device_id: DeviceId, wish: PhonePairing) -> Device:
        """Want a device connected, and a code to be typed on a phone, too."""
        phone = normalize_phone(wish.phone, actor.region)
        return await self._want(actor, device_id, lambda one, at: one.connect(at, phone=phone))

    async def disconnect(self, actor: Actor, device_id: DeviceId) -> Device:
        """Want a device disconnected; it stays paired with its phone."""
        return await self._want(actor, device_id, Device.disconnect)

    async def sync_contacts(self, actor: Actor, device_id: DeviceId) -> Device:
        """Want the names in a connected device's phone; what is there fills what is empty here."""
        return await self._want(actor, device_id, Device.ask_for_contacts)

    async def unlink(self, actor: Actor, device_id: DeviceId) -> Device:
        """Want a device unlinked from its phone, so that it can be paired anew.

        One that was disconnected is let go of at once, and its phone keeps it until a person
        unlinks it there; any other one must be connected.
        """
        return await self._want(actor, device_id, Device.leave)

    async def _want(
        self,
        actor: Actor,
        device_id: DeviceId,
        turn: Callable[[Device, datetime], tuple[str, ...]],
    ) -> Device:
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            device = await tx.devices.get(device_id)
            await save_device(tx, device, turn(device, self.clock()))
        return device


async def save_device(tx: Transaction, device: Device, changed: tuple[str, ...]) -> None:
    """Store a device of which some fields changed, and announce them; nothing if none did."""
    if changed:
        await tx.devices.save(device)
        tx.emit(DeviceUpdated(device=device, changed=list(changed)))
