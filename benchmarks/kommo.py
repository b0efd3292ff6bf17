"""How fast a mirror of Kommo is filled, and how soon a change there is on a WebSocket here.

    make bench-kommo ARGS="--leads 20000 --contacts 15000"
    PYTHONPATH=tests python -m benchmarks.kommo --json after.json --against before.json

It starts a service of its own with PostgreSQL and Valkey, and a simulated Kommo in a process of
its own, which allows seven requests a second and takes `--latency` for each. Time is real.
`least` is what nothing can beat: so many lists of 250 at that rate, and the words once. What is
beyond it is asked for because one cannot know where a list ends before it is read. Our budget lets
seven go in a second and a request's time, since nobody knows when in it the request arrives.
"""

import asyncio
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import ceil
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, time
from typing import Annotated, Any

import msgspec
import typer
import uvloop
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.calling import Caller
from benchmarks.figures import Figures, keep, percentile, show
from benchmarks.kommo_side import Asked, Ready, Size, answer
from benchmarks.serving import Service, started

_PER_SECOND, _PAGE, _WORDS = 7, 250, 6
_LOOK_EVERY_S = 0.2
_LATE_S = 30.0

main = typer.Typer(add_completion=False)


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """The account that mirrors, and the other side."""

    service: Service
    caller: Caller
    token: str
    pipe: Connection
    ready: Ready

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return what the service answers."""
        return await self.caller.ask(method, path, body, token=self.token)

    async def order(self, what: str) -> Any:
        """Return what the other side answers."""
        self.pipe.send(what)
        return await asyncio.to_thread(self.pipe.recv)


async def measure(size: Size, changes: int) -> Figures:
    """Fill a mirror, and change some leads; return what it took."""
    with _other_side(size) as (pipe, ready):
        async with (
            started(workers=1, port=0, KOMMO_API_URL=ready.url) as service,
            _desk(service, pipe, ready) as desk,
        ):
            return await _fill(desk, size) | await _follow(desk, changes)


@contextmanager
def _other_side(size: Size) -> Iterator[tuple[Connection, Ready]]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(theirs, size), daemon=True)
    process.start()
    try:
        yield ours, ours.recv()
    finally:
        ours.send("stop")
        process.join(_LATE_S)


@asynccontextmanager
async def _desk(service: Service, pipe: Connection, ready: Ready) -> AsyncIterator[Desk]:
    async with Caller(service.host, service.port) as caller:
        credentials = {"username": service.user, "password": service.password}
        token = (await caller.ask("POST", "/api/auth/login", credentials))["token"]
        yield Desk(service=service, caller=caller, token=token, pipe=pipe, ready=ready)


async def _fill(desk: Desk, size: Size) -> Figures:
    credentials = {"subdomain": "acme", "token": desk.ready.token}
    await desk.ask("PUT", "/api/kommo/credentials", credentials)
    before: Asked = await desk.order("asked")
    used, began = desk.service.cpu_s, monotonic()
    await desk.ask("POST", f"/api/kommo/pipelines/{desk.ready.pipeline}/connect")
    while (await desk.ask("GET", "/api/kommo/sync/status"))["phase"] != "live":
        await asyncio.sleep(_LOOK_EVERY_S)
    took = monotonic() - began
    after: Asked = await desk.order("asked")
    used = desk.service.cpu_s - used
    report = await desk.ask("GET", "/api/kommo/sync/full-status")
    if (report["leads"], report["contacts"]) != (size.leads, size.contacts):
        raise RuntimeError(f"not all is there: {report}")
    least = ceil(size.leads / _PAGE) + ceil(size.contacts / _PAGE) + _WORDS
    asked = after.requests - before.requests
    return {
        "least requests": least,
        "requests": asked,
        "of them lists of leads and contacts": after.lists - before.lists,
        "least seconds": least / _PER_SECOND,
        "seconds within our budget": asked * (1 + size.latency_s) / _PER_SECOND,
        "seconds": took,
        "rows a second": (size.leads + size.contacts) / took,
        "requests a second": asked / took,
        "requests in any second, at most": after.most,
        "requests too many": after.violations,
        "processor seconds of the service": used,
    }


async def _follow(desk: Desk, changes: int) -> Figures:
    """Change leads, and see how long each takes to a socket."""
    ticket = (await desk.ask("POST", "/api/auth/ws-ticket"))["ticket"]
    url = f"ws://{desk.service.host}:{desk.service.port}/ws?ticket={ticket}"
    late = array("d")
    before: Asked = await desk.order("asked")
    began = monotonic()
    async with connect(url, max_size=None) as socket:
        for number in range(changes):
            await asyncio.sleep(number % 5 + 0.7)  # At any moment between two polls.
            name, at = await desk.order("change")
            async with asyncio.timeout(_LATE_S):
                await _heard(socket, name)
            late.append(time() - at)
    after: Asked = await desk.order("asked")
    return {
        "changes": changes,
        "seconds to a socket, p50": percentile(late, 50),
        "seconds to a socket, most": max(late, default=0.0),
        "requests a second meanwhile": (after.requests - before.requests) / (monotonic() - began),
    }


async def _heard(socket: ClientConnection, name: str) -> None:
    async for text in socket:
        frame = msgspec.json.decode(text)
        if (frame["data"].get("lead") or {}).get("name") == name:
            return


_Leads = Annotated[int, typer.Option(help="Leads that the account has.")]
_Contacts = Annotated[int, typer.Option(help="Contacts that it has.")]
_Latency = Annotated[float, typer.Option(help="Seconds that a request takes.")]
_Changes = Annotated[int, typer.Option(help="Leads that are changed after that.")]
_Json = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]
_Against = Annotated[Path | None, typer.Option(help="Show ratios to the figures of this file.")]


@main.command(help=__doc__)
def run(
    leads: _Leads = 20_000,
    contacts: _Contacts = 15_000,
    latency: _Latency = 0.3,
    changes: _Changes = 20,
    json: _Json = None,
    against: _Against = None,
) -> None:
    """Measure, and show."""
    size = Size(leads=leads, contacts=contacts, latency_s=latency)
    figures = uvloop.run(measure(size, changes))
    show(f"{leads} leads, {contacts} contacts, {latency} s a request", figures)
    keep(figures, json, against=against)


if __name__ == "__main__":
    main()
