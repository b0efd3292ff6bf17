"""The graph of parts can be built, whole and more than once."""

import asyncio
import re
from dataclasses import fields
from pathlib import Path
from secrets import token_hex
from typing import get_type_hints

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from clarin_core.domain.ids import AccountId
from clarin_core.ports.event_publisher import Hint, News
from clarin_core.reads.cached import SHAPES
from clarin_core.testing.cache import KEY, entry
from clarin_core.testing.event_publisher import until
from clarin_embedded import EmbeddedValkey
from clarin_memory import MemoryBlobs, MemoryLimiter, Unlimited
from clarin_redis import RedisLimiter
from clarin_server.container import Container
from clarin_server.errors import CannotStart
from clarin_server.plugins import installed_storages
from clarin_server.progress import Progress
from clarin_server.runtime import running
from clarin_server.services import Services
from clarin_server.settings import Settings
from clarin_server.start import _prepared
from clarin_server.worker import HandOver, container_for

SECRET = b"a secret of the tests, long enough"
NEWS = News(AccountId(1), 1)


def container_of(storage_url: str = "memory", settings: Settings | None = None) -> Container:
    return Container(
        settings=settings or Settings(), storage_url=storage_url, signing_secret=SECRET
    )


def opened(container: Container) -> Services:
    async def story() -> Services:
        async with running(container) as services:
            await services.storage.ping()
            return services

    return asyncio.run(story())


def test_the_whole_graph_is_built_with_the_types_that_it_says() -> None:
    services = opened(container_of())
    hints = get_type_hints(Services)
    use_cases = [
        field.name
        for field in fields(Services)
        if getattr(hints[field.name], "__name__", "").endswith("UseCases")
    ]
    assert len(use_cases) == 15
    for name in use_cases:
        assert type(getattr(services, name)) is hints[name]
        assert services.owner_of(hints[name].__name__) is getattr(services, name)
        assert getattr(services, name).storage is services.storage


def test_who_cannot_count_together_asks_kommo_slowly() -> None:
    """Seven processes without Redis are still within what it allows to all of them."""
    for url, most in (("memory", 7), ("postgresql://nowhere", 1)):
        budget = container_of(url).local_budget()
        assert budget.pace.most == budget.pace.per_second == most


def test_two_containers_share_nothing() -> None:
    assert opened(container_of()).storage is not opened(container_of()).storage


def test_nobody_has_use_cases_of_another_name() -> None:
    with pytest.raises(LookupError, match="UnicornUseCases"):
        opened(container_of()).owner_of("UnicornUseCases")


def test_ours_are_among_the_installed_storages() -> None:
    assert installed_storages().keys() >= {"memory", "postgres", "postgresql"}


@pytest.mark.parametrize("url", ["mongodb://localhost/clarin", "", "C:\\data"])
def test_an_unknown_scheme_is_answered_with_the_installed_ones(url: str) -> None:
    with pytest.raises(CannotStart, match=r"installed: .*memory, postgres, postgresql"):
        container_of(url).storage()


def test_an_address_that_a_storage_refuses_is_told() -> None:
    with pytest.raises(CannotStart, match=r"The address of the storage .*memory:"):
        container_of("memory://somewhere").storage()


def beside(redis_url: str, secret: bytes, database: str) -> Container:
    """Return the graph of a process that was told of a Redis, a secret and a database."""
    told = HandOver(
        number=0,
        storage_url="memory",
        storage_id=database,
        redis_url=redis_url,
        signing_secret=secret,
    )
    return container_for(Settings(), told)


def test_processes_of_an_installation_share_what_is_in_redis(valkey: EmbeddedValkey) -> None:
    """One secret and one database: they hear each other, and find what the other kept."""

    async def story() -> None:
        database, heard = token_hex(6), list[Hint]()
        one, other = (beside(valkey.url, SECRET, database) for _ in range(2))
        async with asyncio.timeout(20), running(one), running(other):
            await until(lambda: other.publisher().is_whole)
            with other.publisher().heard_by(heard.append):
                while NEWS not in heard:
                    one.publisher().announce(NEWS)
                    await asyncio.sleep(0)
            while await other.far().get(KEY) is None:
                await one.far().put(KEY, entry(5))
                await asyncio.sleep(0)
            async with Redis.from_url(valkey.url) as client:
                assert await client.exists(one.realm().name(SHAPES, KEY.text))

    asyncio.run(story())


