"""Search as people type it."""

from clarin_core.domain.phone import PhoneNumber, digits, digits_in_search
from clarin_core.domain.text import fold


class Needle:
    """A text to be found in names, ignoring case and accents, or as digits in a phone."""

    def __init__(self, text: str) -> None:
        self._folded = fold(text)
        self._digits = digits_in_search(text)

    def is_in(self, *texts: str | None) -> bool:
        """Return whether one of the texts holds it."""
        return any(text is not None and self._folded in fold(text) for text in texts)

    def is_in_phone(self, phone: PhoneNumber | None) -> bool:
        """Return whether the phone holds its digits; it must look like a part of one."""
        return phone is not None and self._digits is not None and self._digits in digits(phone)
