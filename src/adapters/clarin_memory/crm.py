"""Another CRM that is not there: the port over accounts in memory, for tests and first steps."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar, cast

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import (
    IDS_MAX,
    PAGE_MAX,
    RemoteAccount,
    RemoteContact,
    RemoteDeletion,
    RemoteField,
    RemoteHint,
    RemoteKind,
    RemoteLead,
    RemotePage,
    RemotePipeline,
    RemoteTag,
    RemoteUser,
    check_subdomain,
)
from clarin_core.ports.crm import (
    Crm,
    CrmConnection,
    CrmError,
    CrmList,
    CrmSync,
    CrmUnauthorized,
    CrmUnreachable,
)
from clarin_memory.remote import RemoteBook

T = TypeVar("T")


class MemoryCrm(Crm):
    """Reads the accounts that it was given, by their subdomains."""

    def __init__(self, *books: RemoteBook, page_max: int = PAGE_MAX) -> None:
        self._books = {book.account.subdomain: book for book in books}
        self._page_max = page_max
        self.asked: list[str] = []
        self.is_revoked = False
        self.failures: deque[CrmError | None] = deque()

    @asynccontextmanager
    async def connect(self, connection: CrmConnection) -> AsyncIterator[CrmSync]:
        """Open a connection; whoever knows the name may read."""
        check_subdomain(connection.subdomain)
        yield MemoryCrmSync(self, self._books.get(connection.subdomain), self._page_max)


class MemoryCrmSync(CrmSync):
    """One account; what the CRM has as `failures` comes of the next questions, None of none."""

    def __init__(self, crm: MemoryCrm, book: RemoteBook | None, page_max: int) -> None:
        self._crm = crm
        self._book = book
        self._page_max = page_max

    async def account(self) -> RemoteAccount:
        """Return the account."""
        return self._asked("account").account

    async def filters_work(self) -> bool:
        """Return that they do."""
        self._asked("filters")
        return True

    async def pipelines(self) -> RemotePage[RemotePipeline]:
        """Return all pipelines."""
        book = self._asked("pipelines")
        return RemotePage(items=list(book.pipelines), at=book.now())

    async def users(self, page: int = 1) -> RemotePage[RemoteUser]:
        """Return users."""
        return self._page(self._asked("users").users, page)

    async def fields(self, kind: RemoteKind, page: int = 1) -> RemotePage[RemoteField]:
        """Return the definitions of fields."""
        return self._page(self._asked("fields").fields[kind], page)

    async def tags(self, kind: RemoteKind, page: int = 1) -> RemotePage[RemoteTag]:
        """Return the tags that there are."""
        return self._page(self._asked("tags").tags[kind], page)

    async def leads(self, query: CrmList) -> RemotePage[RemoteLead]:
        """Return leads."""
        found = self._asked("leads").listed(RemoteKind.LEAD, query.since)
        return self._page(cast("list[RemoteLead]", found), query.page)

    async def contacts(self, query: CrmList) -> RemotePage[RemoteContact]:
        """Return contacts."""
        found = self._asked("contacts").listed(RemoteKind.CONTACT, query.since)
        return self._page(cast("list[RemoteContact]", found), query.page)

    async def leads_by_id(self, ids: Sequence[KommoId]) -> RemotePage[RemoteLead]:
        """Return those leads that there are."""
        found = self._asked("leads by id").found(RemoteKind.LEAD, checked_ids(ids))
        return self._page(cast("list[RemoteLead]", found))

    async def contacts_by_id(self, ids: Sequence[KommoId]) -> RemotePage[RemoteContact]:
        """Return those contacts that there are."""
        found = self._asked("contacts by id").found(RemoteKind.CONTACT, checked_ids(ids))
        return self._page(cast("list[RemoteContact]", found))

    async def deleted(self, kind: RemoteKind, page: int = 1) -> RemotePage[RemoteDeletion]:
        """Return what lies in the recycle bin, latest first."""
        return self._page(self._asked("deleted").deleted(kind), page)

    async def hints(self, since: datetime, page: int = 1) -> RemotePage[RemoteHint]:
        """Return what happened."""
        return self._page(self._asked("hints").told(since), page)

    def _asked(self, what: str) -> RemoteBook:
        self._crm.asked.append(what)
        failure = self._crm.failures.popleft() if self._crm.failures else None
        if failure is not None:
            raise failure
        if self._crm.is_revoked:
            raise CrmUnauthorized
        if self._book is None:
            raise CrmUnreachable
        return self._book

    def _page(self, items: list[T], page: int | None = None) -> RemotePage[T]:
        """Return a page of a list, or all of it."""
        at = self._book.now() if self._book is not None else None
        if page is None:
            return RemotePage(items=items, at=at)
        end = page * self._page_max
        part = items[end - self._page_max : end]
        return RemotePage(items=part, has_next=len(items) > end, at=at)


def checked_ids(ids: Sequence[KommoId]) -> Sequence[KommoId]:
    """Return the ids; raises ValueError for too many, which is a fault of the caller."""
    if len(ids) > IDS_MAX:
        raise ValueError(f"more than {IDS_MAX} ids")
    return ids
