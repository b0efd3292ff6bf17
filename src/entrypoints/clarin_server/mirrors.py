"""Keeping mirrors of Kommo: whose nobody keeps is taken, and each goes on by itself.

Each mirror is kept by one task in one process, which has its lease and renews it. A pass begins
every five seconds, however long the last one took; one that takes longer is followed at once.
Whoever loses the lease stops, and could not write any more anyway.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

import structlog

from clarin_core.domain.ids import AccountId
from clarin_core.domain.kommo import KommoLease, Trouble
from clarin_core.errors import ClarinError
from clarin_core.ports.small import SealBroken
from clarin_core.usecases.mirror.mirror import KeysChanged, KommoMirror
from clarin_security import system_random
from clarin_server.metrics import Metrics
from clarin_server.process import process_name
from clarin_server.services import Services

PASS_EVERY_S = 5.0
LEASE = timedelta(seconds=15)
_RENEW_EVERY_S = 5.0
_MARGIN_S = 3.0
_REST_S_MAX = 60.0
_DOUBLINGS_MAX = 6
_LOST = ("lease_lost", "not_configured")

_log = structlog.get_logger(component="KOMMO")


@dataclass(slots=True)
class Mirrors:
    """The mirrors that this process keeps: those of all accounts, or of one."""

    services: Services
    metrics: Metrics
    owner: str
    only: AccountId | None = None
    chance: Callable[[], float] = random.random
    _kept: dict[AccountId, asyncio.Task[None]] = field(default_factory=dict)
    _rests: dict[AccountId, tuple[int, float]] = field(default_factory=dict)

    async def look(self) -> bool:
        """Take mirrors that nobody keeps; return whether there were any."""
        for account_id in [key for key, task in self._kept.items() if task.done()]:
            self._reap(account_id, self._kept.pop(account_id))
        unkept = await self.services.storage.kommo_leases.wanted()
        wanted = [account_id for account_id in unkept if self._may(account_id)]
        for account_id in wanted:
            self._kept[account_id] = asyncio.create_task(self._keep(account_id))
        self.metrics.kommo_mirrors(len(self._kept))
        return bool(wanted)

    async def stop(self) -> None:
        """Give all mirrors up."""
        for task in self._kept.values():
            task.cancel()
        if self._kept:
            await asyncio.wait(self._kept.values())

    def _may(self, account_id: AccountId) -> bool:
        _, until = self._rests.get(account_id, (0, 0.0))
        is_ours = self.only in (None, account_id)
        return is_ours and account_id not in self._kept and monotonic() >= until

    def _reap(self, account_id: AccountId, task: asyncio.Task[None]) -> None:
        """Log what ended a mirror's keeping, and let some time pass before the next try."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            self._rests.pop(account_id, None)
            return
        failures = self._rests.get(account_id, (0, 0.0))[0] + 1
        rest = min(_REST_S_MAX, 2.0 ** min(failures, _DOUBLINGS_MAX)) * (0.5 + self.chance() / 2)
        self._rests[account_id] = failures, monotonic() + rest
        self.metrics.kommo_failed(_trouble(error))
        if isinstance(error, ClarinError):
            _log.warning("mirror stopped", account_id=account_id, reason=str(error))
        else:
            _log.error("mirror stopped", account_id=account_id, exc_info=error)

    async def _keep(self, account_id: AccountId) -> None:
        """Keep a mirror until its lease is lost, or until something fails."""
        leases = self.services.storage.kommo_leases
        lease = await leases.lease(account_id, self.owner, LEASE)
        if lease is None:
            return
        parts = [asyncio.create_task(part(lease)) for part in (self._go_on, self._renew)]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            ended = await asyncio.gather(*parts, return_exceptions=True)
            with suppress(ClarinError):
                await leases.release(lease)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _renew(self, lease: KommoLease) -> None:
        """Renew a lease until it is lost, or until nobody can say whether it is."""
        safe_until = monotonic() + LEASE.total_seconds() - _MARGIN_S
        while monotonic() < safe_until:
            await asyncio.sleep(_RENEW_EVERY_S)
            asked = monotonic()
            with suppress(ClarinError):
                if not await self.services.storage.kommo_leases.renew(lease, LEASE):
                    return
                safe_until = asked + LEASE.total_seconds() - _MARGIN_S

    async def _go_on(self, lease: KommoLease) -> None:
        while True:
            try:
                async with self.services.mirrors.open(lease) as mirror:
                    await self._passes(mirror)
            except KeysChanged:
                continue
            except SealBroken:
                raise
            except ClarinError as error:
                if error.code in _LOST:
                    return
                raise

    async def _passes(self, mirror: KommoMirror) -> None:
        while True:
            began = monotonic()
            if await mirror.go_on():
                self._rests.pop(mirror.account_id, None)
                self.metrics.kommo_passed(monotonic() - began)
            await asyncio.sleep(max(0.0, began + PASS_EVERY_S - monotonic()))


def _trouble(error: BaseException) -> str:
    if isinstance(error, SealBroken):
        return Trouble.UNAUTHORIZED.value
    return "storage" if isinstance(error, ClarinError) else "internal"


@asynccontextmanager
async def keeping_mirrors(
    services: Services, metrics: Metrics, *, only: AccountId | None = None
) -> AsyncIterator[Mirrors]:
    """Keep mirrors while inside; on the way out they are given up, so that others go on at once."""
    mirrors = Mirrors(services, metrics, process_name(system_random), only=only)
    try:
        yield mirrors
    finally:
        await mirrors.stop()
