"""Any operation, done once for each key: its effect and its answer commit together.

The operation is given a storage in which whatever it begins joins one transaction. That begins,
and claims the request, when the operation first asks for one: so whoever may not do it, or sends
what cannot be read, is refused as without a key, and what takes long beforehand (a password is
hashed, a file is read) holds up nobody. A repetition ends there, with the stored answer.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from clarin_core.domain.accounts import Standing, UserView
from clarin_core.domain.actor import SYSTEM, Actor, Origin
from clarin_core.domain.events import Position
from clarin_core.domain.idempotency import Repeatable, StoredAnswer
from clarin_core.domain.ids import AccountId, ImportId, MediaId, SessionId, UserId
from clarin_core.ports.devices import DeviceLeases
from clarin_core.ports.directory import Directory
from clarin_core.ports.kommo import KommoLeases
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import EVENTS_KEPT_MAX, Storage
from clarin_core.ports.stores import IdempotencyStore
from clarin_core.ports.transaction import Transaction
from clarin_core.ports.views import Views


class Answered(NamedTuple):
    """The answer to a request, and whether an earlier one got it before."""

    answer: StoredAnswer
    is_repeated: bool


@dataclass(frozen=True, slots=True)
class Once:
    """Does things once, however often they are asked for."""

    storage: Storage
    clock: Clock

    async def run(
        self,
        actor: Actor,
        request: Repeatable,
        operation: Callable[[Storage], Awaitable[StoredAnswer]],
        *,
        looks_first: bool = False,
    ) -> Answered:
        """Return what `operation` answers, or answered when the request came first.

        With `looks_first` that is looked up before the operation begins, which is worth it for one
        that takes long before it asks for a transaction, or may then not be possible any more.

        It is to work with the storage that it is given and with no other. When it raises, neither
        effect nor answer is there, and the request may be sent again. Raises Conflict
        `idempotency_conflict` when the actor's account used the key for another request, and
        AlreadyRunning when the first one takes too long.
        """
        if looks_first and (known := await self._known(actor.account_id, request)):
            return Answered(known, is_repeated=True)
        async with AsyncExitStack() as transaction:
            joined = Joined(self.storage, self.clock, actor.account_id, request, transaction)
            try:
                answer = await operation(joined)
                await joined.keep(answer)
            except _Repeated as repeated:
                return Answered(repeated.answer, is_repeated=True)
        return Answered(answer, is_repeated=False)

    async def _known(self, account_id: AccountId, request: Repeatable) -> StoredAnswer | None:
        """Return the answer of a request that came before; the claim is undone at once."""
        try:
            async with self.storage.begin(account_id) as tx:
                raise _Looked(await tx.idempotency.claim(request, at=self.clock()))
        except _Looked as looked:
            return looked.answer


class _Looked(Exception):
    """Ends a look for an answer, with what was found."""

    def __init__(self, answer: StoredAnswer | None) -> None:
        self.answer = answer


class _Repeated(Exception):
    """Ends an operation whose request has its answer already."""

    def __init__(self, answer: StoredAnswer) -> None:
        self.answer = answer


@dataclass(slots=True)
class Joined(Storage):
    """A storage whose transactions are parts of one, which is opened with the first of them.

    Whoever opened `transaction` commits it: all of the parts, or none. What a part reads is what
    the parts before it wrote. The rest is handed on to the storage itself.
    """

    storage: Storage
    clock: Clock
    account_id: AccountId
    request: Repeatable
    transaction: AsyncExitStack
    _directory: Directory | None = field(default=None, init=False)
    _answers: IdempotencyStore | None = field(default=None, init=False)
    _parts: dict[AccountId, Transaction] = field(default_factory=dict, init=False)
    _has_failed: bool = field(default=False, init=False)

    @asynccontextmanager
    async def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AsyncIterator[Transaction]:
        """Join the transaction; raises RuntimeError when it is one of another account."""
        with self._noticing():
            if account_id not in self._parts:
                self._parts[account_id] = await self._enter(account_id, origin)
            yield self._parts[account_id]

    @asynccontextmanager
    async def directory(self, origin: Origin = SYSTEM) -> AsyncIterator[Directory]:
        """Join the transaction; raises RuntimeError when it is one of an account."""
        with self._noticing():
            if self._directory is None:
                self._directory = await self._rise(origin)
            yield self._directory

    def views(self, account_id: AccountId) -> Views:
        """Return the transaction's reads, or the storage's before there is one."""
        if account_id in self._parts:
            return self._parts[account_id].views
        if self._answers is None:
            return self.storage.views(account_id)
        raise RuntimeError("the transaction has not begun in this account")

    async def keep(self, answer: StoredAnswer) -> None:
        """Store the operation's answer; raises RuntimeError after a failure it made light of."""
        if self._has_failed:
            raise RuntimeError("a part of the operation failed, so that none of it may count")
        if self._answers is None:  # It wrote nothing, and is repeated all the same.
            await self._enter(self.account_id, SYSTEM)
        assert self._answers is not None
        await self._answers.keep(self.request, answer)

    @property
    def kommo_leases(self) -> KommoLeases:
        """Who keeps whose mirror of Kommo."""
        return self.storage.kommo_leases

    @property
    def leases(self) -> DeviceLeases:
        """Who acts for which device; not a part of the transaction."""
        return self.storage.leases

    async def standings(
        self, keys: Sequence[tuple[SessionId, AccountId]], *, at: datetime
    ) -> list[Standing | None]:
        """Return what decides whether tokens still count."""
        return await self.storage.standings(keys, at=at)

    async def user(self, user_id: UserId) -> UserView:
        """Return a user and where the user works."""
        return await self.storage.user(user_id)

    async def positions(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Position]:
        """Return where some accounts' logs stand."""
        return await self.storage.positions(account_ids)

    async def pending_imports(self) -> list[tuple[AccountId, ImportId]]:
        """Return the imports that are uploaded or running."""
        return await self.storage.pending_imports()

    async def unused_media(
        self, *, before: datetime, limit: int
    ) -> list[tuple[AccountId, MediaId]]:
        """Return files that no message has."""
        return await self.storage.unused_media(before=before, limit=limit)

    async def purge(
        self,
        *,
        deleted_before: datetime,
        events_before: datetime,
        answers_before: datetime,
        marks_before: datetime,
        events_kept_max: int = EVENTS_KEPT_MAX,
    ) -> None:
        """Remove what is old, in transactions of its own."""
        await self.storage.purge(
            deleted_before=deleted_before,
            events_before=events_before,
            answers_before=answers_before,
            marks_before=marks_before,
            events_kept_max=events_kept_max,
        )

    async def ping(self) -> None:
        """Raise Unavailable unless the store answers now."""
        await self.storage.ping()

    async def _enter(self, account_id: AccountId, origin: Origin) -> Transaction:
        if self._directory is not None:
            return await self._directory.enter(account_id)
        if self._parts or account_id != self.account_id:
            raise RuntimeError("the transaction is one of another account")
        tx = await self.transaction.enter_async_context(self.storage.begin(account_id, origin))
        await self._claim(tx.idempotency)
        return tx

    async def _rise(self, origin: Origin) -> Directory:
        if self._parts:
            raise RuntimeError("the transaction is one of an account")
        directory = await self.transaction.enter_async_context(self.storage.directory(origin))
        await self._claim(await directory.idempotency(self.account_id))
        return directory

    async def _claim(self, answers: IdempotencyStore) -> None:
        known = await answers.claim(self.request, at=self.clock())
        if known is not None:
            raise _Repeated(known)
        self._answers = answers

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._has_failed = True
            raise
