"""The storage: who may write when, in whose name, and how events get their numbers.

Numbers. A log is read by number, so a number must never appear behind one that was seen. A
sequence cannot promise that: it gives numbers at the INSERT, while rows are seen at the COMMIT,
and what a slow transaction took is passed over for ever. So each account has a row with the
last number. The last statement of a transaction raises it and writes the events; the row stays
locked until the COMMIT, which therefore happens in the order of the numbers, and a rollback
gives them back. Writers of one account queue for that row at their very end only, writers of
different accounts never meet.

Locks. Transactions are READ COMMITTED and lock what they read before they change it, rows of a
kind in ascending order of id, the account and named pipelines first, the counter last. Between
leads and contacts there is no order that all could keep: some find the contact by the lead,
others the leads by the contact. The locks are FOR NO KEY UPDATE, which hold up other writers
but not the check of a link to the row. What many only rely on (a pipeline that a lead enters,
a tag that is put on it) has a shared lock. A claim inserts what is missing in the order of its
key; whoever claims the same at the same time waits at the unique index, and then finds the row
there. What deadlocks all the same, or waits too long, is Contention: nothing happened, and
trying again is safe.

Errors do not poison a transaction where a caller may want to go on: whether a name, a phone or
a Kommo id is free is part of the writing statement itself, which then writes nothing and tells
who has it. The unique indexes have the last word between transactions.

Roles. Wall by wall (reliability 2.10): the first parameter of every statement is the account;
keys and links contain it; and row-level security lets a transaction see and write the rows of
one account only, the one set when it began. Writing is done as `clarin_service`, under that
policy. Reading is done in single statements as `clarin_reader`, which can change nothing and is
not under the policy, since BEGIN, set, read, COMMIT would be four round trips for one; with
`guarded_reads` it is, and the contract is run both ways. Sign-in, administration and care for
all accounts is done as `clarin_directory`, through a pool of its own. None of the roles owns
a table, and none but the last may read a password hash.

Round trips. BEGIN and the account go together in one; each store's method is one statement,
whatever the number of rows; the log is one, COMMIT is one. An account that does not exist is
noticed at BEGIN, so nothing can be written in its name.

Attempts. Who tries again upon Contention can have a transaction that begins late (`attempt`). Its
first looks lock nothing, and go through the readers; of each row that was seen its mark is kept,
which every change replaces. Writes that nothing but such a change, or a rival who makes the same,
can refuse are kept; what is new has its id before, from a few that the process takes at a time, so
that among equals of one moment ids say nothing of the order. If nothing else is asked for, the end
is one statement: it locks what was seen, compares the marks, writes, raises the counter and appends
the events. So no lock outlives a round trip, and the row of the counter is locked for as long as
one statement and its commit take. Whoever was overtaken has written nothing and is Contention. All
other methods of all stores begin the transaction as ever, with the same locks and the same
comparison first: so a store that knows nothing of this is right, and each can learn it by itself
(`late_stores`). Since all is compared, a process may even go by what it remembers, as it does of
default pipelines; whoever ends without a comparison, such as with a refusal, is then Contention,
too. So is whoever cannot write what was kept, which the ordinary statements may well do: JSON in
JSON is read with other eyes. A second try is no attempt: it waits for its turn, so rows that many
change at once starve nobody. Of a write whose answer was lost not even the number is known: the
hint names one beyond all, which makes everybody look.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Self

from clarin_core.domain.accounts import Standing, UserView
from clarin_core.domain.actor import SYSTEM, Origin
from clarin_core.domain.events import Position
from clarin_core.domain.ids import AccountId, ImportId, MediaId, SessionId, UserId
from clarin_core.errors import ClarinError, Contention, Invalid, Unavailable
from clarin_core.ports.devices import DeviceLeases
from clarin_core.ports.directory import Directory
from clarin_core.ports.event_publisher import EventPublisher, News, UserChanged
from clarin_core.ports.kommo import KommoLeases
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import EVENTS_KEPT_MAX, Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.ports.views import Views
from clarin_postgres.connection import Meter, Pool, say_nothing
from clarin_postgres.devices import PostgresDeviceLeases
from clarin_postgres.directory import PostgresDirectory
from clarin_postgres.errors import POSTGRES
from clarin_postgres.events import POSITION, position_of
from clarin_postgres.kommo_leases import PostgresKommoLeases
from clarin_postgres.late import Late, Memory
from clarin_postgres.late_stores import LateWork
from clarin_postgres.migrations import check_schema
from clarin_postgres.purge import purge, run_patiently
from clarin_postgres.reader import BEGIN, GuardedReads, OpenReads, Reads, Regions, begin_in
from clarin_postgres.roles import DIRECTORY, READER, WRITER, check_role
from clarin_postgres.sessions import STANDINGS, standings_of
from clarin_postgres.transaction import Work
from clarin_postgres.users import VIEW, user_view
from clarin_postgres.views import PostgresViews

_READERS = 4  # They wait for nobody, and more of them only take the server's cores from each other.
_WRITERS = 8
_DIRECTORS = 4
_ANY_SEQ = 2**62  # Beyond any log: whoever hears it looks, and goes on from what is there.

_POSITIONS = f"""-- storage.positions
    select s.account_id, {POSITION} from account_stream s where s.account_id = any($1)"""
_PENDING_IMPORTS = """-- storage.pending_imports
    select i.account_id, i.id from imports i where i.state in ('uploaded', 'running')
    order by i.created_at, i.account_id, i.id"""
_UNUSED_MEDIA = """-- storage.unused_media
    select f.account_id, f.id from media f
    where f.updated_at < $1 and not exists (
        select from messages m where m.account_id = f.account_id and m.media_id = f.id)
    order by f.account_id, f.id limit $2"""
_PING = "-- storage.ping\nselect 1"


class PostgresStorage(Storage):
    """Storage in a PostgreSQL database that `migrate` has prepared."""

    def __init__(
        self,
        dsn: str,
        *,
        clock: Clock,
        publisher: EventPublisher | None = None,
        guarded_reads: bool = False,
        watch: Callable[[str], None] = say_nothing,
    ) -> None:
        self._clock = clock
        self._publisher = publisher
        self._meter = Meter(watch)
        self._regions = Regions()
        reader = WRITER if guarded_reads else READER
        self._readers = Pool(dsn, reader, size=_READERS, meter=self._meter)
        self._writers = Pool(dsn, WRITER, size=_WRITERS, meter=self._meter)
        self._directors = Pool(dsn, DIRECTORY, size=_DIRECTORS, meter=self._meter)
        self._reads: Reads = (GuardedReads if guarded_reads else OpenReads)(self._readers)
        self._memory = Memory(self._writers)
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect; raises Unavailable, or PostgresSetupError for a database that is not fit."""
        async with AsyncExitStack() as opening:
            for pool in (self._readers, self._writers, self._directors):
                opening.push_async_callback(pool.close)
                await pool.open()
                async with pool.line() as line:
                    await check_role(line)
            async with self._directors.line() as line:
                await check_schema(line)
            self._opened = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    @asynccontextmanager
    async def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AsyncIterator[Transaction]:
        """Open a transaction of an account; raises NotFound."""
        async with self._working(_begun(self._writers, begin_in(account_id)), origin) as work:
            yield work.is_in(account_id)

    @asynccontextmanager
    async def attempt(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AsyncIterator[Transaction]:
        """Open a transaction that begins late, and may then be Contention."""
        async with self._working(self._late(account_id), origin) as work:
            yield work.is_in(account_id)

    def views(self, account_id: AccountId) -> Views:
        """Return the account's reads; each raises NotFound for an unknown account."""
        return PostgresViews(self._reads, self._regions, account_id)

    @asynccontextmanager
    async def directory(self, origin: Origin = SYSTEM) -> AsyncIterator[Directory]:
        """Open a transaction above accounts, for sign-in and administration only."""
        async with self._working(_begun(self._directors, BEGIN), origin) as work:
            yield PostgresDirectory(work)

    @property
    def leases(self) -> DeviceLeases:
        """Who acts for which device."""
        return PostgresDeviceLeases(self._directors)

    @property
    def kommo_leases(self) -> KommoLeases:
        """Who keeps whose mirror of Kommo."""
        return PostgresKommoLeases(self._directors)

    async def standings(
        self, keys: Sequence[tuple[SessionId, AccountId]], *, at: datetime
    ) -> list[Standing | None]:
        """Return what decides whether tokens still count, in the order of `keys`."""
        sessions, accounts = [key[0] for key in keys], [key[1] for key in keys]
        rows = await self._directors.fetch(STANDINGS, sessions, accounts, at)
        return standings_of(rows, len(keys))

    async def user(self, user_id: UserId) -> UserView:
        """Return a user and where the user works; raises NotFound."""
        return user_view(await self._directors.fetch(VIEW, user_id), user_id)

    async def positions(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Position]:
        """Return where some accounts' logs stand; unknown ones are left out."""
        rows = await self._directors.fetch(_POSITIONS, list(account_ids))
        return {row["account_id"]: position_of(row) for row in rows}

    async def pending_imports(self) -> list[tuple[AccountId, ImportId]]:
        """Return the imports that are uploaded or running, oldest first."""
        rows = await self._directors.fetch(_PENDING_IMPORTS)
        return [(row["account_id"], row["id"]) for row in rows]

    async def unused_media(
        self, *, before: datetime, limit: int
    ) -> list[tuple[AccountId, MediaId]]:
        """Return files that no message has and nothing changed since a time, by account and id."""
        async with self._directors.line() as line:
            rows = await run_patiently(line, _UNUSED_MEDIA, before, limit)
        return [(row["account_id"], row["id"]) for row in rows]

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
        async with self._directors.line() as line:
            await purge(
                line,
                deleted_before=deleted_before,
                events_before=events_before,
                answers_before=answers_before,
                marks_before=marks_before,
                events_kept_max=events_kept_max,
            )

    async def ping(self) -> None:
        """Raise Unavailable unless the store answers now."""
        await self._readers.fetch(_PING)

    def statements_run(self) -> int:
        """Return the number of statements since the storage was made."""
        return self._meter.statements

    @asynccontextmanager
    async def _late(self, account_id: AccountId) -> AsyncIterator[Work]:
        def doubt() -> None:
            self._tell(News(account_id, _ANY_SEQ))

        async with AsyncExitStack() as opened:
            late = Late(account_id, self._reads, self._writers, self._memory, opened, doubt)
            try:
                yield LateWork(late)
            except ClarinError as error:
                self._memory.forget(account_id)
                if late.is_unproven and not isinstance(error, Unavailable):
                    raise Contention(POSTGRES) from error
                raise  # If it is Unavailable, it may have happened: nobody may do it again.

    @asynccontextmanager
    async def _working(
        self, opening: AbstractAsyncContextManager[Work], origin: Origin
    ) -> AsyncIterator[Work]:
        hints: list[News | UserChanged] = []
        is_committed = False
        try:
            async with opening as work:
                yield work
                hints = await work.append(origin, at=self._clock())
            is_committed = True
        finally:  # If the commit was not answered, the log may have grown all the same.
            for hint in hints:
                self._tell(hint if is_committed else _doubtful(hint))

    def _tell(self, hint: News | UserChanged) -> None:
        if self._publisher is not None:
            self._publisher.announce(hint)


@asynccontextmanager
async def _begun(pool: Pool, begin: str) -> AsyncIterator[Work]:
    async with pool.line() as line, line.transaction(begin):
        yield Work(line)


def _doubtful(hint: News | UserChanged) -> News | UserChanged:
    """Return a hint that says nothing of what may not be: whoever hears it has to look."""
    return hint._replace(appended=None) if isinstance(hint, News) else hint


def storage_from_url(
    url: str, *, clock: Clock, publisher: EventPublisher | None = None
) -> PostgresStorage:
    """Return a storage, not yet connected, for `postgresql://…`; raises Invalid."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise Invalid("storage", "in PostgreSQL has an address like postgresql://host/database")
    return PostgresStorage(url, clock=clock, publisher=publisher)
