"""Devices, and who may act for them.

Whoever writes for a device holds its lease FOR KEY SHARE until the commit. A new token changes a
key (`device_leases_token`), so that a takeover waits for that; a renewal changes none, and does
not. The device is locked before its lease, as its removal does it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import UNSET

from clarin_core.domain.devices import (
    Device,
    DeviceKey,
    DeviceLease,
    DeviceQuery,
    DeviceStatus,
    NewDevice,
)
from clarin_core.domain.ids import DeviceId
from clarin_core.domain.paging import Page
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.devices import DeviceLeases
from clarin_core.ports.inbox import DeviceStore
from clarin_postgres.conditions import Conditions
from clarin_postgres.connection import Pool
from clarin_postgres.paging import BY_ID, Listing, page_of, struct, structs
from clarin_postgres.reader import Reader
from clarin_postgres.scope import Scope

_DEVICE = (
    "d.id, d.name, d.phone, d.jid, d.status, d.is_wanted, d.reason, d.last_seen_at, "
    "d.restricted_until, d.created_at, d.updated_at, d.version"
)
_LISTING = Listing("devices.page", "devices d", "d", cut=_DEVICE, shown=_DEVICE)

_VIEW = f"""-- devices.view
    select {_DEVICE} from devices d where d.account_id = $1 and d.id = $2"""
_GET = f"""-- devices.get
    select {_DEVICE} from devices d where d.account_id = $1 and d.id = $2 for no key update"""
_HOLD = f"""-- devices.hold
    with d as (
        select {_DEVICE} from devices d where d.account_id = $1 and d.id = $2 for no key update
    )
    select {_DEVICE}, (
        select l.token from device_leases l
        where l.account_id = $1 and l.device_id = d.id for key share
    ) as token
    from d"""
_LOCK_COUNT = """-- devices.lock_count
    select from accounts a where a.id = $1 for no key update"""
_COUNT = """-- devices.count
    select count(*) as count from devices d where d.account_id = $1"""
_ADD = f"""-- devices.add
    insert into devices as d (
        account_id, name, status, is_wanted, created_at, updated_at, version)
    values ($1, $2, $3, false, $4, $4, 1)
    returning {_DEVICE}"""
_SAVE = """-- devices.save
    with rival as (
        select d.id from devices d where d.account_id = $1 and d.jid = $5 and d.id <> $2
    ),
    saved as (
        update devices d set name = $3, phone = $4, jid = $5, status = $6, is_wanted = $7,
            reason = $8, last_seen_at = $9, restricted_until = $10, created_at = $11,
            updated_at = $12, version = $13
        where d.account_id = $1 and d.id = $2 and not exists (select from rival)
        returning d.id
    )
    select (select rival.id from rival) as rival, (select saved.id from saved) as id"""
_REMOVE = """-- devices.remove
    delete from devices d where d.account_id = $1 and d.id = $2"""

_WANTED = """-- devices.wanted
    select d.account_id, d.id as device_id from devices d
    left join device_leases l on l.account_id = d.account_id and l.device_id = d.id
    where d.is_wanted and (l.expires_at is null or l.expires_at <= clock_timestamp())
    order by d.account_id, d.id"""
_LEASE = """-- devices.lease
    insert into device_leases as l (account_id, device_id, owner, token, expires_at)
    select $1, d.id, $3, 1, clock_timestamp() + $4
    from devices d where d.account_id = $1 and d.id = $2
    on conflict (account_id, device_id) do update
        set owner = $3, token = l.token + 1, expires_at = clock_timestamp() + $4
        where l.expires_at <= clock_timestamp()
    returning l.token, l.expires_at"""
_RENEW = """-- devices.renew
    update device_leases l set expires_at = clock_timestamp() + $5
    where l.account_id = $1 and l.device_id = $2 and l.owner = $3 and l.token = $4
    returning l.token"""
_RELEASE = """-- devices.release
    update device_leases l set token = l.token + 1, expires_at = clock_timestamp()
    where l.account_id = $1 and l.device_id = $2 and l.owner = $3 and l.token = $4"""


@dataclass(frozen=True, slots=True)
class PostgresDeviceStore(DeviceStore):
    """The devices of one account."""

    scope: Scope

    async def get(self, device_id: DeviceId) -> Device:
        """Return a device, locked; raises NotFound."""
        row = await self.scope.first(_GET, device_id)
        if row is None:
            raise NotFound("device", device_id)
        return struct(row, Device)

    async def hold(self, device_id: DeviceId, token: int) -> Device:
        """Return a device for whoever has its lease; raises NotFound, Conflict `lease_lost`."""
        row = await self.scope.first(_HOLD, device_id)
        if row is None:
            raise NotFound("device", device_id)
        if row["token"] != token:
            raise Conflict("lease_lost", "somebody else acts for the device", id=device_id)
        return struct(row, Device)

    async def count(self) -> int:
        """Return how many devices there are; the count is begun when the account is locked."""
        await self.scope.fetch(_LOCK_COUNT)
        return int((await self.scope.one(_COUNT))["count"])

    async def add(self, new: NewDevice, *, at: datetime) -> Device:
        """Store a new device."""
        row = await self.scope.one(_ADD, new.name, DeviceStatus.DISCONNECTED.value, at)
        return struct(row, Device)

    async def save(self, device: Device) -> None:
        """Store a changed device; raises Conflict `duplicate_device` with the id."""
        row = await self.scope.one(
            _SAVE, device.id, device.name, device.phone, device.jid, device.status.value,
            device.is_wanted, device.reason, device.last_seen_at, device.restricted_until,
            device.created_at, device.updated_at, device.version,
        )  # fmt: skip
        if row["rival"] is not None:
            raise Conflict("duplicate_device", "a device has this address", id=row["rival"])
        if row["id"] is None:
            raise NotFound("device", device.id)

    async def remove(self, device_id: DeviceId) -> None:
        """Remove a device; raises Conflict `has_chats` when it has any."""
        await self.scope.fetch(_REMOVE, device_id)


class DeviceViews(Reader):
    """What an account reads of its devices."""

    async def device(self, device_id: DeviceId) -> Device:
        """Return a device; raises NotFound."""
        rows = await self._fetch(_VIEW, device_id)
        if not rows:
            raise NotFound("device", device_id)
        return struct(rows[0], Device)

    async def devices(self, query: DeviceQuery) -> Page[Device]:
        """Return devices by id."""
        where = Conditions("d.account_id = $1")
        if query.status is not UNSET:
            where.add("d.status = {0}", query.status.value)
        text = _LISTING.statement(query, BY_ID, where, account_id=self._account_id)
        rows = await self._fetch(text, *where.arguments)
        return page_of(rows, query, BY_ID, self._account_id, Device)


@dataclass(frozen=True, slots=True)
class PostgresDeviceLeases(DeviceLeases):
    """The leases of all devices, by the database's clock.

    A statement that is sent again because its connection died does no harm: at worst a lease that
    nobody knows of is waited for until it is over.
    """

    pool: Pool

    async def wanted(self) -> list[DeviceKey]:
        """Return the devices that are wanted and that nobody has, by account and id."""
        return structs(await self.pool.fetch(_WANTED), DeviceKey)

    async def lease(self, key: DeviceKey, owner: str, ttl: timedelta) -> DeviceLease | None:
        """Take a device; None when somebody has it, or when there is no such device."""
        rows = await self.pool.fetch(_LEASE, key.account_id, key.device_id, owner, ttl)
        return DeviceLease(key=key, owner=owner, **rows[0]) if rows else None

    async def renew(self, lease: DeviceLease, ttl: timedelta) -> bool:
        """Let a lease last so long from now; False when it was lost or given up."""
        return bool(await self.pool.fetch(_RENEW, *_parts(lease), ttl))

    async def release(self, lease: DeviceLease) -> None:
        """Give a device up, so that nothing is written under the lease any more."""
        await self.pool.fetch(_RELEASE, *_parts(lease))


def _parts(lease: DeviceLease) -> tuple[int, int, str, int]:
    return lease.key.account_id, lease.key.device_id, lease.owner, lease.token
