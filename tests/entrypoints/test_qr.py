"""Codes as pictures and as letters: what a phone reads in them is what was drawn."""

import base64
import io

import pytest

from clarin_server.qr import as_letters, as_png_url

CODE = "https://wa.me/settings/linked_devices#3EB0ABCDEF0123456789AB"


def test_a_picture_is_a_png_in_a_url() -> None:
    head, _, body = as_png_url(CODE).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(body).startswith(b"\x89PNG\r\n\x1a\n")


def test_a_picture_and_letters_show_the_same() -> None:
    """Two modules in a letter, the light ones drawn; around both the same quiet zone."""
    image = pytest.importorskip("PIL.Image")
    picture = image.open(io.BytesIO(base64.b64decode(as_png_url(CODE).partition(",")[2])))
    lines = as_letters(CODE).plain.splitlines()
    side, pixels = len(lines[0]), picture.convert("1")
    scale = pixels.width // side
    light = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
    for y, line in enumerate(lines):
        for x, letter in enumerate(line):
            for half, is_light in enumerate(light[letter]):
                if 2 * y + half < side:
                    at = ((x * scale) + 1, (2 * y + half) * scale + 1)
                    assert bool(pixels.getpixel(at)) == bool(is_light), (x, y)


@pytest.mark.parametrize(("letters", "lines"), [(60, 19), (300, 33)])
def test_letters_are_as_few_as_can_be(letters: int, lines: int) -> None:
    """A short one fits into a terminal of 24 lines, a long one into one of 40."""
    drawn = as_letters((CODE * 6)[:letters]).plain.splitlines()
    assert len(drawn) == lines
    assert max(map(len, drawn)) < 80
