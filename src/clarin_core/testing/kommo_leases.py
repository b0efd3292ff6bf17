"""Laws of the leases under which somebody keeps a mirror of Kommo."""

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from clarin_core.domain.ids import AccountId
from clarin_core.domain.kommo import KommoLease, KommoLink
from clarin_core.errors import Conflict
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.mirrors import LONG, PIPELINE, add_link, rename
from clarin_core.testing.tenants import Tenant, doomed

OVER = timedelta()
"""A lease for no time is over as soon as it is there, so that nobody has to wait."""

TURNS = 10


class KommoLeaseLaws(Contract):
    """What `KommoLeases` and `KommoStore.hold` promise (reliability 2.7)."""

    @law()
    async def test_a_mirror_has_one_keeper_at_a_time(self, account: Tenant) -> None:
        """Whoever comes second, or asks for its own once more, gets none."""
        await add_link(account)
        owners = ["a", "b", "a", "c"]
        taken = await asyncio.gather(*(self._lease_mirror(account, one) for one in owners))
        leases = [one for one in taken if one is not None]
        assert [(one.account_id, one.token) for one in leases] == [(account.id, 1)]
        assert leases[0].owner in owners

    @law()
    async def test_a_mirror_is_wanted_where_a_pipeline_is_connected(self, account: Tenant) -> None:
        """And as long as nobody keeps it."""
        await add_link(account)
        assert account.id not in await self.storage.kommo_leases.wanted()
        async with account.begin() as tx:
            await tx.kommo.save(replace(await tx.kommo.get(), connected=[PIPELINE]))
        assert account.id in await self.storage.kommo_leases.wanted()
        lease = await self._take_mirror(account, "a", LONG)
        assert account.id not in await self.storage.kommo_leases.wanted()
        await self.storage.kommo_leases.release(lease)
        assert account.id in await self.storage.kommo_leases.wanted()

    @law()
    async def test_a_lease_of_a_mirror_lasts_as_long_as_it_is_renewed(
        self, account: Tenant
    ) -> None:
        """Also one that was over, as long as nobody took the mirror; tokens only grow."""
        await add_link(account)
        lease = await self._take_mirror(account, "a", OVER)
        assert await self.storage.kommo_leases.renew(lease, LONG)
        assert await self._lease_mirror(account, "b") is None
        assert await self.storage.kommo_leases.renew(lease, OVER)
        later = await self._take_mirror(account, "b", LONG)
        assert later.token > lease.token
        assert not await self.storage.kommo_leases.renew(lease, LONG)

    @law()
    async def test_the_late_write_of_a_paused_keeper_is_refused(self, account: Tenant) -> None:
        """2.7: who slept beyond its lease writes nothing any more, and the next keeper does."""
        await add_link(account)
        paused = await self._take_mirror(account, "a", OVER)
        await rename(account, paused.token, "al principio")
        taker = await self._take_mirror(account, "b", LONG)
        with pytest.raises(Conflict) as caught:
            await rename(account, paused.token, "tarde")
        assert caught.value.code == "lease_lost"
        await rename(account, taker.token, "a tiempo")
        assert (await account.views.kommo()).name == "a tiempo"
        await self.storage.kommo_leases.release(paused)
        assert await self.storage.kommo_leases.renew(taker, LONG)
        await self.storage.kommo_leases.release(taker)
        for token in (taker.token, taker.token + 1_000):
            with pytest.raises(Conflict, match="somebody else"):
                await rename(account, token, "tarde")

    @law()
    async def test_a_takeover_of_a_mirror_waits_for_a_write_in_progress(
        self, account: Tenant
    ) -> None:
        """2.7: who takes a mirror over sees all that was written; a renewal does not wait."""
        await add_link(account)
        lease = await self._take_mirror(account, "a", OVER)
        async with account.begin() as tx:
            held = await tx.kommo.hold(lease.token)
            assert await self.storage.kommo_leases.renew(lease, OVER)
            taking = asyncio.create_task(self._take_over(account))
            for _ in range(TURNS):  # Enough for a takeover that does not wait.
                await asyncio.sleep(0)
                await tx.views.kommo()
            await tx.kommo.save(replace(held, name="escrito"))
        assert (await taking).name == "escrito"

    @law()
    async def test_there_is_no_lease_of_a_mirror_that_is_not_there(self, account: Tenant) -> None:
        """R22: another account's connection is none of one's own, and its lease stays."""
        other = await account.stranger()
        await add_link(other)
        lease = await self._take_mirror(other, "a", LONG)
        for account_id in (account.id, AccountId(2**62)):
            assert await self.storage.kommo_leases.lease(account_id, "b", LONG) is None
        assert await self.storage.kommo_leases.renew(lease, LONG)
        async with doomed(other.begin()) as tx:
            await tx.kommo.hold(lease.token)

    async def _lease_mirror(self, account: Tenant, owner: str) -> KommoLease | None:
        return await self.storage.kommo_leases.lease(account.id, owner, LONG)

    async def _take_mirror(self, account: Tenant, owner: str, ttl: timedelta) -> KommoLease:
        lease = await self.storage.kommo_leases.lease(account.id, owner, ttl)
        assert lease is not None
        return lease

    async def _take_over(self, account: Tenant) -> KommoLink:
        await self._take_mirror(account, "b", LONG)
        return await account.views.kommo()
