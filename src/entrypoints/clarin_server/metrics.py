"""What is measured, for Prometheus; one registry a process, and nothing global."""

import platform
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

_LOGIN = "/api/auth/login"
_REFUSED = (401, 429)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts what happens. Labels come from closed lists only: never an id, never a path."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        # They report to the registry that they are given, and are kept by it.
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        build = Info("clarin_build", "The version that runs.", registry=registry)
        build.info({"version": version("clarin"), "python": platform.python_version()})
        self._requests = Counter(
            "clarin_http_requests",
            "Requests by method, route template and status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._latency = Histogram(
            "clarin_http_request_seconds",
            "Time from a request's head to its answer, by route template.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._login_failures = Counter(
            "clarin_login_failures", "Sign-ins that were refused.", registry=registry
        )
        self._sockets = Gauge("clarin_sockets_open", "Open WebSockets.", registry=registry)
        self._frames = Counter(
            "clarin_frames_sent", "Events times the sockets that got them.", registry=registry
        )
        self._relayed = Counter(
            "clarin_events_relayed", "Events read from the log for sockets.", registry=registry
        )
        self._slow = Counter(
            "clarin_slow_consumers_closed", "Sockets closed unread.", registry=registry
        )
        self._jobs = Counter(
            "clarin_jobs",
            "Runs of background work; the outcome is worked, idle or failed.",
            ["job", "outcome"],
            registry=registry,
        )
        self._lag = Gauge(
            "clarin_event_loop_lag_seconds",
            "How late the event loop was when it was last asked.",
            registry=registry,
        )

    def request(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Count an answered request; `route` is the template, with placeholders."""
        self._requests.labels(method, route, status).inc()
        if seconds is not None:
            self._latency.labels(route).observe(seconds)
        if route == _LOGIN and status in _REFUSED:
            self._login_failures.inc()

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

    def job(self, name: str, outcome: str) -> None:
        """Count a run of background work."""
        self._jobs.labels(name, outcome).inc()

    def loop_lag(self, seconds: float) -> None:
        """Say how late the event loop is."""
        self._lag.set(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)
