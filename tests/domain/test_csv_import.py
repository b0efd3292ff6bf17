"""Reading uploaded files: Kommo's own exports, files as people write them, and noise."""

import codecs
import csv
import io
import json
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clarin_core.domain.csv_import import (
    ImportRow,
    ImportTable,
    RejectedRow,
    parse_csv,
    rejects_csv,
)
from clarin_core.domain.csv_table import unguard
from clarin_core.errors import ClarinError

SAMPLES = Path(__file__).parent.parent / "data" / "imports"
EXPECTED: dict[str, list[dict[str, Any]]] = json.loads((SAMPLES / "expected.json").read_text())

ENCODINGS = {
    "utf-8": b"",
    "utf-8 ": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "cp1252": b"",
}
SEPARATORS = ",;\t"

# What people type and Windows-1252 can write; a name's blanks and ticks are a matter of its own.
CELLS = st.text("abcñÁß€ 123,;\t\"'=+-@.\n", max_size=12)
TABLES = st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8)

MANY = ["x"] * 45  # More columns than the cells above hold separators.


def parse(text: str) -> ImportTable:
    return parse_csv(text.encode(), region="PE")


def only(text: str) -> ImportRow:
    """The one row of a file, which can be imported."""
    (row,) = parse(text).rows
    assert isinstance(row, ImportRow)
    return row


def refused(text: str) -> RejectedRow:
    """The one row of a file, which cannot be imported."""
    (row,) = parse(text).rows
    assert isinstance(row, RejectedRow)
    return row


def rejected(table: ImportTable) -> list[RejectedRow]:
    return [row for row in table.rows if isinstance(row, RejectedRow)]


def written(rows: Iterable[Sequence[str]], separator: str, line_end: str = "\r\n") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=line_end).writerows(rows)
    return text.getvalue()


def as_expected(row: ImportRow | RejectedRow) -> dict[str, Any]:
    """A row in the words of expected.json, as far as a refused row has them."""
    whys = {"phone": "phone", "name": "no name, no phone"}
    match row:
        case ImportRow():
            shown = {"phone": row.phone, "tags": list(row.tags), "name": row.name, "why": None}
        case RejectedRow():
            shown = {"why": whys[row.field]}
    return {"row": row.row, "invalid": isinstance(row, RejectedRow), **shown}


@pytest.mark.parametrize("name", EXPECTED)
def test_kommos_exports_are_read_row_by_row(name: str) -> None:
    """IM1, IM2: phones, tags, names and refusals are those of expected.json."""
    table = parse_csv((SAMPLES / name).read_bytes(), region="PE")
    rows = [as_expected(row) for row in table.rows]
    assert [{**want, **got} for got, want in zip(rows, EXPECTED[name], strict=True)] == (
        EXPECTED[name]
    )


@pytest.mark.parametrize(
    ("name", "encoding", "separator"),
    [
        ("kommo-utf8-bom-comma.csv", "utf-8", ","),
        ("kommo-header-comma-rows-semicolon.csv", "utf-8", ";"),
        ("kommo-cp1252-semicolon.csv", "windows-1252", ";"),
        ("kommo-utf16-tab.csv", "utf-16-le", "\t"),
    ],
)
def test_a_preview_tells_how_a_file_was_understood(
    name: str, encoding: str, separator: str
) -> None:
    """IM1, IM3: encoding, separator and the columns of each field."""
    table = parse_csv((SAMPLES / name).read_bytes(), region="PE")
    assert (table.encoding, table.separator) == (encoding, separator)
    assert table.columns["phone"] == (
        "Teléfono celular (contacto)",
        "Teléfono oficina (contacto)",
        "Otro teléfono (contacto)",
    )
    assert table.columns["notes"] == ("Nota 1", "Nota 2")
    assert "Responsable" in table.ignored


