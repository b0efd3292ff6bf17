"""Signing in: what is said, what is given, and how often one may try."""

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from clarin_core.domain.accounts import Account, Membership, User
from clarin_core.domain.command import Command
from clarin_core.domain.ids import AccountId
from clarin_core.domain.limits import Tries

TRIES_PER_NAME = Tries(10, timedelta(minutes=15))  # R25
TRIES_PER_ADDRESS = Tries(50, timedelta(minutes=15))


class Credentials(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user name or e-mail address and the password; every mismatch gets one answer."""

    username: Annotated[str, Meta(max_length=255)]
    password: Annotated[str, Meta(max_length=1024)]


class RefreshToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A refresh token: it counts once and is exchanged for a new pair."""

    refresh_token: Annotated[str, Meta(max_length=256)]


class AccountChoice(Command, frozen=True, kw_only=True):
    """The account to work in from now on."""

    account_id: AccountId


class SignedIn(Struct, frozen=True, kw_only=True):
    """A pair of tokens for one active account; `expires_at` is the access token's."""

    token: str
    refresh_token: str
    expires_at: datetime
    account_id: AccountId
    user: User
    accounts: list[Membership]


class Ticket(Struct, frozen=True, kw_only=True):
    """A credential for one WebSocket upgrade."""

    ticket: str
    expires_at: datetime


class Profile(Struct, frozen=True, kw_only=True):
    """Who is at work, where, and as what."""

    user: User
    account: Account
    role: str


class Settings(Struct, frozen=True, kw_only=True):
    """What a user can set: the profile and, as an administrator, the account."""

    profile: User
    account: Account
