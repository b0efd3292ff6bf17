"""Codes that are scanned: as a picture for pages, and as letters for terminals."""

from io import StringIO

import segno
from rich.text import Text

_PIXELS = 6
_QUIET = 2  # Modules around it; the standard wants four, every phone is content with two.


def as_png_url(text: str) -> str:
    """Return a picture as a data URL, ready for an `img`."""
    url: str = _code(text).png_data_uri(scale=_PIXELS, border=_QUIET)
    return url


def as_letters(text: str) -> Text:
    """Return it drawn with half blocks, two modules in a letter, in colours of its own."""
    drawn = StringIO()
    _code(text).terminal(drawn, compact=True, border=_QUIET)
    return Text(drawn.getvalue().rstrip("\n"), style="bright_white on black", no_wrap=True)


def _code(text: str) -> segno.QRCode:
    """As small as it can be: a code on a screen is neither dirty nor torn."""
    return segno.make(text, error="l", boost_error=False, micro=False)
