"""R2, R3, R12, R29: one harm after the other for half a minute, while people write and listen."""

import asyncio
import os
import random
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis

from clarin_embedded import EmbeddedPostgres, EmbeddedValkey
from support.hall import Hall, kept, open_lead, some_names
from support.nodes import Node, nodes
from support.wired import signal_postgres, signal_valkey

pytestmark = pytest.mark.long

STORM_S = 30
PAUSE_S = 1.5
PATIENCE_S = 240


@dataclass
class World:
    """Two nodes, and the servers that they lean on."""

    nodes: list[Node]
    postgres: EmbeddedPostgres
    redis: EmbeddedValkey

    async def kill_a_worker(self) -> None:
        workers = [pid for node in self.nodes for pid in node.workers]
        if workers:  # Else all have just been killed.
            os.kill(random.choice(workers), signal.SIGKILL)

    async def empty_redis(self) -> None:
        async with Redis.from_url(self.redis.url) as admin:
            await admin.flushall()

    async def pause_redis(self) -> None:
        signal_valkey(self.redis, signal.SIGSTOP)
        await asyncio.sleep(PAUSE_S)
        signal_valkey(self.redis, signal.SIGCONT)

    async def restart_redis(self) -> None:
        signal_valkey(self.redis, signal.SIGKILL)
        await started_again(EmbeddedValkey(self.redis.home))

    async def restart_postgres(self) -> None:
        signal_postgres(self.postgres, signal.SIGQUIT)
        await started_again(EmbeddedPostgres(self.postgres.home))


async def started_again(server: EmbeddedPostgres | EmbeddedValkey) -> None:
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(server.stop)  # The first one is still a user of it.


@pytest.fixture
def world() -> Iterator[World]:
    """Start two nodes over servers that are this test's to harm."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storm-")))
        folder.chmod(0o711)
        postgres = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        redis = stack.enter_context(EmbeddedValkey(folder / "valkey"))
        running = stack.enter_context(nodes(postgres.dsn, redis.url, folder))
        yield World(running, postgres, redis)
        for node in running:
            node.service.end()
            print(node.service.said[-20_000:])


async def harm(world: World) -> None:
    """Do one thing after the other, in an order of chance."""
    harms: list[Callable[[], Awaitable[None]]] = [
        world.kill_a_worker, world.kill_a_worker, world.empty_redis,
        world.pause_redis, world.restart_redis, world.restart_postgres,
    ]  # fmt: skip
    end = asyncio.get_running_loop().time() + STORM_S
    while asyncio.get_running_loop().time() < end:
        for one in random.sample(harms, len(harms)):
            await one()
            await asyncio.sleep(random.random())


def test_a_storm_takes_nothing_along(world: World) -> None:
    """What was answered is there once, and every listener hears it all, in order."""
    seed = random.randrange(2**32)
    print("seed", seed)
    random.seed(seed)

    async def story() -> None:
        hall = await Hall.of(world.nodes)
        written: list[str] = []
        over = asyncio.Event()

        async def write(place: int) -> None:
            while not over.is_set():
                (name,) = some_names(1)
                await open_lead(hall.people[place], name)
                written.append(name)

        async with asyncio.TaskGroup() as writing:
            for place in range(len(hall.people)):
                writing.create_task(write(place))
            await harm(world)
            over.set()
        print(len(written), "leads")
        assert await kept(hall.people[-1], written) == sorted(written)
        await hall.check()

    async def patiently() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story()

    asyncio.run(patiently())
