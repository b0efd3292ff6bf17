"""Laws of memberships: who works where, and as what."""

import pytest
from hypothesis import strategies as st
from msgspec.structs import asdict

from clarin_core.domain.accounts import Membership
from clarin_core.domain.actor import Role
from clarin_core.domain.ids import UserId
from clarin_core.domain.members import MemberQuery
from clarin_core.errors import NotFound
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.tenants import LATER, Tenant


class MemberLaws(Contract):
    """What `MemberStore` and `Storage.user` promise."""

    @law(role=st.sampled_from(Role))
    async def test_a_member_has_the_role_that_was_given(self, account: Tenant, role: Role) -> None:
        """Section 3.1: the membership is the only source of the role."""
        user_id = await account.hire(Role.AGENT)
        wanted = Membership(account_id=account.id, user_id=user_id, role=role, is_default=True)
        async with account.begin() as tx:
            await tx.members.put(wanted)
        async with account.begin() as tx:
            found = await tx.members.get(user_id)
        assert (found.role, found.is_default) == (role, True)
        (member,) = (await account.views.members(MemberQuery())).data
        assert (member.user_id, member.role, member.is_active) == (user_id, role, True)

    @law()
    async def test_a_removed_member_is_no_member(self, account: Tenant) -> None:
        """TN4: the user stays, the place is gone."""
        user_id, other = await account.hire(), await account.hire()
        async with account.begin() as tx:
            await tx.members.remove(user_id)
            assert await tx.members.active([user_id, other]) == {other}
        assert [m.user_id for m in (await account.views.members(MemberQuery())).data] == [other]
        with pytest.raises(NotFound):
            async with account.begin() as tx:
                await tx.members.get(user_id)
        async with self.storage.directory() as directory:
            assert await directory.users.memberships(user_id) == []

    @law()
    async def test_an_inactive_user_is_no_active_member(self, account: Tenant) -> None:
        """LD9: nobody is given a lead who cannot sign in."""
        idle, busy = await account.hire(), await account.hire()
        async with self.storage.directory() as directory:
            user = await directory.users.get(idle)
            user.alter({"is_active": False}, at=LATER)
            await directory.users.save(user)
        async with account.begin() as tx:
            assert await tx.members.active([idle, busy, UserId(2**62)]) == {busy}
        shown = await account.views.members(MemberQuery(is_active=True))
        assert [member.user_id for member in shown.data] == [busy]

    @law()
    async def test_a_user_has_one_default_account(self, account: Tenant) -> None:
        """Section 3.1: naming a second default ends the first; the default comes first."""
        other = await account.stranger()
        user_id = await account.hire(Role.ADMIN, is_default=True)
        async with other.begin() as tx:
            await tx.members.put(
                Membership(account_id=other.id, user_id=user_id, role=Role.AGENT, is_default=True)
            )
        async with self.storage.directory() as directory:
            places = await directory.users.memberships(user_id)
        assert [(one.account_id, one.role, one.is_default) for one in places] == [
            (other.id, Role.AGENT, True), (account.id, Role.ADMIN, False),
        ]  # fmt: skip
        assert {one.account_name for one in places} == {"Luz y Sal"}

    @law()
    async def test_a_user_is_shown_with_the_places(self, account: Tenant) -> None:
        """What `memberships` tells, beside the user; nobody waits for who changes the user."""
        user_id, idle = await account.hire(Role.ADMIN), await account.hire()
        async with account.begin() as tx:
            await tx.members.remove(idle)
        async with self.storage.directory() as directory:
            user = await directory.users.get(user_id)
            view = await self.storage.user(user_id)
            assert view.accounts == await directory.users.memberships(user_id)
        assert {name: getattr(view, name) for name in user.__struct_fields__} == asdict(user)
        assert [place.account_id for place in view.accounts] == [account.id]
        assert (await self.storage.user(idle)).accounts == []
        with pytest.raises(NotFound):
            await self.storage.user(UserId(2**62))

    @law()
    async def test_places_in_closed_accounts_are_not_shown(self, account: Tenant) -> None:
        """TN4: who signs in cannot choose an account that is not active."""
        user_id = await account.hire()
        async with account.begin() as tx:
            tenant = await tx.account.get()
            tenant.alter({"is_active": False}, at=LATER)
            await tx.account.save(tenant)
        async with self.storage.directory() as directory:
            assert await directory.users.memberships(user_id) == []
