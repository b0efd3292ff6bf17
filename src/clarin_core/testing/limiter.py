"""The contract of a limiter: never more than the limit, however many processes ask at once."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarin_core.domain.limits import Rate, Tries
from clarin_core.errors import RateLimited
from clarin_core.ports.limiter import Limiter
from clarin_core.ports.small import Clock
from clarin_core.testing.tenants import NOON
from clarin_core.testing.watch import Watch

WINDOW = timedelta(minutes=15)
THREE = Tries(3, WINDOW)
# Slow, so that the time that passes while a law is tested brings no token.
SLOW = Rate(per_second=1 / 60, burst=40)
SLOW_LEASE = 4  # A tenth of the burst.
ODD_KEYS = ("", " ", "*", "a\nb", "\0", "\ud800", "ñandú", "x" * 100_000)


Limiters = tuple[Limiter, Limiter]
Story = Callable[[Limiters, Watch], Awaitable[None]]


class LimiterContract:
    """What a limiter must keep; extend it, and say in `open` how to open two of yours.

    They stand for two processes on one medium that nobody else uses; where there is one
    process only, both are the same. Their time is that of `clock`, or keeps the same distance.
    """

    settings = settings(
        deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
    )
    patience_s = 30.0

    def open(self, clock: Clock) -> AbstractAsyncContextManager[Limiters]:
        """Return two limiters that share their limits and have counted nothing."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to open its limiters")

    def tell(self, story: Story) -> None:
        """Run a story on a loop of its own."""

        async def told() -> None:
            clock = Watch()
            async with asyncio.timeout(self.patience_s), self.open(clock) as pair:
                await story(pair, clock)

        asyncio.run(told())

    def test_a_window_slides(self) -> None:
        """R25: as many tries in any window, not one more and not one fewer, each key by itself.

        Whoever counts them; a try that proved right does not count.
        """
        steps = st.tuples(
            st.sampled_from("ab"),
            st.sampled_from([0, 1]),
            st.sampled_from([0, 150, 300, 450, 900]),
            st.booleans(),
        )

        @self.settings
        @given(steps=st.lists(steps, max_size=25))
        def example(steps: list[tuple[str, int, int, bool]]) -> None:
            self.tell(lambda pair, clock: slide(pair, clock, steps))

        example()

    def test_many_tries_at_once_are_counted_before_they_are_answered(self) -> None:
        """A crowd gets no more than a queue, in one process or in two."""

        async def story(pair: Limiters, _: Watch) -> None:
            assert await let_in(pair[at % 2].take("ana", THREE) for at in range(200)) == 3

        self.tell(story)

    def test_a_refusal_says_how_long_to_wait(self) -> None:
        """After that time the key is let in, half a minute earlier it is not."""

        async def story(pair: Limiters, clock: Watch) -> None:
            one, other = pair
            for _ in range(3):
                await one.take("ana", THREE)
                clock.forward(minutes=1)
            wait = await refused(other.take("ana", THREE))
            assert 12 * 60 - 30 < wait <= 12 * 60 + 1
            clock.forward(seconds=wait - 30)
            assert 1 <= await refused(one.take("ana", THREE)) <= 31
            clock.forward(seconds=30)
            await other.take("ana", THREE)
            await refused(one.take("ana", THREE))

        self.tell(story)

    def test_a_refused_try_does_not_count(self) -> None:
        """Who goes on knocking is let in as early as who waits."""

        async def story(pair: Limiters, clock: Watch) -> None:
            for _ in range(3):
                await pair[0].take("ana", THREE)
            clock.forward(minutes=10)
            for limiter in pair * 5:
                await refused(limiter.take("ana", THREE))
            clock.forward(minutes=5)
            await pair[1].take("ana", THREE)

        self.tell(story)

    def test_what_is_given_back_is_that_very_try(self) -> None:
        """Not another one of the key, and once only, also when it is given back twice."""

        async def story(pair: Limiters, clock: Watch) -> None:
            one, other = pair
            first = await one.take("ana", THREE)
            clock.forward(minutes=10)
            for _ in range(2):
                await one.take("ana", THREE)
            for limiter in (one, one, other):
                await limiter.give_back(first)
            await other.take("ana", THREE)
            clock.forward(minutes=6)
            await refused(one.take("ana", THREE))

        self.tell(story)

    def test_who_proves_right_begins_anew(self) -> None:
        """The tries of the key are forgotten everywhere, those of others are not."""

        async def story(pair: Limiters, clock: Watch) -> None:
            one, other = pair
            for _ in range(3):
                await one.take("ana", THREE)
                await one.take("eva", THREE)
            await other.forget("ana")
            await other.forget("nadie")
            for _ in range(3):
                await one.take("ana", THREE)
            await refused(other.take("eva", THREE))

        self.tell(story)

    def test_a_bucket_gives_its_burst_and_then_its_rate(self) -> None:
        """Not one token fewer to who asks alone, and never more than the burst after a silence."""

        async def story(pair: Limiters, clock: Watch) -> None:
            for _ in range(2):
                assert await let_in(pair[0].spend("ana", SLOW) for _ in range(60)) == SLOW.burst
                assert 30 < await refused(pair[0].spend("ana", SLOW)) <= 61
                clock.forward(minutes=7)
                assert await let_in(pair[0].spend("ana", SLOW) for _ in range(60)) == 7
                clock.forward(days=1)

        self.tell(story)

    def test_a_token_at_hand_is_one_of_the_same(self) -> None:
        """Whether it is waited for or not; where none is at hand, none is taken."""

        async def story(pair: Limiters, clock: Watch) -> None:
            found = 0
            for _ in range(60):
                found += pair[0].spend_now("ana", SLOW)
                found += await let_in([pair[0].spend("ana", SLOW)])
            assert found == SLOW.burst
            assert not pair[0].spend_now("ana", SLOW)
            await refused(pair[0].spend("ana", SLOW))

        self.tell(story)

    def test_who_waits_as_long_as_told_gets_a_token(self) -> None:
        """One, and not another one at once."""

        async def story(pair: Limiters, clock: Watch) -> None:
            await let_in(pair[0].spend("ana", SLOW) for _ in range(60))
            for _ in range(3):
                clock.forward(seconds=await refused(pair[0].spend("ana", SLOW)))
                await pair[0].spend("ana", SLOW)

        self.tell(story)

    def test_a_bucket_is_shared(self) -> None:
        """All together get what one would; what is at hand elsewhere is missing here at most."""

        async def story(pair: Limiters, _: Watch) -> None:
            async with asyncio.TaskGroup() as group:
                crowds = [
                    group.create_task(let_in(limiter.spend("ana", SLOW) for _ in range(60)))
                    for limiter in pair
                ]
            found = sum(crowd.result() for crowd in crowds)
            assert SLOW.burst - SLOW_LEASE <= found <= SLOW.burst

        self.tell(story)

    def test_a_clock_that_is_set_back_shuts_nobody_out(self) -> None:
        """What was counted in what is now the future does not count."""

        async def story(pair: Limiters, clock: Watch) -> None:
            one, other = pair
            assert await let_in(one.take("ana", THREE) for _ in range(5)) == 3
            await let_in(one.spend("ana", SLOW) for _ in range(60))
            clock.forward(days=-1)
            assert await let_in(other.take("ana", THREE) for _ in range(5)) == 3
            await one.spend("ana", SLOW)
            await other.spend("ana", SLOW)

        self.tell(story)

    def test_nobody_ever_gets_more_than_burst_and_rate(self) -> None:
        """Since the first request: the burst, and what came since then; of whomever it is asked."""
        steps = st.tuples(st.sampled_from([0, 1]), st.integers(0, 5), st.integers(1, 30))

        @self.settings
        @given(steps=st.lists(steps, max_size=12))
        def example(steps: list[tuple[int, int, int]]) -> None:
            self.tell(lambda pair, clock: draw(pair, clock, steps))

        example()

    def test_keys_do_not_meet(self) -> None:
        """Whatever they look like; nor does a key of tries meet the same key of a rate."""

        async def story(pair: Limiters, _: Watch) -> None:
            one, other = pair
            rate = Rate(per_second=1 / 60, burst=1)
            for key in ODD_KEYS:
                await one.take(key, Tries(1, WINDOW))
                await one.spend(key, rate)
            for key in ODD_KEYS:
                await refused(other.take(key, Tries(1, WINDOW)))
                await refused(other.spend(key, rate))

        self.tell(story)


