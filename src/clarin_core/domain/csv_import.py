"""From an uploaded CSV to rows that can be imported, and rows that a person has to look at.

Nothing is looked up and nothing is merged here: one record gives one result. A record that is
shorter than the header lacks its last fields; one with text beyond the header is refused, since
a stray separator has probably moved its cells under wrong headings.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice

from msgspec import Struct

from clarin_core.domain.csv_columns import Columns, find_columns, is_known
from clarin_core.domain.csv_fields import (
    read_age,
    read_email,
    read_first,
    read_kommo_id,
    read_line,
    read_notes,
    read_tags,
    read_value,
)
from clarin_core.domain.csv_table import CELL_MAX, is_blank, read_table, storable, write_table
from clarin_core.domain.ids import KommoId
from clarin_core.domain.phone import PhoneNumber, normalize_phone
from clarin_core.errors import Invalid

_SAMPLE_ROWS = 100
_REPORT = ("fila", "motivo")

_Numbered = tuple[int, list[str]]


class ImportRow(
    Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="result", tag="readable"
):
    """A record that can be imported; texts are clean and within the bounds of their fields.

    `row` counts from 1 after the header. `name` is the contact's, `lead_name` the lead's,
    `value` is in minor units, `tags` are display names, sorted, one for each tag.
    """

    row: int
    kommo_id: KommoId | None = None
    lead_name: str | None = None
    name: str | None = None
    last_name: str | None = None
    phone: PhoneNumber | None = None
    email: str | None = None
    company: str | None = None
    age: int | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()
    stage: str | None = None
    pipeline: str | None = None
    value: int | None = None


class RejectedRow(Struct, frozen=True, kw_only=True, tag_field="result", tag="rejected"):
    """A record that cannot be imported: the first fault found, and its cells as they were."""

    row: int
    code: str
    field: str
    reason: str
    cells: tuple[str, ...]


class ImportTable(Struct, frozen=True, kw_only=True):
    """A file as it was understood.

    `columns` gives the headings that each field is read from, in the order in which they are
    asked; `ignored` the headings that mean nothing here.
    """

    header: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    ignored: tuple[str, ...]
    rows: list[ImportRow | RejectedRow]
    encoding: str
    separator: str


def parse_csv(content: bytes, *, region: str) -> ImportTable:
    """Read an uploaded file; bare national numbers belong to `region` (such as `PE`).

    If no heading names a phone, the column that holds most of them is taken.

    Raises Invalid (`file`) if there is no header with a known column, Unsupported for a
    workbook, TooLarge for more than 20 MiB, 100,000 records or 200 columns.
    """
    table = read_table(content, known=is_known)
    columns = find_columns(table.header)
    sample = list(islice(table.rows, _SAMPLE_ROWS))
    if "phone" not in columns:
        columns = {**columns, **_phone_column(sample, columns, len(table.header), region)}
    read = _Reader(columns=columns, width=len(table.header), region=region)
    used = set(chain.from_iterable(columns.values()))
    return ImportTable(
        header=table.header,
        columns={f: tuple(table.header[at] for at in places) for f, places in columns.items()},
        ignored=tuple(text for at, text in enumerate(table.header) if at not in used),
        rows=[read(row, cells) for row, cells in chain(sample, table.rows)],
        encoding=table.encoding,
        separator=table.separator,
    )


def rejects_csv(header: Sequence[str], rejected: Iterable[RejectedRow]) -> bytes:
    """Return the rejected rows as a CSV file that can be mended and uploaded again.

    Row number and reason come first, so that cells beyond the header stay beyond it. UTF-8
    with a byte order mark; cells that look like formulas are guarded by a tick.
    """
    known = len(_REPORT) if tuple(header[: len(_REPORT)]) == _REPORT else 0
    lines = ((str(r.row), f"{r.field} {r.reason}", *r.cells[known:]) for r in rejected)
    return write_table(chain([(*_REPORT, *header[known:])], lines))


class _Reader(Struct, frozen=True, kw_only=True):
    """Reads the records of one file."""

    columns: Columns
    width: int
    region: str

    def __call__(self, row: int, cells: list[str]) -> ImportRow | RejectedRow:
        try:
            self._check(cells)
            return self._read(row, _texts(cells, self.columns))
        except Invalid as error:
            kept = tuple(map(storable, cells))
            return RejectedRow(
                row=row, code=error.code, field=error.field, reason=error.reason, cells=kept
            )

    def _check(self, cells: list[str]) -> None:
        if max(map(len, cells)) > CELL_MAX:
            raise Invalid("row", f"has a cell of more than {CELL_MAX} characters")
        if not is_blank(cells[self.width :]):
            raise Invalid("row", "has text beyond the last heading")

    def _read(self, row: int, texts: Mapping[str, list[str]]) -> ImportRow:
        read = ImportRow(
            row=row,
            phone=read_first(texts.get("phone"), lambda raw: normalize_phone(raw, self.region)),
            name=read_line("name", texts),
            last_name=read_line("last_name", texts),
            lead_name=read_line("lead_name", texts),
            kommo_id=read_first(texts.get("kommo_id"), read_kommo_id),
            email=read_first(texts.get("email"), read_email),
            company=read_line("company", texts),
            age=read_first(texts.get("age"), read_age),
            notes=read_notes(texts.get("notes")),
            tags=read_tags(texts.get("tags")),
            stage=read_line("stage", texts),
            pipeline=read_line("pipeline", texts),
            value=read_first(texts.get("value"), read_value),
        )
        if not (read.phone or read.name or read.last_name or read.lead_name):
            raise Invalid("name", "or phone is needed")
        return read


def _texts(cells: Sequence[str], columns: Columns) -> dict[str, list[str]]:
    """Return what each field holds in this record, blank cells and absent ones left out."""
    texts = {
        field: [text for at in places if at < len(cells) and (text := cells[at].strip())]
        for field, places in columns.items()
    }
    return {field: found for field, found in texts.items() if found}


def _phone_column(
    sample: Sequence[_Numbered], columns: Columns, width: int, region: str
) -> dict[str, tuple[int, ...]]:
    """Return the column, among those without a meaning, whose cells are most surely phones."""
    used = set(chain.from_iterable(columns.values()))
    records = [cells for _, cells in sample]
    shares = {at: _phone_share(records, at, region) for at in range(width) if at not in used}
    best = max(shares, key=lambda at: shares[at], default=0)
    return {"phone": (best,)} if shares.get(best, 0) > 0.5 else {}


def _phone_share(records: Iterable[Sequence[str]], at: int, region: str) -> float:
    """Return how many of the column's cells that are not blank are phones, from 0 to 1."""
    given = [cells[at] for cells in records if at < len(cells) and cells[at].strip()]
    return sum(_is_phone(cell, region) for cell in given) / max(len(given), 1)


def _is_phone(cell: str, region: str) -> bool:
    try:
        normalize_phone(cell, region)
    except Invalid:
        return False
    return True
