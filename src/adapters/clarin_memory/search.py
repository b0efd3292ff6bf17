"""Search as people type it."""

import re

from clarin_core.domain.phone import PhoneNumber, digits
from clarin_core.domain.text import fold

_PART_OF_PHONE = re.compile(r"[+0-9 ()./-]*[0-9][+0-9 ()./-]*")
_NO_DIGIT = re.compile(r"[^0-9]+")


class Needle:
    """A text to be found in names, ignoring case and accents, or as digits in a phone."""

    def __init__(self, text: str) -> None:
        self._folded = fold(text)
        is_phone = _PART_OF_PHONE.fullmatch(self._folded)
        self._digits = _NO_DIGIT.sub("", self._folded) if is_phone else None

    def is_in(self, *texts: str | None) -> bool:
        """Return whether one of the texts holds it."""
        return any(text is not None and self._folded in fold(text) for text in texts)

    def is_in_phone(self, phone: PhoneNumber | None) -> bool:
        """Return whether the phone holds its digits; it must look like a part of one."""
        return phone is not None and self._digits is not None and self._digits in digits(phone)
