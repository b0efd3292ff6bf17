"""Who acts for which device: leases over all accounts and processes (reliability 2.7)."""

from datetime import timedelta
from typing import Protocol

from clarin_core.domain.devices import DeviceKey, DeviceLease


class DeviceLeases(Protocol):
    """The leases of all devices; only the store's clock counts, and each method commits by itself.

    A lease that is over is lost when somebody else takes the device, and not before. What was
    written under it until then counts; `DeviceStore.hold` refuses the rest.
    """

    async def wanted(self) -> list[DeviceKey]:
        """Return the devices that are wanted and that nobody has, by account and id."""
        ...

    async def lease(self, key: DeviceKey, owner: str, ttl: timedelta) -> DeviceLease | None:
        """Take a device; None when somebody has it, or when there is no such device.

        Waits for what is being written under an earlier lease. The token is greater than all
        before it.
        """
        ...

    async def renew(self, lease: DeviceLease, ttl: timedelta) -> bool:
        """Let a lease last so long from now; False when it was lost or given up.

        Does not wait for what is being written under it.
        """
        ...

    async def release(self, lease: DeviceLease) -> None:
        """Give a device up, so that nothing is written under the lease any more.

        Waits for what is being written. A lease that was lost stays so, and nothing happens.
        """
        ...
