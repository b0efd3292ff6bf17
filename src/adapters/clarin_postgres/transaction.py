"""Units of work: one connection from BEGIN to COMMIT, in one account or in several."""

from datetime import datetime

from clarin_core.domain.actor import Origin
from clarin_core.domain.events import Event
from clarin_core.domain.ids import AccountId, UserId
from clarin_core.errors import NotFound
from clarin_core.ports.event_publisher import News, UserChanged
from clarin_core.ports.transaction import Transaction
from clarin_core.ports.views import Views
from clarin_postgres.accounts import PostgresAccountStore
from clarin_postgres.chats import PostgresChatStore
from clarin_postgres.contacts import PostgresContactStore
from clarin_postgres.devices import PostgresDeviceStore
from clarin_postgres.events import APPEND, Encoded, columns_of, encoded, encoded_origin, news_of
from clarin_postgres.idempotency import PostgresIdempotencyStore
from clarin_postgres.imports import PostgresImportStore
from clarin_postgres.kommo import PostgresKommoStore
from clarin_postgres.leads import PostgresLeadStore
from clarin_postgres.media import PostgresMediaStore
from clarin_postgres.members import PostgresMemberStore
from clarin_postgres.messages import PostgresMessageStore
from clarin_postgres.outbox import PostgresOutboxStore
from clarin_postgres.pipelines import PostgresPipelineStore
from clarin_postgres.quick_replies import PostgresQuickReplyStore
from clarin_postgres.reader import Regions
from clarin_postgres.scope import OwnReads, Scope, Statements
from clarin_postgres.tags import PostgresTagStore
from clarin_postgres.views import PostgresViews

_ENTER = """-- enter
    select set_config('app.account_id', a.id::text, true) from accounts a where a.id = $1"""


class PostgresTransaction(Transaction):
    """One account's rows and events in a unit of work."""

    def __init__(self, scope: Scope) -> None:
        self.account = PostgresAccountStore(scope)
        self.chats = PostgresChatStore(scope)
        self.contacts = PostgresContactStore(scope)
        self.devices = PostgresDeviceStore(scope)
        self.idempotency = PostgresIdempotencyStore(scope.account_id, scope.focus.line)
        self.imports = PostgresImportStore(scope)
        self.kommo = PostgresKommoStore(scope)
        self.leads = PostgresLeadStore(scope)
        self.media = PostgresMediaStore(scope)
        self.members = PostgresMemberStore(scope)
        self.messages = PostgresMessageStore(scope)
        self.outbox = PostgresOutboxStore(scope)
        self.pipelines = PostgresPipelineStore(scope)
        self.quick_replies = PostgresQuickReplyStore(scope)
        self.tags = PostgresTagStore(scope)
        self._scope = scope
        self._emitted: list[Encoded] = []

    @property
    def views(self) -> Views:
        """The account's reads as the transaction sees them, on its connection."""
        return PostgresViews(OwnReads(self._scope), Regions(), self._scope.account_id)

    def emit(self, *events: Event) -> None:
        """Append events to the account's log, as they are now, when the transaction commits."""
        self._emitted += map(encoded, events)

    async def append(self, origin: bytes, *, at: datetime) -> News | None:
        """Write log and totals; return what there will be to announce, None without events."""
        gains = self._scope.gains.values
        if not self._emitted and not any(gains):
            return None
        row = await self._scope.first(APPEND, *columns_of(self._emitted), at, origin, *gains)
        if row is None:
            raise NotFound("account", self._scope.account_id)
        if not self._emitted:
            return None
        return news_of(row, self._scope.account_id, self._emitted, origin, at)


class Work:
    """A transaction of PostgreSQL, and the accounts that it is in."""

    def __init__(self, line: Statements) -> None:
        self.line = line
        self.changed_users = set[UserId]()
        self._entered: dict[AccountId, PostgresTransaction] = {}
        self._current: AccountId | None = None

    def is_in(self, account_id: AccountId) -> PostgresTransaction:
        """Return the part of an account in which the transaction is already."""
        self._current = account_id
        part = self._part(Scope(account_id, self))
        self._entered[account_id] = part
        return part

    async def enter(self, account_id: AccountId) -> PostgresTransaction:
        """Return the part of an account; raises NotFound."""
        known = self._entered.get(account_id)
        if known is None:
            await self._turn(account_id)
            return self.is_in(account_id)
        return known

    async def turn_to(self, account_id: AccountId) -> None:
        """Make an account the one that row-level security lets through."""
        if self._current != account_id:
            await self._turn(account_id)

    async def append(self, origin: Origin, *, at: datetime) -> list[News | UserChanged]:
        """Write the logs, last of all; return what is to be announced after the commit."""
        kept = encoded_origin(origin)
        parts = sorted(self._entered.items())
        news = [await part.append(kept, at=at) for _, part in parts]
        return [*filter(None, news), *map(UserChanged, sorted(self.changed_users))]

    def _part(self, scope: Scope) -> PostgresTransaction:
        return PostgresTransaction(scope)

    async def _turn(self, account_id: AccountId) -> None:
        if await self.line.first(_ENTER, account_id) is None:
            raise NotFound("account", account_id)
        self._current = account_id
