"""What lies above accounts."""

from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.accounts import Account, AccountQuery, NewAccount
from clarin_core.domain.ids import AccountId
from clarin_core.domain.paging import Page
from clarin_core.errors import Conflict
from clarin_core.ports.directory import Accounts, Directory
from clarin_core.ports.stores import IdempotencyStore
from clarin_core.ports.transaction import Transaction
from clarin_memory.accounts import account_row, check_slug
from clarin_memory.paging import BY_ID, page_of
from clarin_memory.search import Needle
from clarin_memory.sessions import MemorySessions
from clarin_memory.state import Space
from clarin_memory.tables import copied
from clarin_memory.transaction import Work
from clarin_memory.users import MemoryUsers


@dataclass(frozen=True, slots=True)
class MemoryAccounts(Accounts):
    """All accounts."""

    work: Work

    async def add(self, new: NewAccount, *, at: datetime) -> Account:
        """Store an account with an empty log; raises Conflict for a slug that is taken."""
        account = Account(
            id=AccountId(self.work.ids.next("account")),
            is_active=True,
            created_at=at,
            updated_at=at,
            version=1,
            **new.given(),
        )
        check_slug(self.work.shared.accounts, account)
        self.work.shared.accounts.put(account.id, account)
        self.work.shared.spaces.put(account.id, Space())
        return account

    async def get(self, account_id: AccountId) -> Account:
        """Return an account; raises NotFound."""
        return copied(account_row(self.work.shared, account_id))

    async def page(self, query: AccountQuery) -> Page[Account]:
        """Return accounts by id."""
        needle = None if query.search is UNSET else Needle(query.search)
        found = (
            account
            for account in self.work.shared.accounts.rows()
            if query.is_active in (UNSET, account.is_active)
            and (needle is None or needle.is_in(account.name))
        )
        return page_of(found, BY_ID, query, 0, copied)

    async def remove(self, account_id: AccountId) -> None:
        """Remove an account; raises Conflict `invalid_state` unless it is empty."""
        inside, shared = await self.work.enter(account_id), self.work.shared
        members = any(here == account_id for (here, _), _ in shared.roles.items())
        if members or any(inside.tables.leads.rows()) or any(inside.tables.devices.rows()):
            raise Conflict("invalid_state", "users, leads or devices are in the account")
        for session in list(shared.sessions.rows()):
            if session.account_id == account_id:
                shared.sessions.drop(session.id)
        shared.accounts.drop(account_id)
        shared.kommo_leases.drop(account_id)
        shared.spaces.drop(account_id)


class MemoryDirectory(Directory):
    """One transaction above accounts."""

    def __init__(self, work: Work) -> None:
        self.accounts = MemoryAccounts(work)
        self.users = MemoryUsers(work.shared, work.ids)
        self.sessions = MemorySessions(work.shared, work.ids)
        self._work = work

    async def enter(self, account_id: AccountId) -> Transaction:
        """Return this transaction as one of an account; raises NotFound."""
        return await self._work.enter(account_id)

    async def idempotency(self, account_id: AccountId) -> IdempotencyStore:
        """Return the answers of an account's requests; raises NotFound."""
        return (await self._work.enter(account_id)).idempotency
