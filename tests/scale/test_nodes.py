"""Two nodes of two workers each, over one PostgreSQL and one Redis: every change, everywhere."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from clarin_core.domain.actor import Actor
from clarin_core.domain.ids import AccountId, UserId
from clarin_core.domain.leads import NewLead
from clarin_core.usecases.leads import LeadUseCases
from clarin_embedded import EmbeddedValkey
from clarin_postgres import PostgresStorage
from support.figures import figures
from support.hall import Hall, kept, open_lead, some_names
from support.nodes import Node, nodes
from support.serving import Person, now

PATIENCE_S = 60

Story = Callable[[list[Node]], Awaitable[None]]


@pytest.fixture
def both(database: str, valkey: EmbeddedValkey) -> Iterator[list[Node]]:
    """Run two nodes, each with a data folder of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="nodes-") as folder,
        nodes(database, valkey.url, Path(folder)) as running,
    ):
        yield running


def tell(story: Awaitable[None]) -> None:
    async def patiently() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story

    asyncio.run(patiently())


def test_each_change_reaches_each_socket_on_each_worker(both: list[Node]) -> None:
    """R3: once and in order, whatever worker of whatever node wrote it."""

    async def story() -> None:
        hall = await Hall.of(both)
        names = some_names(40)
        people = hall.people * 5
        await asyncio.gather(*map(open_lead, people, names))
        assert await kept(hall.people[-1], names) == names
        await hall.check()

    tell(story())


def test_a_change_that_nobody_announced_is_found(both: list[Node], database: str) -> None:
    """R3: whoever wrote it died between the commit and the hint; the next look finds it."""

    async def story() -> None:
        hall = await Hall.of(both)
        me = hall.people[0]
        async with PostgresStorage(database, clock=now) as storage:
            actor = Actor(account_id=AccountId(me.account_id), user_id=UserId(me.user_id))
            await LeadUseCases(storage, now).create(actor, NewLead(name="Luz"))
        await hall.check()

    tell(story())


def test_each_worker_tells_what_all_of_them_answered(both: list[Node]) -> None:
    """Whoever asks one worker for figures gets those of its node, soon."""

    async def story() -> None:
        node = both[0]
        async with AsyncExitStack() as stack:
            people = [await node.person() for _ in range(8)]  # Each with a connection of its own.
            for person in people:
                stack.push_async_callback(person.http.aclose)
                for _ in range(5):
                    await person.get("/api/tags")
            while await _tags_read(people[0]) != 40:
                await asyncio.sleep(0.1)

    tell(story())


async def _tags_read(person: Person) -> float:
    read = figures((await person.http.get("/metrics")).text)
    return read.get(("clarin_http_requests_total", ("GET", "/api/tags", "200")), 0)


def test_a_worker_that_is_killed_takes_nothing_along(both: list[Node]) -> None:
    """R2, R16: what was answered is there once, listeners miss nothing, a new worker serves."""

    async def story() -> None:
        hall = await Hall.of(both)
        names = some_names(160)
        writing = [
            asyncio.create_task(open_all(person, names[place :: len(hall.people)]))
            for place, person in enumerate(hall.people)
        ]
        for node in both:
            while not all(listener.frames for listener in hall.listeners):
                await asyncio.sleep(0.01)
            os.kill(next(pid for pid, serves in node.workers.items() if serves), signal.SIGKILL)
        await asyncio.gather(*writing)
        assert await kept(hall.people[-1], names) == names
        await hall.check()
        assert any(listener.returns > 0 for listener in hall.listeners)
        for node in both:
            while sorted(node.workers.values()) != [False, True, True]:
                await asyncio.sleep(0.05)

    tell(story())


async def open_all(person: Person, names: list[str]) -> None:
    for name in names:
        await open_lead(person, name)


def test_workers_do_not_outlive_their_supervisor(both: list[Node]) -> None:
    """However it went, nobody is left who holds the address."""
    node = both[0]
    pids = list(node.workers)
    assert len(pids) == 3
    node.service.end(signal.SIGKILL)

    async def story() -> None:
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            await asyncio.sleep(0.02)

    tell(story())


def test_several_workers_stop_in_order(both: list[Node]) -> None:
    """R28: one signal to each supervisor; none of their processes is left."""
    pids = [pid for node in both for pid in node.workers]
    assert [node.service.end() for node in both] == [0, 0]
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
