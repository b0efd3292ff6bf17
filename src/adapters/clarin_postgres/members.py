"""Members: who works in an account, and which account is a user's default."""

from collections.abc import Collection
from dataclasses import dataclass

from msgspec import UNSET

from clarin_core.domain.accounts import Membership
from clarin_core.domain.ids import UserId
from clarin_core.domain.members import Member, MemberQuery
from clarin_core.domain.paging import Page
from clarin_core.errors import NotFound
from clarin_core.ports.stores import MemberStore
from clarin_postgres.conditions import Conditions
from clarin_postgres.paging import Listing, Order, page_of, struct
from clarin_postgres.reader import Reader
from clarin_postgres.scope import Scope

_BY_USER = Order(("user_id",), (int,))
_LISTING = Listing(
    "members.page", "memberships m join users u on u.id = m.user_id", "m",
    cut="m.user_id, u.username, u.display_name, m.role, u.is_active",
    shown="m.user_id, m.username, m.display_name, m.role, m.is_active",
)  # fmt: skip

_ACTIVE = """-- members.active
    select m.user_id from memberships m join users u on u.id = m.user_id
    where m.account_id = $1 and m.user_id = any($2) and u.is_active"""
_GET = """-- members.get
    select m.account_id, m.user_id, m.role, exists (
        select from default_accounts d where d.account_id = m.account_id and d.user_id = m.user_id
    ) as is_default
    from memberships m where m.account_id = $1 and m.user_id = $2
    for no key update of m"""
_PUT = """-- members.put
    insert into memberships (account_id, user_id, role) values ($1, $2, $3)
    on conflict (account_id, user_id) do update set role = excluded.role"""
_SET_DEFAULT = """-- members.set_default
    insert into default_accounts (user_id, account_id) values ($2, $1)
    on conflict (user_id) do update set account_id = excluded.account_id"""
_UNSET_DEFAULT = """-- members.unset_default
    delete from default_accounts d where d.account_id = $1 and d.user_id = $2"""
_REMOVE = """-- members.remove
    delete from memberships m where m.account_id = $1 and m.user_id = $2"""


@dataclass(frozen=True, slots=True)
class PostgresMemberStore(MemberStore):
    """Who works in the account."""

    scope: Scope

    async def active(self, user_ids: Collection[UserId]) -> set[UserId]:
        """Return which of the users are active members (LD9)."""
        return {row["user_id"] for row in await self.scope.fetch(_ACTIVE, list(user_ids))}

    async def get(self, user_id: UserId) -> Membership:
        """Return a membership, locked; raises NotFound."""
        row = await self.scope.first(_GET, user_id)
        if row is None:
            raise NotFound("member", user_id)
        return struct(row, Membership)

    async def put(self, membership: Membership) -> None:
        """Store a membership, new or changed; a default one ends the user's other default."""
        user_id = membership.user_id
        await self.scope.fetch(_PUT, user_id, membership.role.value)
        await self.scope.fetch(_SET_DEFAULT if membership.is_default else _UNSET_DEFAULT, user_id)

    async def remove(self, user_id: UserId) -> None:
        """End a membership."""
        await self.scope.fetch(_REMOVE, user_id)


class MemberViews(Reader):
    """What an account reads of its members."""

    async def members(self, query: MemberQuery) -> Page[Member]:
        """Return the people who work in the account by user id."""
        where = Conditions("m.account_id = $1")
        if query.is_active is not UNSET:
            where.add("u.is_active" if query.is_active else "not u.is_active")
        text = _LISTING.statement(query, _BY_USER, where, account_id=self._account_id)
        rows = await self._fetch(text, *where.arguments)
        return page_of(rows, query, _BY_USER, self._account_id, Member)
