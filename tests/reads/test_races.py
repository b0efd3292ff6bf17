"""R10, R11: kept reads are never older than what was answered, whatever comes in between."""

import asyncio
from collections.abc import Callable, Iterator
from secrets import token_bytes
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from clarin_core.ports.cache import Cache
from clarin_core.reads import freshness
from clarin_core.reads.feed import Stream
from clarin_core.reads.flights import Flights
from clarin_embedded import EmbeddedValkey
from clarin_memory import MemoryCache
from clarin_redis import Realm, RedisCache, RedisLink
from support.races import MOVES, Step, now, processes

STEPS = st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 1)), min_size=12, max_size=60)
# Lost once: a hint that comes while an empty answer is on its way.
EARLY = ["read", *["go on"] * 3, "hear early", "write", "follow", "read"]


async def play(steps: list[Step], far: Cache) -> None:
    failed: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
    async with asyncio.timeout(20), processes(far) as world:
        await world.play(steps)
    for error in failed:
        raise error


def races(examples: int, *, is_planted: bool = False) -> Callable[[], None]:
    """Return a search for a race that is lost; it raises the shortest one.

    Of one that is planted any will do, found in the same order each time.
    """

    @settings(
        max_examples=examples,
        deadline=None,
        report_multiple_bugs=False,
        database=None,
        derandomize=is_planted,
        phases=[Phase.explicit, Phase.generate] if is_planted else list(Phase),
    )
    @example([(move, 0) for move in EARLY])
    @given(steps=STEPS)
    def race(steps: list[Step]) -> None:
        asyncio.run(play(steps, MemoryCache(now)))

    return race


def test_a_read_is_never_older_than_what_was_answered() -> None:
    """Section 14's rule, on two processes over one storage and one far cache."""
    races(1000)()


@pytest.mark.long
def test_nor_in_a_long_search() -> None:
    """The same rule, searched for longer."""
    races(3_000)()


def test_nor_with_a_real_far_cache(valkey: EmbeddedValkey) -> None:
    """The same rule over Redis."""

    async def over_redis(steps: list[Step]) -> None:
        async with RedisLink(valkey.url, call_s=5) as link:
            await play(steps, RedisCache(link, Realm(token_bytes(32), "test"), ""))

    @settings(max_examples=60, deadline=None, database=None)
    @given(steps=STEPS)
    def race(steps: list[Step]) -> None:
        asyncio.run(over_redis(steps))

    race()


def everything_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(freshness.Knowledge, "allows", lambda known, entry: True)


def names_do_not_matter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(freshness, "names_changed", lambda event: ())


def hints_cast_no_doubt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Stream, "is_current", True)


def who_begins_knows_it_all(patch: pytest.MonkeyPatch) -> None:
    right = freshness.Knowledge.begin_anew

    def begin_anew(known: freshness.Knowledge, reason: str) -> None:
        right(known, reason)
        known._since = 0

    patch.setattr(freshness.Knowledge, "begin_anew", begin_anew)


def the_stamp_is_that_of_the_end(patch: pytest.MonkeyPatch) -> None:
    right = freshness.Knowledge.stamp

    class Late:
        """A pair that is read when it is used: after the storage."""

        def __init__(self, known: freshness.Knowledge) -> None:
            self._known = known

        def __iter__(self) -> Iterator[object]:
            return iter(right(self._known) or ("", 0))

    patch.setattr(freshness.Knowledge, "stamp", lambda known: Late(known))


def joiners_take_what_comes(patch: pytest.MonkeyPatch) -> None:
    right = Flights.join

    async def join(flights: Any, key: Any, fetch: Any, *, counts: Any) -> Any:
        return await right(flights, key, fetch, counts=lambda _: True)

    patch.setattr(Flights, "join", join)


def an_empty_read_answers_every_hint(patch: pytest.MonkeyPatch) -> None:
    right = Stream.hear

    def hear(stream: Stream, seq: int) -> None:
        right(stream, seq)
        stream._heard_meanwhile = 0

    patch.setattr(Stream, "hear", hear)


@pytest.mark.parametrize(
    "fault",
    [
        everything_counts, names_do_not_matter, hints_cast_no_doubt, who_begins_knows_it_all,
        the_stamp_is_that_of_the_end, joiners_take_what_comes, an_empty_read_answers_every_hint,
    ],
)  # fmt: skip
def test_each_part_of_the_rule_is_needed(
    fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any one of them the search finds a read that is too old."""
    fault(monkeypatch)
    with pytest.raises(AssertionError, match="was answered"):
        races(3000, is_planted=True)()
