"""What one cell says: each reader gives a value in its kept form or raises Invalid."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from clarin_core.domain.ids import ID_MAX, KommoId
from clarin_core.domain.tags import tag_key, tag_name
from clarin_core.domain.text import clean_text
from clarin_core.errors import Invalid

_AGE_MAX = 150
_LINE_MAX = 255
_EMAIL_MAX = 254
_NOTES_MAX = 10_000
_TAG_MAX = 100
_TAGS_MAX = 100
_VALUE_MAX = 2**53  # As a lead's: JSON readers with doubles count exactly up to here.

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_WHOLE = re.compile(r"[0-9]{1,19}")
_BETWEEN_TAGS = re.compile(r"[,;\n]")
_AMOUNT = re.compile(
    r"(?P<whole>[0-9]{1,16}|[1-9][0-9]{0,2}(?:(?P<group>[.,'\s])[0-9]{3})(?:(?P=group)[0-9]{3})*)"
    r"(?:(?!(?P=group))[.,](?P<cents>[0-9]{1,2}))?"
)

T = TypeVar("T")


def read_first(texts: Sequence[str] | None, read: Callable[[str], T]) -> T | None:
    """Return the first value that can be read, or None if there is no text.

    Raises the first text's Invalid if there is text and none can be read.
    """
    refused: Invalid | None = None
    for text in texts or ():
        try:
            return read(text)
        except Invalid as error:
            refused = refused or error
    if refused is not None:
        raise refused
    return None


def read_line(field: str, texts: Mapping[str, Sequence[str]]) -> str | None:
    """Return the field's first text: one line of 1 to 255 characters."""
    if not (found := texts.get(field)):
        return None
    return clean_text(field, found[0], shortest=1, longest=_LINE_MAX, lines=False)


def read_notes(texts: Sequence[str] | None) -> str | None:
    """Return all notes, each from a new line: at most 10,000 characters."""
    if not texts:
        return None
    return clean_text("notes", "\n".join(texts), shortest=1, longest=_NOTES_MAX, lines=True)


def read_tags(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names between commas, semicolons and line breaks: sorted, each tag once.

    Of two spellings of one tag the first stays. At most 100 tags of at most 100 characters.
    """
    if not texts:
        return ()
    parts = (tag_name(part) for text in texts for part in _BETWEEN_TAGS.split(text))
    names: dict[str, str] = {}
    for name in filter(None, parts):
        clean = clean_text("tags", name, shortest=1, longest=_TAG_MAX, lines=False)
        names.setdefault(tag_key(clean), clean)
    if len(names) > _TAGS_MAX:
        raise Invalid("tags", f"are more than {_TAGS_MAX}")
    return tuple(sorted(names.values()))


def read_email(text: str) -> str:
    """Return an address: at most 254 characters, one `@` inside, no blank."""
    email = clean_text("email", text, shortest=3, longest=_EMAIL_MAX, lines=False)
    if not _EMAIL.fullmatch(email):
        raise Invalid("email", "is not an e-mail address")
    return email


def read_age(text: str) -> int:
    """Return an age of 0 to 150 years."""
    return _whole("age", text, least=0, most=_AGE_MAX)


def read_kommo_id(text: str) -> KommoId:
    """Return Kommo's id of a lead."""
    return KommoId(_whole("kommo_id", text, least=1, most=ID_MAX))


def read_value(text: str) -> int:
    """Return an amount of money in minor units: `150`, `1.234,50` and `1,234.50` are read.

    A single mark before exactly three digits separates thousands: `1.234` is 123400.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise Invalid("value", "is not an amount with at most two decimals")
    whole = re.sub(r"[^0-9]", "", match["whole"])
    value = int(whole) * 100 + int((match["cents"] or "").ljust(2, "0"))
    if value > _VALUE_MAX:
        raise Invalid("value", "is too large")
    return value


def _whole(field: str, text: str, *, least: int, most: int) -> int:
    number = int(text) if _WHOLE.fullmatch(text) else least - 1
    if not least <= number <= most:
        raise Invalid(field, f"is not a whole number from {least} to {most}")
    return number
