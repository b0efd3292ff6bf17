"""Durable storage: transactions that write, views that read, one log an account."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from clarin_core.domain.accounts import Standing, UserView
from clarin_core.domain.actor import SYSTEM, Origin
from clarin_core.domain.events import Position
from clarin_core.domain.ids import AccountId, ImportId, MediaId, SessionId, UserId
from clarin_core.ports.devices import DeviceLeases
from clarin_core.ports.directory import Directory
from clarin_core.ports.kommo import KommoLeases
from clarin_core.ports.transaction import Transaction
from clarin_core.ports.views import Views

EVENTS_KEPT_MAX = 100_000


class Storage(Protocol):
    """An async context manager that is open while in use.

    Events are numbered per account from 1 without gaps, in the order of the commits, with
    the storage's clock. After a commit that has events, or changed a user or a sign-in, the
    publisher is told; also after one of which nobody knows whether it happened.
    Raises Unavailable when the store does not answer; the outcome of a commit is then unknown.
    """

    def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction of an account that exists.

        A clean exit commits; an exception leaves neither row nor event and passes on.
        """
        ...

    def attempt(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction as `begin` does, for who does it all again upon Contention.

        It need not lock what it reads, and so may find at its end that somebody has changed it:
        then it raises Contention, and nothing happened. That an account does not exist may show
        with what is done in it. What is done again is best done with `begin`, which waits.
        """
        return self.begin(account_id, origin)

    def views(self, account_id: AccountId) -> Views:
        """Return the account's reads; costs nothing."""
        ...

    def directory(self, origin: Origin = SYSTEM) -> AbstractAsyncContextManager[Directory]:
        """Open a transaction above accounts, for sign-in and administration only."""
        ...

    @property
    def leases(self) -> DeviceLeases:
        """Who acts for which device, over all accounts; costs nothing."""
        ...

    @property
    def kommo_leases(self) -> KommoLeases:
        """Who keeps whose mirror of Kommo, over all accounts; costs nothing."""
        ...

    async def standing(
        self, session_id: SessionId, account_id: AccountId, *, at: datetime
    ) -> Standing | None:
        """Return what decides whether a token still counts, None for an unknown sign-in.

        It may be some seconds old where another process changed it (R24), never in this one:
        before anybody is kept out because of it, ask `standings`, which is of now.
        """
        return (await self.standings([(session_id, account_id)], at=at))[0]

    async def standings(
        self, keys: Sequence[tuple[SessionId, AccountId]], *, at: datetime
    ) -> list[Standing | None]:
        """Return what decides whether tokens still count, in the order of `keys`.

        One statement. None where there is no such sign-in or account.
        """
        ...

    async def user(self, user_id: UserId) -> UserView:
        """Return a user and where the user works, in one statement; raises NotFound."""
        ...

    async def positions(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Position]:
        """Return where some accounts' logs stand, in one statement."""
        ...

    async def pending_imports(self) -> list[tuple[AccountId, ImportId]]:
        """Return the imports that are uploaded or running, oldest first."""
        ...

    async def unused_media(
        self, *, before: datetime, limit: int
    ) -> list[tuple[AccountId, MediaId]]:
        """Return files that no message has and nothing changed since a time, by account and id."""
        ...

    async def purge(
        self,
        *,
        deleted_before: datetime,
        events_before: datetime,
        answers_before: datetime,
        marks_before: datetime,
        events_kept_max: int = EVENTS_KEPT_MAX,
    ) -> None:
        """Remove what was deleted, answered or marked, and trim the logs, before these times.

        A chat goes with its messages and all that was said of them; whom it was with stays.
        Of a longer log only the newest `events_kept_max` events are kept (R4).
        Ended sign-ins and used tickets go too. A log is trimmed from its beginning only.
        """
        ...

    async def ping(self) -> None:
        """Raise Unavailable unless the store answers now."""
        ...
