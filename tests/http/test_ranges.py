"""Parts of files: what a player asks for when somebody jumps (RFC 9110, 14)."""

import pytest

from support.filing import given, uploaded
from support.houses import refused, tell
from support.serving import House
from support.web import PNG

CONTENT = PNG + bytes(range(200))
RANGES = {
    "bytes=0-0": (0, 1), "bytes=0-": (0, 232), "bytes=5-9": (5, 10), "bytes=-1": (231, 232),
    "bytes=-232": (0, 232), "bytes=-9999": (0, 232), "bytes=231-": (231, 232),
    "bytes=230-999999": (230, 232), "BYTES=1-2": (1, 3), "bytes= 1-2": (1, 3),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "span"), RANGES.items())
def test_a_part_is_given(asked: str, span: tuple[int, int]) -> None:
    """RFC 9110, 14: from, up to, the last so many; at most to the end."""

    async def story(house: House) -> None:
        file = await uploaded(house.ana, CONTENT)
        answer = await given(house.ana, file["key"], range=asked)
        assert answer.status_code == 206
        assert answer.content == CONTENT[slice(*span)]
        assert answer.headers["content-range"] == f"bytes {span[0]}-{span[1] - 1}/232"
        assert answer.headers["content-length"] == str(span[1] - span[0])

    tell(story)


@pytest.mark.parametrize(
    "asked",
    ["", "bytes", "bytes=", "bytes=-", "bytes=x-1", "bytes=5-4", "bytes=0-1,5-6", "lines=0-1",
     "bytes=1-2-3", "bytes=+1-2", "bytes=٣-٤", "bytes=" + "9" * 30 + "-"],
)  # fmt: skip
def test_what_is_no_single_part_is_not_heard(asked: str) -> None:
    """The whole is given then."""

    async def story(house: House) -> None:
        file = await uploaded(house.ana, CONTENT)
        headers = {b"Range": asked.encode()}
        path = f"/api/media/file/{file['key']}"
        answer = await house.ana.ask("GET", path, headers=headers)
        assert (answer.status_code, answer.content) == (200, CONTENT)

    tell(story)


def test_a_part_that_is_not_there_is_told() -> None:
    """416 with the size; of nothing there is no last byte."""

    async def story(house: House) -> None:
        file = await uploaded(house.ana, CONTENT)
        for asked in ("bytes=232-", "bytes=999-1000", "bytes=-0"):
            answer = await given(house.ana, file["key"], range=asked)
            refused(answer, 416, "range_not_satisfiable")
            assert answer.headers["content-range"] == "bytes */232"

    tell(story)


def test_a_part_counts_for_the_version_that_is_known() -> None:
    """If-Range, If-None-Match, and a HEAD that says all but the bytes."""

    async def story(house: House) -> None:
        file = await uploaded(house.ana, CONTENT)
        key, etag = file["key"], f'"{file["sha256"]}"'
        same = await given(house.ana, key, range="bytes=1-2", if_range=etag)
        assert (same.status_code, same.content) == (206, CONTENT[1:3])
        other = await given(house.ana, key, range="bytes=1-2", if_range='"0"')
        assert (other.status_code, other.content) == (200, CONTENT)
        known = await given(house.ana, key, if_none_match=etag)
        assert (known.status_code, known.content) == (304, b"")
        head = await house.ana.ask("HEAD", f"/api/media/file/{key}")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == "232"
        assert (await given(house.ana, key)).content == CONTENT

    tell(story)
