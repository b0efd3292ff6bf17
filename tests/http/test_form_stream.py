"""Forms that are read as they come: the same however they are cut, and never half."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.errors import ClarinError, Invalid, Malformed
from clarin_server.http.form_stream import FormStream

BOUNDARY = b"--a-boundary"
FILE = b'Content-Disposition: form-data; name="file"; filename="foto.png"'


def field(name: str, content: bytes) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"'.encode() + b"\r\n\r\n" + content


def form(*sections: bytes, end: bytes = b"--\r\n") -> bytes:
    parts = b"".join(b"--" + BOUNDARY + b"\r\n" + section + b"\r\n" for section in sections)
    return parts + b"--" + BOUNDARY + end


def file(content: bytes) -> bytes:
    return FILE + b"\r\n\r\n" + content


async def read(body: bytes, size: int) -> tuple[dict[str, bytes], bytes, int]:
    """Return fields, content, and the longest that was held."""
    held = 0

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield body[at : at + size]

    stream = FormStream(parts(), BOUNDARY)
    part = await stream.open()
    assert part.filename == "foto.png"
    content = b""
    async for piece in stream.content():
        held = max(held, len(stream._held))
        content += piece
    return {name: one.content for name, one in stream.fields.items()}, content, held


def refused(body: bytes) -> ClarinError:
    """Return the error of a body, the same however it is cut."""
    errors = set()
    for size in (1, 7, len(body) or 1):
        with pytest.raises(ClarinError) as error:
            asyncio.run(read(body, size))
        errors.add((type(error.value), str(error.value)))
    assert len(errors) == 1
    return error.value


PIECES = st.sampled_from(
    [b"\r", b"\n", b"-", b"--", b"\r\n--", BOUNDARY, b"\r\n--" + BOUNDARY[:-1]]
)


@given(
    content=st.lists(PIECES | st.binary(max_size=9), max_size=12).map(b"".join),
    text=st.binary(max_size=20).filter(lambda raw: b"--" not in raw),
    size=st.integers(1, 60),
)
def test_any_content_comes_out_as_it_went_in(content: bytes, text: bytes, size: int) -> None:
    """However it is cut, whatever looks like a boundary in it; one that is one ends it."""
    if b"\r\n--" + BOUNDARY in b"\r\n" + content:
        return
    body = form(field("media_type", text), file(content), end=b"--\r\nwhat follows")
    fields, found, _ = asyncio.run(read(body, size))
    assert (fields, found) == ({"media_type": text}, content)


def test_little_of_a_file_is_held() -> None:
    """A part as it comes, and as much as may be the beginning of the end."""
    content = bytes(range(256)) * 4096
    _, found, held = asyncio.run(read(form(file(content)), 1000))
    assert found == content
    assert held <= 1000 + 2 * len(BOUNDARY)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", form(), form(field("media_type", b"image")), form(field("file", b"no file")),
    ],
)  # fmt: skip
def test_a_form_without_a_file_is_refused(body: bytes) -> None:
    """As one that cannot be read, or one that lacks it."""
    error = refused(body)
    assert isinstance(error, Invalid)
    assert error.field in ("file", "body")


@pytest.mark.parametrize("end", [b"", b"-", b"\r\n", b"\r\n" + field("x", b"y")])
def test_a_form_that_is_cut_off_is_refused(end: bytes) -> None:
    """Though all of the file may be there."""
    assert isinstance(refused(form(file(b"foto"), end=end)), Invalid)
    for cut in range(1, 60, 7):
        assert isinstance(refused(form(file(b"foto"), end=b"--")[:-cut]), Malformed)


def test_what_follows_the_file_is_refused() -> None:
    """Fields come first: what a file is to be must be known when it comes."""
    error = refused(form(file(b"foto"), field("media_type", b"image")))
    assert isinstance(error, Invalid)
    assert error.reason == "must be the last field of the form"
    assert isinstance(refused(form(file(b"foto"), file(b"otra"))), Invalid)


@pytest.mark.parametrize(
    "sections",
    [
        [field("a", b"1"), field("a", b"2")],
        [field(f"f{number}", b"") for number in range(9)],
        [field("a", b"x" * 5000)],
        [field("a" * 5000, b"x")],
        [b"no head\r\n\r\nx"],
        [b"\r\n\r\nx"],
        [b'Content-Disposition: form-data; name=""; filename="\xff"\r\n\r\nx'],
    ],
    ids=["twice", "many", "long", "long head", "no head", "empty head", "no text"],
)
def test_a_form_that_cannot_be_read_is_refused(sections: list[bytes]) -> None:
    """Section 5: few fields, short ones, with a head each."""
    assert isinstance(refused(form(*sections, file(b"foto"))), Malformed)


def test_what_stands_before_the_first_boundary_is_not_kept() -> None:
    """As long as it is short."""
    body = b"a preamble\r\n" + form(file(b"foto"))
    assert asyncio.run(read(body, 5))[1] == b"foto"
    assert isinstance(refused(b"x" * 5000 + b"\r\n" + form(file(b"foto"))), Malformed)
