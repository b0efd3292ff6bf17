"""The breaker of the media store, on a clock of our own."""

from collections.abc import Callable

import pytest

from clarin_core.errors import NotFound, Unavailable
from clarin_media.breaker import Breaker


class Hand:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def attempt(breaker: Breaker, error: Callable[[], Exception] | None = None) -> str:
    """Return what becomes of a try: done, failed, or refused without being tried."""
    is_tried = False
    try:
        with breaker.trying():
            is_tried = True
            if error is not None:
                raise error()
    except (Unavailable, NotFound):
        return "failed" if is_tried else "refused"
    return "done"


def away() -> Exception:
    return Unavailable("it")


def test_five_failures_in_ten_seconds_open_it_for_two() -> None:
    """Section 2.12; then one may try, and the others rest meanwhile."""
    hand = Hand()
    breaker = Breaker(hand)
    assert [attempt(breaker, away) for _ in range(5)] == ["failed"] * 5
    hand.now += 1.9
    assert attempt(breaker) == "refused"
    hand.now += 0.2
    with breaker.trying():
        assert attempt(breaker) == "refused"
    assert attempt(breaker) == "done"


def test_a_try_that_fails_keeps_it_open() -> None:
    """One failure is enough then, however long it took."""
    hand = Hand()
    breaker = Breaker(hand)
    for _ in range(5):
        attempt(breaker, away)
    for _ in range(3):
        hand.now += 30
        assert attempt(breaker, away) == "failed"
        assert attempt(breaker) == "refused"


@pytest.mark.parametrize("pause", [2.5, 60.0])
def test_failures_far_apart_open_nothing(pause: float) -> None:
    """Four pauses of 2.5 seconds are the ten."""
    hand = Hand()
    breaker = Breaker(hand)
    for _ in range(10):
        assert attempt(breaker, away) == "failed"
        hand.now += pause
    assert attempt(breaker) == "done"


def test_a_success_begins_anew() -> None:
    """Only what fails in a row counts."""
    breaker = Breaker(Hand())
    for _ in range(3):
        assert [attempt(breaker, away) for _ in range(4)] == ["failed"] * 4
        assert attempt(breaker) == "done"


def test_other_errors_are_the_callers() -> None:
    """What the caller raises says nothing of the place."""
    breaker = Breaker(Hand())
    for _ in range(9):
        assert attempt(breaker, lambda: NotFound("file", 1)) == "failed"
    assert attempt(breaker) == "done"
