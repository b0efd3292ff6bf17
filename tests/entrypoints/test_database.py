"""A storage that is ready, or a line that says why there is none."""

import asyncio
from pathlib import Path

import pytest

from clarin_postgres import identify
from clarin_security import system_random
from clarin_server import database
from clarin_server.database import identity_of, ready_storage
from clarin_server.errors import CannotStart
from clarin_server.settings import Settings


def nowhere(folder: Path) -> str:
    return f"postgresql://ana:canary@/clarin?host={folder}"


def ready(settings: Settings) -> tuple[str, list[str]]:
    """Return the address of the storage, and what was said on the way."""
    said: list[str] = []

    async def story() -> str:
        async with ready_storage(settings, said.append) as url:
            return url

    return asyncio.run(story()), said


def test_storage_in_memory_is_ready_without_a_word() -> None:
    assert ready(Settings(storage="memory")) == ("memory", [])


def test_what_shares_a_redis_is_told_apart(database: str) -> None:
    """Storage in memory is each process's own, of others the database counts or the address."""

    async def told(url: str) -> str:
        return await identity_of(url, system_random)

    async def story() -> None:
        assert await told("memory") != await told("memory")
        assert await told(database) == await identify(database) == await told(database)
        assert await told("other://one") == await told("other://one") != await told("other://two")

    asyncio.run(story())


def test_a_database_that_does_not_answer_is_given_time_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "DATABASE_WAIT_S_MAX", 0.05)
    monkeypatch.setattr(database, "_TRY_AGAIN_S", 0.03)
    said: list[str] = []

    async def story() -> None:
        async with ready_storage(Settings(database_url=nowhere(tmp_path)), said.append):
            raise AssertionError("there is no server")

    with pytest.raises(CannotStart, match="Check DATABASE_URL") as caught:
        asyncio.run(story())
    assert {line.split(": ")[0] for line in said} == {"waiting for the database"}
    assert "canary" not in str(caught.value)


def test_work_in_a_thread_is_waited_for_even_when_nobody_wants_it_any_more() -> None:
    """A server that is being started must be up before it can be stopped."""

    async def story() -> bool:
        began, may_end, ended = asyncio.Event(), asyncio.Event(), False
        loop = asyncio.get_running_loop()

        def work() -> None:
            nonlocal ended
            loop.call_soon_threadsafe(began.set)
            asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result()
            ended = True

        waiting = asyncio.create_task(database._to_its_end(work))
        await began.wait()
        waiting.cancel()
        await asyncio.sleep(0)
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return ended

    assert asyncio.run(story())
