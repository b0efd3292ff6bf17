"""The commands `clarin kommo …`: connect an account, see how its mirror is, fill it now.

They work on the storage itself, beside a service that runs or without one. Where a service keeps
the mirror already, its progress is shown; else the command keeps it until it is filled.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from clarin_core.domain.accounts import Account, AccountQuery
from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.ids import AccountId, KommoId, UserId
from clarin_core.domain.kommo import (
    KommoCredentials,
    KommoPhase,
    KommoPipeline,
    KommoProgress,
    KommoReport,
    KommoStatus,
    StreamProgress,
)
from clarin_core.ports.storage import Storage
from clarin_server.errors import CannotStart
from clarin_server.metrics import Metrics
from clarin_server.mirrors import keeping_mirrors
from clarin_server.services import Services

_LOOK_EVERY_S = 0.2
_NOBODY = UserId(0)

Show = Callable[[KommoProgress], None]


async def operator_of(storage: Storage, account_id: int | None) -> Actor:
    """Return who acts for an account from the command line, by default for the only one."""
    async with storage.directory() as directory:
        if account_id is not None:
            account = await directory.accounts.get(AccountId(account_id))
        else:
            account = _only((await directory.accounts.page(AccountQuery(limit=200))).data)
    return Actor(
        account_id=account.id, user_id=_NOBODY, role=Role.ADMIN, region=account.default_region
    )


def _only(accounts: list[Account]) -> Account:
    if len(accounts) == 1:
        return accounts[0]
    named = ", ".join(f"{one.id} ({one.name})" for one in accounts)
    raise CannotStart(f"Say which account: --account with one of {named or 'none'}.")


async def connect(
    services: Services, actor: Actor, credentials: KommoCredentials, pipelines: list[int]
) -> list[KommoPipeline]:
    """Put credentials, and connect pipelines; return all that there are."""
    await services.kommo.put_credentials(actor, credentials)
    for kommo_id in pipelines:
        await services.kommo.connect(actor, KommoId(kommo_id))
    return await services.kommo.pipelines(actor)


async def sync(services: Services, actor: Actor, show: Show) -> KommoReport:
    """Read everything (again), and what changed meanwhile; show how far it is.

    Raises CannotStart when it cannot go on before somebody did something.
    """
    before = await services.kommo.sync_status(actor)
    if before.phase is not KommoPhase.BACKFILL:
        await services.kommo.sync(actor)
    async with keeping_mirrors(services, Metrics(), only=actor.account_id) as mirrors:
        while True:
            await mirrors.look()
            now = await services.kommo.sync_status(actor)
            show(now)
            if now.phase is KommoPhase.LIVE and now.last_ok_at not in (None, before.last_ok_at):
                return await services.kommo.full_status(actor)
            if now.fault is not None and now.fault.trouble.needs_a_person:
                raise CannotStart(f"Kommo cannot be read: {now.fault.text}.")
            await asyncio.sleep(_LOOK_EVERY_S)


def status_table(status: KommoStatus) -> Table:
    """Return a connection as people read it."""
    table = Table(show_header=False, box=None)
    if not status.is_configured:
        table.add_row("Kommo", "not configured: clarin kommo connect <subdomain>")
        return table
    lag = "never read yet" if status.lag_s is None else f"read {status.lag_s} s ago"
    table.add_row("Kommo", f"{status.name} ({status.subdomain})")
    table.add_row("mirror", f"{status.phase.value}, {lag}")
    table.add_row("pipelines", f"{status.connected} connected")
    if (fault := status.fault) is not None:
        then = f", again at {fault.retry_at:%H:%M:%S}" if fault.retry_at else ""
        table.add_row("trouble", f"{fault.text}{then}")
    return table


def pipelines_table(pipelines: list[KommoPipeline]) -> Table:
    """Return pipelines as people read them."""
    table = Table("id", "name", "stages", "mirrored", box=None)
    for one in pipelines:
        mirrored = "yes" if one.is_connected else "no"
        table.add_row(str(one.kommo_id), one.name, str(one.stages), mirrored)
    return table


@dataclass
class SyncBar:
    """How far a mirror is, as bars."""

    progress: Progress
    contacts: TaskID
    leads: TaskID

    def show(self, now: KommoProgress) -> None:
        """Move the bars."""
        said = f"{now.rate:.0f} rows/s" if now.rate else ""
        said += f", {now.left_s} s left" if now.left_s is not None else ""
        if now.fault is not None:
            said = now.fault.text
        for task, stream in ((self.contacts, now.contacts), (self.leads, now.leads)):
            if stream is not None:
                self.progress.update(task, said=said, **_counts(stream))

    def finish(self, report: KommoReport) -> None:
        """Show all that is there."""
        for task, count in ((self.contacts, report.contacts), (self.leads, report.leads)):
            self.progress.update(task, completed=count, total=count, said="")


@asynccontextmanager
async def sync_bar(console: Console) -> AsyncIterator[SyncBar]:
    """Show bars while inside."""
    columns = (TextColumn("{task.description:8}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TextColumn("{task.fields[said]}"), console=console) as progress:
        contacts, leads = (
            progress.add_task(name, total=None, said="") for name in ("contacts", "leads")
        )
        yield SyncBar(progress, contacts, leads)


def _counts(stream: StreamProgress) -> dict[str, Any]:
    return {"completed": stream.done, "total": stream.total}


Work = Callable[[Services, Actor], Awaitable[None]]
