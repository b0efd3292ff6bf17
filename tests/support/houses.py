"""Stories that are told against the running service, on any storage."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from clarin_core.ports.small import Clock
from clarin_memory import MemoryPublisher
from clarin_server.plugins import connect_storage
from support.serving import House, now, serving

MEMORY = "memory:"
PATIENCE_S = 10.0
_PROBLEM = {"error", "code", "fields", "id", "request_id"}

T = TypeVar("T")


def tell(
    story: Callable[[House], Awaitable[None]],
    *,
    address: str = MEMORY,
    clock: Clock = now,
    **settings: Any,
) -> None:
    """Run a story in a house of its own, over the storage at `address`."""

    async def told() -> None:
        publisher = MemoryPublisher()
        async with (
            connect_storage(address, clock=clock, publisher=publisher) as storage,
            serving(storage, publisher=publisher, clock=clock, **settings) as house,
        ):
            await story(house)

    asyncio.run(told())


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A house that runs in another thread, for tests that cannot wait on an event loop."""

    house: House
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what comes of some work there; it fails after 10 seconds."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)


@contextmanager
def neighbour(**settings: Any) -> Iterator[Neighbour]:
    """Run a house in another thread while inside."""
    opened: Future[Neighbour] = Future()
    leaving = asyncio.Event()

    async def story(house: House) -> None:
        opened.set_result(Neighbour(house, asyncio.get_running_loop()))
        await leaving.wait()

    with ThreadPoolExecutor(1) as thread:
        living = thread.submit(tell, story, **settings)
        living.add_done_callback(lambda _: opened.cancel())
        one = opened.result(PATIENCE_S)
        try:
            yield one
        finally:
            one.loop.call_soon_threadsafe(leaving.set)
            living.result(PATIENCE_S)


def problem(response: httpx.Response) -> dict[str, Any]:
    """Return an error's body without the request id; its shape is checked."""
    assert response.status_code >= 400, response.text
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert {"error", "code", "request_id"} <= set(body) <= _PROBLEM, body
    assert body.pop("request_id") == response.headers["x-request-id"]
    return body


def refused(response: httpx.Response, status: int, code: str, field: str | None = None) -> None:
    """Check that a request was refused with this status and code, and for this field."""
    body = problem(response)
    assert (response.status_code, body["code"]) == (status, code), response.text
    assert field is None or list(body["fields"]) == [field], response.text
