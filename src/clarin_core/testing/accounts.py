"""Laws of accounts, seen from above and from inside."""

from uuid import uuid4

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.accounts import NewAccount, Plan, ResendUnknown
from clarin_core.domain.events import AccountChanged
from clarin_core.domain.ids import AccountId
from clarin_core.domain.pipelines import DEFAULT_PIPELINE
from clarin_core.domain.tags import TagOrigin
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.storage import Storage
from clarin_core.testing import strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.tenants import HASH, LATER, NOON, Tenant, doomed, person, settle


class AccountLaws(Contract):
    """What `Accounts` and `AccountStore` promise."""

    @law(name=strategies.names(), plan=st.sampled_from(Plan), devices=st.integers(0, 10_000))
    async def test_an_account_comes_back_as_it_was_added(
        self, account: Tenant, name: str, plan: Plan, devices: int
    ) -> None:
        """A new account is active and has an empty log."""
        new = NewAccount(
            name=name, slug=uuid4().hex, plan=plan, max_devices=devices, default_region="CL",
            timezone="America/Santiago",
        )  # fmt: skip
        async with self.storage.directory() as directory:
            added = await directory.accounts.add(new, at=NOON)
        assert {name: getattr(added, name) for name in new.given()} == new.given()
        assert (added.is_active, added.version, added.created_at) == (True, 1, NOON)
        assert added.leads_from_chats
        views = self.storage.views(added.id)
        assert await views.account() == added
        assert (await views.position()).seq == 0
        async with self.storage.directory() as directory:
            assert await directory.accounts.get(added.id) == added

    @law(name=strategies.names())
    async def test_an_account_can_be_changed_from_inside(self, account: Tenant, name: str) -> None:
        """Its own transaction reads and stores it, locked."""
        async with account.begin() as tx:
            tenant = await tx.account.get()
            changes = {"name": name, "is_active": False, "plan": Plan.PRO, "timezone": "UTC"}
            both = {"resend_unknown": ResendUnknown.ONCE, "leads_from_chats": False}
            tenant.alter(changes | both, at=LATER)
            await tx.account.save(tenant)
        assert await account.views.account() == tenant

    @law()
    async def test_a_slug_belongs_to_one_account(self, account: Tenant) -> None:
        """Section 3.1: adding and saving a second one conflicts."""
        slug = uuid4().hex
        await settle(self.storage, slug=slug)
        with pytest.raises(Conflict):
            await settle(self.storage, slug=slug)
        with pytest.raises(Conflict) as caught:
            async with account.begin() as tx:
                await tx.account.save(replace(await tx.account.get(), slug=slug))
        assert caught.value.code == "conflict"

    @law()
    async def test_an_account_and_its_first_rows_commit_together(self, account: Tenant) -> None:
        """Section 10: `enter` makes the account's own unit of work part of the directory's."""
        async with self.storage.directory() as directory:
            added = await directory.accounts.add(NewAccount(name="Sol"), at=NOON)
            inside = await directory.enter(added.id)
            inside.emit(AccountChanged(account=added))
            pipeline = await inside.pipelines.add(DEFAULT_PIPELINE, is_default=True, at=NOON)
        tenant = Tenant(self.storage, added.id, pipeline)
        assert await tenant.views.pipeline(pipeline.id) == pipeline
        (recorded,) = await tenant.events()
        assert (recorded.seq, recorded.event) == (1, AccountChanged(account=added))

    @law()
    async def test_a_failed_directory_leaves_no_trace(self, account: Tenant) -> None:
        """R6: neither the user nor what was written inside an account is seen."""
        user, before = person(), await account.picture()
        async with doomed(self.storage.directory()) as directory:
            await directory.users.add(user, password_hash=HASH)
            inside = await directory.enter(account.id)
            inside.emit(AccountChanged(account=await inside.account.get()))
            await inside.tags.claim(["vip"], origin=TagOrigin.LOCAL, at=NOON)
        assert await account.picture() == before
        async with self.storage.directory() as directory:
            assert await directory.users.secret(user.username) is None

    @law()
    async def test_an_account_with_people_leads_or_devices_stays(self, account: Tenant) -> None:
        """Section 3.1: it can be removed when it is empty."""
        await account.add_lead()
        hired, linked, empty = [await account.stranger() for _ in range(3)]
        await hired.hire()
        await linked.add_device()
        for busy in (account, hired, linked):
            with pytest.raises(Conflict) as caught:
                await remove(self.storage, busy.id)
            assert caught.value.code == "invalid_state"
        await remove(self.storage, empty.id)
        with pytest.raises(NotFound):
            await remove(self.storage, empty.id)


async def remove(storage: Storage, account_id: AccountId) -> None:
    """Commit the removal of an account."""
    async with storage.directory() as directory:
        await directory.accounts.remove(account_id)
