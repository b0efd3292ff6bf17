"""Units of work: what a transaction wrote, until all of it counts at once or none of it does."""

from contextlib import AsyncExitStack
from datetime import datetime

import msgspec

from clarin_core.domain.actor import Origin
from clarin_core.domain.events import Event
from clarin_core.domain.ids import AccountId
from clarin_core.errors import NotFound
from clarin_core.ports.event_publisher import Appended, News, UserChanged
from clarin_core.ports.transaction import Transaction
from clarin_core.ports.views import Views
from clarin_memory.accounts import MemoryAccountStore, check_slug
from clarin_memory.chats import MemoryChatStore
from clarin_memory.contacts import MemoryContactStore
from clarin_memory.devices import MemoryDeviceStore
from clarin_memory.events import encoded
from clarin_memory.idempotency import MemoryIdempotencyStore
from clarin_memory.imports import MemoryImportStore
from clarin_memory.kommo import MemoryKommoStore
from clarin_memory.leads import MemoryLeadStore
from clarin_memory.media import MemoryMediaStore
from clarin_memory.members import MemoryMemberStore
from clarin_memory.messages import MemoryMessageStore
from clarin_memory.outbox import MemoryOutboxStore
from clarin_memory.pipelines import MemoryPipelineStore
from clarin_memory.quick_replies import MemoryQuickReplyStore
from clarin_memory.state import Ids, Scope, SharedTables, Space, merge, overlay
from clarin_memory.tags import MemoryTagStore
from clarin_memory.views import OpenViews


class MemoryTransaction(Transaction):
    """One account's rows and events in a unit of work."""

    def __init__(self, scope: Scope, space: Space) -> None:
        self.account = MemoryAccountStore(scope)
        self.chats = MemoryChatStore(scope)
        self.contacts = MemoryContactStore(scope)
        self.devices = MemoryDeviceStore(scope)
        self.idempotency = MemoryIdempotencyStore(scope)
        self.imports = MemoryImportStore(scope)
        self.kommo = MemoryKommoStore(scope)
        self.leads = MemoryLeadStore(scope)
        self.media = MemoryMediaStore(scope)
        self.members = MemoryMemberStore(scope)
        self.messages = MemoryMessageStore(scope)
        self.outbox = MemoryOutboxStore(scope)
        self.pipelines = MemoryPipelineStore(scope)
        self.quick_replies = MemoryQuickReplyStore(scope)
        self.tags = MemoryTagStore(scope)
        self.tables = scope.tables
        self._scope = scope
        self._space = space
        self._bodies: list[bytes] = []

    @property
    def views(self) -> Views:
        """The account's reads as the transaction sees them."""
        return OpenViews(self._scope)

    def emit(self, *events: Event) -> None:
        """Append events to the account's log, as they are now, when the transaction commits."""
        self._bodies += map(encoded, events)

    def commit(self, *, at: datetime, origin: Origin) -> News | None:
        """Make it count; return what is to be announced, None without events."""
        merge(self.tables)
        log = self._space.log
        first = log.seq + 1
        log.append(self._bodies, at=at, origin=origin)
        if not self._bodies:
            return None
        by = msgspec.json.encode(origin)
        brought = Appended(log.position.epoch, first, at, by, tuple(self._bodies))
        return News(self._scope.account_id, log.seq, brought)


class Work:
    """One unit of work: overlays over the rows above accounts and over those of some accounts.

    It holds the lock of each account that it entered, and commits without waiting for anything,
    so that nobody sees a half of it.
    """

    def __init__(
        self, shared: SharedTables, ids: Ids, origin: Origin, locks: AsyncExitStack
    ) -> None:
        self.shared = overlay(shared)
        self.ids = ids
        self._origin = origin
        self._locks = locks
        self._entered: dict[AccountId, MemoryTransaction] = {}

    async def enter(self, account_id: AccountId) -> MemoryTransaction:
        """Return the part of an account, which nobody else may write from now on."""
        space = self._space(account_id)
        if account_id not in self._entered:
            await self._locks.enter_async_context(space.lock)
            self._space(account_id)  # The account may have been removed while we waited.
            scope = Scope(account_id, self.ids, self.shared, overlay(space.tables))
            self._entered[account_id] = MemoryTransaction(scope, space)
        return self._entered[account_id]

    def commit(self, at: datetime) -> list[News | UserChanged]:
        """Make all of it count; return what is to be announced.

        Raises Conflict, and commits nothing, when another transaction took a slug meanwhile.
        """
        for account in self.shared.accounts.changes():
            check_slug(self.shared.accounts, account)
        users = {secret.user.id for secret in self.shared.users.changes()}
        users |= {session.user_id for session in self.shared.sessions.changes()}
        merge(self.shared)
        parts = sorted(self._entered.items())
        news = [part.commit(at=at, origin=self._origin) for _, part in parts]
        return [*filter(None, news), *map(UserChanged, sorted(users))]

    def _space(self, account_id: AccountId) -> Space:
        space = self.shared.spaces.peek(account_id)
        if space is None:
            raise NotFound("account", account_id)
        return space
