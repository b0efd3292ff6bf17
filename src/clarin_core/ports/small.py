"""Small ports: time, passwords, tokens, secrets at rest."""

from datetime import datetime
from typing import NamedTuple, Protocol

from clarin_core.domain.ids import AccountId, SessionId, UserId
from clarin_core.errors import ClarinError, Kind


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> datetime:
        """Return now, in UTC with its zone."""
        ...


class Pause(Protocol):
    """Waits."""

    async def __call__(self, seconds: float) -> None:
        """Return when so much time has passed."""
        ...


class Random(Protocol):
    """Gives what nobody can guess."""

    def __call__(self, size_bytes: int) -> bytes:
        """Return random bytes from a source that is fit for secrets."""
        ...


class PasswordHasher(Protocol):
    """Hashes passwords slowly, without holding up anything else."""

    async def hash(self, password: str) -> str:
        """Return a salted hash; raises RateLimited when too many wait."""
        ...

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Return whether the password fits; takes as long when there is no hash (False).

        Raises RateLimited when too many wait.
        """
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Return whether the hash was made with other parameters than today's."""
        ...


class Claims(NamedTuple):
    """What an access token says."""

    user_id: UserId
    account_id: AccountId
    session_id: SessionId
    token_version: int
    expires_at: datetime


class TokenIssuer(Protocol):
    """Signs access tokens and reads them back."""

    def issue(self, claims: Claims) -> str:
        """Return a signed token; `expires_at` counts in whole seconds."""
        ...

    def read(self, token: str, *, at: datetime) -> Claims:
        """Return a token's claims; raises Unauthorized for a forged or an expired one."""
        ...


class SealBroken(ClarinError):
    """A sealed secret that cannot be had back: it must be given anew."""

    kind = Kind.UNAVAILABLE
    code = "not_configured"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the stored credentials {reason}; enter them again")


class SecretBox(Protocol):
    """Seals what an account entrusts to us, so that a copy of the database tells nobody."""

    def seal(self, account_id: AccountId, secret: bytes) -> bytes:
        """Return the secret sealed for this account, each time otherwise."""
        ...

    def unseal(self, account_id: AccountId, sealed: bytes) -> bytes:
        """Return the secret; raises SealBroken for another account's, and for what was changed."""
        ...
