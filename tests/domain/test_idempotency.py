"""Keys and what they stand for: bounded, unambiguous, and unreadable once they are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.idempotency import IdempotencyKey, idempotency_key, repeatable
from clarin_core.errors import Conflict, Malformed

ROUTE = "POST /leads"
KEY = IdempotencyKey("8e03978e-40d5-43e8-bc93-6894a57f9324")
PARTS = st.lists(st.binary(max_size=4), max_size=3)


@pytest.mark.parametrize("raw", ["x", "x" * 128, KEY, "!~", '"quoted"'])
def test_a_key_is_visible_ascii(raw: str) -> None:
    """Section 5: 1 to 128 characters, kept as they are."""
    assert idempotency_key(raw) == raw


@pytest.mark.parametrize(
    "raw", ["", "x" * 129, "a b", " a", "a\n", "\ta", "a\x7f", "ñ", "😀", "\0"]
)
def test_any_other_key_is_refused(raw: str) -> None:
    """Section 5: with the name of the header."""
    with pytest.raises(Malformed) as caught:
        idempotency_key(raw)
    assert caught.value.field == "Idempotency-Key"


@given(PARTS, PARTS)
def test_two_requests_are_the_same_only_when_they_say_the_same(
    one: list[bytes], other: list[bytes]
) -> None:
    """CH13: wherever one part ends and the next begins."""
    first, second = repeatable(ROUTE, KEY, *one), repeatable(ROUTE, KEY, *other)
    assert (first == second) == (one == other)


def test_another_request_is_a_conflict() -> None:
    """CH13: its code says so."""
    first, second = repeatable(ROUTE, KEY, b"one"), repeatable(ROUTE, KEY, b"two")
    second.expect(second.request_hash)
    with pytest.raises(Conflict) as caught:
        second.expect(first.request_hash)
    assert caught.value.code == "idempotency_conflict"


def test_who_has_no_key_cannot_try_what_was_said() -> None:
    """R26: the key is not kept, and without it a guess cannot be compared."""
    kept = repeatable(ROUTE, KEY, b"a password")
    assert KEY.encode() not in kept.key + kept.request_hash
    assert repeatable(ROUTE, IdempotencyKey("x"), b"a password").request_hash != kept.request_hash
