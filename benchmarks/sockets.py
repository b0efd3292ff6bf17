"""How the service fares with many WebSockets: fan-out, idle sockets, and all of them coming back.

    make bench-sockets ARGS="fanout --workers 2"
    python -m benchmarks.sockets storm --sockets 2000 --json after.json --against before.json

It starts a service of its own, or takes `--url`, which had better have no rate limits. It makes
accounts through the API, opens the sockets from processes of their own, and changes leads.
`delivered` counts events times sockets; `lost` is what was written times the sockets of its
account, less what arrived; `late` is from an event's commit (its `at`) to its arrival. The
processor time of a delivery is that of the service's processes, less what the same writes cost
them without a socket.
"""

import asyncio
import resource
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import typer
import uvloop
from msgspec import Struct

from benchmarks.calling import Caller, House, build_houses, callers, write
from benchmarks.figures import Figures, keep, percentile, show
from benchmarks.screens import Heard, Order, Plan, Seat, work
from benchmarks.serving import Service, started

_SETTLE_S, _STEP_S = 20.0, 0.5
_REST_S = 3.0
_SPARE_FILES = 200

main = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


class Options(Struct, frozen=True, kw_only=True):
    """How a benchmark is run."""

    sockets: int
    accounts: int
    rate: float
    seconds: float
    workers: int
    clients: int
    writers: int
    tickets: bool
    port: int
    url: str
    user: str
    password: str
    pids: list[int]


class Stage:
    """A service with houses, and processes of clients that wait for orders."""

    def __init__(
        self, options: Options, service: Service, houses: list[House], pipes: list[Connection]
    ) -> None:
        self.options = options
        self.service = service
        self.houses = houses
        self._pipes = pipes

    async def all(self, order: Order) -> Heard:
        """Have an order done by all clients, and return what they heard together."""
        for pipe in self._pipes:
            pipe.send(order)
        parts = [await asyncio.to_thread(pipe.recv) for pipe in self._pipes]
        return _sum(parts)

    async def write(self, *, share: float = 1.0) -> list[int]:
        """Change leads for the time that was asked for, or a share of it."""
        options, service = self.options, self.service
        async with callers(service.host, service.port, options.writers) as connections:
            return await write(
                connections, self.houses, rate=options.rate, seconds=options.seconds * share
            )

    def expected(self, written: list[int]) -> int:
        """Return how many deliveries so many events are."""
        sockets = Counter(number % len(self.houses) for number in range(self.options.sockets))
        return sum(count * sockets[house] for house, count in enumerate(written))

    async def settled(self, heard: Heard, expected: int) -> Heard:
        """Wait for what is still on its way."""
        deadline = monotonic() + _SETTLE_S
        while heard.events < expected and monotonic() < deadline:
            await asyncio.sleep(_STEP_S)
            heard = _sum([heard, more := await self.all("heard")])
            heard.live = more.live
        return heard


def _sum(parts: list[Heard]) -> Heard:
    names = [field.name for field in msgspec.structs.fields(Heard)]
    total = Heard()
    for part in parts:
        for name in names:
            setattr(total, name, getattr(total, name) + getattr(part, name))
    return total


@asynccontextmanager
async def stage(options: Options) -> AsyncIterator[Stage]:
    """Yield a service with houses, and clients that are not connected yet."""
    async with _service(options) as service:
        async with Caller(service.host, service.port) as caller:
            houses = await build_houses(
                caller, options.accounts, user=service.user, password=service.password
            )
            seats = [await _seat(caller, houses, at, options) for at in range(options.sockets)]
        with _clients(options, service, seats) as pipes:
            yield Stage(options, service, houses, pipes)


@asynccontextmanager
async def _service(options: Options) -> AsyncIterator[Service]:
    if not options.url:
        async with started(workers=options.workers, port=options.port) as service:
            yield service
        return
    parts = urlsplit(options.url)
    yield Service(
        host=parts.hostname or "127.0.0.1", port=parts.port or 80,
        user=options.user, password=options.password, pids=options.pids,
    )  # fmt: skip


