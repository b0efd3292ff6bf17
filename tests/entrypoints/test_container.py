"""The graph of parts can be built, whole and more than once."""

import asyncio
import re
from dataclasses import fields
from typing import get_type_hints

import pytest
from structlog.testing import capture_logs

from clarin_core.errors import RateLimited
from clarin_embedded import EmbeddedValkey
from clarin_server.container import Container
from clarin_server.errors import CannotStart
from clarin_server.plugins import installed_storages
from clarin_server.runtime import running
from clarin_server.services import Services
from clarin_server.settings import Settings, read_settings

SECRET = b"a secret of the tests, long enough"


def container_of(
    storage_url: str = "memory", settings: Settings | None = None, redis_url: str = ""
) -> Container:
    return Container(
        settings=settings or Settings(),
        storage_url=storage_url,
        redis_url=redis_url,
        signing_secret=SECRET,
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
    assert len(use_cases) == 8
    for name in use_cases:
        assert type(getattr(services, name)) is hints[name]
        assert services.owner_of(hints[name].__name__) is getattr(services, name)
        assert getattr(services, name).storage is services.storage


def test_two_containers_share_nothing() -> None:
    assert opened(container_of()).storage is not opened(container_of()).storage


def test_nobody_has_use_cases_of_another_name() -> None:
    with pytest.raises(LookupError, match="DeviceUseCases"):
        opened(container_of()).owner_of("DeviceUseCases")


def test_ours_are_among_the_installed_storages() -> None:
    assert installed_storages().keys() >= {"memory", "postgres", "postgresql"}


@pytest.mark.parametrize("url", ["mongodb://localhost/clarin", "", "C:\\data"])
def test_an_unknown_scheme_is_answered_with_the_installed_ones(url: str) -> None:
    with pytest.raises(CannotStart, match=r"installed: .*memory, postgres, postgresql"):
        container_of(url).storage()


def test_an_address_that_a_storage_refuses_is_told() -> None:
    with pytest.raises(CannotStart, match=r"The address of the storage .*memory:"):
        container_of("memory://somewhere").storage()


def test_what_nobody_expected_of_redis_is_logged(valkey: EmbeddedValkey) -> None:
    """With its trace, under the name of the part."""

    async def story() -> None:
        error = LookupError("of the client")
        async with container_of(redis_url=valkey.url).link() as link:
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


def test_the_limits_of_the_settings_reach_the_sign_in() -> None:
    """R25: ten tries by default, as many as one likes where limits are off."""
    sign_in = opened(container_of()).sign_in
    at = sign_in.clock()
    for _ in range(10):
        sign_in.names.check("ana", at=at)
        sign_in.names.count("ana", at=at)
    with pytest.raises(RateLimited):
        sign_in.names.check("ana", at=at)
    unlimited = container_of(settings=read_settings({"CLARIN_RATE_LIMITS": "off"}))
    for _ in range(100):
        opened(unlimited).sign_in.names.count("ana", at=at)
    opened(unlimited).sign_in.names.check("ana", at=at)
