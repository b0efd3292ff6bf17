"""Links: a right for some minutes, for whoever has it, to just one thing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec import structs

from clarin_core.domain.ids import AccountId, UserId
from clarin_core.domain.media_links import LIFE, MediaLinks
from clarin_core.errors import Forbidden
from clarin_core.testing.tenants import NOON
from support.cabinet import signed_by

LINKS = MediaLinks(b"a secret of the tests, long enough")
WHO: tuple[AccountId, UserId] = (AccountId(7), UserId(33))
SECOND = timedelta(seconds=1)


def test_a_link_counts_for_five_minutes() -> None:
    """And not a second longer; both ends are told."""
    link = LINKS.to_file(*WHO, "ab", at=NOON)
    assert urlsplit(link.url).path == "/api/media/file/ab"
    assert link.expires_at == NOON + LIFE
    signed = signed_by(link.url)
    assert (signed.account, signed.user) == WHO
    for at in (NOON - LIFE, NOON, NOON + LIFE - SECOND):
        LINKS.check_file("ab", signed, at=at)
    for at in (NOON + LIFE, NOON + 2 * LIFE):
        with pytest.raises(Forbidden, match="not expired"):
            LINKS.check_file("ab", signed, at=at)


def test_the_same_moment_gives_the_same_link() -> None:
    """So that a browser may find again what it has."""
    assert LINKS.to_file(*WHO, "ab", at=NOON) == LINKS.to_file(*WHO, "ab", at=NOON)


@pytest.mark.parametrize(
    "changed",
    [
        {"account": 8}, {"user": 4}, {"expires": 2**40}, {"account": 73, "user": 3},
        {"signature": "0" * 64}, {"signature": "ñ" * 64},
    ],
)  # fmt: skip
def test_nothing_of_a_link_can_be_changed(changed: dict[str, Any]) -> None:
    """Whose, who asked, until when, and the signature itself."""
    signed = signed_by(LINKS.to_file(*WHO, "ab", at=NOON).url)
    with pytest.raises(Forbidden):
        LINKS.check_file("ab", structs.replace(signed, **changed), at=NOON)


def test_a_link_is_for_one_thing() -> None:
    """Neither for another file, nor for uploading, nor the other way round."""
    to_file = signed_by(LINKS.to_file(*WHO, "ab", at=NOON).url)
    to_upload = signed_by(LINKS.to_upload(*WHO, at=NOON).url)
    LINKS.check_upload(to_upload, at=NOON)
    for key in ("abc", ""):
        with pytest.raises(Forbidden):
            LINKS.check_file(key, to_file, at=NOON)
    with pytest.raises(Forbidden):
        LINKS.check_upload(to_file, at=NOON)
    with pytest.raises(Forbidden):
        LINKS.check_file("ab", to_upload, at=NOON)


def test_another_secret_makes_other_links() -> None:
    """And none of them is shown where the object is."""
    signed = signed_by(LINKS.to_file(*WHO, "ab", at=NOON).url)
    with pytest.raises(Forbidden):
        replace(LINKS, secret=b"another").check_file("ab", signed, at=NOON)
    assert "secret of" not in repr(LINKS)
