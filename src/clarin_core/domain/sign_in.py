"""Signing in: what is said, what is given, and how often one may try."""

from collections import deque
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from clarin_core.domain.accounts import Account, Membership, User
from clarin_core.domain.command import Command
from clarin_core.domain.ids import AccountId
from clarin_core.errors import RateLimited

TRIES_PER_NAME = 10
TRIES_PER_ADDRESS = 50
_WINDOW = timedelta(minutes=15)
_KEYS_MAX = 20_000


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


class TryLimit:
    """Counts tries in a sliding window of 15 minutes, for a bounded number of keys.

    The key that was silent longest is forgotten first, so that a flood of names costs no memory.
    """

    def __init__(self, tries: int) -> None:
        self._tries = tries
        self._seen: dict[str, deque[datetime]] = {}

    def check(self, key: str, *, at: datetime) -> None:
        """Raise RateLimited when the key has no try left."""
        tries = self._seen.get(key)
        while tries and tries[0] <= at - _WINDOW:
            tries.popleft()
        if tries and len(tries) >= self._tries:
            wait = tries[0] + _WINDOW - at
            raise RateLimited(retry_after_s=int(wait.total_seconds()) + 1)

    def count(self, key: str, *, at: datetime) -> None:
        """Count a try."""
        tries = self._seen.pop(key, None) or deque(maxlen=self._tries)
        tries.append(at)
        self._seen[key] = tries
        if len(self._seen) > _KEYS_MAX:
            del self._seen[next(iter(self._seen))]

    def take_back(self, key: str) -> None:
        """Let the last try not count: it proved right."""
        if tries := self._seen.get(key):
            tries.pop()

    def forget(self, key: str) -> None:
        """Begin anew for a key that proved itself."""
        self._seen.pop(key, None)
