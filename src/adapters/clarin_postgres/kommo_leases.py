"""Who keeps whose mirror of Kommo, over all accounts, by the database's clock."""

from dataclasses import dataclass
from datetime import timedelta

from clarin_core.domain.ids import AccountId
from clarin_core.domain.kommo import KommoLease
from clarin_core.ports.kommo import KommoLeases
from clarin_postgres.connection import Pool

_WANTED = """-- kommo.wanted
    select k.account_id from kommo_links k
    left join kommo_leases l on l.account_id = k.account_id
    where k.connected <> '{}' and (l.expires_at is null or l.expires_at <= clock_timestamp())
    order by k.account_id"""
_LEASE = """-- kommo.lease
    insert into kommo_leases as l (account_id, owner, token, expires_at)
    select k.account_id, $2, 1, clock_timestamp() + $3
    from kommo_links k where k.account_id = $1
    on conflict (account_id) do update
        set owner = $2, token = l.token + 1, expires_at = clock_timestamp() + $3
        where l.expires_at <= clock_timestamp()
    returning l.token, l.expires_at"""
_RENEW = """-- kommo.renew
    update kommo_leases l set expires_at = clock_timestamp() + $4
    where l.account_id = $1 and l.owner = $2 and l.token = $3
    returning l.token"""
_RELEASE = """-- kommo.release
    update kommo_leases l set token = l.token + 1, expires_at = clock_timestamp()
    where l.account_id = $1 and l.owner = $2 and l.token = $3"""


@dataclass(frozen=True, slots=True)
class PostgresKommoLeases(KommoLeases):
    """The leases of all mirrors, by the database's clock."""

    pool: Pool

    async def wanted(self) -> list[AccountId]:
        """Return the accounts with a connected pipeline whose mirror nobody keeps, by id."""
        return [row["account_id"] for row in await self.pool.fetch(_WANTED)]

    async def lease(self, account_id: AccountId, owner: str, ttl: timedelta) -> KommoLease | None:
        """Take a mirror; None when somebody has it, or when there is no connection."""
        rows = await self.pool.claim(_LEASE, account_id, owner, ttl)
        return KommoLease(account_id=account_id, owner=owner, **rows[0]) if rows else None

    async def renew(self, lease: KommoLease, ttl: timedelta) -> bool:
        """Let a lease last so long from now; False when it was lost or given up."""
        return bool(await self.pool.fetch(_RENEW, lease.account_id, lease.owner, lease.token, ttl))

    async def release(self, lease: KommoLease) -> None:
        """Give a mirror up, so that nothing is written under the lease any more."""
        await self.pool.fetch(_RELEASE, lease.account_id, lease.owner, lease.token)
