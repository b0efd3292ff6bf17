"""The account itself, seen from inside."""

from dataclasses import dataclass

from clarin_core.domain.accounts import Account
from clarin_core.domain.stats import Stats
from clarin_core.errors import NotFound
from clarin_core.ports.stores import AccountStore
from clarin_postgres.paging import struct
from clarin_postgres.reader import Reader
from clarin_postgres.scope import Scope
from clarin_postgres.search import searched

ACCOUNT = (
    "a.id, a.name, a.slug, a.plan, a.max_devices, a.is_active, a.default_region, a.timezone, "
    "a.resend_unknown, a.leads_from_chats, a.created_at, a.updated_at, a.version"
)

_VIEW = f"""-- account.view
    select {ACCOUNT} from accounts a where a.id = $1"""
_GET = f"""-- account.get
    select {ACCOUNT} from accounts a where a.id = $1 for no key update"""
_SAVE = """-- account.save
    update accounts a set name = $2, slug = $3, plan = $4, max_devices = $5, is_active = $6,
        default_region = $7, timezone = $8, created_at = $9, updated_at = $10, version = $11,
        search = $12, resend_unknown = $13, leads_from_chats = $14
    where a.id = $1
    returning a.id"""
_STATS = """-- account.stats
    select
        coalesce((
            select json_object_agg(held.status, held.count) from (
                select l.status, count(*) as count from leads l
                where l.account_id = $1 and l.deleted_at is null
                group by l.status
            ) held
        ), '{}') as leads_by_status,
        (select count(*) from leads l
            where l.account_id = $1 and l.stage_id is null and l.deleted_at is null
        ) as leads_without_stage,
        (select count(*) from contacts c
            where c.account_id = $1 and c.deleted_at is null
        ) as contacts,
        (select count(*) from tags t where t.account_id = $1) as tags,
        (select count(*) from pipelines p where p.account_id = $1) as pipelines,
        (select count(*) from memberships m where m.account_id = $1) as members
    from accounts a where a.id = $1"""


@dataclass(frozen=True, slots=True)
class PostgresAccountStore(AccountStore):
    """The account itself, seen from inside."""

    scope: Scope

    async def get(self) -> Account:
        """Return the account, locked."""
        row = await self.scope.first(_GET)
        if row is None:
            raise NotFound("account", self.scope.account_id)
        return struct(row, Account)

    async def save(self, account: Account) -> None:
        """Store the changed account; raises Conflict `conflict` for a slug that is taken."""
        if account.id != self.scope.account_id:
            raise NotFound("account", account.id)
        await self.scope.fetch(
            _SAVE, account.name, account.slug, account.plan.value, account.max_devices,
            account.is_active, account.default_region, account.timezone, account.created_at,
            account.updated_at, account.version, searched([account.name]),
            account.resend_unknown.value,
            account.leads_from_chats,
        )  # fmt: skip


class AccountViews(Reader):
    """What an account reads of itself."""

    async def account(self) -> Account:
        """Return the account itself."""
        rows = await self._fetch(_VIEW)
        if not rows:
            raise NotFound("account", self._account_id)
        return struct(rows[0], Account)

    async def stats(self) -> Stats:
        """Return the account's counts."""
        rows = await self._fetch(_STATS)
        if not rows:
            raise NotFound("account", self._account_id)
        values = dict(rows[0])
        return Stats(leads=sum(values["leads_by_status"].values()), **values)
