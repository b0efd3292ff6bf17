"""The text rules: one kept form, nothing invisible, bounds in code points."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.text import caseless, clean_text, fold
from clarin_core.errors import Invalid
from clarin_core.testing.strategies import texts

ANYTHING = st.text() | st.text(st.sampled_from("a é\u0301\r\n\t\u200b\u200d\u202e\0\ud800💬"))
INVISIBLE = [
    "\0", "\x07", "\x1b", "\x7f", "\x85", "\u200b", "\u200e", "\u202e", "\u2066", "\u2028",
    "\u2029", "\ufeff", "\ud800", "\udfff", "\ue000", "\U000e0001", "\uffff",
]  # fmt: skip


@given(raw=ANYTHING, lines=st.booleans())
def test_what_is_kept_is_clean_and_stays_so(raw: str, lines: bool) -> None:
    """Section 1: trimmed, NFC, without NUL; cleaning again changes nothing. Else it is Invalid."""
    try:
        kept = clean_text("name", raw, shortest=0, longest=99, lines=lines)
    except Invalid:
        return
    assert kept == kept.strip() == unicodedata.normalize("NFC", kept)
    assert clean_text("name", kept, shortest=0, longest=99, lines=lines) == kept
    kept.encode()
    hidden = {char for char in kept if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Cn", "Co")}
    assert hidden <= {"\u200c", "\u200d"} | ({"\n", "\t"} if lines else set())


@pytest.mark.parametrize("char", INVISIBLE)
@pytest.mark.parametrize("lines", [True, False])
def test_what_nobody_sees_is_refused(char: str, lines: bool) -> None:
    """Section 5: the error names the character, and does not repeat the text."""
    with pytest.raises(Invalid) as refusal:
        clean_text("notes", f"hola{char}mundo", shortest=1, longest=99, lines=lines)
    assert refusal.value.reason == f"holds the character U+{ord(char):04X}"


@pytest.mark.parametrize("char", ["\n", "\t"])
def test_lines_are_for_notes_only(char: str) -> None:
    """Section 5: line breaks and tabs in texts of several lines; `\\r\\n` is a line break."""
    raw = f"uno{char}dos"
    assert clean_text("notes", raw, shortest=0, longest=9, lines=True) == raw
    with pytest.raises(Invalid):
        clean_text("name", raw, shortest=0, longest=9, lines=False)
    assert clean_text("notes", "uno\r\ndos", shortest=0, longest=7, lines=True) == "uno\ndos"
    with pytest.raises(Invalid):
        clean_text("notes", "uno\rdos", shortest=0, longest=9, lines=True)


@pytest.mark.parametrize(
    "word",
    ["👩‍👩‍👧‍👦", "❤️", "می‌خواهم", "Ñandú", "İstanbul", "a\u00a0b", "漢字", "שלום", "e\u0323\u0302"],
)
def test_what_people_write_passes(word: str) -> None:
    """Section 5: joined emoji, Persian, combining marks, any script, hard blanks."""
    kept = clean_text("name", word, shortest=1, longest=99, lines=False)
    assert kept == unicodedata.normalize("NFC", word)


@given(text=texts(40), room=st.integers(-2, 2))
def test_bounds_count_code_points_of_what_is_kept(text: str, room: int) -> None:
    """Section 1: blanks around do not count; a mark that joins its letter does not either."""
    longest = len(text) + room
    if room >= 0:
        kept = clean_text("name", f"  {text}\t", shortest=1, longest=longest, lines=False)
        assert kept == text
    else:
        with pytest.raises(Invalid, match=f"longer than {longest}"):
            clean_text("name", text, shortest=1, longest=longest, lines=False)


def test_a_decomposed_letter_is_one() -> None:
    """Section 1: the length counts after NFC."""
    assert clean_text("name", "e\u0301" * 5, shortest=1, longest=5, lines=False) == "é" * 5


@pytest.mark.parametrize(
    "raw", ["", " ", "\t\n", "\u00a0", "\u3000", "\u200d", "\ufe0f", " \u200c"]
)
def test_a_name_has_something_to_see(raw: str) -> None:
    """Section 5: at least one visible character, where one is needed."""
    with pytest.raises(Invalid):
        clean_text("name", raw, shortest=1, longest=9, lines=False)
    clean_text("notes", raw, shortest=0, longest=9, lines=True)


@pytest.mark.parametrize("word", ["ñandú", "straße", "ῧ", "ΰ", "ǰ", "ŉ", "ﬁn"])
def test_case_makes_no_other_name(word: str) -> None:
    """Also of a letter that has no capital, and comes apart when one is made."""
    capitals = clean_text("name", word.upper(), shortest=1, longest=9, lines=False)
    assert caseless(capitals) == caseless(word)


@given(text=st.text())
def test_folding_again_changes_nothing(text: str) -> None:
    """What two spellings share is its own spelling."""
    assert fold(fold(text)) == fold(text)


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_folding_ignores_normal_forms(text: str) -> None:
    """Composed or decomposed, a text is found."""
    forms = {fold(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert forms == {fold(text)}


@pytest.mark.parametrize(
    ("one", "two"),
    [("José", "JOSE"), ("Straße", "strasse"), ("  Luz   María", "luz maria"), ("ﬁn", "FIN")],
)
def test_folding_ignores_case_accents_and_blanks(one: str, two: str) -> None:
    """Search and headers of files are compared so."""
    assert fold(one) == fold(two)


def test_folding_keeps_what_is_different() -> None:
    """Letters are not dropped."""
    assert len({fold(word) for word in ("ana", "anna", "an a", "año", "漢", "")}) == 6
