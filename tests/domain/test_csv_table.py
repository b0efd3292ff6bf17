"""Files that are refused as a whole, and cells that spreadsheets would calculate."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clarin_core.domain.csv_import import parse_csv
from clarin_core.domain.csv_table import guard, unguard
from clarin_core.errors import Invalid, TooLarge, Unsupported


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n \n",
        b";;;\n;;;",
        b"987654321\n912345678",
        b"quien,que\nAna,x",
        b"\xff\xfen",
        b"\xff\xfe\x00\xd8",
        b"\xef\xbb\xbfnombre\n\xff",
        b'nombre,"' + b"x" * 10_001 + b'"\nAna,y',
        b" " * 100_000 + b"x",
    ],
)
def test_a_file_without_a_known_header_is_refused(content: bytes) -> None:
    """Reading the first person as a header would lose them."""
    with pytest.raises(Invalid) as caught:
        parse_csv(content, region="PE")
    assert caught.value.field == "file"


@pytest.mark.parametrize(
    "content",
    [
        b"nombre\n" + b"x" * (20 << 20),
        b"nombre\n" + b"x\n" * 100_001,
        b"nombre" + b"," * 200,
        b"nombre\nAna" + b"," * 200 + b"x",
        b'nombre\n"Ana"' + b"," * 200 + b"x",
    ],
)
def test_a_file_that_is_too_large_is_refused(content: bytes) -> None:
    """20 MiB, 100,000 records and 200 columns are the bounds."""
    with pytest.raises(TooLarge):
        parse_csv(content, region="PE")


def test_a_workbook_is_unsupported() -> None:
    """The most common mistake gets an answer that helps."""
    with pytest.raises(Unsupported, match="save it as CSV"):
        parse_csv(b"PK\x03\x04nombre\nAna", region="PE")


@given(value=st.text() | st.text("'=+-@\t\r\nx", max_size=4))
@example(value="'=1")
def test_a_guarded_value_is_no_formula_and_comes_back(value: str) -> None:
    """No spreadsheet calculates it; the import undoes it."""
    assert not guard(value).startswith(tuple("=+-@\t\r＝＋－＠"))  # noqa: RUF001 - full width.
    assert unguard(guard(value)) == value