def test_a_whole_row_of_kommo() -> None:
    """IM2: every field of Kommo's lead export has its place."""
    row = parse_csv((SAMPLES / "kommo-utf8-bom-comma.csv").read_bytes(), region="PE").rows[1]
    assert row == ImportRow(
        row=2,
        kommo_id=9000001,  # type: ignore[arg-type]  # JSON is untyped.
        lead_name="Lead 1",
        name="Iñigo Núñez",
        phone="+51955636784",  # type: ignore[arg-type]  # JSON is untyped.
        email="p1@ejemplo.pe",
        notes="50% dcto; 2 cuotas",
        tags=("no molestar",),
        stage="Perdido",
        pipeline="Embudo de ventas",
        value=0,
    )


def test_kommos_english_headings_are_known() -> None:
    """IM2: an export with an English interface."""
    row = only(
        "ID,Lead title,Main contact,Lead status,Pipeline,Sale,Lead tags,Work phone (contact),"
        "Mobile phone (contact),Work email (contact),Note 1,Note 2\n"
        '7,Roof,Ana,Won,Sales,"1,234.50","b, a",999,987654321,a@b.pe,one,two\n'
    )
    assert (row.kommo_id, row.lead_name, row.name, row.stage) == (7, "Roof", "Ana", "Won")
    assert (row.pipeline, row.value, row.tags) == ("Sales", 123450, ("a", "b"))
    assert (row.phone, row.email, row.notes) == ("+51987654321", "a@b.pe", "one\ntwo")


@pytest.mark.parametrize(
    "header",
    ["nombre,telefono", "NOMBRE_COMPLETO,Teléfono (contacto)", "Name , Móvil", '"name","Número"'],
)
def test_headings_are_known_in_any_spelling(header: str) -> None:
    """IM2: case, accents, blanks and `(contacto)` make no difference."""
    row = only(f"{header}\nAna,987654321")
    assert (row.name, row.phone) == ("Ana", "+51987654321")


def test_a_bare_id_is_kommos_only_beside_the_name_of_a_lead() -> None:
    """IM2: other programs number their rows too."""
    assert only("id,nombre\n7,Ana").kommo_id is None
    assert only("id,nombre,nombre del lead\n7,Ana,Roof").kommo_id == 7


def test_a_phone_column_without_a_known_heading_is_found_by_content() -> None:
    """IM2: most of its cells are phones."""
    table = parse("nombre,dni,fono\nAna,41234567,987654321\nLuz,40404040,912345678\nEva,,x")
    assert table.columns["phone"] == ("fono",)
    assert table.ignored == ("dni",)
    assert [type(row) for row in table.rows] == [ImportRow, ImportRow, RejectedRow]


def test_no_phone_column_is_invented() -> None:
    """IM2: a column that rarely holds a phone holds none."""
    table = parse("nombre,nota libre\nAna,hola\nLuz,987654321\nEva,chau")
    assert "phone" not in table.columns


def test_the_first_readable_phone_counts() -> None:
    """IM2: mobile, then office, then any other."""
    header = "nombre,otro teléfono,teléfono oficina,teléfono celular\n"
    assert only(header + "Ana,912345678,987654321,abc").phone == "+51987654321"
    assert only(header + "Ana,912345678,,").phone == "+51912345678"


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("150", 15000),
        ("0", 0),
        ("1.234,50", 123450),
        ("1,234.50", 123450),
        ("1.234.567", 123456700),
        ("1 234,5", 123450),
        ("1.234", 123400),
        ("12.34", 1234),
        ("1234.5", 123450),
    ],
)
def test_amounts_are_read_as_people_write_them(text: str, minor: int) -> None:
    """A value counts minor units, whichever mark separates its decimals."""
    assert only(f"nombre\tpresupuesto\nAna\t{text}").value == minor


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("name", "x" * 256),
        ("last_name", "a\u202eb"),
        ("company", "a\0b"),
        ("email", "a@b@c"),
        ("email", "a b@c"),
        ("email", "@"),
        ("email", "a@" + "b" * 253),
        ("age", "151"),
        ("age", "-1"),
        ("age", "٣"),
        ("age", "9" * 5000),
        ("notes", "a\x07b"),
        ("tags", "x" * 101),
        ("tags", ",".join(map(str, range(101)))),
        ("stage", "x" * 256),
        ("pipeline", "x" * 256),
        ("presupuesto", "12.345.6"),
        ("presupuesto", "0.500"),
        ("presupuesto", "-1"),
        ("presupuesto", "9" * 16),
        ("kommo id", "0"),
        ("kommo id", str(2**63)),
        ("kommo id", "x"),
    ],
)
def test_a_value_out_of_bounds_refuses_its_row(field: str, text: str) -> None:
    """The reason names the field, and the cells are kept."""
    names = {"kommo id": "kommo_id", "presupuesto": "value"}
    row = refused(f"nombre completo\t{field}\nAna\t{text}")
    assert (row.row, row.code, row.field) == (1, "validation_failed", names.get(field, field))
    assert row.cells == ("Ana", text.replace("\0", "\ufffd"))


