"""Accounts are the tenants; users work in them through memberships."""

from datetime import datetime
from enum import Enum
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

import phonenumbers
from msgspec import UNSET, Meta, Struct, UnsetType, field

from clarin_core.domain.actor import Role
from clarin_core.domain.command import VERBATIM, Change, Command, Email, Name
from clarin_core.domain.entity import Entity
from clarin_core.domain.ids import AccountId, SessionId, UserId
from clarin_core.domain.paging import PageQuery, SearchText
from clarin_core.errors import Invalid, Unauthorized

Slug = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,63}$", max_length=63)]
Password = Annotated[str, Meta(min_length=8, max_length=128, extra=VERBATIM)]
Region = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", max_length=2)]
TimeZone = Annotated[str, Meta(min_length=1, max_length=64)]


class Plan(Enum):
    """What an account pays for."""

    BASIC = "basic"
    PRO = "pro"
    ENTERPRISE = "enterprise"


class ResendUnknown(Enum):
    """How often a message is sent again by itself of which nobody knows whether it was sent."""

    NEVER = "never"
    ONCE = "once"


class Account(Entity, kw_only=True, omit_defaults=True):
    """A tenant; `leads_from_chats` is whether a first message opens a lead (CH19)."""

    id: AccountId
    name: str
    slug: str | None = None
    plan: Plan
    max_devices: int
    is_active: bool
    default_region: str
    timezone: str
    resend_unknown: ResendUnknown = ResendUnknown.NEVER
    leads_from_chats: bool = field(default_factory=lambda: True)  # A factory: always shown.


class User(Entity, kw_only=True, omit_defaults=True):
    """A person who signs in. `token_version` ends all tokens when it grows."""

    id: UserId
    username: str
    email: str
    display_name: str | None = None
    is_active: bool
    is_super_admin: bool


class Secret(Struct, kw_only=True):
    """What proves who a user is; it never leaves the sign-in use case."""

    user: User
    password_hash: str
    token_version: int


class Membership(Struct, kw_only=True, omit_defaults=True):
    """A user's place in an account: the only source of the role there."""

    account_id: AccountId
    user_id: UserId
    role: Role
    is_default: bool
    account_name: str | None = None


class UserView(User, kw_only=True, omit_defaults=True):
    """A user with the active accounts in which the user works, the default first."""

    accounts: list[Membership]


class Session(Struct, kw_only=True):
    """One sign-in: a family of rotating refresh tokens that end together."""

    id: SessionId
    user_id: UserId
    account_id: AccountId
    refresh_hash: bytes
    expires_at: datetime
    revoked_at: datetime | None = None


class Standing(Struct, frozen=True, kw_only=True):
    """All that decides whether a token still counts, read in one statement."""

    user_id: UserId
    account_id: AccountId
    role: Role | None
    user_is_active: bool
    account_is_active: bool
    is_super_admin: bool
    token_version: int
    session_is_live: bool
    region: str

    def verify(self, token_version: int) -> Role:
        """Return the role in the account; raises Unauthorized when the token has ended."""
        if not (self.session_is_live and self.user_is_active and self.account_is_active):
            raise Unauthorized("the sign-in has ended")
        if self.token_version != token_version or self.role is None:
            raise Unauthorized("the sign-in has ended")
        return self.role


class NewAccount(Command, frozen=True, kw_only=True):
    """A tenant to be."""

    name: Name
    slug: Slug | None = None
    plan: Plan = Plan.BASIC
    max_devices: Annotated[int, Meta(ge=0, le=10_000)] = 5
    default_region: Region = "PE"
    timezone: TimeZone = "America/Lima"

    def __post_init__(self) -> None:
        """Check region and time zone against the installed lists."""
        super().__post_init__()
        check_region(self.default_region)
        check_timezone(self.timezone)


class AccountChange(Change, frozen=True, kw_only=True):
    """A partial update of an account by its administrators."""

    name: Name | UnsetType = UNSET
    default_region: Region | UnsetType = UNSET
    timezone: TimeZone | UnsetType = UNSET
    resend_unknown: ResendUnknown | UnsetType = UNSET
    leads_from_chats: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Check region and time zone against the installed lists."""
        super().__post_init__()
        check_region(self.default_region)
        check_timezone(self.timezone)


class TenantChange(AccountChange, frozen=True, kw_only=True):
    """A partial update of an account by those who run the service."""

    slug: Slug | UnsetType | None = UNSET
    plan: Plan | UnsetType = UNSET
    max_devices: Annotated[int, Meta(ge=0, le=10_000)] | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class NewUser(Command, frozen=True, kw_only=True):
    """A user to be, with a first account if one is given."""

    username: Name
    email: Email
    password: Password
    display_name: Name | None = None
    is_super_admin: bool = False
    account_id: AccountId | None = None
    role: Role = Role.AGENT


class UserChange(Change, frozen=True, kw_only=True):
    """A partial update of a user by those who run the service."""

    email: Email | UnsetType = UNSET
    display_name: Name | UnsetType | None = UNSET
    password: Password | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    is_super_admin: bool | UnsetType = UNSET


class ProfileChange(Change, frozen=True, kw_only=True):
    """What users change about themselves."""

    email: Email | UnsetType = UNSET
    display_name: Name | UnsetType | None = UNSET


class PasswordChange(Command, frozen=True, kw_only=True):
    """A new password, proved by the old one; it ends every other sign-in."""

    current_password: Annotated[str, Meta(max_length=1024, extra=VERBATIM)]
    new_password: Password


class NewMembership(Command, frozen=True, kw_only=True):
    """Let a user work in an account."""

    account_id: AccountId
    role: Role = Role.AGENT
    is_default: bool = False


class AccountQuery(PageQuery, frozen=True, kw_only=True):
    """Accounts by id."""

    search: SearchText | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class UserQuery(PageQuery, frozen=True, kw_only=True):
    """Users by id."""

    search: SearchText | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


def check_region(region: str | UnsetType) -> None:
    """Raise Invalid for a region that no telephone belongs to."""
    if region is not UNSET and region not in phonenumbers.SUPPORTED_REGIONS:
        raise Invalid("default_region", "is not a known region")


def check_timezone(timezone: str | UnsetType) -> None:
    """Raise Invalid for a zone that is not installed."""
    if timezone is not UNSET and timezone not in _timezones():
        raise Invalid("timezone", "is not a known time zone")


@cache
def _timezones() -> set[str]:
    return available_timezones()  # Opens every file of the zone database: 20 ms.
