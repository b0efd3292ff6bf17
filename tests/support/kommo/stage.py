"""Stages of the contract: Kommo and our adapter on one clock, or a CRM in memory."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from clarin_core.domain.budget import Pace
from clarin_core.domain.remote import PAGE_MAX
from clarin_core.ports.budget import Budget
from clarin_core.ports.crm import Crm, CrmConnection, LongLivedToken
from clarin_core.testing.crm_stage import CrmStage, OtherSide
from clarin_core.testing.watch import Watch
from clarin_kommo import KommoCrm, Transport, Waiting
from clarin_memory import MemoryBudget, MemoryCrm, RemoteBook
from support.kommo.account import KommoAccount
from support.kommo.faults import Faults
from support.kommo.hours import Hours
from support.kommo.server import Kommo

SUBDOMAIN = "acme"
PACE = Pace()
TOKEN = "long-lived-canary"
CONNECTION = CrmConnection(subdomain=SUBDOMAIN, credentials=LongLivedToken(token=TOKEN))


def new_account(hours: Hours, *, faults: Faults | None = None) -> KommoAccount:
    """Return an account with nothing in it."""
    book = RemoteBook(hours, subdomain=SUBDOMAIN)
    return KommoAccount(hours, book, faults or Faults(), token=TOKEN)


@dataclass
class KommoStage(CrmStage):
    """An account, the address that it answers at, and an adapter that reads it."""

    hours: Hours
    account: KommoAccount
    kommo: Kommo
    crm: Crm
    budget: Budget
    connection: CrmConnection
    page_max: int = PAGE_MAX
    other_side: OtherSide = field(init=False)

    def __post_init__(self) -> None:
        self.other_side = self.account.book

    @property
    def book(self) -> RemoteBook:
        return self.account.book

    @property
    def requests(self) -> int:
        """How many requests arrived."""
        return len(self.account.gate.arrivals)

    def forward(self, seconds: float) -> None:
        self.hours.forward(seconds)

    def revoke(self) -> None:
        self.account.token = None


@asynccontextmanager
async def staged(
    *, faults: Faults | None = None, total_s: float = 20.0
) -> AsyncIterator[KommoStage]:
    """Set it up: whoever waits makes time pass."""
    hours = Hours()
    account = new_account(hours, faults=faults)
    budget = MemoryBudget(PACE, seconds=hours.seconds)
    async with AsyncExitStack() as stack:
        kommo = await stack.enter_async_context(Kommo(hours, account))
        crm = KommoCrm(
            kommo.url,
            budget,
            hours,
            transport=Transport(total_s=total_s),
            waiting=Waiting(hours.sleep, account.faults.chance),
        )
        await stack.enter_async_context(crm)
        await stack.enter_async_context(hours.passing())
        yield KommoStage(hours, account, kommo, crm, budget, CONNECTION)


class MemoryStage(CrmStage):
    """A CRM in memory, with small pages."""

    page_max = 4

    def __init__(self) -> None:
        self.watch = Watch()
        book = RemoteBook(self.watch)
        self.other_side: OtherSide = book
        self.reader = MemoryCrm(book, page_max=self.page_max)
        self.crm, self.connection = self.reader, CONNECTION

    def forward(self, seconds: float) -> None:
        self.watch.forward(seconds=seconds)

    def revoke(self) -> None:
        self.reader.is_revoked = True


@asynccontextmanager
async def in_memory() -> AsyncIterator[CrmStage]:
    yield MemoryStage()
