"""The link to a Redis: what is no failure."""

import asyncio
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from clarin_core.testing.event_publisher import until
from clarin_embedded import EmbeddedValkey
from clarin_redis import RedisLink

PATIENCE_S = 5  # A busy machine must not make a law fail.
CROWD = 100


def tell(server: EmbeddedValkey, story: Callable[[RedisLink], Awaitable[None]]) -> None:
    async def told() -> None:
        async with (
            asyncio.timeout(20),
            RedisLink(server.url, call_s=PATIENCE_S) as link,
        ):
            await story(link)

    asyncio.run(told())


def test_a_crowd_is_no_failure(valkey: EmbeddedValkey) -> None:
    """Who finds all connections taken does without at once, and those who come later are served."""

    async def story(link: RedisLink) -> None:
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