async def _seat(caller: Caller, houses: list[House], number: int, options: Options) -> Seat:
    house = houses[number % len(houses)]
    ticket = ""
    if options.tickets:  # They are good for 30 seconds, so this is for some thousands at most.
        answer = await caller.ask("POST", "/api/auth/ws-ticket", token=house.token)
        ticket = answer["ticket"]
    return Seat(account=house.account_id, token=house.token, ticket=ticket)


@contextmanager
def _clients(options: Options, service: Service, seats: list[Seat]) -> Iterator[list[Connection]]:
    """Run processes that each have a share of the seats."""
    context, share = get_context("spawn"), -(-len(seats) // options.clients)
    with ExitStack() as stack:
        pipes = []
        for first in range(0, len(seats), share):
            plan = Plan(
                host=service.host, port=service.port,
                seats=seats[first : first + share], first=first,
            )  # fmt: skip
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, plan))
            process.start()
            stack.callback(process.join)
            stack.callback(ours.send, "end")
            pipes.append(ours)
        yield pipes


async def _open(stage: Stage, figures: Figures) -> None:
    """Open all sockets, and note what they cost while nothing happens."""
    before, began, cpu = stage.service.resident_bytes, monotonic(), stage.service.cpu_s
    heard = await stage.all("open")
    took = monotonic() - began
    figures["sockets"] = heard.live
    figures["opened_per_s"] = heard.live / took
    figures["upgrades_put_off"] = heard.refusals
    figures["upgrades_failed"] = heard.failures
    if stage.service.pids:
        figures["cpu_us_per_upgrade"] = (stage.service.cpu_s - cpu) / heard.live * 1e6
        await asyncio.sleep(min(_REST_S, stage.options.seconds))
        after = stage.service.resident_bytes
        figures["service_mib_before"] = before / 2**20
        figures["service_mib_idle"] = after / 2**20
        figures["bytes_per_idle_socket"] = (after - before) / heard.live


def _delivered(figures: Figures, heard: Heard, expected: int) -> None:
    late = array("d")
    late.frombytes(heard.late)
    figures["delivered"] = heard.events
    figures["lost"] = max(expected - heard.events, heard.gaps)
    figures["doubled"] = heard.doubled
    figures["resyncs"] = heard.resyncs
    figures["dropped"] = heard.drops
    for part in (50, 95, 99):
        figures[f"late_ms_p{part}"] = percentile(late, part) * 1000


async def fan_out(stage: Stage) -> Figures:
    """Write with and without sockets, and see what arrives when."""
    figures, service = Figures(), stage.service
    cpu = service.cpu_s
    alone = sum(await stage.write(share=0.5))
    cpu_per_write = (service.cpu_s - cpu) / max(1, alone)
    await _open(stage, figures)
    cpu, began = service.cpu_s, monotonic()
    written = await stage.write()
    writing_s = monotonic() - began
    expected = stage.expected(written)
    heard = await stage.settled(await stage.all("heard"), expected)
    figures["writes_per_s"] = sum(written) / writing_s
    figures["deliveries_per_s"] = heard.events / writing_s
    _delivered(figures, heard, expected)
    if service.pids:
        used = service.cpu_s - cpu
        figures["cpu_us_per_write_alone"] = cpu_per_write * 1e6
        net = used - cpu_per_write * sum(written)
        figures["cpu_us_per_delivery"] = net / max(1, heard.events) * 1e6
        figures["service_mib_after"] = service.resident_bytes / 2**20
    return figures


async def idle(stage: Stage) -> Figures:
    """Open many sockets that hear nothing, and see what keeping them costs."""
    figures, service = Figures(), stage.service
    await stage.write(share=0.1)  # What every process needs once is there before.
    await _open(stage, figures)
    cpu, began = service.cpu_s, monotonic()
    await asyncio.sleep(stage.options.seconds)
    heard = await stage.all("heard")
    figures["still_open"] = heard.live
    if service.pids:
        figures["cpu_percent_idle"] = (service.cpu_s - cpu) / (monotonic() - began) * 100
        figures["service_mib_after"] = service.resident_bytes / 2**20
    return figures


