"""What lies above accounts: users, sign-ins, and the accounts as a list.

Only sign-in and administration use it. Its transaction may `enter` accounts, so that a new
account, its first pipeline and its first events commit together.
"""

from datetime import datetime
from typing import Protocol

from clarin_core.domain.accounts import (
    Account,
    AccountQuery,
    Membership,
    NewAccount,
    Secret,
    Session,
    User,
    UserQuery,
)
from clarin_core.domain.ids import AccountId, SessionId, UserId
from clarin_core.domain.paging import Page
from clarin_core.ports.stores import IdempotencyStore
from clarin_core.ports.transaction import Transaction


class Accounts(Protocol):
    """All accounts."""

    async def add(self, new: NewAccount, *, at: datetime) -> Account:
        """Store an account with an empty log; raises Conflict for a slug that is taken."""
        ...

    async def get(self, account_id: AccountId) -> Account:
        """Return an account; raises NotFound."""
        ...

    async def page(self, query: AccountQuery) -> Page[Account]:
        """Return accounts by id."""
        ...

    async def remove(self, account_id: AccountId) -> None:
        """Remove an account.

        Raises Conflict `invalid_state` while users, leads or devices are in it.
        """
        ...


class Users(Protocol):
    """All users; names and e-mail addresses are unique ignoring case."""

    async def add(self, user: User, *, password_hash: str) -> User:
        """Store a user (its id counts for nothing) and return it with its id.

        Raises Conflict `conflict` for a user name or an e-mail address that is taken.
        """
        ...

    async def get(self, user_id: UserId) -> User:
        """Return a user, locked; raises NotFound."""
        ...

    async def secret(self, login: str) -> Secret | None:
        """Return the user with this user name or e-mail address, None if there is none."""
        ...

    async def secret_of(self, user_id: UserId) -> Secret:
        """Return a user's secret, locked; raises NotFound."""
        ...

    async def save(self, user: User) -> None:
        """Store a changed user; raises Conflict `conflict` for an address that is taken."""
        ...

    async def set_password(self, user_id: UserId, password_hash: str) -> None:
        """Store a password hash."""
        ...

    async def end_tokens(self, user_id: UserId) -> int:
        """Raise the user's token version, which ends every token of older ones; return it."""
        ...

    async def page(self, query: UserQuery) -> Page[User]:
        """Return users by id."""
        ...

    async def memberships(self, user_id: UserId) -> list[Membership]:
        """Return the user's places in active accounts with their names, the default first."""
        ...


class Sessions(Protocol):
    """All sign-ins."""

    async def add(
        self, user_id: UserId, account_id: AccountId, *, refresh_hash: bytes, expires_at: datetime
    ) -> Session:
        """Begin a sign-in."""
        ...

    async def get(self, session_id: SessionId) -> Session:
        """Return a sign-in, locked; raises NotFound."""
        ...

    async def save(self, session: Session) -> None:
        """Store a changed sign-in: another account, another token, its end."""
        ...

    async def revoke_others(self, user_id: UserId, keep: SessionId | None, *, at: datetime) -> None:
        """End a user's sign-ins but one."""
        ...

    async def revoke_in(self, account_id: AccountId, user_id: UserId, *, at: datetime) -> None:
        """End a user's sign-ins that are in one account."""
        ...

    async def add_ticket(
        self, digest: bytes, session_id: SessionId, account_id: AccountId, *, expires_at: datetime
    ) -> None:
        """Keep a single-use ticket."""
        ...

    async def take_ticket(self, digest: bytes, *, at: datetime) -> tuple[SessionId, AccountId]:
        """Use up a ticket that is not expired; raises NotFound."""
        ...


class Directory(Protocol):
    """One transaction above accounts; a clean exit commits."""

    accounts: Accounts
    users: Users
    sessions: Sessions

    async def enter(self, account_id: AccountId) -> Transaction:
        """Return this transaction as one of an account; its events commit with all the rest.

        Raises NotFound. Enter several accounts in ascending order only.
        """
        ...

    async def idempotency(self, account_id: AccountId) -> IdempotencyStore:
        """Return the answers of an account's requests, the same as in its own transactions.

        Whoever asks may work in another account than those that are entered, so this one comes
        before them, whatever its number. It or its `claim` raises NotFound.
        """
        ...
