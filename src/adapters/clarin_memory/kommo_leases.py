"""Who keeps whose mirror of Kommo, over all accounts."""

from dataclasses import dataclass
from datetime import timedelta

from msgspec.structs import replace

from clarin_core.domain.ids import AccountId
from clarin_core.domain.kommo import KommoLease
from clarin_core.ports.kommo import KommoLeases
from clarin_core.ports.small import Clock
from clarin_memory.state import SharedTables


@dataclass(frozen=True, slots=True)
class MemoryKommoLeases(KommoLeases):
    """The leases of all mirrors; like those of devices they are no part of a transaction."""

    shared: SharedTables
    clock: Clock

    async def wanted(self) -> list[AccountId]:
        """Return the accounts with a connected pipeline whose mirror nobody keeps, by id."""
        return [
            account_id
            for account_id, space in sorted(self.shared.spaces.items())
            if any(link.connected for link in space.tables.kommo.rows())
            and self._is_free(account_id)
        ]

    async def lease(self, account_id: AccountId, owner: str, ttl: timedelta) -> KommoLease | None:
        """Take a mirror; None when somebody has it, or when there is no connection."""
        space = self.shared.spaces.peek(account_id)
        if space is None:
            return None
        async with space.lock:
            if not any(space.tables.kommo.rows()) or not self._is_free(account_id):
                return None
            last, until = self.shared.kommo_leases.peek(account_id), self.clock() + ttl
            token = last.token + 1 if last else 1
            taken = KommoLease(account_id=account_id, owner=owner, token=token, expires_at=until)
            self.shared.kommo_leases.put(account_id, taken)
            return taken

    async def renew(self, lease: KommoLease, ttl: timedelta) -> bool:
        """Let a lease last so long from now; False when it was lost or given up."""
        if not self._is_last(lease):
            return False
        renewed = replace(lease, expires_at=self.clock() + ttl)
        self.shared.kommo_leases.put(lease.account_id, renewed)
        return True

    async def release(self, lease: KommoLease) -> None:
        """Give a mirror up, so that nothing is written under the lease any more."""
        space = self.shared.spaces.peek(lease.account_id)
        if space is None:
            return
        async with space.lock:
            if self._is_last(lease):
                over = replace(lease, token=lease.token + 1, expires_at=self.clock())
                self.shared.kommo_leases.put(lease.account_id, over)

    def _is_free(self, account_id: AccountId) -> bool:
        last = self.shared.kommo_leases.peek(account_id)
        return last is None or last.expires_at <= self.clock()

    def _is_last(self, lease: KommoLease) -> bool:
        last = self.shared.kommo_leases.peek(lease.account_id)
        return last is not None and (last.owner, last.token) == (lease.owner, lease.token)
