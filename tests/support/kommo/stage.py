"""Kommo and our adapter on one clock: the stage of the contract, and of tests of faults."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from clarin_core.domain.budget import Pace
from clarin_core.domain.remote import PAGE_MAX
from clarin_core.ports.budget import Budget
from clarin_core.ports.crm import Crm, CrmConnection, LongLivedToken
from clarin_core.testing.crm_stage import CrmStage, OtherSide
from clarin_kommo import KommoCrm, Transport, Waiting
from clarin_memory import MemoryBudget, RemoteBook
from support.kommo.account import KommoAccount
from support.kommo.faults import Faults
from support.kommo.hours import Hours
from support.kommo.server import Kommo

SUBDOMAIN = "acme"
PACE = Pace()


def new_account(hours: Hours, *, faults: Faults | None = None) -> KommoAccount:
    """Return an account with nothing in it."""
    return KommoAccount(hours, RemoteBook(hours, subdomain=SUBDOMAIN), faults or Faults())


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
        assert account.token is not None
        connection = CrmConnection(
            subdomain=SUBDOMAIN, credentials=LongLivedToken(token=account.token)
        )
        yield KommoStage(hours, account, kommo, crm, budget, connection)
