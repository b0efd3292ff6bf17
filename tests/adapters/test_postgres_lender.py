"""Connections that are lent: none is lost, none is lent twice, whoever is cancelled when."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarin_core.errors import Unavailable
from clarin_postgres import lender
from support.borrowing import MOVES, SIZE, Counter, Move

PLAYS = st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 3)), max_size=60)


def tell(story: Callable[[Counter], Awaitable[None]], *, size: int = SIZE) -> None:
    async def told() -> None:
        failed: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: failed.append(told))
        async with asyncio.timeout(20):
            counter = Counter(size)
            await story(counter)
            for task in counter.tasks:
                if not task.cancelled():
                    task.result()
        assert failed == []

    asyncio.run(told())


@settings(max_examples=1500, deadline=None, database=None)
@given(moves=PLAYS)
def test_none_is_lost_and_none_is_lent_twice(moves: list[Move]) -> None:
    """Section 2.12: whatever fails, breaks, or is cancelled between any two turns of the loop."""

    async def story(counter: Counter) -> None:
        await lend_all(counter)
        await counter.play(moves)
        await counter.wind_up()
        await counter.check_that_none_is_lost()
        await counter.end()

    tell(story)


async def lend_all(counter: Counter) -> None:
    """Let as many come as there are connections, and as many again who wait."""
    for _ in range(2 * counter.size):
        counter.come()
    await counter.rest()
    for _ in range(counter.size):
        counter.make("connect", 0)
    await counter.rest()


@pytest.mark.parametrize("turns", range(4))
def test_what_is_handed_to_somebody_who_is_cancelled_goes_on(turns: int) -> None:
    """A client hangs up just before, while, or after a connection is handed to it."""

    async def story(counter: Counter) -> None:
        await lend_all(counter)
        counter.make("finish", 0)
        await counter.play([("turn", 0)] * turns)
        counter.tasks[2].cancel()
        await counter.rest()
        counter.answer_all()  # Who had it already left it in the middle.
        await counter.rest()
        assert 4 in counter.got
        assert len(counter.made) == SIZE
        await counter.wind_up()
        await counter.check_that_none_is_lost()
        await counter.end()

    tell(story)


def test_who_waits_is_served_in_turn() -> None:
    """First come, first served, also when somebody comes at the moment of giving back."""

    async def story(counter: Counter) -> None:
        await lend_all(counter)
        counter.make("finish", 0)
        counter.come()
        await counter.rest()
        counter.make("finish", 0)
        await counter.rest()
        assert counter.got == [1, 2, 3, 4]
        assert len(counter.made) == SIZE
        await counter.wind_up()
        assert counter.got == [1, 2, 3, 4, 5]
        await counter.end()

    tell(story)


def test_the_one_used_last_is_lent_first() -> None:
    """So that those which nobody needs grow old."""

    async def story(counter: Counter) -> None:
        await lend_all(counter)
        await counter.wind_up()
        used = counter.lender._idle[-1]
        for _ in range(3):
            counter.come()
            await counter.rest()
            assert counter.held[0].connection is used
            counter.make("finish", 0)
            await counter.rest()
        await counter.end()

    tell(story)


def test_those_that_nobody_needs_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some time, each by itself."""
    monkeypatch.setattr(lender, "_IDLE_S", 0)

    async def story(counter: Counter) -> None:
        await lend_all(counter)
        first, second = counter.made
        counter.make("finish", 0)
        counter.make("finish", 0)
        await counter.rest()
        counter.make("finish", 0)
        counter.make("finish", 0)
        while not counter.lender._idle:
            await asyncio.sleep(0)
        second.idle_since += 100  # As if it was used much later.
        while not first.is_gone:
            await asyncio.sleep(0)
        assert not second.is_gone
        second.idle_since -= 200
        while not second.is_gone:
            await asyncio.sleep(0)
        await counter.check_that_none_is_lost()
        await counter.end()

    tell(story)


def test_who_waits_too_long_takes_nothing_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """R29: after two seconds it is an error, and the connection goes to somebody else."""

    async def story(counter: Counter) -> None:
        await lend_all(counter)
        monkeypatch.setattr(lender, "_WAIT_S", 0)
        with pytest.raises(TimeoutError):
            await counter.lender.take()
        await counter.wind_up()
        await counter.check_that_none_is_lost()
        await counter.end()

    tell(story)


def test_waiting_and_connecting_share_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """R29: who is handed the room of one who could not connect has no more time for it."""
    deadlines: list[float] = []
    timeout_at = asyncio.timeout_at

    def noted(when: float) -> asyncio.Timeout:
        deadlines.append(when)
        return timeout_at(when)

    async def story(counter: Counter) -> None:
        begun = asyncio.get_running_loop().time()
        counter.come()
        counter.come()
        await counter.rest()
        while asyncio.get_running_loop().time() < begun + 0.1:
            await asyncio.sleep(0.01)
        handed = asyncio.get_running_loop().time()
        counter.make("refuse", 0)
        await counter.rest()
        assert len(deadlines) == 2
        assert all(when < handed + 2 for when in deadlines)
        counter.make("connect", 0)
        await counter.wind_up()
        await counter.end()

    monkeypatch.setattr(asyncio, "timeout_at", noted)
    tell(story, size=1)


