"""Pages and cursors: bounded, and readable only where they were made."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from clarin_core.domain.contacts import ContactQuery
from clarin_core.domain.leads import LeadQuery, LeadSort, LeadStatus
from clarin_core.domain.paging import PageQuery, read_cursor, write_cursor
from clarin_core.domain.tags import TagQuery
from clarin_core.errors import Malformed

KEYS = st.lists(
    st.integers(-(2**63), 2**63 - 1) | st.text() | st.booleans() | st.none(), max_size=3
)
SCOPES = st.binary(max_size=20)


@given(key=KEYS, scope=SCOPES)
def test_a_cursor_is_read_back(key: list[Any], scope: bytes) -> None:
    """Section 1: opaque text for the place after which a page begins."""
    text = write_cursor(key, scope=scope)
    assert read_cursor(text, scope=scope) == key
    assert text.isascii()
    assert "=" not in text


@given(key=KEYS, scope=SCOPES, other=SCOPES)
def test_a_cursor_counts_in_its_scope_only(key: list[Any], scope: bytes, other: bytes) -> None:
    """TN1: not in another account, list or filter."""
    if scope != other:
        with pytest.raises(Malformed):
            read_cursor(write_cursor(key, scope=scope), scope=other)


@given(text=st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_other_text_is_no_cursor(text: str) -> None:
    """Section 2: refused as 400, whatever it is."""
    with pytest.raises(Malformed, match="after"):
        read_cursor(text, scope=b"here")


@given(key=KEYS, data=st.data())
def test_a_damaged_cursor_is_refused(key: list[Any], data: st.DataObject) -> None:
    """Section 2: self-checking; no bit may differ."""
    raw = bytearray(base64.urlsafe_b64decode(pad(write_cursor(key, scope=b"here"))))
    place = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[place // 8] ^= 1 << place % 8
    with pytest.raises(Malformed):
        read_cursor(base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="), scope=b"here")


def test_a_query_without_a_cursor_begins_at_the_top() -> None:
    """Section 1: `after`, even empty, asks by cursor; without it a page has a number."""
    by_number, by_cursor = PageQuery(), PageQuery(after="")
    assert (by_number.by_cursor, by_cursor.by_cursor) == (False, True)
    assert by_number.start(1) is None
    assert by_cursor.start(1) is None
    assert (by_number.page, by_number.size, by_number.offset) == (1, 50, 0)


def test_a_walk_goes_on_where_it_stopped_in_the_same_list_only() -> None:
    """15.8: the same account, query and filters, whatever the size of the page."""
    query = LeadQuery(after="", status=LeadStatus.NEW)
    following = query.answer(7, ["a", "b"], ["2026", 5], total=9)
    assert (following.total, following.page) == (UNSET, UNSET)
    assert following.next is not UNSET
    resumed = LeadQuery(after=following.next, status=LeadStatus.NEW, limit=3)
    assert resumed.start(7) == ["2026", 5]
    for other in (
        LeadQuery(after=following.next),
        LeadQuery(after=following.next, status=LeadStatus.WON),
        LeadQuery(after=following.next, status=LeadStatus.NEW, sort=LeadSort.OLDEST),
        ContactQuery(after=following.next),
        TagQuery(after=following.next),
    ):
        with pytest.raises(Malformed):
            other.start(7)
    with pytest.raises(Malformed):
        resumed.start(8)


def test_the_last_page_says_so() -> None:
    """Section 1: without a `next`; by number it tells the total instead."""
    last = PageQuery(after="").answer(1, ["a"], None, total=9)
    assert last.next is UNSET
    numbered = PageQuery(page=2, limit=3).answer(1, ["a"], None, total=4)
    assert (numbered.total, numbered.page, numbered.limit) == (4, 2, 3)


@given(page=st.integers(1, 10_000), limit=st.integers(1, 2**31))
def test_pages_are_bounded(page: int, limit: int) -> None:
    """Section 5: at most 200 rows; beyond 100,000 rows a cursor is needed."""
    size = min(limit, 200)
    if (page - 1) * size > 100_000:
        with pytest.raises(Malformed, match="page"):
            PageQuery(page=page, limit=limit)
    else:
        query = PageQuery(page=page, limit=limit)
        assert (query.size, query.offset) == (size, (page - 1) * size)


def pad(text: str) -> str:
    """Return base64 with its padding."""
    return text + "=" * (-len(text) % 4)
