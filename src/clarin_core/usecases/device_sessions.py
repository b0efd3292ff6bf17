"""What becomes of a device while somebody runs it: codes, pairing, steps of its session."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from clarin_core.domain.actor import Cause, Origin
from clarin_core.domain.devices import Device, DeviceLease, DeviceStatus, PairingCode
from clarin_core.domain.inbox_events import ContactsSynced, DeviceCodeShown
from clarin_core.ports.messaging import CodeShown, Paired, SessionStep, Step
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.usecases.devices import save_device

WHATSAPP = Origin(cause=Cause.WHATSAPP)
_BAN = timedelta(days=1)  # Unless WhatsApp says how long.
_STATUS = {
    Step.CONNECTED: DeviceStatus.CONNECTED,
    Step.LOGGED_OUT: DeviceStatus.LOGGED_OUT,
    Step.REPLACED: DeviceStatus.REPLACED,
    Step.OUTDATED: DeviceStatus.OUTDATED,
    Step.PAIRING_ENDED: DeviceStatus.DISCONNECTED,
}


@dataclass(frozen=True, slots=True)
class DeviceSessionUseCases:
    """A device's own rows, as the holder of its lease writes them.

    Every method raises Conflict `lease_lost` when somebody else has the device now.
    """

    storage: Storage
    clock: Clock

    async def begin(self, lease: DeviceLease) -> Device:
        """Return a device that is to be run; it is connecting from now on, if it is wanted."""
        at = self.clock()
        async with self.storage.begin(lease.key.account_id, WHATSAPP) as tx:
            device = await tx.devices.hold(lease.key.device_id, lease.token)
            if device.is_wanted:
                await save_device(tx, device, device.become(DeviceStatus.CONNECTING, at=at))
        return device

    async def hear(self, lease: DeviceLease, heard: SessionStep | CodeShown | Paired) -> Device:
        """Let what the session says of itself be so, and return the device."""
        at = self.clock()
        async with self.storage.begin(lease.key.account_id, WHATSAPP) as tx:
            device = await tx.devices.hold(lease.key.device_id, lease.token)
            match heard:
                case CodeShown():
                    tx.emit(DeviceCodeShown(code=_code(device, heard)))
                case Paired():
                    await save_device(tx, device, device.pair(heard.jid, heard.phone, at=at))
                case SessionStep():
                    await save_device(tx, device, _step(device, heard, at))
        return device

    async def synced(self, lease: DeviceLease, count: int) -> None:
        """Have taken over the names of so many people in the device's phone."""
        async with self.storage.begin(lease.key.account_id, WHATSAPP) as tx:
            device = await tx.devices.hold(lease.key.device_id, lease.token)
            changed = device.alter({"wants_contacts": False}, at=self.clock())
            await save_device(tx, device, changed)
            tx.emit(ContactsSynced(device_id=device.id, count=count))

    async def look(self, lease: DeviceLease) -> Device:
        """Return the device as it is; raises NotFound."""
        return await self.storage.views(lease.key.account_id).device(lease.key.device_id)

    async def end(self, lease: DeviceLease, reason: str | None) -> Device:
        """Take a device whose session has ended for disconnected, unless WhatsApp said more."""
        at = self.clock()
        async with self.storage.begin(lease.key.account_id, WHATSAPP) as tx:
            device = await tx.devices.hold(lease.key.device_id, lease.token)
            if device.status in (DeviceStatus.CONNECTING, DeviceStatus.CONNECTED):
                reason = reason or device.reason
                changed = device.become(DeviceStatus.DISCONNECTED, reason=reason, at=at)
                await save_device(tx, device, changed)
        return device


def _code(device: Device, shown: CodeShown) -> PairingCode:
    return PairingCode(
        device_id=device.id, code=shown.code, is_qr=shown.is_qr, expires_at=shown.expires_at
    )


def _step(device: Device, step: SessionStep, at: datetime) -> tuple[str, ...]:
    if step.step is Step.BANNED:
        time = step.restricted_for or _BAN
        return device.ban(time, reason=step.reason or "banned", at=at)
    if step.step is Step.DISCONNECTED:
        return device.become(DeviceStatus.CONNECTING, reason=step.reason, at=at)
    changed = device.become(_STATUS[step.step], reason=step.reason, at=at)
    if step.step is Step.PAIRING_ENDED:
        changed = (*changed, *device.disconnect(at))
    return changed
