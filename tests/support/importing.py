"""An account that imports files, and a clock that can go off."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from clarin_core.domain.actor import SYSTEM, Actor, Origin, Role
from clarin_core.domain.contacts import ContactQuery, ContactView
from clarin_core.domain.events import Event
from clarin_core.domain.ids import AccountId, ImportId, UserId
from clarin_core.domain.imports import (
    ImportJob,
    ImportKind,
    ImportOptions,
    ImportQuery,
    OutcomeQuery,
    RowOutcome,
    RowResult,
)
from clarin_core.domain.leads import LeadQuery, LeadView
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.pipelines import Pipeline
from clarin_core.domain.tags import TagQuery
from clarin_core.ports.small import Clock
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.tenants import NOON, Tenant, settle
from clarin_core.usecases.imports import ImportUseCases
from clarin_memory import MemoryStorage

PHONE, OTHER_PHONE = "987654321", "+56987654321"

_ALL = 200
_COLUMNS = {
    "kommo_id": "ID",
    "lead_name": "Nombre del lead",
    "name": "Contacto principal",
    "last_name": "Apellido",
    "phone": "Celular",
    "email": "Correo",
    "tags": "Etiquetas del lead",
    "stage": "Estatus del lead",
    "pipeline": "Embudo de ventas",
    "value": "Presupuesto",
    "notes": "Nota 1",
}


class Killed(BaseException):
    """The process is gone: nothing of ours catches this."""


@dataclass
class Fuse:
    """A clock that stands still and goes off at one of its calls, counted from 0."""

    error: BaseException | None = None
    calls_left: int = 0

    def __call__(self) -> datetime:
        self.calls_left -= 1
        if self.error is not None and self.calls_left == -1:
            raise self.error
        return NOON

    def set(self, error: BaseException | None, *, after: int = 0) -> None:
        self.error, self.calls_left = error, after


@dataclass
class Office:
    """An account, its administrator, and what it does with imports."""

    tenant: Tenant
    clock: Clock
    batch_rows: int = 500
    admin: Actor = field(init=False)

    def __post_init__(self) -> None:
        self.admin = Actor(account_id=self.tenant.id, user_id=UserId(7), role=Role.ADMIN)

    @property
    def imports(self) -> ImportUseCases:
        return ImportUseCases(self.tenant.storage, self.clock, self.batch_rows)

    async def upload(
        self, content: bytes, *, kind: ImportKind = ImportKind.LEADS, overwrite: bool = False
    ) -> ImportJob:
        options = ImportOptions(import_type=kind, overwrite=overwrite)
        return await self.imports.upload(self.admin, options, content)

    async def results(
        self, content: bytes, *, kind: ImportKind = ImportKind.LEADS, overwrite: bool = False
    ) -> list[RowResult]:
        """Import a file and return what became of its rows."""
        job = await self.upload(content, kind=kind, overwrite=overwrite)
        assert await self.imports.run_pending()
        return [outcome.result for outcome in await self.outcomes(job.id)]

    async def job(self, import_id: ImportId) -> ImportJob:
        return await self.tenant.views.import_job(import_id)

    async def outcomes(self, import_id: ImportId) -> list[RowOutcome]:
        query = OutcomeQuery(limit=_ALL)
        return (await self.tenant.views.import_outcomes(import_id, query)).data

    async def leads(self) -> list[LeadView]:
        """Return the leads in the order in which they were made."""
        found = (await self.tenant.views.leads(LeadQuery(limit=_ALL))).data
        return sorted(found, key=lambda lead: lead.id)

    async def contacts(self) -> list[ContactView]:
        """Return the contacts in the order in which they were made."""
        found = (await self.tenant.views.contacts(ContactQuery(limit=_ALL))).data
        return sorted(found, key=lambda contact: contact.id)

    async def pipelines(self) -> list[Pipeline]:
        return (await self.tenant.views.pipelines(PageQuery(limit=_ALL))).data

    async def events(self, after: int = 0) -> list[Event]:
        return [recorded.event for recorded in await self.tenant.events(after)]

    async def seq(self) -> int:
        return (await self.tenant.views.position()).seq

    async def records(self) -> dict[str, Any]:
        """Return what files left behind, without ids: a crash may leave gaps between them.

        The version of a lead is left out too, since it tells where its file was cut.
        """
        views, leads = self.tenant.views, await self.leads()
        histories = [(await views.lead_history(lead.id, PageQuery())).data for lead in leads]
        pipelines = await self.pipelines()
        stages = {stage.id: (one.name, stage.name) for one in pipelines for stage in one.stages}
        people = {one.id: place for place, one in enumerate(await self.contacts())}
        return {
            "leads": [
                (stages[lead.stage_id], people[lead.contact_id], _plain(lead, "version"))
                for lead in leads
                if lead.stage_id and lead.contact_id
            ],
            "moves": [[stages[move.to_stage] for move in moves] for moves in histories],
            "contacts": [_plain(contact) for contact in await self.contacts()],
            "tags": [tag.name for tag in (await views.tags(TagQuery(limit=_ALL))).data],
            "pipelines": [
                (_plain(one, "stages"), list(map(_plain, one.stages))) for one in pipelines
            ],
        }

    async def progress(self) -> list[Any]:
        """Return how far each import is, with the outcomes of its rows."""
        jobs = (await self.tenant.views.imports(ImportQuery(limit=_ALL))).data
        return [
            (job.state, job.rows_done, job.counts, list(map(_plain, await self.outcomes(job.id))))
            for job in jobs
        ]


def _plain(record: Struct, *without: str) -> dict[str, Any]:
    """Return a record's values but for the ids that the store gives."""
    ids = ("id", "lead_id", "contact_id", "pipeline_id", "stage_id", "tag_ids")
    return {k: v for k, v in structs.asdict(record).items() if k not in (*ids, *without)}