def test_neither_name_nor_phone_is_refused() -> None:
    """A row must name somebody, or at least a lead."""
    assert refused("nombre,telefono,email\n,,a@b.pe").field == "name"
    assert only("nombre,nombre del lead\n,Roof").lead_name == "Roof"


def test_a_number_that_cannot_be_read_refuses_its_row() -> None:
    """PH7: never an empty phone, never a row without the phone that it had."""
    row = refused("nombre,telefono\nAna,98765432a")
    assert (row.code, row.field) == ("invalid_phone", "phone")


def test_tags_are_one_for_each_name() -> None:
    """The first spelling stays; blanks are collapsed; the order is that of the names."""
    row = only('nombre;etiquetas\nAna;"web, VIP ,  no   molestar,vip,,Web"')
    assert row.tags == ("VIP", "no molestar", "web")


def test_short_rows_lack_their_last_fields() -> None:
    """Spreadsheets drop trailing cells."""
    assert only("nombre,telefono,edad\nAna,987654321").age is None


def test_text_beyond_the_header_refuses_its_row() -> None:
    """A stray separator has moved the cells: better no row than a wrong one."""
    assert refused("nombre,telefono\nAna,Luz,987654321").field == "row"
    assert only("nombre,telefono\nAna,987654321,, ,").name == "Ana"


def test_a_cell_that_is_too_long_refuses_its_row_only() -> None:
    """A cell of any size is no end to the reading, whatever the csv module allows."""
    table = parse(f'nombre,otro\n"{"x" * 200_000}",\nAna,"{"y" * 10_001}"\nLuz,ok\n')
    assert [(row.row, type(row)) for row in table.rows] == [
        (1, RejectedRow),
        (2, RejectedRow),
        (3, ImportRow),
    ]


def test_blank_rows_count_and_give_nothing() -> None:
    """Row numbers are those of a spreadsheet, less the header."""
    table = parse("\n\nnombre;telefono\n\nAna;\n;;;\n  \nLuz;\n" + ";;\n" * 200_000)
    assert [row.row for row in table.rows] == [2, 5]


def test_a_quote_that_nothing_closes_is_a_character() -> None:
    """It does not swallow the rest of the file."""
    table = parse('nombre,notas\nAna,5" tubo\nLuz,"a ""b"" c"\nEva,"x')
    assert [getattr(row, "name", None) for row in table.rows] == ["Ana", "Luz", "Eva"]
    assert [getattr(row, "notes", None) for row in table.rows] == ['5" tubo', 'a "b" c', '"x']


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", SEPARATORS)
def test_quoted_cells_may_hold_anything(separator: str, line_end: str) -> None:
    """IM1: separators, quotes and line breaks, which become LF."""
    rows = [["nombre", "notas"], ["Ana", 'uno, dos; "tres"\tcuatro\r\ncinco\rseis']]
    row = only(written(rows, separator, line_end))
    assert row.notes == 'uno, dos; "tres"\tcuatro\ncinco\nseis'


