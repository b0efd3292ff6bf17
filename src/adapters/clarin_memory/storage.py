"""The storage: who may write when, and what lies across accounts.

Each account has one lock, which its transactions hold from their beginning to their end; so
they are serial, and whatever one gets is locked. What lies above accounts has one lock more,
which comes before the accounts' locks. Views wait for nobody: a commit is one step of the
event loop.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Self

from clarin_core.domain.accounts import Standing, UserView
from clarin_core.domain.actor import SYSTEM, Origin
from clarin_core.domain.events import Position
from clarin_core.domain.ids import AccountId, ImportId, MediaId, SessionId, UserId
from clarin_core.domain.imports import ImportState
from clarin_core.errors import Invalid
from clarin_core.ports.devices import DeviceLeases
from clarin_core.ports.directory import Directory
from clarin_core.ports.event_publisher import EventPublisher
from clarin_core.ports.kommo import KommoLeases
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import EVENTS_KEPT_MAX, Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.ports.views import Views
from clarin_memory.devices import MemoryDeviceLeases
from clarin_memory.directory import MemoryDirectory
from clarin_memory.kommo_leases import MemoryKommoLeases
from clarin_memory.media import idle_media
from clarin_memory.members import user_row
from clarin_memory.paging import OLDEST
from clarin_memory.purge import purge_account, purge_answers, purge_marks, purge_sign_ins
from clarin_memory.state import Ids, SharedTables
from clarin_memory.transaction import Work
from clarin_memory.users import user_view
from clarin_memory.views import MemoryViews

_PENDING = (ImportState.UPLOADED, ImportState.RUNNING)


class MemoryStorage(Storage):
    """Storage in this process, gone with it."""

    def __init__(self, *, clock: Clock, publisher: EventPublisher | None = None) -> None:
        self._clock = clock
        self._publisher = publisher
        self._shared = SharedTables()
        self._ids = Ids()
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    @asynccontextmanager
    async def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AsyncIterator[Transaction]:
        """Open a transaction of an account; raises NotFound."""
        async with self._working(origin) as work:
            yield await work.enter(account_id)

    def views(self, account_id: AccountId) -> Views:
        """Return the account's reads; each raises NotFound for an unknown account."""
        return MemoryViews(self._shared, account_id)

    @asynccontextmanager
    async def directory(self, origin: Origin = SYSTEM) -> AsyncIterator[Directory]:
        """Open a transaction above accounts, for sign-in and administration only."""
        async with self._lock, self._working(origin) as work:
            yield MemoryDirectory(work)

    @property
    def leases(self) -> DeviceLeases:
        """Who acts for which device."""
        return MemoryDeviceLeases(self._shared, self._clock)

    @property
    def kommo_leases(self) -> KommoLeases:
        """Who keeps whose mirror of Kommo."""
        return MemoryKommoLeases(self._shared, self._clock)

    async def standings(
        self, keys: Sequence[tuple[SessionId, AccountId]], *, at: datetime
    ) -> list[Standing | None]:
        """Return what decides whether tokens still count, in the order of `keys`."""
        return [self._standing(session_id, account_id, at) for session_id, account_id in keys]

    async def user(self, user_id: UserId) -> UserView:
        """Return a user and where the user works; raises NotFound."""
        return user_view(self._shared, user_id)

    async def positions(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Position]:
        """Return where some accounts' logs stand; unknown ones are left out."""
        spaces = ((key, self._shared.spaces.peek(key)) for key in account_ids)
        return {key: space.log.position for key, space in spaces if space is not None}

    async def pending_imports(self) -> list[tuple[AccountId, ImportId]]:
        """Return the imports that are uploaded or running, oldest first."""
        pending = [
            (OLDEST.key(job), account_id, job.id)
            for account_id, space in self._shared.spaces.items()
            for job in space.tables.imports.rows()
            if job.state in _PENDING
        ]
        return [(account_id, import_id) for _, account_id, import_id in sorted(pending)]

    async def unused_media(
        self, *, before: datetime, limit: int
    ) -> list[tuple[AccountId, MediaId]]:
        """Return files that no message has and nothing changed since a time, by account and id."""
        found = [
            (account_id, media_id)
            for account_id, space in sorted(self._shared.spaces.items())
            for media_id in idle_media(space.tables, before)
        ]
        return found[:limit]

    async def purge(
        self,
        *,
        deleted_before: datetime,
        events_before: datetime,
        answers_before: datetime,
        marks_before: datetime,
        events_kept_max: int = EVENTS_KEPT_MAX,
    ) -> None:
        """Remove what was deleted, answered or marked, and trim the logs, before these times."""
        async with self._lock, self._working(SYSTEM) as work:
            for account_id, space in sorted(self._shared.spaces.items()):
                inside = (await work.enter(account_id)).tables
                purge_account(inside, deleted_before)
                purge_answers(inside, answers_before)
                purge_marks(inside, marks_before)
                space.log.trim(events_before, kept_max=events_kept_max)
            purge_sign_ins(work.shared, deleted_before)

    async def ping(self) -> None:
        """Return: this store always answers."""

    @asynccontextmanager
    async def _working(self, origin: Origin) -> AsyncIterator[Work]:
        async with AsyncExitStack() as locks:
            work = Work(self._shared, self._ids, origin, locks)
            yield work
            hints = work.commit(self._clock())
            if self._publisher is not None:
                for hint in hints:
                    self._publisher.announce(hint)

    def _standing(
        self, session_id: SessionId, account_id: AccountId, at: datetime
    ) -> Standing | None:
        session = self._shared.sessions.peek(session_id)
        account = self._shared.accounts.peek(account_id)
        if session is None or account is None:
            return None
        secret = user_row(self._shared, session.user_id)
        return Standing(
            user_id=session.user_id,
            account_id=account_id,
            role=self._shared.roles.peek((account_id, session.user_id)),
            user_is_active=secret.user.is_active,
            account_is_active=account.is_active,
            is_super_admin=secret.user.is_super_admin,
            token_version=secret.token_version,
            session_is_live=session.revoked_at is None and at < session.expires_at,
            region=account.default_region,
        )


def storage_from_url(
    url: str, *, clock: Clock, publisher: EventPublisher | None = None
) -> MemoryStorage:
    """Return an empty storage for `memory:`; raises Invalid for a URL that says more."""
    if url not in ("memory", "memory:", "memory://"):
        raise Invalid("storage", "in memory has no place; its address is memory:")
    return MemoryStorage(clock=clock, publisher=publisher)
