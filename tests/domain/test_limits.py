"""How often something may be done."""

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.limits import Rate, Tries
from clarin_core.errors import RateLimited
from clarin_core.testing.tenants import NOON

PAUSES = st.sampled_from([0, 1, 4_999, 5_000, 20_000, 333_333, 1_000_000, 60_000_000])


@given(
    per_second=st.sampled_from([1, 2, 20, 50, 200]),
    burst=st.integers(1, 5),
    pauses=st.lists(PAUSES, max_size=40),
)
def test_a_rate_is_a_bucket_that_fills(per_second: int, burst: int, pauses: list[int]) -> None:
    """It lets in what a bucket of tokens would, and what it says of the wait is enough."""
    rate, at, full_at = Rate(per_second, burst), NOON, NOON
    tokens = Fraction(burst)
    for pause in pauses:
        at += timedelta(microseconds=pause)
        tokens = min(Fraction(burst), tokens + Fraction(pause * per_second, 1_000_000))
        if tokens >= 1:
            full_at = rate.spend(full_at, at=at)
            tokens -= 1
            continue
        with pytest.raises(RateLimited) as refusal:
            rate.spend(full_at, at=at)
        wait = (1 - tokens) / per_second
        assert wait < refusal.value.retry_after_s <= wait + 1


@pytest.mark.parametrize(("count", "half"), [(50, 25), (10, 5), (3, 1), (1, 1)])
def test_half_of_the_tries_is_one_at_least(count: int, half: int) -> None:
    """Nobody is shut out because Redis is gone."""
    window = timedelta(minutes=15)
    assert Tries(count, window).halved() == Tries(half, window)
