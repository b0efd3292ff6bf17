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
    ImportKind,
    ImportQuery,
    ImportState,
    OutcomeQuery,
    RowOutcome,
)
from clarin_core.domain.paging import Page
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.stores import ImportStore
from clarin_memory.paging import NEWEST, Order
from clarin_memory.reader import Reader
from clarin_memory.state import AccountTables, Scope
from clarin_memory.tables import copied

_BY_ROW = Order[RowOutcome](lambda outcome: (outcome.row,), (int,))


def _read_as(draft: ImportDraft) -> tuple[str, ImportKind, bool]:
    """Return what makes two uploads the same."""
    return draft.sha256, draft.kind, draft.overwrite


@dataclass(frozen=True, slots=True)
class MemoryImportStore(ImportStore):
    """The imports of one account."""

    scope: Scope

    async def get(self, import_id: ImportId) -> ImportJob:
        """Return an import; raises NotFound."""
        return copied(_job(self.scope.tables, import_id))

    async def add(self, draft: ImportDraft, content: bytes, *, at: datetime) -> ImportJob:
        """Keep an uploaded file; raises Conflict `already_imported` with the id."""
        for job in self.scope.tables.imports.rows():
            is_same = _read_as(job) == _read_as(draft)
            if is_same and job.state is not ImportState.FAILED:
                raise Conflict("already_imported", "this file was imported before", id=job.id)
        job = _uploaded(draft, ImportId(self.scope.ids.next("import")), at)
        self.scope.tables.imports.put(job.id, job)
        self.scope.tables.files.put(job.id, content)
        return job

    async def content(self, import_id: ImportId) -> bytes:
        """Return the uploaded file; raises NotFound."""
        return _content(self.scope.tables, import_id)

    async def save(self, job: ImportJob, outcomes: Sequence[RowOutcome]) -> None:
        """Store an import's progress and the outcomes of some more rows."""
        _job(self.scope.tables, job.id)
        self.scope.tables.imports.put(job.id, job)
        for outcome in outcomes:
            self.scope.tables.outcomes.put((job.id, outcome.row), outcome)


class ImportViews(Reader):
    """What an account reads of its imports."""

    async def imports(self, query: ImportQuery) -> Page[ImportJob]:
        """Return imports, newest first."""
        return self._page(self._tables.imports.rows(), NEWEST, query, copied)

    async def import_job(self, import_id: ImportId) -> ImportJob:
        """Return an import; raises NotFound."""
        return copied(_job(self._tables, import_id))

    async def import_outcomes(self, import_id: ImportId, query: OutcomeQuery) -> Page[RowOutcome]:
        """Return a page of an import's outcomes by row; raises NotFound."""
        job = _job(self._tables, import_id)
        outcomes = (row for key, row in self._tables.outcomes.items() if key[0] == job.id)
        found = (row for row in outcomes if query.result in (UNSET, row.result))
        return self._page(found, _BY_ROW, query, copied)

    async def import_content(self, import_id: ImportId) -> bytes:
        """Return the uploaded file; raises NotFound."""
        return _content(self._tables, import_id)


def _job(tables: AccountTables, import_id: ImportId) -> ImportJob:
    job = tables.imports.peek(import_id)
    if job is None:
        raise NotFound("import", import_id)
    return job


def _content(tables: AccountTables, import_id: ImportId) -> bytes:
    content = tables.files.peek(import_id)
    if content is None:
        raise NotFound("import", import_id)
    return content


def _uploaded(draft: ImportDraft, import_id: ImportId, at: datetime) -> ImportJob:
    return ImportJob(
        id=import_id,
        state=ImportState.UPLOADED,
        rows_done=0,
        counts=ImportCounts(),
        created_at=at,
        updated_at=at,
        version=1,
        **{name: getattr(draft, name) for name in ImportDraft.__struct_fields__},
    )
