"""How often one may try to sign in."""

from collections import defaultdict
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.sign_in import TryLimit
from clarin_core.errors import RateLimited
from clarin_core.testing.tenants import NOON

WINDOW = timedelta(minutes=15)
STEPS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from([0, 1, 299, 300, 450, 900]),
        st.sampled_from(["try", "right", "none"]),
    ),
    max_size=30,
)


@given(steps=STEPS, tries=st.integers(1, 4))
def test_a_window_slides(steps: list[tuple[str, int, str]], tries: int) -> None:
    """R25: never more than the tries in any 15 minutes, and never fewer; each key by itself.

    What is said of the wait is right: one second earlier is too early.
    """
    limit, at = TryLimit(tries), NOON
    counted: defaultdict[str, list[datetime]] = defaultdict(list)
    for key, pause, outcome in steps:
        at += timedelta(seconds=pause)
        recent = [one for one in counted[key] if one > at - WINDOW]
        if len(recent) >= tries:
            with pytest.raises(RateLimited) as refusal:
                limit.check(key, at=at)
            wait = (recent[-tries] + WINDOW - at).total_seconds()
            assert wait < refusal.value.retry_after_s <= wait + 1
            continue
        limit.check(key, at=at)
        if outcome != "none":
            limit.count(key, at=at)
            counted[key] = [*recent, at]
        if outcome == "right":
            limit.take_back(key)
            counted[key].pop()


def test_who_proves_right_begins_anew() -> None:
    """R25: the tries of a name are forgotten with its success."""
    limit = TryLimit(2)
    for _ in range(2):
        limit.count("ana", at=NOON)
    limit.forget("ana")
    limit.forget("nadie")
    limit.take_back("nadie")
    limit.check("ana", at=NOON)


def test_a_flood_of_names_costs_a_bounded_memory() -> None:
    """R23: the key that was silent longest is forgotten, one that goes on trying is not."""
    limit = TryLimit(2)
    for _ in range(2):
        limit.count("quiet", at=NOON)
    for number in range(20_000):
        limit.count("busy", at=NOON)
        limit.count(str(number), at=NOON)
    limit.check("quiet", at=NOON)
    with pytest.raises(RateLimited):
        limit.check("busy", at=NOON)
