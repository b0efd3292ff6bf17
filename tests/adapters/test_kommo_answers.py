"""What answers of Kommo's mean, and how long one waits after them: plain decisions."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.ports.crm import (
    CrmBlocked,
    CrmError,
    CrmForbidden,
    CrmGarbage,
    CrmHeavyPage,
    CrmPaymentDue,
    CrmRateLimited,
    CrmRefused,
    CrmUnauthorized,
    CrmUnreachable,
)
from clarin_kommo.answers import delay_s, fault, may_be_repeated, rest_s
from clarin_kommo.lists import listed
from clarin_kommo.transport import Answer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHANCES = st.floats(0, 1, exclude_max=True)


def answer(
    status: int = 200, *, is_json: bool = True, body: bytes = b"", retry_after: str | None = None
) -> Answer:
    return Answer(status, is_json, body, NOON, retry_after)


@pytest.mark.parametrize(
    ("status", "is_json", "error", "is_repeated"),
    [
        (200, False, CrmGarbage, True),
        (301, True, CrmRefused, False),
        (302, False, CrmRefused, False),
        (400, True, CrmRefused, False),
        (401, True, CrmUnauthorized, False),
        (402, True, CrmPaymentDue, False),
        (403, True, CrmForbidden, False),
        (403, False, CrmBlocked, False),
        (404, True, CrmRefused, False),
        (408, False, CrmUnreachable, True),
        (414, False, CrmRefused, False),
        (422, True, CrmRefused, False),
        (429, False, CrmRateLimited, True),
        (500, True, CrmUnreachable, True),
        (502, False, CrmUnreachable, True),
        (503, False, CrmUnreachable, True),
        (504, False, CrmHeavyPage, True),
        (599, False, CrmUnreachable, True),
    ],
)
def test_the_status_decides(
    status: int, is_json: bool, error: type[CrmError], is_repeated: bool
) -> None:
    """With the media type where one status means two things; whatever the text says."""
    for body in (b"", b"204 No Content, 429, 401"):
        found = fault(answer(status, is_json=is_json, body=body))
        assert type(found) is error
        assert may_be_repeated(found) is is_repeated


@pytest.mark.parametrize("status", [200, 204])
def test_what_was_asked_for_is_no_fault(status: int) -> None:
    assert fault(answer(status)) is None


@given(attempt=st.integers(1, 10**6), chance=CHANCES)
def test_a_delay_is_anything_up_to_its_bound(attempt: int, chance: float) -> None:
    """Full jitter: 0.5 s that doubles, and 30 s at most."""
    delay = delay_s(min(attempt, 1000), chance)
    assert 0 <= delay <= min(30, 0.5 * 2 ** min(attempt, 10))
    assert delay_s(3, chance) == chance * 4


@given(attempt=st.integers(1, 900), chance=CHANCES)
def test_after_a_429_one_rests_a_second_or_more(attempt: int, chance: float) -> None:
    """Up to a minute, when nothing else is said, or nothing that makes sense."""
    for said in (None, "", "soon", "-5", "1.5", "٣"):
        assert 1 <= rest_s(answer(retry_after=said), attempt, chance) <= 60


@given(seconds=st.integers(0, 10**6), attempt=st.integers(1, 9), chance=CHANCES)
def test_after_a_429_one_rests_as_told(seconds: int, attempt: int, chance: float) -> None:
    """In seconds, or until a moment of the other side's clock, whatever ours says."""
    until = format_datetime(NOON + timedelta(seconds=seconds), usegmt=True)
    for said in (str(seconds), f" {seconds} ", until):
        assert rest_s(answer(retry_after=said), attempt, chance) == max(1, seconds)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"_embedded": []}',
        b'{"_embedded": {"contacts": []}}',
        b'{"_embedded": {"leads": {}}}',
        b'{"_embedded": {"leads": [{}]}',
        b'{"_embedded": {"leads": []}, "_links": 7}',
        b"\xff\xfe",
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_no_list_is_garbage(body: bytes) -> None:
    """Nothing of it passes for an empty one: nothing is what 204 says."""
    with pytest.raises(CrmGarbage):
        listed(answer(body=body), "leads")


def test_nothing_is_an_empty_page() -> None:
    part = listed(answer(204), "leads")
    assert (part.raws, part.has_next, part.at) == ([], False, NOON)


@pytest.mark.parametrize(
    ("links", "has_next"),
    [
        (b"{}", False),
        (b'{"next": null}', False),
        (b'{"next": {"href": "https://elsewhere.example"}}', True),
        (b'{"self": {"href": "x"}}', False),
    ],
)
def test_a_page_announces_the_next_one(links: bytes, has_next: bool) -> None:
    """Whether there is one; where it is said to be does not matter."""
    body = b'{"_embedded": {"leads": []}, "_links": ' + links + b"}"
    assert listed(answer(body=body), "leads").has_next is has_next
