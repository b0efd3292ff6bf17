"""What lies above accounts."""

from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.accounts import Account, AccountQuery, NewAccount
from clarin_core.domain.ids import AccountId
from clarin_core.domain.paging import Page
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.directory import Accounts, Directory
from clarin_core.ports.stores import IdempotencyStore
from clarin_core.ports.transaction import Transaction
from clarin_postgres.accounts import ACCOUNT
from clarin_postgres.conditions import Conditions
from clarin_postgres.idempotency import PostgresIdempotencyStore
from clarin_postgres.paging import ABOVE_ACCOUNTS, BY_ID, NO_ACCOUNT, Listing, page_of, struct
from clarin_postgres.scope import Statements
from clarin_postgres.search import searched, text_pattern
from clarin_postgres.sessions import PostgresSessions
from clarin_postgres.transaction import Work
from clarin_postgres.users import PostgresUsers

_LISTING = Listing(
    "accounts.page", "accounts a", "a", cut=ACCOUNT, shown=ACCOUNT, beside=ABOVE_ACCOUNTS
)

_ADD = f"""-- accounts.add
    with born as (
        insert into accounts as a (name, slug, plan, max_devices, is_active, default_region,
            timezone, created_at, updated_at, version, search)
        values ($1, $2, $3, $4, true, $5, $6, $7, $7, 1, $8)
        on conflict (slug) do nothing
        returning {ACCOUNT}
    ),
    stream as (insert into account_stream (account_id) select born.id from born)
    select {ACCOUNT} from born a"""
_GET = f"""-- accounts.get
    select {ACCOUNT} from accounts a where a.id = $1"""
_REMOVE = """-- accounts.remove
    delete from accounts a where a.id = $1 returning a.id"""


@dataclass(frozen=True, slots=True)
class PostgresAccounts(Accounts):
    """All accounts."""

    line: Statements

    async def add(self, new: NewAccount, *, at: datetime) -> Account:
        """Store an account with an empty log; raises Conflict for a slug that is taken."""
        row = await self.line.first(
            _ADD, new.name, new.slug, new.plan.value, new.max_devices, new.default_region,
            new.timezone, at, searched([new.name]),
        )  # fmt: skip
        if row is None:
            raise Conflict("conflict", f"the slug {new.slug} is taken")
        return struct(row, Account)

    async def get(self, account_id: AccountId) -> Account:
        """Return an account; raises NotFound."""
        row = await self.line.first(_GET, account_id)
        if row is None:
            raise NotFound("account", account_id)
        return struct(row, Account)

    async def page(self, query: AccountQuery) -> Page[Account]:
        """Return accounts by id."""
        where = Conditions("true", first=1)
        if query.search is not UNSET:
            where.add("a.search like {0} escape '\\'", text_pattern(query.search))
        if query.is_active is not UNSET:
            where.add("a.is_active" if query.is_active else "not a.is_active")
        text = _LISTING.statement(query, BY_ID, where, account_id=NO_ACCOUNT)
        rows = await self.line.fetch(text, *where.arguments)
        return page_of(rows, query, BY_ID, NO_ACCOUNT, Account)

    async def remove(self, account_id: AccountId) -> None:
        """Remove an account; raises Conflict `invalid_state` unless it is empty."""
        if await self.line.first(_REMOVE, account_id) is None:
            raise NotFound("account", account_id)


class PostgresDirectory(Directory):
    """One transaction above accounts."""

    def __init__(self, work: Work) -> None:
        self.accounts = PostgresAccounts(work.line)
        self.users = PostgresUsers(work.line, work.changed_users)
        self.sessions = PostgresSessions(work.line, work.changed_users)
        self._work = work

    async def enter(self, account_id: AccountId) -> Transaction:
        """Return this transaction as one of an account; raises NotFound."""
        return await self._work.enter(account_id)

    async def idempotency(self, account_id: AccountId) -> IdempotencyStore:
        """Return the answers of an account's requests; claiming in it raises NotFound."""
        return PostgresIdempotencyStore(account_id, self._work.line)
