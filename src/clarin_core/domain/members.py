"""Members: the people who work in one account, as the account sees them."""

from msgspec import UNSET, Struct, UnsetType

from clarin_core.domain.actor import Role
from clarin_core.domain.ids import UserId
from clarin_core.domain.paging import PageQuery


class Member(Struct, kw_only=True, omit_defaults=True):
    """A colleague."""

    user_id: UserId
    username: str
    display_name: str | None = None
    role: Role
    is_active: bool


class MemberQuery(PageQuery, frozen=True, kw_only=True):
    """Members by user id."""

    is_active: bool | UnsetType = UNSET
