"""Attempts: what is done in them, and how they end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.events import LeadUpdated
from clarin_core.domain.ids import LeadId, UserId
from clarin_core.domain.leads import Lead, LeadView
from clarin_core.errors import Unavailable
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.tenants import LATER, Tenant
from clarin_core.usecases.leads import LeadUseCases
from clarin_postgres.connection import Line
from clarin_server.http.tries import tries_of

Ending = Callable[[Transaction], Awaitable[object]]


async def at_once(tx: Transaction) -> None:
    """Let everything happen at the end."""


async def by_a_statement(tx: Transaction) -> None:
    """Ask what cannot wait, so that the transaction begins."""
    await tx.members.active([])


def attempt(account: Tenant) -> AbstractAsyncContextManager[Transaction]:
    """Begin late."""
    return account.storage.attempt(account.id)


class Held:
    """Work in an attempt that is done, and ends when it is told to go on."""

    def __init__(self, account: Tenant, work: Ending, ending: Ending = at_once) -> None:
        self.go_on = asyncio.Event()
        self._is_done = asyncio.Event()
        self.trying = asyncio.create_task(self._try(account, work, ending))

    async def done(self) -> None:
        """Wait until all but its end has happened."""
        await self._is_done.wait()

    async def _try(self, account: Tenant, work: Ending, ending: Ending) -> None:
        async with attempt(account) as tx:
            await work(tx)
            self._is_done.set()
            await self.go_on.wait()
            await ending(tx)


async def rename(tx: Transaction, lead_id: LeadId, name: str) -> Lead:
    """Read, think, write."""
    lead = await tx.leads.get(lead_id)
    lead.alter({"name": name}, at=LATER)
    await tx.leads.save([lead])
    tx.emit(LeadUpdated(leads=[lead], changed=["name"]))
    return lead


async def rename_in_earnest(account: Tenant, lead_id: LeadId, name: str) -> None:
    """Rename a lead in a transaction that begins at once."""
    async with account.begin() as tx:
        await rename(tx, lead_id, name)


def lose_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever writes late hear nothing of what it has written."""
    right = Line.fetch

    async def fetch(line: Line, text: str, *arguments: object) -> object:
        answer = await right(line, text, *arguments)
        if text.startswith("-- late.write"):
            raise Unavailable("the database")
        return answer

    monkeypatch.setattr(Line, "fetch", fetch)


def user_of(account: Tenant) -> Actor:
    """Return somebody who works there."""
    return Actor(account_id=account.id, user_id=UserId(1), role=Role.ADMIN)


def updates_in(account: Tenant) -> list[Callable[..., Awaitable[LeadView]]]:
    """Return how leads are changed, try by try."""
    return tries_of(LeadUseCases(account.storage, lambda: LATER), "update", account.storage)


def creations_in(account: Tenant) -> list[Callable[..., Awaitable[LeadView]]]:
    """Return how leads are created, try by try."""
    return tries_of(LeadUseCases(account.storage, lambda: LATER), "create", account.storage)
