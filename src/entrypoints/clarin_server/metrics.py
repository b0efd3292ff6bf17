"""What is measured, for Prometheus; several workers share theirs in a folder of files."""

import os
import platform
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

SHARED_IN = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of the environment that names the folder of the workers."""

_LOGIN = "/api/auth/login"
_FAILED = "failed "
_REFUSED = (401, 429)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_Several = Literal["livesum", "livemin", "livemax"]


def count_as_worker(number: int) -> None:
    """Keep what is counted from now on under a worker's number, and not its process id.

    One that is started again goes on with its files; else each start would leave some more.
    """
    values.ValueClass = values.MultiProcessValue(lambda: number)


class _Latency(Histogram):
    """Takes many measurements at once."""

    def observe_all(self, seconds: float, counts: Sequence[int]) -> None:
        """Count measurements by bucket, the last one for what is above all bounds."""
        self._sum.inc(seconds)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)


class _Times:
    """How long requests of a route took that are not written down yet."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.counts = [0] * (len(_SECONDS) + 1)

    def add(self, seconds: float) -> None:
        self.seconds += seconds
        self.counts[bisect_left(_SECONDS, seconds)] += 1


class Metrics:
    """Counts what happens. Labels come from closed lists only: never an id, never a path.

    To count in a file that workers share takes longer than to give a kept answer. So what happens
    that often is only held, until it is written down, each second and for whoever reads.
    """

    def __init__(self) -> None:
        self._answered: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._times: defaultdict[str, _Times] = defaultdict(_Times)
        self._found: defaultdict[str, int] = defaultdict(int)
        self._registry = CollectorRegistry()
        self._own = CollectorRegistry()
        self._shared_in = os.environ.get(SHARED_IN)
        if self._shared_in is None:  # They report to the registry that they are given.
            ProcessCollector(registry=self._own)
            GCCollector(registry=self._own)
        build = Info("clarin_build", "The version that runs.", registry=self._own)
        build.info({"version": version("clarin"), "python": platform.python_version()})
        self._count_requests()
        self._count_deliveries()
        self._count_kommo()
        self._count_the_rest()

    def _count_requests(self) -> None:
        self._requests = Counter(
            "clarin_http_requests",
            "Requests by method, route template and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._latency = _Latency(
            "clarin_http_request_seconds",
            "Time from a request's head to its answer, by route template.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._login_failures = self._counter("clarin_login_failures", "Sign-ins that were refused.")

    def _count_deliveries(self) -> None:
        self._sockets = self._gauge("clarin_sockets_open", "Open WebSockets.", "livesum")
        self._frames = self._counter(
            "clarin_frames_sent", "Events times the sockets that got them."
        )
        self._relayed = self._counter(
            "clarin_events_relayed", "Events read from the log for sockets."
        )
        self._slow = self._counter("clarin_slow_consumers_closed", "Sockets closed unread.")

    def _count_kommo(self) -> None:
        self._kommo_requests = self._counter("clarin_kommo_requests", "Questions put to Kommo.")
        self._kommo_rows = self._counter(
            "clarin_kommo_rows",
            "Leads and contacts that said anything new, or could not be read.",
            "what",
        )
        self._kommo_failures = self._counter(
            "clarin_kommo_failures", "What ended a pass over a mirror.", "trouble"
        )
        self._kommo_mirrors = self._gauge(
            "clarin_kommo_mirrors", "Mirrors of Kommo that are kept.", "livesum"
        )
        self._kommo_success = self._gauge(
            "clarin_kommo_last_success_timestamp_seconds",
            "When a pass over any mirror succeeded last.",
            "livemax",
        )
        self._kommo_seconds = Histogram(
            "clarin_kommo_pass_seconds",
            "Time that a pass over a mirror took; a change is seen so much later.",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def _count_the_rest(self) -> None:
        self._reads = self._counter(
            "clarin_cache_reads",
            "Reads that may be kept, by where they were found: near, far or storage.",
            "found",
        )
        self._jobs = self._counter(
            "clarin_jobs",
            "Runs of background work; the outcome is worked, idle or failed.",
            "job", "outcome",
        )  # fmt: skip
        self._heard = self._counter("clarin_whatsapp_heard", "Things that devices heard.")
        self._errands = self._counter(
            "clarin_whatsapp_errands",
            "Things that devices did; the outcome is done, put_off, failed or lost.",
            "outcome",
        )
        self._devices = self._gauge("clarin_devices_running", "Devices at work.", "livesum")
        self._redis = self._gauge("clarin_redis_up", "Whether Redis answers.", "livemin")
        self._lag = self._gauge(
            "clarin_event_loop_lag_seconds",
            "How late the event loop was when it was last asked.",
            "livemax",
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self._registry)

    def _gauge(self, name: str, meaning: str, several: _Several) -> Gauge:
        """Return a gauge; `several` says what those of several workers make together."""
        return Gauge(name, meaning, registry=self._registry, multiprocess_mode=several)

    def request(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Count an answered request; `route` is the template, with placeholders."""
        self._answered[method, route, status] += 1
        if seconds is not None:
            self._times[route].add(seconds)
        if route == _LOGIN and status in _REFUSED:
            self._login_failures.inc()

    def write_down(self) -> None:
        """Put what is held where everybody sees it."""
        while self._answered:
            labels, count = self._answered.popitem()
            self._requests.labels(*labels).inc(count)
        while self._times:
            route, times = self._times.popitem()
            self._latency.labels(route).observe_all(times.seconds, times.counts)
        while self._found:
            found, count = self._found.popitem()
            self._reads.labels(found).inc(count)

    def sockets_open(self, count: int) -> None:
        """Say how many WebSockets are open now."""
        self._sockets.set(count)

    def frames_sent(self, count: int) -> None:
        """Count an event that went to `count` sockets."""
        self._relayed.inc()
        self._frames.inc(count)

    def slow_consumer(self) -> None:
        """Count a socket that was closed because its client does not read."""
        self._slow.inc()

    def cache_read(self, found: str) -> None:
        """Count a read that may be kept; `found` is near, far or storage."""
        self._found[found] += 1

    def kommo_heard(self, what: str, count: int) -> None:
        """Count what a mirror's keeper tells of."""
        if what == "requests":
            self._kommo_requests.inc(count)
        elif what.startswith(_FAILED):
            self._kommo_failures.labels(what.removeprefix(_FAILED)).inc(count)
        elif count:
            self._kommo_rows.labels(what).inc(count)

    def kommo_failed(self, trouble: str) -> None:
        """Count a mirror whose keeping ended, though not because of Kommo."""
        self._kommo_failures.labels(trouble).inc()

    def kommo_mirrors(self, count: int) -> None:
        """Say how many mirrors this process keeps."""
        self._kommo_mirrors.set(count)

    def kommo_passed(self, seconds: float) -> None:
        """Count a pass that succeeded."""
        self._kommo_seconds.observe(seconds)
        self._kommo_success.set_to_current_time()

    def redis_answers(self, is_up: bool) -> None:
        """Say whether Redis answers."""
        self._redis.set(is_up)

    def job(self, name: str, outcome: str) -> None:
        """Count a run of background work."""
        self._jobs.labels(name, outcome).inc()

    def heard(self, count: int) -> None:
        """Count what devices heard, and was stored."""
        self._heard.inc(count)

    def errand(self, outcome: str) -> None:
        """Count something that a device did, or did not."""
        self._errands.labels(outcome).inc()

    def devices(self, count: int) -> None:
        """Say how many devices are at work."""
        self._devices.set(count)

    def loop_lag(self, seconds: float) -> None:
        """Say how late the event loop is."""
        self._lag.set(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format 0.0.4; of several workers the sum."""
        self.write_down()
        registry = self._registry
        if self._shared_in is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=self._shared_in)
        return generate_latest(self._own) + generate_latest(registry)
