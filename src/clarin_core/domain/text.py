"""Text as people type it, and the one form in which it is kept and searched."""

import unicodedata
from unicodedata import category

from clarin_core.errors import Invalid

_INVISIBLE = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
_BLANKS = "\t\n\v\f\r\x85\u2028\u2029"
_JOINERS = "\u200c\u200d\ufe0f"  # Part of emoji and of Persian and Indic words.


def clean_text(field: str, raw: str, *, shortest: int, longest: int, lines: bool) -> str:
    """Return `raw` trimmed and in NFC; lengths count code points after that.

    Line breaks and tabs pass only where `lines` are allowed. Raises Invalid for control,
    bidirectional and zero-width characters, lone surrogates, and a length out of bounds.
    """
    text = unicodedata.normalize("NFC", raw.replace("\r\n", "\n") if lines else raw).strip()
    if not text.isprintable():
        _refuse_invisible(field, text, allowed=_JOINERS + ("\n\t" if lines else ""))
    if len(text) > longest:
        raise Invalid(field, f"is longer than {longest} characters")
    if len(text) < shortest or (shortest and not any(map(_is_visible, text))):
        raise Invalid(field, "is empty" if not text else f"is shorter than {shortest} characters")
    return text


def legible(raw: str) -> str:
    """Return what `clean_text` lets pass of any text, on one line, however long it is."""
    text = "".join(" " if char in _BLANKS else char for char in raw)
    if not text.isprintable():
        text = "".join(c for c in text if c in _JOINERS or category(c) not in _INVISIBLE)
    return unicodedata.normalize("NFC", text).strip()


def caseless(text: str) -> str:
    """Return what spellings share that differ in case only, in NFC: to fold may take apart."""
    return unicodedata.normalize("NFC", text.casefold())


def fold(text: str) -> str:
    """Return what two spellings share: no case, no accents, single blanks."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(kept.casefold().split())


def _is_visible(char: str) -> bool:
    return char not in _JOINERS and not char.isspace()


def _refuse_invisible(field: str, text: str, *, allowed: str) -> None:
    for char in text:
        if char not in allowed and category(char) in _INVISIBLE:
            raise Invalid(field, f"holds the character U+{ord(char):04X}")
