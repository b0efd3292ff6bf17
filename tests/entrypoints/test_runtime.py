"""What each process measures of itself, and tells the others."""

import asyncio

from clarin_server.metrics import Metrics
from clarin_server.runtime import measured


def test_the_lag_of_the_loop_is_measured() -> None:
    async def story() -> None:
        metrics = Metrics()
        metrics.loop_lag(-1.0)
        async with measured(metrics):
            while "clarin_event_loop_lag_seconds -1.0" in metrics.text().decode():
                await asyncio.sleep(0.05)

    asyncio.run(story())


class Told(Metrics):
    """Knows how much was counted when it was written down."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[float] = []

    def write_down(self) -> None:
        super().write_down()
        (requests,) = self._requests.collect()
        self.counts.append(sum(one.value for one in requests.samples[::2]))


def test_what_is_counted_is_written_down_by_itself() -> None:
    """Each second, and at the end: another process reads it, and nothing of it is lost."""

    async def story() -> None:
        metrics = Told()
        metrics.request("GET", "/api/tags", 200, 0.001)
        async with measured(metrics):
            while not metrics.counts:
                await asyncio.sleep(0.05)
            assert metrics.counts[0] == 1
            metrics.request("GET", "/api/tags", 200, 0.001)
        assert metrics.counts[-1] == 2

    asyncio.run(story())