def test_formulas_are_plain_text() -> None:
    """A cell is data; the tick of an export is taken off again."""
    assert only("nombre,notas\nAna,=SUM(A1)").notes == "=SUM(A1)"
    assert only("nombre,notas,telefono\nAna,'=SUM(A1),'+51987654321").notes == "=SUM(A1)"
    assert only("nombre,notas\nAna,'n Sync'").notes == "'n Sync'"


def test_bytes_without_a_meaning_refuse_their_row_only() -> None:
    """Windows-1252 leaves five bytes undefined; the other rows can be read."""
    table = parse_csv(b"nombre\n\x81lvaro\nJos\xe9", region="PE")
    assert [getattr(row, "name", None) for row in table.rows] == [None, "José"]


@given(
    cells=TABLES,
    encoding=st.sampled_from(sorted(ENCODINGS)),
    separators=st.sampled_from(list(product(SEPARATORS, SEPARATORS))),
)
def test_what_a_program_wrote_is_what_is_read(
    cells: list[list[str]], encoding: str, separators: tuple[str, str]
) -> None:
    """IM1: five encodings, three separators in header and rows: the cells arrive."""
    text = written([["nombre", "edad", *MANY, "", "", ""]], separators[0])
    text += written([["€", "no", *MANY, *row] for row in cells], separators[1])
    table = parse_csv(ENCODINGS[encoding] + text.encode(encoding.strip()), region="PE")
    assert table.separator == separators[1]
    assert [list(row.cells[-3:]) for row in rejected(table)] == [
        [unguard(cell) for cell in row] for row in cells
    ]


@given(content=st.binary(max_size=200))
@example(content=b'nombre,"')
@example(content=b"\xff\xfe" + "nombre\n\0".encode("utf-16-le"))
@example(content=b"nombre\n\xed\xa0\x80")
def test_any_bytes_give_a_table_or_an_error_of_ours(content: bytes) -> None:
    """Total: with and without a header in front, and whatever comes out can be kept as JSON."""
    for start in (b"", b"nombre,telefono;notas\t edad\n", b"\xff\xfen\0a\0m\0e\0\n\0"):
        try:
            table = parse_csv(start + content, region="PE")
        except ClarinError:
            continue
        assert b"\\u0000" not in msgspec.json.encode(table)
        parse_csv(rejects_csv(table.header, rejected(table)), region="PE")


@given(cells=TABLES)
def test_rejects_are_read_again_as_they_were(cells: list[list[str]]) -> None:
    """IM3: uploaded unchanged, the same rows are refused for the same reasons; twice alike."""
    rows = [["nombre", "telefono", "edad"], *(["Ana", "1", *row] for row in cells)]
    table = parse(written(rows, ","))
    first = rejects_csv(table.header, rejected(table))
    again = parse_csv(first, region="PE")
    assert [(r.field, r.reason, r.cells[2:]) for r in rejected(again)] == [
        (r.field, r.reason, r.cells) for r in rejected(table)
    ]
    second = parse_csv(rejects_csv(again.header, rejected(again)), region="PE")
    assert second.header == ("fila", "motivo", "nombre", "telefono", "edad")
    assert [r.cells[2:] for r in rejected(second)] == [r.cells for r in rejected(table)]


def test_rejects_tell_row_and_reason_before_their_cells() -> None:
    """A person sees at once what to mend; phones are guarded like any formula."""
    table = parse("nombre,telefono\nLuz,\n=1+1,+99,x\n")
    assert rejects_csv(table.header, rejected(table)).decode("utf-8-sig") == (
        "fila,motivo,nombre,telefono\r\n2,row has text beyond the last heading,'=1+1,'+99,x\r\n"
    )


def test_parsing_twice_gives_the_same() -> None:
    """IM3: nothing depends on what was read before."""
    content = (SAMPLES / "kommo-cp1252-semicolon.csv").read_bytes()
    assert parse_csv(content, region="PE") == parse_csv(content, region="PE")
