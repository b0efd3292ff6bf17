"""What is measured can be read, and belongs to one process."""

import pytest

from clarin_server.metrics import Metrics
from support.figures import Figures, figures


def samples(metrics: Metrics) -> Figures:
    return figures(metrics.text().decode())


def test_everything_that_happens_is_counted() -> None:
    metrics = Metrics()
    metrics.request("GET", "/api/leads", 200, 0.004)
    metrics.request("GET", "/api/leads", 200, 0.3)
    metrics.request("POST", "/api/auth/login", 200, 0.03)
    metrics.request("POST", "/api/auth/login", 401, 0.03)
    metrics.request("POST", "/api/auth/login", 429, 0.03)
    metrics.sockets_open(3)
    metrics.frames_sent(3)
    metrics.frames_sent(2)
    metrics.slow_consumer()
    metrics.job("purge", "idle")
    metrics.loop_lag(0.25)
    read = samples(metrics)
    assert read["clarin_http_requests_total", ("GET", "/api/leads", "200")] == 2
    assert read["clarin_http_request_seconds_bucket", ("0.005", "/api/leads")] == 1
    assert read["clarin_http_request_seconds_count", ("/api/leads",)] == 2
    assert read["clarin_login_failures_total", ()] == 2
    assert read["clarin_sockets_open", ()] == 3
    assert read["clarin_frames_sent_total", ()] == 5
    assert read["clarin_events_relayed_total", ()] == 2
    assert read["clarin_slow_consumers_closed_total", ()] == 1
    assert read["clarin_jobs_total", ("purge", "idle")] == 1
    assert read["clarin_event_loop_lag_seconds", ()] == 0.25


def test_what_is_held_is_written_down_once() -> None:
    """Each in its bucket, also above all bounds; other processes see it from then on."""
    metrics = Metrics()
    for seconds in (0.001, 0.0011, 11.0, None):
        metrics.request("GET", "/api/tags", 200, seconds)
    for _ in range(2):
        metrics.write_down()
    metrics.cache_read("near")
    read = samples(metrics)
    buckets = {bound: read["clarin_http_request_seconds_bucket", (bound, "/api/tags")]
        for bound in ("0.001", "0.0025", "10.0", "+Inf")}  # fmt: skip
    assert buckets == {"0.001": 1, "0.0025": 2, "10.0": 2, "+Inf": 3}
    assert read["clarin_http_request_seconds_sum", ("/api/tags",)] == pytest.approx(11.0021)
    assert read["clarin_http_requests_total", ("GET", "/api/tags", "200")] == 4
    assert read["clarin_cache_reads_total", ("near",)] == 1


def test_the_build_and_the_process_are_told() -> None:
    names = {name for name, _ in samples(Metrics())}
    assert names >= {"clarin_build_info", "process_resident_memory_bytes", "process_open_fds"}


def test_two_registries_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.slow_consumer()
    assert samples(other)["clarin_slow_consumers_closed_total", ()] == 0
