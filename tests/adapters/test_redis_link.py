"""The link to a Redis: what is no failure, and what nobody expected."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis
from redis.exceptions import InvalidResponse, ResponseError

from clarin_core.testing.event_publisher import until
from clarin_embedded import EmbeddedValkey
from clarin_redis import RedisLink

PATIENCE_S = 5  # A busy machine must not make a law fail.
CROWD = 100


def tell(
    server: EmbeddedValkey, story: Callable[[RedisLink, list[Exception]], Awaitable[None]]
) -> None:
    async def told() -> None:
        failed: list[Exception] = []
        async with (
            asyncio.timeout(20),
            RedisLink(server.url, call_s=PATIENCE_S, failed=failed.append) as link,
        ):
            await story(link, failed)

    asyncio.run(told())


def test_a_crowd_is_no_failure(valkey: EmbeddedValkey) -> None:
    """Who finds all connections taken does without at once, and those who come later are served."""

    async def story(link: RedisLink, _: list[Exception]) -> None:
        holding, may_end = list[bool](), asyncio.Event()

        async def hold(client: Redis) -> bool:
            async with client.client():
                holding.append(True)
                await may_end.wait()
            return True

        asked = [asyncio.create_task(link.ask(hold)) for _ in range(CROWD)]
        await until(lambda: len(holding) + sum(one.done() for one in asked) == CROWD)
        may_end.set()
        answers = await asyncio.gather(*asked)
        assert answers.count(True) == len(holding) > 1
        assert answers.count(None) == CROWD - len(holding) > 1
        assert link.is_up
        assert await link.ping()

    tell(valkey, story)


def raising(error: Exception) -> Callable[[Redis], Awaitable[bool]]:
    async def work(_: Redis) -> bool:
        raise error

    return work


@pytest.mark.parametrize("error", [TypeError("ours"), InvalidResponse("the client's")])
def test_what_nobody_expected_is_a_miss_that_is_told_once(
    error: Exception, valkey: EmbeddedValkey
) -> None:
    """It opens the breaker like an outage, and is heard of, but not with each try."""

    async def story(link: RedisLink, failed: list[Exception]) -> None:
        assert await link.ask(raising(error)) is None
        assert not link.is_up
        assert not await link.ping()
        link.tell(ValueError("another one, soon after"))
        assert failed == [error]

    tell(valkey, story)


@pytest.mark.parametrize("error", [ConnectionError(), TimeoutError()])
def test_an_outage_is_not_told_as_a_fault(error: Exception, valkey: EmbeddedValkey) -> None:
    """The breaker and the figures speak of it."""

    async def story(link: RedisLink, failed: list[Exception]) -> None:
        assert await link.ask(raising(error)) is None
        assert not link.is_up
        assert failed == []

    tell(valkey, story)


def test_a_server_that_says_no_is_up(valkey: EmbeddedValkey) -> None:
    """It lives, and is full, or keeps something else under that key."""

    async def story(link: RedisLink, failed: list[Exception]) -> None:
        assert await link.ask(raising(ResponseError("OOM"))) is None
        assert link.is_up
        assert failed == []

    tell(valkey, story)
