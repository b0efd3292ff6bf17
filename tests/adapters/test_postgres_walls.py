"""The walls between accounts, each tried with the others taken away."""

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from clarin_core.domain.events import TagDeleted
from clarin_core.domain.ids import AccountId, TagId
from clarin_core.domain.imports import RowOutcome, RowResult
from clarin_core.domain.leads import StageMove
from clarin_core.domain.tags import TagTarget
from clarin_core.testing.tenants import NOON, Tenant, links_of, settle
from clarin_postgres import PostgresSetupError, PostgresStorage
from clarin_postgres.connection import Meter, Pool
from clarin_postgres.reader import begin_in
from clarin_postgres.roles import DIRECTORY, READER, ROLES, WRITER, check_role
from support.catalogue import look, rows, tenant_tables

STRANGERS = "select count(*) from {} r where r.account_id <> $1"
LINKS = {
    "leads_contact": ("leads", "contact_id", "contacts"),
    "leads_pipeline": ("leads", "pipeline_id", "pipelines"),
    "stages_pipeline": ("stages", "pipeline_id", "pipelines"),
    "lead_tags_lead": ("lead_tags", "lead_id", "leads"),
    "lead_tags_tag": ("lead_tags", "tag_id", "tags"),
    "contact_tags_contact": ("contact_tags", "contact_id", "contacts"),
    "contact_tags_tag": ("contact_tags", "tag_id", "tags"),
    "stage_moves_lead": ("stage_moves", "lead_id", "leads"),
    "import_outcomes_import": ("import_outcomes", "import_id", "imports"),
    "import_files_import": ("import_files", "import_id", "imports"),
}
"""Links by name: a table, a column of it, and the table that it points into."""


@pytest.fixture(scope="module")
def accounts(database: str) -> tuple[AccountId, AccountId]:
    """Return two accounts that have a row in every table of theirs."""

    async def furnished() -> tuple[AccountId, AccountId]:
        async with PostgresStorage(database, clock=lambda: NOON) as storage:
            first, second = await settle(storage), await settle(storage)
            await furnish(first)
            await furnish(second)
            return first.id, second.id

    return asyncio.run(furnished())


async def furnish(account: Tenant) -> None:
    """Commit a row of every kind."""
    place = {"pipeline_id": account.pipeline.id, "stage_id": account.stages[0]}
    contact = await account.add_contact(name="Ana", phone="+51987654321")
    lead = await account.add_lead(contact_id=contact.id, **place)
    tags = await account.add_tags("vip")
    await account.link(TagTarget.LEAD, *links_of([lead.id], tags))
    await account.link(TagTarget.CONTACT, *links_of([contact.id], tags))
    await account.hire(is_default=True)
    job = await account.add_import()
    async with account.begin() as tx:
        await tx.leads.log_moves([StageMove(lead_id=lead.id, to_stage=account.stages[0], at=NOON)])
        await tx.imports.save(job, [RowOutcome(row=1, result=RowResult.CREATED)])
        tx.emit(TagDeleted(tag_id=TagId(1)))


@asynccontextmanager
async def working_as(role: str, address: str, account_id: int | None) -> Any:
    """Yield a connection in a role, and in an account, whose changes are undone."""
    connection = await asyncpg.connect(address, server_settings={"role": role})
    transaction = connection.transaction()
    await transaction.start()
    if account_id is not None:
        await connection.execute("select set_config('app.account_id', $1::text, true)", str(account_id))
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()
