"""Imports: the jobs, their files and what became of each row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.ids import ImportId
from clarin_core.domain.imports import (
    ImportCounts,
    ImportDraft,
    ImportJob,
    ImportQuery,
    ImportState,
    OutcomeQuery,
    RowOutcome,
)
from clarin_core.domain.paging import Page
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.stores import ImportStore
from clarin_postgres.columns import Columns
from clarin_postgres.conditions import Conditions
from clarin_postgres.paging import NEWEST, Listing, Order, page_of, struct
from clarin_postgres.reader import Reader
from clarin_postgres.scope import Scope

_JOB = (
    "i.id, i.kind, i.overwrite, i.filename, i.sha256, i.region, i.origin, i.rows, i.state, "
    "i.rows_done, i.counts, i.error, i.created_at, i.updated_at, i.version"
)
_OUTCOME = "o.row, o.result, o.lead_id, o.contact_id, o.code, o.field, o.reason"
_BY_ROW = Order(("row",), (int,))
_JOBS = Listing("imports.page", "imports i", "i", cut=_JOB, shown=_JOB)
_OUTCOMES = Listing(
    "imports.outcomes", "import_outcomes o", "o", cut=_OUTCOME, shown=_OUTCOME, keyed_by=1
)

_NEW = Columns(
    {
        "kind": "text",
        "overwrite": "boolean",
        "filename": "text",
        "sha256": "text",
        "region": "text",
        "origin": "json",
        "rows": "integer",
    }
)
_REPORTED = Columns(
    {
        "row": "integer",
        "result": "text",
        "lead_id": "bigint",
        "contact_id": "bigint",
        "code": "text",
        "field": "text",
        "reason": "text",
    }
)

_GET = f"""-- imports.get
    select {_JOB} from imports i where i.account_id = $1 and i.id = $2 for no key update"""
_ADD = f"""-- imports.add
    with {_NEW.rows(6)},
    born as (
        insert into imports as i (
            account_id, {_NEW.names}, state, rows_done, counts, created_at, updated_at, version)
        select $1, {_NEW.values}, $3, 0, $4, $5, $5, 1 from n
        on conflict (account_id, sha256, kind, overwrite) where state <> 'failed' do nothing
        returning i.id
    ),
    file as (
        insert into import_files (account_id, import_id, content) select $1, born.id, $2 from born
    )
    select born.id, (
        select i.id from imports i, n
        where i.account_id = $1 and i.sha256 = n.sha256 and i.kind = n.kind
            and i.overwrite = n.overwrite and i.state <> 'failed'
    ) as rival
    from (values (1)) as always left join born on true"""
_CONTENT = """-- imports.content
    select f.content from import_files f where f.account_id = $1 and f.import_id = $2"""
_SAVE = f"""-- imports.save
    with {_REPORTED.rows(10)},
    saved as (
        update imports i set state = $3, rows_done = $4, counts = $5, error = $6,
            created_at = $7, updated_at = $8, version = $9
        where i.account_id = $1 and i.id = $2
        returning i.id
    ),
    reported as (
        insert into import_outcomes as o (account_id, import_id, {_REPORTED.names})
        select $1, saved.id, {_REPORTED.values} from saved, n order by n.place
        on conflict (account_id, import_id, row) do update set
            result = excluded.result, lead_id = excluded.lead_id,
            contact_id = excluded.contact_id, code = excluded.code, field = excluded.field,
            reason = excluded.reason
    )
    select saved.id from saved"""
_VIEW = f"""-- imports.view
    select {_JOB} from imports i where i.account_id = $1 and i.id = $2"""


@dataclass(frozen=True, slots=True)
class PostgresImportStore(ImportStore):
    """The imports of one account."""

    scope: Scope

    async def get(self, import_id: ImportId) -> ImportJob:
        """Return an import, locked; raises NotFound."""
        row = await self.scope.first(_GET, import_id)
        if row is None:
            raise NotFound("import", import_id)
        return struct(row, ImportJob)

    async def add(self, draft: ImportDraft, content: bytes, *, at: datetime) -> ImportJob:
        """Keep an uploaded file; raises Conflict `already_imported` with the id."""
        counts = ImportCounts()
        row = await self.scope.one(
            _ADD, content, ImportState.UPLOADED.value, counts, at, *_NEW.arrays([draft])
        )
        if row["id"] is None:
            raise Conflict("already_imported", "this file was imported before", id=row["rival"])
        return ImportJob(
            id=row["id"],
            state=ImportState.UPLOADED,
            rows_done=0,
            counts=counts,
            created_at=at,
            updated_at=at,
            version=1,
            **{name: getattr(draft, name) for name in ImportDraft.__struct_fields__},
        )

    async def content(self, import_id: ImportId) -> bytes:
        """Return the uploaded file; raises NotFound."""
        row = await self.scope.first(_CONTENT, import_id)
        if row is None:
            raise NotFound("import", import_id)
        return bytes(row["content"])

    async def save(self, job: ImportJob, outcomes: Sequence[RowOutcome]) -> None:
        """Store an import's progress and the outcomes of some more rows."""
        row = await self.scope.first(
            _SAVE, job.id, job.state.value, job.rows_done, job.counts, job.error, job.created_at,
            job.updated_at, job.version, *_REPORTED.arrays(outcomes),
        )  # fmt: skip
        if row is None:
            raise NotFound("import", job.id)


class ImportViews(Reader):
    """What an account reads of its imports."""

    async def imports(self, query: ImportQuery) -> Page[ImportJob]:
        """Return imports, newest first."""
        where = Conditions("i.account_id = $1")
        text = _JOBS.statement(query, NEWEST, where, account_id=self._account_id)
        rows = await self._fetch(text, *where.arguments)
        return page_of(rows, query, NEWEST, self._account_id, ImportJob)

    async def import_job(self, import_id: ImportId) -> ImportJob:
        """Return an import; raises NotFound."""
        rows = await self._fetch(_VIEW, import_id)
        if not rows:
            raise NotFound("import", import_id)
        return struct(rows[0], ImportJob)

    async def import_outcomes(self, import_id: ImportId, query: OutcomeQuery) -> Page[RowOutcome]:
        """Return a page of an import's outcomes by row; raises NotFound."""
        where = Conditions("o.account_id = $1")
        job = where.bind(import_id)
        where.add(f"o.import_id = {job}")
        if query.result is not UNSET:
            where.add("o.result = {0}", query.result.value)
        told = f"""exists (
            select from imports x where x.account_id = $1 and x.id = {job}) as is_known, """
        text = _OUTCOMES.statement(query, _BY_ROW, where, account_id=self._account_id, told=told)
        rows = await self._fetch(text, *where.arguments)
        if rows and not rows[0]["is_known"]:
            raise NotFound("import", import_id)
        return page_of(rows, query, _BY_ROW, self._account_id, RowOutcome)

    async def import_content(self, import_id: ImportId) -> bytes:
        """Return the uploaded file; raises NotFound."""
        rows = await self._fetch(_CONTENT, import_id)
        if not rows:
            raise NotFound("import", import_id)
        return bytes(rows[0]["content"])
