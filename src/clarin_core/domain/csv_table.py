"""CSV as people's programs write it: four encodings, three separators, and no promise kept.

A cell may be quoted, a quoted cell may hold separators, line breaks and doubled quotes, and a
quote that nothing closes is a character like any other. Reading takes time in proportion to the
size, whatever the content: the csv module is only used for writing, because its limit on the
size of a field is shared by the whole process and ends the reading of the file.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from clarin_core.errors import Invalid, TooLarge, Unsupported

BYTES_MAX = 20 * 1024 * 1024
ROWS_MAX = 100_000
COLUMNS_MAX = 200
CELL_MAX = 10_000

_SEPARATORS = (",", ";", "\t")
_SAMPLE_ROWS = 100
_WORKBOOK = b"PK\x03\x04"  # A zip archive, which is what .xlsx and .ods are.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# The five bytes without a meaning become control characters, as the WHATWG Encoding Standard
# has it: they are refused with the text that holds them, and the other rows can be read.
_WINDOWS_1252 = "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in range(256))

_CELLS = {
    separator: re.compile(
        rf'"([^"]*+(?:""[^"]*+)*+)"([^\n{separator}]*)|([^\n{separator}]*)'  # Never backtracks.
    )
    for separator in _SEPARATORS
}
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - full-width forms count.


class CsvTable(NamedTuple):
    """A header, and the records under it that are not blank with their numbers from 1.

    `rows` can be read once; it raises TooLarge past 100,000 records or 200 columns.
    """

    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]
    encoding: str
    separator: str


class _Header(NamedTuple):
    cells: list[str]
    end: int
    separator: str


def read_table(content: bytes, *, known: Callable[[str], bool]) -> CsvTable:
    """Find encoding, header and separators; `known` tells a heading that means something.

    Header and rows may differ in their separator. Raises Invalid (`file`) if no heading is
    known or the bytes belie their mark, Unsupported for a workbook, TooLarge above 20 MiB or
    200 headings.
    """
    if len(content) > BYTES_MAX:
        raise TooLarge("file", f"{BYTES_MAX >> 20} MiB")
    decoded, encoding = decode(content)
    text = _without_blank_ends(decoded.replace("\r\n", "\n").replace("\r", "\n"))
    header = _find_header(text, known)
    separator = _rows_separator(text, header)
    rows = _numbered(_records(text, header.end, separator))
    return CsvTable(tuple(map(storable, header.cells)), rows, encoding, separator)


def decode(content: bytes) -> tuple[str, str]:
    """Return the text without its byte order mark, and the encoding's name.

    Without a mark the text is UTF-8 or, if it cannot be, Windows-1252, which takes any bytes.
    Raises Invalid for bytes that belie their mark and Unsupported for a workbook.
    """
    if content.startswith(_WORKBOOK):
        raise Unsupported("a workbook is not read here: save it as CSV")
    marks = (pair for pair in _BYTE_ORDER_MARKS if content.startswith(pair[0]))
    mark, encoding = next(marks, (b"", "utf-8"))
    try:
        return content[len(mark) :].decode(encoding), encoding
    except UnicodeDecodeError as error:
        if mark:
            raise Invalid("file", f"is not the {encoding} that it claims to be") from error
        return codecs.charmap_decode(content, "strict", _WINDOWS_1252)[0], "windows-1252"


def write_table(rows: Iterable[Sequence[str]]) -> bytes:
    """Return the rows as UTF-8 with a byte order mark, so that spreadsheets read it right.

    No cell is a formula: see `guard`.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows([guard(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def guard(value: str) -> str:
    """Return `value` so that no spreadsheet takes it for a formula; `unguard` undoes it.

    Source: OWASP, "CSV Injection".
    """
    return f"'{value}" if _FORMULA.match(value) else value


def unguard(cell: str) -> str:
    """Return the cell without the tick that `guard`, or a careful spreadsheet, put before it."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def storable(cell: str) -> str:
    """Return the cell with U+FFFD for U+0000, which no PostgreSQL text can hold."""
    return cell.replace("\0", "\ufffd")


def is_blank(cells: Iterable[str]) -> bool:
    """Tell whether no cell holds anything but blanks."""
    return not any(map(str.strip, cells))


def _without_blank_ends(text: str) -> str:
    """Return the text without blank lines around it: spreadsheets write a million of them."""
    text = text.lstrip(" \n")
    end = text.find("\n", len(text.rstrip(" \n\t,;")))
    return text if end < 0 else text[:end]


def _find_header(text: str, known: Callable[[str], bool]) -> _Header:
    """Return the first record that is not blank, split where most headings are known."""
    found = [header for s in _SEPARATORS if (header := _first_record(text, s)) is not None]
    counts = [sum(map(known, header.cells)) for header in found]
    if not any(counts):
        raise Invalid("file", "has no header with a known column")
    header = found[counts.index(max(counts))]
    if len(header.cells) > COLUMNS_MAX:
        raise TooLarge("file", f"{COLUMNS_MAX} columns")
    if max(map(len, header.cells)) > CELL_MAX:
        raise Invalid("file", f"has a heading of more than {CELL_MAX} characters")
    return header


def _first_record(text: str, separator: str) -> _Header | None:
    start = islice(_records(text, 0, separator), _SAMPLE_ROWS)
    return next((_Header(*record, separator) for record in start if not is_blank(record[0])), None)


def _rows_separator(text: str, header: _Header) -> str:
    """Return the separator that fills the header's columns best, in doubt the header's own."""

    def fit(separator: str) -> tuple[float, bool]:
        sample = islice(_records(text, header.end, separator), _SAMPLE_ROWS)
        filled = [min(len(cells), len(header.cells)) for cells, _ in sample]
        return sum(filled) / max(len(filled), 1), separator == header.separator

    return max(_SEPARATORS, key=fit)


def _numbered(records: Iterable[tuple[list[str], int]]) -> Iterator[tuple[int, list[str]]]:
    for row, (cells, _) in enumerate(records, start=1):
        if row > ROWS_MAX:
            raise TooLarge("file", f"{ROWS_MAX} rows")
        if len(cells) > COLUMNS_MAX:
            raise TooLarge("file", f"{COLUMNS_MAX} columns")
        if not is_blank(cells):
            yield row, cells


def _records(text: str, start: int, separator: str) -> Iterator[tuple[list[str], int]]:
    """Yield the cells of each record from `start` on, and where the next record starts."""
    while start < len(text):
        end = text.find("\n", start)
        line = text[start:] if end < 0 else text[start:end]
        if '"' in line:
            cells, start = _quoted_record(text, start, separator)
        else:
            cells, start = line.split(separator, COLUMNS_MAX), start + len(line) + 1
        yield [unguard(cell) for cell in cells], start


def _quoted_record(text: str, start: int, separator: str) -> tuple[list[str], int]:
    """Return the record's cells and its end, or as many cells as show that it is too wide."""
    cells: list[str] = []
    cell_at = _CELLS[separator].match
    while len(cells) <= COLUMNS_MAX and (match := cell_at(text, start)):
        quoted, tail, plain = match.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"') + tail)
        start = match.end() + 1
        if text[start - 1 : start] != separator:
            break
    return cells, start
