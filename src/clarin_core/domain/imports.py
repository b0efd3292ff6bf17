"""Imports: a file becomes leads and contacts row by row, each with an outcome."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from clarin_core.domain.actor import Origin
from clarin_core.domain.command import Command
from clarin_core.domain.csv_import import ImportRow, RejectedRow
from clarin_core.domain.entity import Living
from clarin_core.domain.ids import ContactId, ImportId, LeadId
from clarin_core.domain.paging import PageQuery

BATCH_ROWS = 500
PREVIEW_ROWS = 20


class ImportKind(Enum):
    """What a file is read as. Leads bring their contacts; `both` is the same by another name."""

    LEADS = "leads"
    CONTACTS = "contacts"
    BOTH = "both"


class ImportState(Enum):
    """How far an import has come."""

    UPLOADED = "uploaded"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class RowResult(Enum):
    """What became of a row."""

    CREATED = "created"
    UPDATED = "updated"
    DUPLICATE = "duplicate"
    INVALID = "invalid"


class ImportOptions(Command, frozen=True, kw_only=True):
    """How to read a file; `overwrite` lets it replace values that are already there (IM4)."""

    import_type: ImportKind = ImportKind.LEADS
    overwrite: bool = False
    filename: Annotated[str, Meta(min_length=1, max_length=255)] = "import.csv"


class ImportCounts(Struct, kw_only=True):
    """Rows by result."""

    created: int = 0
    updated: int = 0
    duplicate: int = 0
    invalid: int = 0

    def add(self, outcomes: "Sequence[RowOutcome]") -> None:
        """Count some more rows."""
        for outcome in outcomes:
            name = outcome.result.value
            setattr(self, name, getattr(self, name) + 1)


class ImportDraft(Struct, kw_only=True, omit_defaults=True):
    """An uploaded file and how to read it; `region` and `origin` are the uploader's."""

    kind: ImportKind
    overwrite: bool
    filename: str
    sha256: str
    region: str
    origin: Origin
    rows: int


class ImportJob(ImportDraft, Living, kw_only=True, omit_defaults=True):
    """The entity: `rows_done` of `rows` are committed with their outcomes."""

    id: ImportId
    created_at: datetime
    updated_at: datetime
    version: int
    state: ImportState
    rows_done: int
    counts: ImportCounts
    error: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether there is something to do."""
        return self.state in (ImportState.UPLOADED, ImportState.RUNNING)

    def advance(self, outcomes: "Sequence[RowOutcome]", *, is_last: bool, at: datetime) -> None:
        """Count the outcomes of the next rows; the last ones end the import."""
        self.counts.add(outcomes)
        self.rows_done += len(outcomes)
        self.state = ImportState.DONE if is_last else ImportState.RUNNING
        self.touch(at)

    def fail(self, error: str, *, at: datetime) -> None:
        """Give up; what is done stays done, and the file may be uploaded again."""
        self.alter({"state": ImportState.FAILED, "error": error}, at=at)


class RowOutcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of row `row`, counted from 1 after the header."""

    row: int
    result: RowResult
    lead_id: LeadId | None = None
    contact_id: ContactId | None = None
    code: str | None = None
    field: str | None = None
    reason: str | None = None


class ImportPreview(Struct, frozen=True, kw_only=True):
    """How a file would be read: its columns by field, its first good and its first bad rows."""

    encoding: str
    separator: str
    columns: dict[str, tuple[str, ...]]
    ignored: tuple[str, ...]
    valid: int
    invalid: int
    rows: list[ImportRow]
    rejects: list[RejectedRow]


class OutcomeQuery(PageQuery, frozen=True, kw_only=True):
    """Outcomes in the file's order."""

    result: RowResult | UnsetType = UNSET


class ImportQuery(PageQuery, frozen=True, kw_only=True):
    """Imports, newest first."""
