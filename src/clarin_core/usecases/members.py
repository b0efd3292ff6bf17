"""What an account's administrators do with those who work in it."""

from dataclasses import dataclass

from msgspec.structs import asdict

from clarin_core.domain.accounts import Membership, NewUser, User
from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.events import MembershipChanged
from clarin_core.domain.ids import UserId
from clarin_core.domain.members import Member, MemberChange, NewMember
from clarin_core.errors import Forbidden, Invalid, NotFound
from clarin_core.ports.directory import Directory
from clarin_core.ports.small import Clock, PasswordHasher
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.accounts import dismiss, enrol


@dataclass(frozen=True, slots=True)
class MemberUseCases:
    """What an account's administrators do with those who work in it."""

    storage: Storage
    clock: Clock
    hasher: PasswordHasher

    async def add(self, actor: Actor, new: NewMember) -> Member:
        """Make a user who works in the account; names and addresses are unique everywhere."""
        actor.require_admin()
        password_hash = await self.hasher.hash(new.password)
        draft = NewUser(**asdict(new), account_id=actor.account_id)
        async with self.storage.directory(actor.origin) as directory:
            await _administering(directory, actor)
            user = await enrol(directory, draft, password_hash, at=self.clock())
        return _member(user, new.role)

    async def change(self, actor: Actor, user_id: UserId, change: MemberChange) -> Member:
        """Give a member another role; it counts from the member's next request on."""
        async with self.storage.directory(actor.origin) as directory:
            tx = await _administering(directory, actor)
            membership, user = await _administered(directory, tx, actor, user_id)
            if membership.role is not change.role:
                membership.role = change.role
                await tx.members.put(membership)
                tx.emit(MembershipChanged(user_id=user_id, role=change.role))
        return _member(user, change.role)

    async def remove(self, actor: Actor, user_id: UserId) -> None:
        """Stop a member from working in the account, and end the sign-ins there.

        Whatever the member owns stays so. Only those who run the service can bring one back: to
        an account, a user who does not work in it is a stranger.
        """
        async with self.storage.directory(actor.origin) as directory:
            tx = await _administering(directory, actor)
            await _administered(directory, tx, actor, user_id)
            await dismiss(directory, tx, actor.account_id, user_id, at=self.clock())


async def _administering(directory: Directory, actor: Actor) -> Transaction:
    """Enter the actor's account, held by those who administer it one after the other.

    Who was an administrator when the request came may be none any more: of two who remove each
    other one is left.
    """
    actor.require_admin()
    tx = await directory.enter(actor.account_id)
    await tx.account.get()
    if await _role(tx, actor.user_id) is not Role.ADMIN:
        raise Forbidden("the role admin")
    return tx


async def _administered(
    directory: Directory, tx: Transaction, actor: Actor, user_id: UserId
) -> tuple[Membership, User]:
    """Return a member whom the actor administers: not oneself, so that one is always left."""
    if user_id == actor.user_id:
        raise Invalid("user_id", "is oneself, whom another administrator has to change")
    membership = await tx.members.get(user_id)
    user = await directory.users.get(user_id)
    if user.is_super_admin and not actor.is_super_admin:
        raise Forbidden("the role super_admin")
    return membership, user


async def _role(tx: Transaction, user_id: UserId) -> Role | None:
    try:
        return (await tx.members.get(user_id)).role
    except NotFound:
        return None


def _member(user: User, role: Role) -> Member:
    return Member(
        user_id=user.id,
        username=user.username,
        display_name=user.display_name,
        role=role,
        is_active=user.is_active,
    )
