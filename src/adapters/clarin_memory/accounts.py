"""The account itself, seen from inside."""

from collections import Counter
from dataclasses import dataclass

from clarin_core.domain.accounts import Account
from clarin_core.domain.ids import AccountId
from clarin_core.domain.stats import Stats
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.stores import AccountStore
from clarin_memory.reader import Reader
from clarin_memory.state import Scope, SharedTables
from clarin_memory.tables import Table, copied, rival


@dataclass(frozen=True, slots=True)
class MemoryAccountStore(AccountStore):
    """The account itself, seen from inside."""

    scope: Scope

    async def get(self) -> Account:
        """Return the account."""
        return copied(account_row(self.scope.shared, self.scope.account_id))

    async def save(self, account: Account) -> None:
        """Store the changed account; raises Conflict `conflict` for a slug that is taken."""
        if account.id != self.scope.account_id:
            raise NotFound("account", account.id)
        check_slug(self.scope.shared.accounts, account)
        self.scope.shared.accounts.put(account.id, account)


class AccountViews(Reader):
    """What an account reads of itself."""

    async def account(self) -> Account:
        """Return the account itself."""
        return copied(self._account)

    async def stats(self) -> Stats:
        """Return the account's counts."""
        tables = self._tables
        leads = [lead for lead in tables.leads.rows() if lead.deleted_at is None]
        members = [key for key, _ in self._shared.roles.items() if key[0] == self._account_id]
        return Stats(
            leads=len(leads),
            leads_by_status=dict(Counter(lead.status.value for lead in leads)),
            leads_without_stage=sum(lead.stage_id is None for lead in leads),
            contacts=sum(contact.deleted_at is None for contact in tables.contacts.rows()),
            tags=sum(1 for _ in tables.tags.rows()),
            pipelines=sum(1 for _ in tables.pipelines.rows()),
            members=len(members),
        )


def account_row(shared: SharedTables, account_id: AccountId) -> Account:
    """Return an account, the row itself; raises NotFound."""
    account = shared.accounts.peek(account_id)
    if account is None:
        raise NotFound("account", account_id)
    return account


def check_slug(accounts: Table[AccountId, Account], account: Account) -> None:
    """Raise Conflict `conflict` when another account has the slug."""
    if rival(accounts.rows(), [account], lambda row: row.slug):
        raise Conflict("conflict", f"the slug {account.slug} is taken")
