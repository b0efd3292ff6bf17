"""The contract of a budget: the other side never sees more than it allows, however it is asked."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarin_core.domain.budget import Pace, Wait, Why
from clarin_core.ports.budget import Budget, Turn

PACE = Pace(per_second=6, most=7, gentle_per_second=0.1, patience_s=5)
ODD_KEYS = ("", " ", "*", "a\nb", "\0", "\ud800", "ñandú", "x" * 100_000)

Budgets = tuple[Budget, Budget]


class Hours:
    """Seconds that pass when a law says so, and with the world's clock where that one counts."""

    def __init__(self, *, ticks: bool = False) -> None:
        self._ticks = ticks
        self.shift = 0.0

    def __call__(self) -> float:
        """Return the seconds of this clock."""
        return self.shift + (time.time() if self._ticks else 0.0)

    def forward(self, seconds: float) -> None:
        """Let some time pass."""
        self.shift += seconds


Story = Callable[[Budgets, Hours], Awaitable[None]]


class Sent(NamedTuple):
    """When a request was sent, and when its answer was there: between the two it arrived."""

    at: float
    answered_at: float


class BudgetContract:
    """What a budget must keep; extend it, and say in `open` how to open two of yours.

    They stand for two processes on one medium that nobody else uses; where there is one process
    only, both are the same. Their pace is PACE, their time that of `hours`; `ticks` says that
    the medium has a clock of its own, which goes like the world's, with the shift of `hours`.
    """

    settings = settings(
        deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
    )
    patience_s = 60.0
    ticks = False

    def open(self, hours: Hours) -> AbstractAsyncContextManager[Budgets]:
        """Return two budgets that share their turns and have counted nothing."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to open its budgets")

    def tell(self, story: Story) -> None:
        """Run a story on a loop of its own."""

        async def told() -> None:
            hours = Hours(ticks=self.ticks)
            async with asyncio.timeout(self.patience_s), self.open(hours) as pair:
                await story(pair, hours)

        asyncio.run(told())

    def test_no_more_arrive_within_a_second_than_are_allowed(self) -> None:
        """R20: whoever asks, whenever they are answered, however long the network takes."""
        steps = st.tuples(
            st.sampled_from([0, 1]),
            st.sampled_from([0.0, 0.01, 0.05, 0.17, 0.2, 0.34, 0.5, 1.0]),
            st.integers(0, 3),
            st.booleans(),
        )

        @self.settings
        @given(steps=st.lists(steps, min_size=10, max_size=60))
        def example(steps: list[tuple[int, float, int, bool]]) -> None:
            self.tell(lambda pair, hours: ask_on(pair, hours, steps))

        example()

    def test_who_waits_as_long_as_told_gets_turns_at_the_pace(self) -> None:
        """Six a second, of a side that answers at once: nothing is given away."""

        async def story(pair: Budgets, hours: Hours) -> None:
            start = hours()
            for at in range(31):
                await pair[1].answered(await patient(pair[at % 2], hours))
            assert 5 <= hours() - start <= 9

        self.tell(story)

    def test_a_crowd_gets_one_turn_at_once(self) -> None:
        """However many ask, in whichever process: the others come later."""

        async def story(pair: Budgets, hours: Hours) -> None:
            start = hours()
            found = await asyncio.gather(*(pair[at % 2].claim("acme") for at in range(30)))
            turns = [one for one in found if isinstance(one, Turn)]
            assert 1 <= len(turns) <= 1 + (hours() - start) * PACE.per_second

        self.tell(story)

    def test_what_is_not_answered_counts_until_nobody_waits_for_it(self) -> None:
        """Seven are on their way: the eighth goes when the first can no longer arrive with it."""

        async def story(pair: Budgets, hours: Hours) -> None:
            for _ in range(PACE.most):
                await patient(pair[0], hours)
            hours.forward(PACE.patience_s - 2.0)
            refused = await pair[1].claim("acme")
            assert isinstance(refused, Wait)
            assert refused.seconds <= 1
            hours.forward(3.1)
            assert isinstance(await pair[1].claim("acme"), Turn)

        self.tell(story)

    def test_gentle_ones_leave_room(self) -> None:
        """One in ten seconds of them, whatever else is asked."""

        async def story(pair: Budgets, hours: Hours) -> None:
            one, other = pair
            assert isinstance(await one.claim("acme", is_gentle=True), Turn)
            hours.forward(5)
            assert isinstance(await other.claim("acme", is_gentle=True), Wait)
            assert isinstance(await other.claim("acme"), Turn)
            hours.forward(5.1)
            assert isinstance(await one.claim("acme", is_gentle=True), Turn)

        self.tell(story)

    def test_a_rest_is_for_all(self) -> None:
        """Nobody asks until it is over, and all ask half as often for a minute after it."""

        async def story(pair: Budgets, hours: Hours) -> None:
            one, other = pair
            await one.rest("acme", 30)
            await one.rest("acme", 2)
            refused = await other.claim("acme")
            assert isinstance(refused, Wait)
            assert 20 < refused.seconds <= 30
            assert refused.why is Why.REST
            hours.forward(30)
            start = hours()
            for _ in range(31):
                await other.answered(await patient(other, hours))
            assert 10 <= hours() - start <= 14
            hours.forward(60)
            assert isinstance(await one.claim("acme"), Turn)
            hours.forward(PACE.space_s)
            assert isinstance(await one.claim("acme"), Turn)

        self.tell(story)

    def test_who_was_shut_out_is_told_so(self) -> None:
        """Everywhere, also while there is a rest, and for an hour at most."""

        async def story(pair: Budgets, hours: Hours) -> None:
            one, other = pair
            await one.rest("acme", 30)
            await one.shut("acme", 10**9)
            refused = await other.claim("acme", is_gentle=True)
            assert isinstance(refused, Wait)
            assert refused.why is Why.SHUT
            assert 3590 < refused.seconds <= 3600
            hours.forward(3600)
            assert isinstance(await one.claim("acme"), Turn)

        self.tell(story)

    def test_a_clock_that_is_set_back_shuts_nobody_out(self) -> None:
        """What was counted in what is now the future does not count."""

        async def story(pair: Budgets, hours: Hours) -> None:
            for _ in range(PACE.most):
                await patient(pair[0], hours)
            hours.forward(-7200)
            assert isinstance(await pair[1].claim("acme"), Turn)

        self.tell(story)

    def test_a_clock_that_is_corrected_a_little_forgets_nothing(self) -> None:
        """What is on its way goes on counting."""

        async def story(pair: Budgets, hours: Hours) -> None:
            for _ in range(PACE.most):
                await patient(pair[0], hours)
            hours.forward(-2)
            for _ in range(4):
                hours.forward(0.5)
                assert isinstance(await pair[1].claim("acme"), Wait)

        self.tell(story)

    def test_keys_do_not_meet(self) -> None:
        """Whatever they look like; what is answered twice or unknown changes nothing."""

        async def story(pair: Budgets, hours: Hours) -> None:
            for key in ODD_KEYS:
                turn = await pair[0].claim(key)
                assert isinstance(turn, Turn)
                for _ in range(2):
                    await pair[1].answered(turn)
                await pair[1].answered(Turn(key, "nobody's"))
                await pair[1].rest(f"{key}!", 1)

        self.tell(story)


async def patient(budget: Budget, hours: Hours) -> Turn:
    """Wait as long as told, and return a turn."""
    while isinstance(found := await budget.claim("acme"), Wait):
        assert found.seconds > 0
        hours.forward(found.seconds)
    return found


async def ask_on(
    pair: Budgets, hours: Hours, steps: Iterable[tuple[int, float, int, bool]]
) -> None:
    """Ask and answer in any order, and compare what may have arrived with what is allowed.

    Nobody waits for an answer for longer than the pace has patience.
    """
    waiting: list[tuple[Turn, float]] = []
    sent: list[Sent] = []
    for who, pause, which, is_answered in steps:
        hours.forward(pause)
        if is_answered and waiting:
            turn, at = waiting.pop(which % len(waiting))
            sent.append(Sent(at, min(hours(), at + PACE.patience_s)))
            await pair[1 - who].answered(turn)
        elif isinstance(found := await pair[who].claim("acme"), Turn):
            waiting.append((found, hours()))
    sent += [Sent(at, at + PACE.patience_s) for _, at in waiting]
    assert most_at_once(sent) <= PACE.most


def most_at_once(sent: Sequence[Sent]) -> int:
    """Return how many may have arrived within one second, in the worst case."""
    return max(
        (
            sum(one.at < start + 1 and one.answered_at >= start for one in sent)
            for start in (one.answered_at for one in sent)
        ),
        default=0,
    )
