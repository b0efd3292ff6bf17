"""Who acts for which device: leases over all accounts and processes (reliability 2.7)."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct

from clarin_core.domain.devices import DeviceKey, DeviceLease


class Call(Struct, frozen=True, kw_only=True):
    """That a device should look: something is due, or people want something else of it."""

    key: DeviceKey
    is_wanted: bool
    wants_contacts: bool = False
    has_errands: bool = False
    has_files: bool = False


class DeviceLeases(Protocol):
    """The leases of all devices; only the store's clock counts, and each method commits by itself.

    A lease that is over is lost when somebody else takes the device, and not before. What was
    written under it until then counts; `DeviceStore.hold` refuses the rest.
    """

    async def wanted(self) -> list[DeviceKey]:
        """Return the devices that are wanted and that nobody has, by account and id.

        One that is shut out waits until it may come back.
        """
        ...

    async def calls(self, keys: Collection[DeviceKey], *, at: datetime) -> list[Call]:
        """Return those of some devices that have something to do; one that is gone has."""
        ...

    async def lease(self, key: DeviceKey, owner: str, ttl: timedelta) -> DeviceLease | None:
        """Take a device; None when somebody has it, or when there is no such device.

        Waits for what is being written under an earlier lease. The token is greater than all
        before it.
        """
        ...

    async def renew(self, leases: Collection[DeviceLease], ttl: timedelta) -> set[DeviceKey]:
        """Let leases last so long from now; those left out were lost or given up.

        Does not wait for what is being written under them.
        """
        ...

    async def release(self, lease: DeviceLease) -> None:
        """Give a device up, so that nothing is written under the lease any more.

        Waits for what is being written. A lease that was lost stays so, and nothing happens.
        """
        ...