def test_a_crowd_of_reads_costs_no_hint(valkey: EmbeddedValkey) -> None:
    """However many calls of the cache are waiting, what changed is told."""

    async def story() -> None:
        database, heard = token_hex(6), list[Hint]()
        one, other = (beside(valkey.url, SECRET, database) for _ in range(2))
        async with asyncio.timeout(20), running(one), running(other):
            await until(lambda: one.publisher().is_whole and other.publisher().is_whole)
            with other.publisher().heard_by(heard.append):
                slow = [one.cache_link().ask(lambda c: c.blpop(["none"], 1)) for _ in range(64)]
                crowd = asyncio.gather(*slow)
                await asyncio.sleep(0)
                one.publisher().announce(NEWS)
                await until(lambda: NEWS in heard)
                await crowd

    asyncio.run(story())


@pytest.mark.parametrize(("secret", "database"), [(b"x" * 32, "one"), (SECRET, "other")])
def test_installations_share_nothing_in_redis(secret: bytes, database: str) -> None:
    """Another secret is enough, and so is another database."""
    one, other = (beside("redis://nowhere", *key) for key in ((SECRET, "one"), (secret, database)))
    assert one.realm().name("hints") != other.realm().name("hints")


def test_a_start_finds_out_which_storage_it_has() -> None:
    """Two that begin with the same settings in memory are two installations."""
    settings = Settings(storage="memory")

    async def storage_id() -> str:
        async with _prepared(settings, Progress(settings)) as told:
            return told.storage_id

    assert asyncio.run(storage_id()) != asyncio.run(storage_id())


def test_what_nobody_expected_of_redis_is_logged(valkey: EmbeddedValkey) -> None:
    """With its trace, under the name of the part."""

    async def story() -> None:
        error = LookupError("of the client")
        async with beside(valkey.url, SECRET, "any").cache_link() as link:
            with capture_logs() as said:
                link.tell(error)
            assert said == [
                {
                    "component": "REDIS",
                    "log_level": "error",
                    "event": "talking to Redis failed",
                    "exc_info": error,
                }
            ]

    asyncio.run(story())


def test_a_part_that_fails_to_open_closes_the_others() -> None:
    class Broken:
        async def __aenter__(self) -> None:
            raise OSError("no")

        async def __aexit__(self, *_: object) -> None:
            raise AssertionError("it was never open")

    async def story() -> None:
        container = container_of()
        container.storage.override(Broken())
        with pytest.raises(OSError, match="no"):
            async with running(container):
                raise AssertionError("a part is missing")
        hasher = container.hasher()
        with pytest.raises(RuntimeError, match=re.escape("after shutdown")):
            await hasher.hash("x")

    asyncio.run(story())


def test_files_lie_where_the_settings_say(tmp_path: Path) -> None:
    """Else in the data directory, or in memory with everything else."""
    data = Settings(data_dir=str(tmp_path))
    for settings, storage_url, place in (
        (data, "postgresql://h/d", f"file://{tmp_path}/media"),
        (data, "memory", "memory:"),
        (Settings(media_url="s3://fotos/x"), "memory", "s3://fotos/x"),
    ):
        assert settings.media_address(storage_url) == place
    assert type(container_of().blobs()) is MemoryBlobs
    named = container_of(settings=Settings(media_url=f"file://{tmp_path}/los%20medios"))
    assert opened(named).media.blobs is named.blobs()
    assert [path.name for path in tmp_path.iterdir()] == ["los medios"]


def test_the_limits_of_the_settings_reach_the_sign_in() -> None:
    """R25: counted by default, not at all where limits are off; with Redis, over all processes."""
    on, off = opened(container_of()), opened(container_of(settings=Settings(rate_limits="off")))
    for services, kind in ((on, MemoryLimiter), (off, Unlimited)):
        assert type(services.limiter) is kind
        assert services.sign_in.limiter is services.limiter
    shared = container_of()
    shared.redis_url.override("redis://127.0.0.1:1")
    assert type(shared.limiter()) is RedisLimiter
    assert shared.limits_link() in shared.opened_in_order()
