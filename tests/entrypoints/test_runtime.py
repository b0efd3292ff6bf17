"""What each process measures of itself, and tells the others."""

import asyncio

from structlog.testing import capture_logs

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


class Homeless(Metrics):
    """Cannot be written down until the folder is there."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0
        self.is_there = False

    def write_down(self) -> None:
        self.tries += 1
        if not self.is_there:
            raise OSError
        super().write_down()


def test_a_folder_that_is_gone_is_told_once_and_tried_again() -> None:
    """The service goes on, and so does the measuring."""

    async def story() -> None:
        metrics = Homeless()
        metrics.request("GET", "/api/tags", 200, 0.001)
        with capture_logs() as said:
            async with measured(metrics):
                while metrics.tries < 2:
                    await asyncio.sleep(0.05)
        assert [line["event"] for line in said] == ["figures are not written down"]
        metrics.is_there = True
        assert 'route="/api/tags",status="200"} 1.0' in metrics.text().decode()

    asyncio.run(story())
