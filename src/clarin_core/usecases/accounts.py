"""What those who run the service do with accounts, users and memberships."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clarin_core.domain.accounts import (
    Account,
    AccountChange,
    AccountQuery,
    Membership,
    NewAccount,
    NewMembership,
    NewUser,
    TenantChange,
    User,
    UserChange,
    UserQuery,
)
from clarin_core.domain.actor import Actor
from clarin_core.domain.command import ANY_VERSION, Precondition
from clarin_core.domain.events import (
    AccountChanged,
    EventAction,
    MembershipChanged,
    PipelineChanged,
)
from clarin_core.domain.ids import AccountId, UserId
from clarin_core.domain.paging import Page
from clarin_core.domain.pipelines import DEFAULT_PIPELINE
from clarin_core.errors import Invalid, NotFound
from clarin_core.ports.directory import Directory
from clarin_core.ports.small import Clock, PasswordHasher
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction


@dataclass(frozen=True, slots=True)
class AccountUseCases:
    """Administration above accounts, for super administrators only."""

    storage: Storage
    clock: Clock
    hasher: PasswordHasher

    async def accounts(self, actor: Actor, query: AccountQuery) -> Page[Account]:
        """List accounts by id."""
        actor.require_super_admin()
        async with self.storage.directory() as directory:
            return await directory.accounts.page(query)

    async def account(self, actor: Actor, account_id: AccountId) -> Account:
        """Return one account."""
        actor.require_super_admin()
        async with self.storage.directory() as directory:
            return await directory.accounts.get(account_id)

    async def create_account(self, actor: Actor, new: NewAccount) -> Account:
        """Open an account with its default pipeline."""
        actor.require_super_admin()
        async with self.storage.directory(actor.origin) as directory:
            return await open_account(directory, new, at=self.clock())

    async def update_account(
        self, actor: Actor, account_id: AccountId, change: TenantChange
    ) -> Account:
        """Change an account; an inactive one can no longer be worked in (TN4)."""
        actor.require_super_admin()
        if change.is_active is False and account_id == actor.account_id:
            raise Invalid("is_active", "of the account one works in is not changed here")
        async with self.storage.begin(account_id, actor.origin) as tx:
            account = await tx.account.get()
            account.expect(change.version)
            if account.alter(change.values(), at=self.clock()):
                await tx.account.save(account)
                tx.emit(AccountChanged(account=account))
        return account

    async def delete_account(
        self, actor: Actor, account_id: AccountId, seen: Precondition = ANY_VERSION
    ) -> None:
        """Remove an account that holds no people and no leads."""
        actor.require_super_admin()
        async with self.storage.directory(actor.origin) as directory:
            (await directory.accounts.get(account_id)).expect(seen.version)
            await directory.accounts.remove(account_id)

    async def users(self, actor: Actor, query: UserQuery) -> Page[User]:
        """List users by id."""
        actor.require_super_admin()
        async with self.storage.directory() as directory:
            return await directory.users.page(query)

    async def user(self, actor: Actor, user_id: UserId) -> User:
        """Return one user."""
        actor.require_super_admin()
        async with self.storage.directory() as directory:
            return await directory.users.get(user_id)

    async def create_user(self, actor: Actor, new: NewUser) -> User:
        """Make a user, with a first membership if an account is named."""
        actor.require_super_admin()
        password_hash = await self.hasher.hash(new.password)
        async with self.storage.directory(actor.origin) as directory:
            return await enrol(directory, new, password_hash, at=self.clock())

    async def update_user(self, actor: Actor, user_id: UserId, change: UserChange) -> User:
        """Change a user; a new password or an end of activity ends every sign-in (R24)."""
        actor.require_super_admin()
        given = change.values()
        if actor.user_id == user_id:
            _refuse_on_oneself(given)
        password = given.pop("password", None)
        hashed = await self.hasher.hash(password) if password else None
        at = self.clock()
        async with self.storage.directory(actor.origin) as directory:
            user = await directory.users.get(user_id)
            user.expect(change.version)
            changed = user.alter(given, at=at)
            if changed:
                await directory.users.save(user)
            if hashed:
                await directory.users.set_password(user_id, hashed)
            if hashed or {"is_active", "is_super_admin"} & set(changed):
                await directory.users.end_tokens(user_id)
                await directory.sessions.revoke_others(user_id, None, at=at)
        return user

    async def memberships(self, actor: Actor, user_id: UserId) -> list[Membership]:
        """List the accounts in which a user works."""
        actor.require_super_admin()
        async with self.storage.directory() as directory:
            await directory.users.get(user_id)
            return await directory.users.memberships(user_id)

    async def put_membership(
        self, actor: Actor, user_id: UserId, new: NewMembership
    ) -> list[Membership]:
        """Let a user work in an account, or give the user another role there."""
        actor.require_super_admin()
        async with self.storage.directory(actor.origin) as directory:
            await directory.users.get(user_id)
            await _join(directory, user_id, new)
            return await directory.users.memberships(user_id)

    async def end_membership(self, actor: Actor, user_id: UserId, account_id: AccountId) -> None:
        """Stop a user from working in an account."""
        actor.require_super_admin()
        if (user_id, account_id) == (actor.user_id, actor.account_id):
            raise Invalid("account_id", "is the account one works in oneself")
        async with self.storage.directory(actor.origin) as directory:
            tx = await directory.enter(account_id)
            await tx.members.get(user_id)
            await dismiss(directory, tx, account_id, user_id, at=self.clock())

    async def change_own_account(self, actor: Actor, change: AccountChange) -> Account:
        """Change the settings of one's own account."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            account = await tx.account.get()
            account.expect(change.version)
            if account.alter(change.values(), at=self.clock()):
                await tx.account.save(account)
                tx.emit(AccountChanged(account=account))
        return account


