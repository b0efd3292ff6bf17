"""Members: the people who work in one account, as the account sees them."""

from msgspec import UNSET, Struct, UnsetType

from clarin_core.domain.accounts import Password
from clarin_core.domain.actor import Role
from clarin_core.domain.command import Command, Email, Name
from clarin_core.domain.ids import UserId
from clarin_core.domain.paging import PageQuery


class Member(Struct, kw_only=True, omit_defaults=True):
    """A colleague."""

    user_id: UserId
    username: str
    display_name: str | None = None
    role: Role
    is_active: bool


class NewMember(Command, frozen=True, kw_only=True):
    """A colleague to be, who signs in with this name or address."""

    username: Name
    email: Email
    password: Password
    display_name: Name | None = None
    role: Role = Role.AGENT


class MemberChange(Command, frozen=True, kw_only=True):
    """Another role."""

    role: Role


class MemberQuery(PageQuery, frozen=True, kw_only=True):
    """Members by user id."""

    is_active: bool | UnsetType = UNSET
