"""Scenarios over a service, in turn within each round; what comes of them is the median."""

from collections.abc import Sequence
from statistics import median

from msgspec import Struct

from benchmarks.asking import SCENARIOS, Asker, Known, signed_in
from benchmarks.costs import Gauge, Spent, Statement
from benchmarks.driver import Drivers, Outcome, Task
from benchmarks.figures import Figures, percentile
from benchmarks.ingest import ingest
from benchmarks.serving import Service
from benchmarks.sockets import Options as SocketOptions
from benchmarks.sockets import fan_out, stage

_INGEST_DEVICES, _INGEST_BATCH = 16, 10
_DEAREST, _OFTEN = 4, 0.05  # What is rarer is not due to the requests.

Dearest = dict[str, list[tuple[Statement, float]]]
"""Each scenario's statements that take most, with how often each runs for a request."""


class Pace(Struct, frozen=True, kw_only=True):
    """How long each scenario is measured, how often, and by how many requests."""

    scenarios: Sequence[str]
    seconds: float
    warm_s: float
    rounds: int
    rate: float = 0.0
    requests: int = 60_000


class Refused(RuntimeError):
    """Something was not answered as it should be, so no figure of the run counts."""


class Course:
    """A service with all that it takes to measure it."""

    def __init__(self, service: Service, gauge: Gauge, found: Known, pace: Pace) -> None:
        self._service = service
        self._gauge = gauge
        self._known = found
        self._pace = pace
        self.dearest: Dearest = {}

    async def run(self, drivers: Drivers) -> dict[str, Figures]:
        """Measure all scenarios that are requests."""
        rounds: dict[str, list[Figures]] = {name: [] for name in self._pace.scenarios}
        for number in range(self._pace.rounds):
            tokens = await signed_in(self._service, self._known)
            asker = Asker(self._known, tokens, seed=number)
            for name, figures in rounds.items():
                figures.append(await self._measured(drivers, name, asker))
        return {name: _median(figures) for name, figures in rounds.items()}

    async def _measured(self, drivers: Drivers, name: str, asker: Asker) -> Figures:
        pace = self._pace
        warming = asker.some(name, max(1, pace.requests // 4))
        check(name, await drivers.run(Task(requests=warming, seconds=pace.warm_s)))
        task = Task(requests=asker.some(name, pace.requests), seconds=pace.seconds, rate=pace.rate)
        before = await self._gauge.begin()
        outcome = await drivers.run(task)
        after = await self._gauge.read()
        check(name, outcome)
        count = len(outcome.times)
        self.dearest[name] = [
            (statement, statement.calls / count)
            for statement in await self._gauge.dearest(_DEAREST)
            if statement.calls / count > _OFTEN
        ]
        return _figures(outcome, before, after) | {
            "service_mib": self._service.resident_bytes / 2**20
        }


def check(name: str, outcome: Outcome) -> None:
    """Raise Refused unless all answers were successes."""
    if outcome.refused:
        raise Refused(f"{name}: {outcome.refused}, the first one was\n{outcome.sample}")


def _figures(outcome: Outcome, before: Spent, after: Spent) -> Figures:
    times = outcome.times
    count = len(times)
    return {
        "per_s": count / outcome.lasted_s,
        "ms_p50": percentile(times, 50) * 1e3,
        "ms_p95": percentile(times, 95) * 1e3,
        "ms_p99": percentile(times, 99) * 1e3,
        "service_us": (after.service - before.service) / count * 1e6,
        "postgres_us": (after.postgres - before.postgres) / count * 1e6,
        "redis_us": (after.redis - before.redis) / count * 1e6,
        "statements": (after.statements - before.statements) / count,
    }


def _median(rounds: list[Figures]) -> Figures:
    return {name: median(figures[name] for figures in rounds) for name in rounds[0]}


async def inbound(dsn: str, seconds: float) -> Figures:
    """Store what devices hear, ten events a transaction, and return the figures of a message."""
    rows = await ingest(seconds, [_INGEST_DEVICES], batches=[_INGEST_BATCH], dsn=dsn)
    (found,) = rows.values()
    return {
        "per_s": found["messages_per_s"],
        "ms_p50": found["tx_ms_p50"],
        "ms_p95": found["tx_ms_p95"],
        "ms_p99": found["tx_ms_p99"],
        "service_us": found["cpu_us_per_message"],
        "postgres_us": found["postgres_us_per_message"],
        "statements": found["statements_per_message"],
    }


async def fanned_out(
    service: Service, *, user: str, password: str, seconds: float, sockets: int, accounts: int
) -> Figures:
    """Change leads while many sockets listen, and return the figures of a delivery."""
    options = SocketOptions(
        sockets=sockets, accounts=accounts, rate=200.0, seconds=seconds, workers=1, clients=1,
        writers=8, tickets=False, port=0, url=f"http://{service.host}:{service.port}",
        user=user, password=password, pids=service.pids,
    )  # fmt: skip
    async with stage(options) as ready:
        found = await fan_out(ready)
    if found["lost"]:
        raise Refused(f"sockets: {found['lost']:.0f} deliveries were lost")
    return {
        "per_s": found["deliveries_per_s"],
        "ms_p50": found["late_ms_p50"],
        "ms_p95": found["late_ms_p95"],
        "ms_p99": found["late_ms_p99"],
        "service_us": found["cpu_us_per_delivery"],
        "service_mib": found["service_mib_after"],
    }


ALL = (*SCENARIOS, "ingest", "sockets")
FIGURES = (
    "per_s", "ms_p50", "ms_p95", "ms_p99", "service_us", "postgres_us", "redis_us", "statements",
    "service_mib",
)  # fmt: skip