async def storm(stage: Stage) -> Figures:
    """Lose all sockets at once while others write, and see when all are live again."""
    figures, service = Figures(), stage.service
    await _open(stage, figures)
    cpu = service.cpu_s
    writing = asyncio.create_task(stage.write())
    await asyncio.sleep(stage.options.seconds / 10)
    heard = await stage.all("storm")
    took = array("d")
    took.frombytes(heard.took)
    figures["live_again"] = heard.live
    for part in (50, 95, 100):
        figures[f"live_again_s_p{part}"] = percentile(took, part)
    figures["upgrades_put_off"], figures["upgrades_failed"] = heard.refusals, heard.failures
    if service.pids:
        figures["cpu_us_per_return"] = (service.cpu_s - cpu) / max(1, heard.live) * 1e6
    written = await writing
    expected = stage.expected(written)
    _delivered(figures, await stage.settled(heard, expected), expected)
    return figures


_MODES: dict[str, Callable[[Stage], Awaitable[Figures]]] = {
    "fanout": fan_out, "idle": idle, "storm": storm,
}  # fmt: skip
_SIZES = {"fanout": (1000, 10), "idle": (10_000, 100), "storm": (2000, 20)}


_Mode = Annotated[str, typer.Argument(help="fanout, idle or storm.")]
_Sockets = Annotated[int, typer.Option(help="How many sockets.  [1000, 10000, 2000 by mode]")]
_Accounts = Annotated[int, typer.Option(help="Over how many accounts.  [10, 100, 20 by mode]")]
_Rate = Annotated[float, typer.Option(help="Changes a second of all accounts; 0 is all it takes.")]
_Seconds = Annotated[float, typer.Option(help="How long to write, or to be idle.")]
_Workers = Annotated[int, typer.Option(min=1, help="Processes of the service that is started.")]
_Clients = Annotated[int, typer.Option(min=1, help="Processes of clients.")]
_Writers = Annotated[int, typer.Option(min=1, help="Connections that write.")]
_Tickets = Annotated[bool, typer.Option("--tickets", help="Upgrade by ticket, not by bearer.")]
_Port = Annotated[int, typer.Option(help="Port of the service that is started; 0 is a free one.")]
_Url = Annotated[str, typer.Option(help="A service that runs already, for throwaway data.")]
_User = Annotated[str, typer.Option(help="A super administrator of it.")]
_Password = Annotated[str, typer.Option(envvar="ADMIN_PASSWORD", help="The password.")]
_Pid = Annotated[list[int] | None, typer.Option(help="Its processes, for memory and time.")]
_Json = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]
_Against = Annotated[Path | None, typer.Option(help="Show ratios to the figures of this file.")]


@main.command()
def run(
    mode: _Mode,
    sockets: _Sockets = 0,
    accounts: _Accounts = 0,
    rate: _Rate = 200.0,
    seconds: _Seconds = 10.0,
    workers: _Workers = 1,
    clients: _Clients = 1,
    writers: _Writers = 8,
    tickets: _Tickets = False,
    port: _Port = 0,
    url: _Url = "",
    user: _User = "admin",
    password: _Password = "",
    pid: _Pid = None,
    json: _Json = None,
    against: _Against = None,
) -> None:
    """Measure one of: fanout, idle, storm."""
    if mode not in _MODES:
        raise typer.BadParameter(f"is one of {', '.join(_MODES)}", param_hint="mode")
    usual_sockets, usual_accounts = _SIZES[mode]
    options = Options(
        sockets=sockets or usual_sockets, accounts=accounts or usual_accounts,
        rate=rate, seconds=seconds, workers=workers, clients=clients, writers=writers,
        tickets=tickets, port=port, url=url, user=user, password=password, pids=pid or [],
    )  # fmt: skip
    allow_files(options.sockets)
    figures = uvloop.run(_run(mode, options))
    show(f"{mode}, {options.sockets} sockets, {options.accounts} accounts", figures)
    keep(figures, json, against=against)


async def _run(mode: str, options: Options) -> Figures:
    async with stage(options) as ready:
        return await _MODES[mode](ready)


def allow_files(sockets: int) -> None:
    """Let this process and its children have a file for each socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = sockets + _SPARE_FILES
    if soft < needed:
        if hard < needed:
            raise typer.BadParameter(f"{sockets} sockets need `ulimit -n {needed}` or more")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


if __name__ == "__main__":
    main()