async def slide(pair: Limiters, clock: Watch, steps: Iterable[tuple[str, int, int, bool]]) -> None:
    """Compare tries with those that a list of moments would let in."""
    counted: defaultdict[str, list[datetime]] = defaultdict(list)
    for key, who, pause, is_right in steps:
        clock.forward(seconds=pause)
        recent = [one for one in counted[key] if one > clock.at - WINDOW]
        if len(recent) >= THREE.count:
            await refused(pair[who].take(key, THREE))
            continue
        tried = await pair[who].take(key, THREE)
        if is_right:
            await pair[1 - who].give_back(tried)
        else:
            counted[key] = [*recent, clock.at]


async def draw(pair: Limiters, clock: Watch, steps: Iterable[tuple[int, int, int]]) -> None:
    """Ask for tokens now and then, and compare the sum with the limit."""
    found = 0
    for who, minutes, wanted in steps:
        clock.forward(minutes=minutes)
        found += await let_in(pair[who].spend("ana", SLOW) for _ in range(wanted))
        passed = clock.at - NOON
        assert found <= SLOW.burst + passed / timedelta(minutes=1)


async def let_in(asked: Iterable[Awaitable[object]]) -> int:
    """Return how many of those that ask at once are let in; the others are refused."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    others = [one for one in found if isinstance(one, BaseException)]
    assert all(isinstance(one, RateLimited) for one in others), others
    return len(found) - len(others)


async def refused(asked: Awaitable[object]) -> int:
    """Return how many seconds to wait; fails for what is let in."""
    with pytest.raises(RateLimited) as refusal:
        await asked
    assert refusal.value.retry_after_s >= 1
    return refusal.value.retry_after_s