def _refuse_on_oneself(given: Mapping[str, Any]) -> None:
    """Raise Invalid for what would lock the last administrator out, or skips the old password."""
    for field in ("password", "is_active", "is_super_admin"):
        if field in given and given[field] is not True:
            raise Invalid(field, "of oneself is not changed here")


async def open_account(directory: Directory, new: NewAccount, *, at: datetime) -> Account:
    """Store an account and what every account has from its beginning: a default pipeline."""
    account = await directory.accounts.add(new, at=at)
    tx = await directory.enter(account.id)
    pipeline = await tx.pipelines.add(DEFAULT_PIPELINE, is_default=True, at=at)
    tx.emit(
        AccountChanged(account=account),
        PipelineChanged(action=EventAction.CREATED, pipeline=pipeline),
    )
    return account


async def enrol(directory: Directory, new: NewUser, password_hash: str, *, at: datetime) -> User:
    """Store a user and the first membership, if an account is named."""
    draft = User(
        id=UserId(0),
        username=new.username,
        email=new.email,
        display_name=new.display_name,
        is_active=True,
        is_super_admin=new.is_super_admin,
        created_at=at,
        updated_at=at,
        version=1,
    )
    user = await directory.users.add(draft, password_hash=password_hash)
    if new.account_id is not None:
        place = NewMembership(account_id=new.account_id, role=new.role, is_default=True)
        await _join(directory, user.id, place)
    return user


async def dismiss(
    directory: Directory, tx: Transaction, account_id: AccountId, user_id: UserId, *, at: datetime
) -> None:
    """End a membership with the sign-ins that are in the account: who joins again signs in anew."""
    await tx.members.remove(user_id)
    await directory.sessions.revoke_in(account_id, user_id, at=at)
    tx.emit(MembershipChanged(user_id=user_id))


async def _join(directory: Directory, user_id: UserId, new: NewMembership) -> None:
    try:
        tx = await directory.enter(new.account_id)
    except NotFound as error:
        raise Invalid("account_id", "is not an account") from error
    membership = Membership(
        account_id=new.account_id, user_id=user_id, role=new.role, is_default=new.is_default
    )
    await tx.members.put(membership)
    tx.emit(MembershipChanged(user_id=user_id, role=new.role))
