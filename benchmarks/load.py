"""How fast the service is, over real sockets, on a database of a size that is made once.

    make bench ARGS="--workers 2 --rounds 5 --json before.json"
    make bench ARGS="--only leads_first,lead_hot --against before.json --profile"
    make bench ARGS="--sizes 1,10 --workers 1,2 --connections 50,500 --plot docs/growth.svg"

It runs a PostgreSQL of its own in `data/bench`, which writes to the disk as it should, seeds a
database in it (once for each size; later runs copy it), and starts `clarin serve` on the copy.
`ms` is from a request to all of its answer (with `--rate`, from when it was due); `us` is
processor time for a request: of the service's processes, of PostgreSQL's, of Redis. `statements`
are those of a request, without BEGIN and COMMIT. Of `ingest` all is for a message, and the service
is this process; of `sockets` for a delivery, and the time from the commit to its arrival. Anything
that is not answered with success ends the run.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from msgspec import Struct

from benchmarks.asking import SCENARIOS, known
from benchmarks.bars import chart
from benchmarks.calling import PASSWORD
from benchmarks.costs import gauge
from benchmarks.driver import drivers
from benchmarks.figures import Figures, keep, load, show_rows
from benchmarks.rounds import ALL, FIGURES, Course, Dearest, Pace, fanned_out, inbound
from benchmarks.seeding import FIRST_USER, Shape, copied, seeded
from benchmarks.serving import Service, started
from benchmarks.sockets import allow_files
from clarin_embedded import EmbeddedPostgres

_FOLDER = Path("data/bench")
_REQUESTS_MAX = 256  # As the service has it; more connections than that need more.
_SETTINGS = {"CLARIN_MESSAGING": "off", "LOG_LEVEL": "error"}
_SOCKETS, _HOUSES = 1000, 10

main = typer.Typer(add_completion=False, help=__doc__)

Say = Callable[[str], None]


class Plan(Struct, frozen=True, kw_only=True):
    """What is measured on which sizes, by how many processes over how many connections."""

    shape: Shape
    pace: Pace
    beside: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (1,)
    workers: tuple[int, ...] = (1,)
    connections: tuple[int, ...] = (50,)
    clients: int = 1
    sockets: int = _SOCKETS
    houses: int = _HOUSES

    def label(self, size: int, workers: int, connections: int = 0) -> str:
        """Say in which run a scenario was measured, by what differs among the runs."""
        parts = [
            f"{size}x" if len(self.sizes) > 1 else "",
            f"{workers}w" if len(self.workers) > 1 else "",
            f"{connections}c" if connections and len(self.connections) > 1 else "",
        ]
        return " ".join(filter(None, parts))


class Results(Struct):
    """What was measured: by run, then by scenario."""

    runs: dict[str, dict[str, Figures]] = {}
    dearest: dict[str, Dearest] = {}

    def rows(self) -> dict[str, Figures]:
        """Return the figures by run and scenario."""
        return {
            f"{run} {name}".strip(): figures
            for run, rows in self.runs.items()
            for name, figures in rows.items()
        }

    def by_name(self) -> Figures:
        """Return all figures, each by its whole name."""
        return {
            f"{row}: {name}": value
            for row, figures in self.rows().items()
            for name, value in figures.items()
        }

    def bars(self, figure: str) -> dict[str, dict[str, float]]:
        """Return one figure by scenario, then by run."""
        found: dict[str, dict[str, float]] = {}
        for run, rows in self.runs.items():
            for name, figures in rows.items():
                if figure in figures:
                    found.setdefault(name, {})[run] = figures[figure]
        return found

    def statements(self) -> dict[str, Figures]:
        """Return each scenario's statements that take most, for a request."""
        return {
            f"{run} {name}: {statement.name}".strip(): {
                "calls": calls, "ms": statement.ms / statement.calls * calls,
            }
            for run, rows in self.dearest.items()
            for name, statements in rows.items()
            for statement, calls in statements
        }  # fmt: skip


class Bench:
    """Measures all that is planned, on databases of a server."""

    def __init__(self, dsn: str, plan: Plan, say: Say) -> None:
        self._dsn = dsn
        self._plan = plan
        self._say = say
        self.results = Results()

    async def run(self) -> Results:
        """Measure on each size, with each number of processes."""
        for size in self._plan.sizes:
            template = await seeded(self._dsn, self._plan.shape.times(size), self._say)
            for workers in self._plan.workers:
                async with copied(self._dsn, template) as database:
                    await self._serve(database, size, workers)
        return self.results

    async def _serve(self, database: str, size: int, workers: int) -> None:
        self._say(f"measuring, {self._plan.shape.times(size).leads:,} leads, {workers} workers")
        most = max(_REQUESTS_MAX, *self._plan.connections)
        settings = {"DATABASE_URL": database, "CLARIN_REQUESTS_MAX": str(most), **_SETTINGS}
        async with (
            started(workers=workers, port=0, **settings) as service,
            gauge(service, self._dsn, database) as meter,
        ):
            course = Course(service, meter, await known(database), self._plan.pace)
            for connections in self._plan.connections:
                run = self._plan.label(size, workers, connections)
                await self._drive(course, service, run, connections)
            await self._beside(service, database, self._plan.label(size, workers))

    async def _drive(self, course: Course, service: Service, run: str, connections: int) -> None:
        clients = self._plan.clients
        with drivers(service.host, service.port, lines=connections, processes=clients) as ready:
            self.results.runs[run] = await course.run(ready)
        self.results.dearest[run] = dict(course.dearest)

    async def _beside(self, service: Service, database: str, run: str) -> None:
        """Measure what is no request: what devices hear, and what sockets are told."""
        plan, rows = self._plan, self.results.runs.setdefault(run, {})
        if "ingest" in plan.beside:
            rows["ingest"] = await inbound(database, plan.pace.seconds)
        if "sockets" in plan.beside:
            rows["sockets"] = await fanned_out(
                service, user=FIRST_USER, password=PASSWORD, seconds=plan.pace.seconds,
                sockets=plan.sockets, accounts=plan.houses,
            )  # fmt: skip


