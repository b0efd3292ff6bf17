"""Single flight: however many ask for the same thing at once, it is fetched once (R13)."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Flight(Generic[V]):
    def __init__(self, number: int, task: "asyncio.Task[V]") -> None:
        self.number = number
        self.task = task


class Flights(Generic[K, V]):
    """Fetches that are under way, by key."""

    def __init__(self) -> None:
        self._flights: dict[K, _Flight[V]] = {}
        self._count = 0

    async def join(
        self, key: K, fetch: Callable[[], Awaitable[V]], *, counts: Callable[[V], bool]
    ) -> V:
        """Return what a fetch brings; whoever gives up does not keep the others from it.

        What a flight brings that began before the caller came may be too old: it is taken if it
        `counts`. What one brings that began later is taken as it is, its failure included.
        """
        came = self._count
        while True:
            flight = self._flights.get(key) or self._begin(key, fetch)
            try:
                value = await asyncio.shield(flight.task)
            except Exception:
                if flight.number > came:
                    raise
            else:
                if flight.number > came or counts(value):
                    return value

    def _begin(self, key: K, fetch: Callable[[], Awaitable[V]]) -> _Flight[V]:
        self._count += 1
        task = asyncio.ensure_future(self._fly(key, fetch))
        flight = self._flights[key] = _Flight(self._count, task)
        task.add_done_callback(_note)
        return flight

    async def _fly(self, key: K, fetch: Callable[[], Awaitable[V]]) -> V:
        """Fetch; nobody joins a flight that is done, for there is nothing to wait for."""
        try:
            return await fetch()
        finally:
            del self._flights[key]


def _note(task: "asyncio.Future[V]") -> None:
    """Take note of a failure: whoever waited has heard of it; if nobody did, nobody has to."""
    if not task.cancelled():
        task.exception()
