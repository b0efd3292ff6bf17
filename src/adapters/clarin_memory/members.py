"""Members: a role for each user and account, and each user's default account."""

from collections.abc import Collection
from dataclasses import dataclass

from msgspec import UNSET

from clarin_core.domain.accounts import Membership, Secret
from clarin_core.domain.actor import Role
from clarin_core.domain.ids import AccountId, UserId
from clarin_core.domain.members import Member, MemberQuery
from clarin_core.domain.paging import Page
from clarin_core.errors import NotFound
from clarin_core.ports.stores import MemberStore
from clarin_memory.paging import Order
from clarin_memory.reader import Reader
from clarin_memory.state import Scope, SharedTables

_BY_USER = Order[Member](lambda member: (member.user_id,), (int,))


@dataclass(frozen=True, slots=True)
class MemoryMemberStore(MemberStore):
    """Who works in the account."""

    scope: Scope

    async def active(self, user_ids: Collection[UserId]) -> set[UserId]:
        """Return which of the users are active members (LD9)."""
        shared = self.scope.shared
        return {
            user_id
            for user_id in user_ids
            if (self.scope.account_id, user_id) in shared.roles
            and user_row(shared, user_id).user.is_active
        }

    async def get(self, user_id: UserId) -> Membership:
        """Return a membership; raises NotFound."""
        role = self.scope.shared.roles.peek((self.scope.account_id, user_id))
        if role is None:
            raise NotFound("member", user_id)
        return membership_of(self.scope.shared, self.scope.account_id, user_id, role)

    async def put(self, membership: Membership) -> None:
        """Store a membership, new or changed; a default one ends the user's other default."""
        shared, user_id, here = self.scope.shared, membership.user_id, self.scope.account_id
        user_row(shared, user_id)
        shared.roles.put((here, user_id), membership.role)
        if membership.is_default:
            shared.defaults.put(user_id, here)
        elif shared.defaults.peek(user_id) == here:
            shared.defaults.drop(user_id)

    async def remove(self, user_id: UserId) -> None:
        """End a membership."""
        self.scope.shared.roles.drop((self.scope.account_id, user_id))
        if self.scope.shared.defaults.peek(user_id) == self.scope.account_id:
            self.scope.shared.defaults.drop(user_id)


class MemberViews(Reader):
    """What an account reads of its members."""

    async def members(self, query: MemberQuery) -> Page[Member]:
        """Return the people who work in the account by user id."""
        members = (
            _member(self._shared, user_id, role)
            for (account_id, user_id), role in self._shared.roles.items()
            if account_id == self._account_id
        )
        found = (member for member in members if query.is_active in (UNSET, member.is_active))
        return self._page(found, _BY_USER, query, lambda member: member)


def membership_of(
    shared: SharedTables, account_id: AccountId, user_id: UserId, role: Role
) -> Membership:
    """Return a role as the membership that it is, without the account's name."""
    is_default = shared.defaults.peek(user_id) == account_id
    return Membership(account_id=account_id, user_id=user_id, role=role, is_default=is_default)


def user_row(shared: SharedTables, user_id: UserId) -> Secret:
    """Return a user with its secret, the row itself; raises NotFound."""
    secret = shared.users.peek(user_id)
    if secret is None:
        raise NotFound("user", user_id)
    return secret


def _member(shared: SharedTables, user_id: UserId, role: Role) -> Member:
    user = user_row(shared, user_id).user
    return Member(
        user_id=user_id,
        username=user.username,
        display_name=user.display_name,
        role=role,
        is_active=user.is_active,
    )
