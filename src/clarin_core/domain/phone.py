"""Phone numbers: every spelling that people use, and the one form in which Clarin keeps them."""

import re
import string
import unicodedata
from typing import NewType

from phonenumbers import (
    NumberParseException,
    PhoneNumberFormat,
    format_number,
    is_possible_number,
    is_valid_number,
    parse,
)
from phonenumbers import PhoneNumber as ParsedNumber

from clarin_core.domain.text import fold
from clarin_core.errors import Invalid

PhoneNumber = NewType("PhoneNumber", str)
"""E.164: `+` and 7 to 15 ASCII digits, of which the first is not 0."""

_TYPED_MAX = 32
_ADDRESS_MAX = 64  # A JID with its device, or a number behind `whatsapp:`.
_PASTED_DIGITS = range(10, 16)  # International digits whose `+` was lost on the way.

_MARKS = "\ufeff\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_QUOTES = "'\"`\u00b4\u2018\u2019\u201c\u201d\u00ab\u00bb"
_EDGES = string.whitespace + "\u00a0" + _QUOTES + _MARKS  # Contact cards copy with bidi marks.
_SCHEME = re.compile(r"(?:whatsapp|tel):\s*", re.IGNORECASE)
_EXTENSION = re.compile(
    r"[\s,;]*(?:ext(?:ensi[oó]n)?|anexo|anx|int(?:erno)?|x|#)[\s.:=]*[0-9]{1,7}$", re.IGNORECASE
)
_DASHES = "\\-\u2010\u2012\u2013\u2014\u2015\u2212"
_TYPED = re.compile(rf"[\s(]*(\+?)([\s0-9()\[\]./{_DASHES}]*)")
_NO_DIGIT = re.compile(r"[^0-9]+")
_PART_OF_PHONE = re.compile(r"[+0-9 ()./-]*[0-9][+0-9 ()./-]*")
_CANONICAL = re.compile(r"\+[1-9][0-9]{6,14}")
_PHONE_JID = re.compile(
    r"([1-9][0-9]{6,14})(?:\.[0-9]+)?(?::[0-9]+)?@(?:s\.whatsapp\.net|c\.us)", re.IGNORECASE
)
_MEXICAN_MOBILE = re.compile(r"521[0-9]{10}")  # WhatsApp keeps the 1 that Mexico gave up in 2019.
_MOBILE_DIGITS = (
    (re.compile(r"(\+55[1-9][0-9])9([6-9][0-9]{7})"), r"\1\2"),
    (re.compile(r"(\+54)9([0-9]{10})"), r"\1\2"),
    (re.compile(r"(\+52)1([0-9]{10})"), r"\1\2"),
)


def normalize_phone(raw: str, region: str) -> PhoneNumber:
    """Return the number that `raw` means to somebody in `region` (ISO 3166-1, such as `PE`).

    Takes blanks, brackets, dots, hyphens, quotes, an extension, `00`, `tel:`, `whatsapp:`, the
    JID of a person, and the decimal digits of any script. With a leading `+` the region does
    not matter. Every result is read back as itself; only a JID may name a number that nobody
    could dial, and that one is read back from a JID alone.

    Raises Invalid (`invalid_phone`), and nothing else, for any other text.
    """
    text = _plain(raw)
    if "@" in text:
        return phone_from_jid(text)
    plus, digits = _typed(text)
    number = _international(digits) if plus else _national(digits, region)
    if number is None or not _CANONICAL.fullmatch(number):
        raise _refused("is not a valid number")
    return PhoneNumber(number)


def normalize_phone_compat(raw: str) -> str:
    """Return what the backend before Clarin stored: Peruvian by guess, unchecked, without `+`.

    Only for comparing with old data. Any text passes, and the result may need a second turn.
    """
    text = re.sub(r"[ \-()]", "", raw.strip().removeprefix("'")).removeprefix("+")
    return f"51{text}" if len(text) == len("987654321") and text.startswith("9") else text


def phone_from_jid(jid: str) -> PhoneNumber:
    """Return the number in `user[.agent][:device]@s.whatsapp.net` (or `@c.us`) as WhatsApp gave it.

    WhatsApp knows its numbers better than any numbering plan does, so 7 to 15 digits suffice.
    Raises Invalid (`invalid_phone`) for a group, a linked id, a channel, or no JID at all.
    """
    match = _PHONE_JID.fullmatch(jid)
    if match is None:
        raise _refused("is not the address of a person's phone")
    return PhoneNumber(f"+{match[1]}")


def digits_in_search(text: str) -> str | None:
    """Return the digits to be found in phones by a search, None if it is no part of one.

    "Ana 5" is a name, so that it does not find every phone with a 5.
    """
    folded = fold(text)
    return _NO_DIGIT.sub("", folded) if _PART_OF_PHONE.fullmatch(folded) else None


def phone_key(phone: PhoneNumber) -> str:
    """Return what the variants of one number share (PH6): they differ in a digit for mobiles.

    Brazil put a 9 behind the area code, Argentina has one before it, and Mexico had a 1 there.
    """
    for variant, core in _MOBILE_DIGITS:
        if variant.fullmatch(phone):
            return variant.sub(core, phone)
    return phone


def digits(phone: PhoneNumber) -> str:
    """Return the number without its `+`."""
    return phone[1:]


def _refused(reason: str) -> Invalid:
    return Invalid("phone", reason, code="invalid_phone")


def _plain(raw: str) -> str:
    """Return `raw` in NFKC without its wrapping, and with ASCII for every decimal digit."""
    trimmed = raw.strip(_EDGES)
    if len(trimmed) > _ADDRESS_MAX:
        raise _refused(f"is longer than {_TYPED_MAX} characters")
    text = unicodedata.normalize("NFKC", trimmed).strip(_EDGES)
    return text if text.isascii() else "".join(str(unicodedata.decimal(c, c)) for c in text)


def _typed(text: str) -> tuple[bool, str]:
    """Return whether `text` starts with `+`, and its digits without the extension."""
    number = _SCHEME.sub("", text, count=1) if _SCHEME.match(text) else text
    if len(number) > _TYPED_MAX:
        raise _refused(f"is longer than {_TYPED_MAX} characters")
    match = _TYPED.fullmatch(_EXTENSION.sub("", number))
    if match is None:
        raise _refused("holds more than digits and their separators")
    if not (found := _NO_DIGIT.sub("", match[2])):
        raise _refused("is empty")
    return match[1] == "+", found


def _international(digits: str) -> str | None:
    """Read digits that stood behind a `+`.

    A number that is possible and no more is kept as typed: stripping what looks like a trunk
    prefix from it would strip again at the next reading.
    """
    number = _parsed(f"+{digits}", None)
    if number is None:
        return None
    if is_valid_number(number):
        return _e164(number)
    possible = is_possible_number(number) or _MEXICAN_MOBILE.fullmatch(digits)
    return f"+{digits}" if possible else None


def _national(digits: str, region: str) -> str | None:
    number = _parsed(digits, region)
    if number is not None and is_valid_number(number):
        return _e164(number)
    pasted = _parsed(f"+{digits}", None) if len(digits) in _PASTED_DIGITS else None
    return _e164(pasted) if pasted is not None and is_valid_number(pasted) else None


def _parsed(digits: str, region: str | None) -> ParsedNumber | None:
    try:
        return parse(digits, region)
    except NumberParseException:
        return None


def _e164(number: ParsedNumber) -> str:
    return format_number(number, PhoneNumberFormat.E164)
