"""R12, R29: what fails while people work, and what they notice of it."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from clarin_embedded import EmbeddedPostgres, EmbeddedValkey
from clarin_postgres import migrate
from support.screen import Screen, live_screen, log
from support.serving import House, Person
from support.wired import signal_postgres, signal_valkey, wired

PATIENCE_S = 90
BUSY = 3


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder with a short path, which the account of a server may enter."""
    with tempfile.TemporaryDirectory(prefix="fail-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.fixture
def frail(folder: Path) -> Iterator[EmbeddedValkey]:
    """Run a Redis that is this test's to harm."""
    with EmbeddedValkey(folder / "valkey") as server:
        yield server


def tell(story: Awaitable[None]) -> None:
    async def patiently() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story

    asyncio.run(patiently())


class Work:
    """People who read and write one lead each, again and again, and what they were answered.

    What was answered with 2xx counts: no later read may show less. `refused` counts answers
    with 503, which must say when to come back.
    """

    def __init__(self, person: Person) -> None:
        self.person = person
        self.done = 0
        self.refused = 0
        self._stop = asyncio.Event()

    async def run(self) -> None:
        lead = await self.person.post("/api/leads", name="0")
        path = f"/api/leads/{lead['id']}"
        known = 0
        while not self._stop.is_set():
            answer = await self.person.ask("PUT", path, json={"name": str(known + 1)})
            if answer.status_code == 503:
                assert int(answer.headers["retry-after"]) >= 1
                self.refused += 1
            else:
                assert answer.status_code == 200, answer.text
                known += 1
                assert answer.json()["name"] == str(known)
            await self._check(path, known)
            self.done += 1

    async def _check(self, path: str, known: int) -> None:
        seen = await self.person.ask("GET", path)
        if seen.status_code == 503:
            self.refused += 1
        else:
            assert seen.status_code == 200, seen.text
            assert int(seen.json()["name"]) >= known

    def stop(self) -> None:
        self._stop.set()


@asynccontextmanager
async def busy(house: House) -> AsyncIterator[list[Work]]:
    """Let people work while inside."""
    works = [Work(house.ana) for _ in range(BUSY)]
    tasks = [asyncio.create_task(work.run()) for work in works]
    try:
        yield works
    finally:
        for work in works:
            work.stop()
        await asyncio.gather(*tasks)


async def some(works: list[Work], count: int = 15) -> None:
    """Wait until everybody has done some more."""
    wanted = [work.done + count for work in works]
    while any(work.done < done for work, done in zip(works, wanted, strict=True)):
        await asyncio.sleep(0.01)


async def readiness(house: House, status: str) -> None:
    """Wait until /ready says so, with 200 unless nothing can be answered."""
    while True:
        answer = await house.http.get("/ready")
        assert answer.status_code == (503 if answer.json()["status"] == "unavailable" else 200)
        if answer.json()["status"] == status:
            return
        await asyncio.sleep(0.02)


async def check_screen(house: House, ana: Screen) -> None:
    """A screen that was there all the time has heard everything, once and in order."""
    end = (await log(house.ana))[-1]["seq"]
    heard = [frame["seq"] for frame in await ana.until(end)]
    assert heard == list(range(ana.hello["data"]["seq"] + 1, end + 1))


async def notified(there: Screen, code: str) -> None:
    """Wait until a screen is told this about the service itself, and nothing else before."""
    frame = await there.hear()
    while frame["event"] != "notification":
        frame = await there.hear()
    assert frame["data"]["code"] == code


Harm = Callable[[EmbeddedValkey], Awaitable[None]]


async def pause(server: EmbeddedValkey) -> None:
    signal_valkey(server, signal.SIGSTOP)


async def go_on(server: EmbeddedValkey) -> None:
    signal_valkey(server, signal.SIGCONT)


async def kill(server: EmbeddedValkey) -> None:
    signal_valkey(server, signal.SIGKILL)


async def start_anew(server: EmbeddedValkey) -> None:
    again = EmbeddedValkey(server.home)
    await asyncio.to_thread(again.start)
    await asyncio.to_thread(again.stop)  # `server` is still one of its users.


@pytest.mark.parametrize(("harm", "mend"), [(pause, go_on), (kill, start_anew)])
def test_without_redis_everything_is_answered(
    database: str, frail: EmbeddedValkey, harm: Harm, mend: Harm
) -> None:
    """Section 4: no 5xx, nothing stale, nothing lost; it is said, and it ends by itself."""

    async def story() -> None:
        async with wired(database, frail.url) as house, live_screen(house.ana) as ana:
            await readiness(house, "ready")
            async with busy(house) as works:
                await some(works)
                await harm(frail)
                await readiness(house, "degraded")
                await some(works)
                assert "clarin_redis_up 0.0" in (await house.http.get("/metrics")).text
                await mend(frail)
                await readiness(house, "ready")
                await some(works)
            assert sum(work.refused for work in works) == 0
            assert "clarin_redis_up 1.0" in (await house.http.get("/metrics")).text
            await check_screen(house, ana)

    tell(story())


def test_an_emptied_redis_is_noticed_by_nobody(database: str, frail: EmbeddedValkey) -> None:
    """R12: FLUSHALL again and again while people work."""

    async def story() -> None:
        async with (
            wired(database, frail.url) as house,
            live_screen(house.ana) as ana,
            Redis.from_url(frail.url) as admin,
        ):
            async with busy(house) as works:
                for _ in range(10):
                    await some(works, 3)
                    await admin.flushall()
            assert sum(work.refused for work in works) == 0
            await check_screen(house, ana)

    tell(story())


def test_a_restarted_postgres_is_found_again(folder: Path, frail: EmbeddedValkey) -> None:
    """R29, R2: 503 with Retry-After meanwhile; what was answered is there; nobody has to help."""

    async def story(server: EmbeddedPostgres) -> None:
        await migrate(server.dsn)
        async with (
            wired(server.dsn, frail.url) as house,
            live_screen(house.ana) as ana,
            live_screen(house.beto) as beto,
        ):
            async with busy(house) as works:
                await some(works)
                signal_postgres(server, signal.SIGQUIT)
                await readiness(house, "unavailable")
                await notified(beto, "store_down")
                assert (await house.http.get("/health")).status_code == 200
                again = EmbeddedPostgres(server.home)
                await asyncio.to_thread(again.start)
                await readiness(house, "ready")
                await some(works)
                await asyncio.to_thread(again.stop)
            assert sum(work.refused for work in works) > 0
            await notified(beto, "store_up")
            await check_screen(house, ana)

    with EmbeddedPostgres(folder / "postgres") as server:
        tell(story(server))