def table(*rows: Mapping[str, object], trailer: str = "") -> bytes:
    """Return a file of rows by the names of `ImportRow`, tags as one text.

    Files with another `trailer`, the heading of an empty column, have other bytes.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*_COLUMNS.values(), trailer])
    writer.writerows([str(row.get(name) or "") for name in _COLUMNS] for row in rows)
    return text.getvalue().encode()


FILE = table(
    {"kommo_id": 1, "name": "Luz", "phone": PHONE, "tags": "VIP, web", "stage": "Contactado"},
    {
        "kommo_id": 2,
        "name": "Luz",
        "phone": PHONE,
        "tags": "vip",
        "pipeline": "Obras",
        "email": "l@x.pe",
    },
    {"phone": "12"},
    {"name": "Eva", "last_name": "Paz", "stage": "Perdido", "value": "12.50"},
    {"name": "Eva", "last_name": "Ríos", "email": "eva@example.com"},
    {"name": "EVA", "last_name": "RIOS", "notes": "llamar"},
)


class Meddled(MemoryStorage):
    """A storage in which something else happens before one of its transactions."""

    story: Callable[[], Awaitable[object]] | None = None
    calls_left: int = 0

    def meddle(self, story: Callable[[], Awaitable[object]], *, after: int) -> None:
        self.story, self.calls_left = story, after

    @asynccontextmanager
    async def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AsyncIterator[Transaction]:
        story, self.calls_left = self.story, self.calls_left - 1
        if story is not None and self.calls_left == -1:
            await story()
        async with super().begin(account_id, origin) as tx:
            yield tx


@dataclass
class MemoryOffice(Office):
    """An office whose storage and clock can be tampered with."""

    storage: Meddled = field(kw_only=True)
    clock: Fuse


async def open_office(batch_rows: int = 500) -> MemoryOffice:
    """Return a fresh account in memory."""
    clock = Fuse()
    storage = Meddled(clock=clock)
    return MemoryOffice(await settle(storage), clock, batch_rows, storage=storage)


def tell(story: Callable[[MemoryOffice], Awaitable[None]]) -> None:
    """Run a story in a fresh account."""

    async def told() -> None:
        await story(await open_office())

    asyncio.run(told())