_Only = Annotated[str, typer.Option(help=f"Some of {', '.join(ALL)}.  [all]")]
_Sizes = Annotated[str, typer.Option(help="How often as many rows, such as 1,10.")]
_Workers = Annotated[str, typer.Option(help="Processes of the service, such as 1,2.")]
_Connections = Annotated[str, typer.Option(help="Connections, such as 50,500.")]
_Seconds = Annotated[float, typer.Option(min=0.1, max=60, help="How long each is measured.")]
_Warm = Annotated[float, typer.Option(min=0.1, help="How long each is asked before that.")]
_Rounds = Annotated[int, typer.Option(min=1, help="How often; the figures are medians.")]
_Rate = Annotated[float, typer.Option(min=0, help="Requests a second; 0 is all it takes.")]
_Clients = Annotated[int, typer.Option(min=1, help="Processes that ask.")]
_Accounts = Annotated[int, typer.Option(min=1, help="Accounts.")]
_Leads = Annotated[int, typer.Option(min=1, help="Leads of all accounts.")]
_Contacts = Annotated[int, typer.Option(min=1, help="Contacts of all accounts.")]
_Chats = Annotated[int, typer.Option(min=1, help="Chats, fewer than contacts.")]
_Messages = Annotated[int, typer.Option(min=1, help="Messages of all accounts.")]
_Profile = Annotated[bool, typer.Option("--profile", help="Show the statements that take most.")]
_Json = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]
_Against = Annotated[Path | None, typer.Option(help="Show ratios to the figures of this file.")]
_Plot = Annotated[Path | None, typer.Option(help="Draw the figures to this SVG.")]
_Figure = Annotated[str, typer.Option(help="What is drawn, such as ms_p50.")]

_SHAPE = Shape()


@main.command()
def run(
    only: _Only = "",
    sizes: _Sizes = "1",
    workers: _Workers = "1",
    connections: _Connections = "50",
    seconds: _Seconds = 5.0,
    warm: _Warm = 1.0,
    rounds: _Rounds = 3,
    rate: _Rate = 0.0,
    clients: _Clients = 1,
    accounts: _Accounts = _SHAPE.accounts,
    leads: _Leads = _SHAPE.leads,
    contacts: _Contacts = _SHAPE.contacts,
    chats: _Chats = _SHAPE.chats,
    messages: _Messages = _SHAPE.messages,
    profile: _Profile = False,
    json: _Json = None,
    against: _Against = None,
    plot: _Plot = None,
    figure: _Figure = "per_s",
) -> None:
    """Measure scenarios, and show, keep, compare and draw the figures."""
    wanted = only.split(",") if only else list(ALL)
    if unknown := set(wanted) - set(ALL):
        raise typer.BadParameter(f"knows no {', '.join(unknown)}", param_hint="only")
    if figure not in FIGURES:
        raise typer.BadParameter(f"is one of {', '.join(FIGURES)}", param_hint="figure")
    pace = Pace(
        scenarios=[name for name in SCENARIOS if name in wanted],
        seconds=seconds, warm_s=warm, rounds=rounds, rate=rate,
    )  # fmt: skip
    plan = Plan(
        shape=Shape(
            accounts=accounts, contacts=contacts, leads=leads, chats=chats, messages=messages
        ),
        pace=pace,
        beside=tuple(set(wanted) - set(SCENARIOS)),
        sizes=_numbers(sizes),
        workers=_numbers(workers),
        connections=_numbers(connections),
        clients=clients,
    )
    allow_files(max(_SOCKETS, *plan.connections))
    results = _measured(plan)
    show(results, profile=profile)
    keep(results.by_name(), json, against=against)
    if plot:
        plot.write_text(chart(f"{figure.replace('_', ' ')}, {load()}", results.bars(figure)))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text} is no list of numbers") from None


def _measured(plan: Plan) -> Results:
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with EmbeddedPostgres(_FOLDER / "postgres", say=typer.echo) as server:
        return uvloop.run(Bench(server.dsn, plan, typer.echo).run())


def show(results: Results, *, profile: bool) -> None:
    """Print the figures and, if asked, what statements they are due to."""
    show_rows(f"load, {load()}", results.rows())
    if profile:
        show_rows("statements that take most, calls and ms of a request", results.statements())


if __name__ == "__main__":
    main()
