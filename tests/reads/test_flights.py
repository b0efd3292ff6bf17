"""R13: who joins a fetch at the very moment when it ends."""

import asyncio

import pytest

from clarin_core.reads.flights import Flights

PATIENCE = 100


class Fetch:
    """Brings numbers, or failures, as soon as it may land."""

    def __init__(self, *, fails: bool = False) -> None:
        self.may_land = asyncio.Event()
        self.times = 0
        self.judged = 0
        self._fails = fails

    async def __call__(self) -> int:
        self.times += 1
        number = self.times
        await self.may_land.wait()
        if self._fails and number == 1:
            raise LookupError
        return number

    def counts(self, _: int) -> bool:
        """Take nothing that began before; who asks for ever holds up the whole loop."""
        self.judged += 1
        assert self.judged < PATIENCE, "it asks for ever"
        return False


@pytest.mark.parametrize("fails", [False, True])
def test_who_comes_as_a_fetch_ends_begins_another(fails: bool) -> None:
    """The loop goes on, and the later caller gets what was fetched for it."""

    async def story() -> None:
        flights, fetch = Flights[str, int](), Fetch(fails=fails)
        first = asyncio.create_task(flights.join("key", fetch, counts=fetch.counts))
        while not fetch.times:
            await asyncio.sleep(0)
        fetch.may_land.set()  # The fetch is next in the loop's queue, the late caller behind it.
        late = asyncio.create_task(flights.join("key", fetch, counts=fetch.counts))
        assert await late == 2
        await asyncio.gather(first, return_exceptions=True)

    asyncio.run(story())
