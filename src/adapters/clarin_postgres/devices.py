"""Devices, and who may act for them.

Whoever writes for a device holds its lease FOR KEY SHARE until the commit. A new token changes a
key (`device_leases_token`), so that a takeover waits for that; a renewal changes none, and does
not. The device is locked before its lease, as its removal does it.
"""

from collections.abc import Collection
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
from clarin_core.domain.ids import AccountId, DeviceId
from clarin_core.domain.paging import Page
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.devices import Call, DeviceLeases
from clarin_core.ports.inbox import DeviceStore
from clarin_postgres.conditions import Conditions
from clarin_postgres.connection import Pool
from clarin_postgres.paging import BY_ID, Listing, page_of, struct, structs
from clarin_postgres.reader import Reader
from clarin_postgres.scope import Scope

_DEVICE = (
    "d.id, d.name, d.phone, d.jid, d.status, d.is_wanted, d.reason, d.last_seen_at, "
    "d.restricted_until, d.pairing_phone, d.is_leaving, d.wants_contacts, d.created_at, "
    "d.updated_at, d.version"
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
            reason = $8, last_seen_at = $9, restricted_until = $10, pairing_phone = $11,
            is_leaving = $12, wants_contacts = $13, created_at = $14, updated_at = $15,
            version = $16
        where d.account_id = $1 and d.id = $2 and not exists (select from rival)
        returning d.id
    )
    select (select rival.id from rival) as rival, (select saved.id from saved) as id"""
_REMOVE = """-- devices.remove
    delete from devices d where d.account_id = $1 and d.id = $2"""
_SET_ASIDE = """-- devices.set_aside
    insert into set_aside (account_id, device_id, heard, reason, created_at)
    values ($1, $2, $3, $4, $5)"""
_TAKE_ASIDE = """-- devices.take_aside
    delete from set_aside a
    where a.account_id = $1 and a.id = (
        select b.id from set_aside b
        where b.account_id = $1 and b.device_id = $2 order by b.id offset $3 limit 1
    )
    returning a.heard"""

_WANTED = """-- devices.wanted
    select d.account_id, d.id as device_id from devices d
    left join device_leases l on l.account_id = d.account_id and l.device_id = d.id
    where d.is_wanted and (l.expires_at is null or l.expires_at <= clock_timestamp())
        and (d.restricted_until is null or d.restricted_until <= clock_timestamp())
    order by d.account_id, d.id"""
_CALLS = """-- devices.calls
    with k as (
        select u.account_id, u.device_id
        from unnest($1::bigint[], $2::bigint[]) as u(account_id, device_id)
    )
    select k.account_id, k.device_id, coalesce(d.is_wanted, false) as is_wanted,
        coalesce(d.wants_contacts, false) as wants_contacts, o.has_errands, f.has_files
    from k
    left join devices d on d.account_id = k.account_id and d.id = k.device_id
    cross join lateral (
        select exists (
            select from outbox o
            where o.account_id = k.account_id and o.device_id = k.device_id
                and o.token is null and o.not_before <= $3
        ) as has_errands
    ) o
    cross join lateral (
        select exists (
            select from media m
            where m.account_id = k.account_id and m.device_id = k.device_id and m.not_before <= $3
        ) as has_files
    ) f
    where d.is_wanted is not true or d.wants_contacts or o.has_errands or f.has_files"""
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
    from unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[])
        as k(account_id, device_id, owner, token)
    where l.account_id = k.account_id and l.device_id = k.device_id and l.owner = k.owner
        and l.token = k.token
    returning l.account_id, l.device_id"""
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
            device.pairing_phone, device.is_leaving, device.wants_contacts,
            device.created_at, device.updated_at, device.version,
        )  # fmt: skip
        if row["rival"] is not None:
            raise Conflict("duplicate_device", "a device has this address", id=row["rival"])
        if row["id"] is None:
            raise NotFound("device", device.id)

    async def remove(self, device_id: DeviceId) -> None:
        """Remove a device; raises Conflict `has_chats` when it has any."""
        await self.scope.fetch(_REMOVE, device_id)

    async def set_aside(
        self, device_id: DeviceId, heard: bytes, reason: str, *, at: datetime
    ) -> None:
        """Keep what a device heard and nobody could store."""
        await self.scope.fetch(_SET_ASIDE, device_id, heard, reason, at)

    async def take_aside(self, device_id: DeviceId, *, skip: int) -> bytes | None:
        """Remove and return the oldest thing that was set aside, after so many older ones."""
        row = await self.scope.first(_TAKE_ASIDE, device_id, skip)
        return None if row is None else bytes(row["heard"])


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
        rows = await self.pool.claim(_LEASE, key.account_id, key.device_id, owner, ttl)
        return DeviceLease(key=key, owner=owner, **rows[0]) if rows else None

    async def calls(self, keys: Collection[DeviceKey], *, at: datetime) -> list[Call]:
        """Return those of some devices that have something to do; one that is gone has."""
        accounts, devices = [key.account_id for key in keys], [key.device_id for key in keys]
        rows = await self.pool.fetch(_CALLS, accounts, devices, at)
        return [_call(**row) for row in rows]

    async def renew(self, leases: Collection[DeviceLease], ttl: timedelta) -> set[DeviceKey]:
        """Let leases last so long from now; those left out were lost or given up."""
        if not leases:
            return set()
        parts = [list(part) for part in zip(*map(_parts, leases), strict=True)]
        return set(structs(await self.pool.fetch(_RENEW, *parts, ttl), DeviceKey))

    async def release(self, lease: DeviceLease) -> None:
        """Give a device up, so that nothing is written under the lease any more."""
        await self.pool.fetch(_RELEASE, *_parts(lease))


def _call(account_id: AccountId, device_id: DeviceId, **wishes: bool) -> Call:
    return Call(key=DeviceKey(account_id=account_id, device_id=device_id), **wishes)


def _parts(lease: DeviceLease) -> tuple[int, int, str, int]:
    return lease.key.account_id, lease.key.device_id, lease.owner, lease.token