def test_what_is_left_in_the_middle_is_settled_first() -> None:
    """Nobody gets it meanwhile; an open transaction is one, however quiet it is."""

    async def story(counter: Counter) -> None:
        await lend_all(counter)
        counter.make("leave", 0)
        await counter.rest()
        assert counter.got == [1, 2]
        counter.make("settle", 0)
        await counter.rest()
        assert counter.got == [1, 2, 3]
        counter.made[1].in_transaction = True
        counter.make("finish", 0)
        await counter.rest()
        assert counter.got == [1, 2, 3]
        counter.make("settle", 0)
        await counter.rest()
        assert counter.got == [1, 2, 3, 4]
        assert len(counter.made) == SIZE
        await counter.wind_up()
        await counter.end()

    tell(story)


def test_what_cannot_be_settled_is_dropped() -> None:
    """Or what was lost with another one meanwhile."""

    async def story(counter: Counter) -> None:
        await lend_all(counter)
        counter.make("leave", 0)
        await counter.rest()
        counter.make("stay unsettled", 0)
        counter.make("leave", 0)
        await counter.rest()
        assert counter.made[0].is_gone
        counter.make("connect", 0)
        await counter.rest()
        counter.make("lose", 0)
        await counter.rest()
        counter.make("settle", 0)
        await counter.rest()
        assert counter.made[1].is_gone
        await counter.wind_up()
        await counter.check_that_none_is_lost()
        await counter.end()

    tell(story)


def test_one_that_died_while_nobody_had_it_is_not_lent() -> None:
    """Who comes next gets a new one."""

    async def story(counter: Counter) -> None:
        await lend_all(counter)
        await counter.wind_up()
        for one in counter.made:
            one.is_gone = True
        await counter.check_that_none_is_lost()
        assert all(loan.connection in counter.alive() for loan in counter.held)
        await counter.end()

    tell(story)


def test_when_one_is_lost_all_are_made_anew() -> None:
    """Those that are lent, too, once they are back; those that were made after it stay."""

    async def story(counter: Counter) -> None:
        await lend_all(counter)
        counter.make("lose", 0)
        await counter.rest()
        counter.make("connect", 0)
        await counter.rest()
        assert counter.got == [1, 2, 3]
        old, fresh = counter.made[1:]
        counter.make("lose", 0)
        await counter.rest()
        counter.make("connect", 0)
        await counter.rest()
        assert old.is_gone
        assert not fresh.is_gone
        await counter.wind_up()
        assert not fresh.is_gone
        await counter.end()

    tell(story)


def test_what_was_being_made_when_one_was_lost_is_made_anew() -> None:
    """It may lead to a server that is going, too; so may those that are idle."""

    async def story(counter: Counter) -> None:
        for _ in range(counter.size):
            counter.come()
        await counter.rest()
        counter.make("connect", 0)
        await counter.rest()
        counter.make("lose", 0)
        await counter.rest()
        counter.make("connect", 0)
        await counter.rest()
        (held,) = counter.held
        counter.make("finish", 0)
        await counter.rest()
        assert held.connection is not None
        assert held.connection.is_gone
        await counter.wind_up()
        await lend_all(counter)
        counter.make("finish", 0)
        counter.make("finish", 1)
        await counter.wind_up()
        await counter.check_that_none_is_lost()
        counter.make("finish", 0)
        await counter.rest()
        counter.make("lose", 0)
        await counter.rest()
        assert counter.alive() == []
        await counter.check_that_none_is_lost()
        await counter.end()

    tell(story)


def test_closing_waits_for_those_who_work() -> None:
    """Who works gets a few seconds, who waits gets nothing, and all are told goodbye."""

    async def story(counter: Counter) -> None:
        for _ in range(SIZE):
            counter.come()
        await counter.rest()
        counter.make("connect", 0)
        await counter.rest()
        waiting = asyncio.create_task(counter.lender.take())
        await counter.rest()
        closing = asyncio.create_task(counter.lender.close())
        with pytest.raises(Unavailable):
            await waiting
        counter.make("connect", 0)  # Who is connecting may still work.
        await counter.rest()
        counter.make("leave", 0)
        counter.make("finish", 0)
        await counter.rest()
        assert not closing.done()
        counter.make("settle", 0)
        await closing
        assert [one.said_goodbye for one in counter.made] == [True] * SIZE
        with pytest.raises(Unavailable):
            await counter.lender.take()

    tell(story)


def test_closing_cuts_off_who_works_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is still lent is gone then, and comes back to nobody."""
    monkeypatch.setattr(lender, "_CLOSE_S", 0)

    async def story(counter: Counter) -> None:
        counter.come()
        await counter.rest()
        counter.make("connect", 0)
        await counter.rest()
        await counter.lender.close()
        assert counter.alive() == []
        counter.make("finish", 0)
        await counter.rest()

    tell(story)
