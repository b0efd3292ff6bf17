"""A CRM in memory that has an account for every subdomain that somebody asks for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from clarin_core.ports.crm import CrmConnection, CrmSync
from clarin_core.ports.small import Clock
from clarin_memory import MemoryCrm, RemoteBook

_IDS = 1_000


class Shelf(MemoryCrm):
    """Accounts that are made when they are asked for; no two of them have an id in common."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.books: dict[str, RemoteBook] = {}

    def book(self, subdomain: str) -> RemoteBook:
        """Return an account, which has a pipeline."""
        if subdomain not in self.books:
            book = self.books[subdomain] = RemoteBook(self._clock, subdomain=subdomain)
            for _ in range(_IDS * len(self.books)):
                book.new_id()
            book.add_pipeline("Ventas", "Nuevo", "Contactado")
            self._books[subdomain] = book
        return self.books[subdomain]

    @asynccontextmanager
    async def connect(self, connection: CrmConnection) -> AsyncIterator[CrmSync]:
        """Open a connection."""
        self.book(connection.subdomain)
        async with super().connect(connection) as remote:
            yield remote
