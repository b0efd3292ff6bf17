"""Limits in Redis: their contract on a real server, and what happens without one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from secrets import token_bytes
from typing import TypeVar

import pytest
from redis.asyncio import Redis

from clarin_core.domain.limits import Rate, Tries
from clarin_core.ports.limiter import Limiter, Try
from clarin_core.ports.small import Clock
from clarin_core.testing import LimiterContract
from clarin_core.testing.limiter import (
    SLOW,
    SLOW_LEASE,
    THREE,
    WINDOW,
    Limiters,
    let_in,
    refused,
)
from clarin_core.testing.tenants import NOON
from clarin_core.testing.watch import Watch
from clarin_embedded import EmbeddedValkey
from clarin_memory import MemoryLimiter
from clarin_redis import Realm, RedisLimiter, RedisLink

T = TypeVar("T")

NOWHERE = "redis://127.0.0.1:1"
PATIENCE_S = 10.0  # A busy machine may be slow where the law is not about that.
TEN = Tries(10, WINDOW)
USERS = Rate(per_second=1 / 60, burst=200)


@pytest.fixture(scope="module", autouse=True)
def address(valkey: EmbeddedValkey) -> str:
    """Return where the server is."""
    global URL
    URL = valkey.url
    return URL


URL = ""


class Nobody(Limiter):
    """Fails whoever asks it: Redis was to answer."""

    async def take(self, key: str, tries: Tries) -> Try:
        raise AssertionError("Redis did not answer")

    async def give_back(self, tried: Try) -> None:
        pass

    async def forget(self, key: str) -> None:
        pass

    async def spend(self, key: str, rate: Rate) -> None:
        raise AssertionError("Redis did not answer")

    def spend_now(self, key: str, rate: Rate) -> bool:
        raise AssertionError("Redis did not answer")


class CountingLink(RedisLink):
    """A link that knows how often Redis was asked."""

    asked = 0

    async def ask(self, work: Callable[[Redis], Awaitable[T]]) -> T | None:
        self.asked += 1
        return await super().ask(work)


def own_realm() -> Realm:
    """Return an installation that nobody else is."""
    return Realm(token_bytes(32), "")


def limiter_on(
    link: RedisLink,
    clock: Clock,
    *,
    local: Limiter | None = None,
    realm: Realm | None = None,
    keys_max: int = 20_000,
) -> RedisLimiter:
    """Return a limiter; the server's clock cannot be set forward, so it is shifted."""
    return RedisLimiter(
        link,
        local or MemoryLimiter(clock),
        clock,
        realm or own_realm(),
        keys_max=keys_max,
        shift=lambda: clock() - NOON,
    )


@asynccontextmanager
async def opened(clock: Clock, count: int = 2) -> AsyncIterator[list[RedisLimiter]]:
    """Open limiters of as many processes."""
    realm = own_realm()
    async with AsyncExitStack() as stack:
        links = [
            await stack.enter_async_context(RedisLink(URL, call_s=PATIENCE_S)) for _ in range(count)
        ]
        yield [limiter_on(link, clock, local=Nobody(), realm=realm) for link in links]


@asynccontextmanager
async def pair(clock: Clock) -> AsyncIterator[Limiters]:
    async with opened(clock) as (one, other):
        yield one, other


class TestRedisLimiter(LimiterContract):
    """Two processes, one server."""

    def open(self, clock: Clock) -> AbstractAsyncContextManager[Limiters]:
        return pair(clock)


def test_many_processes_have_one_limit() -> None:
    """R25: whoever is asked, ten tries are ten."""

    async def story() -> None:
        async with opened(Watch(), count=5) as limiters:
            assert await let_in(limiters[at % 5].take("ana", TEN) for at in range(50)) == 10
            asked = (limiters[at % 5].spend("ana", SLOW) for at in range(200))
            assert SLOW.burst - 4 * SLOW_LEASE <= await let_in(asked) <= SLOW.burst

    asyncio.run(story())


def test_most_requests_ask_nobody() -> None:
    """A round trip for twenty requests, and one for all that are refused until the next token."""

    async def story() -> None:
        async with CountingLink(URL, call_s=PATIENCE_S) as link:
            limiter = limiter_on(link, Watch())
            before = link.asked
            for _ in range(200):
                await limiter.spend("ana", USERS)
            assert link.asked - before == 10
            for _ in range(100):
                await refused(limiter.spend("ana", USERS))
            assert link.asked - before == 11

    asyncio.run(story())


def test_what_is_at_hand_is_given_without_giving_way() -> None:
    """The usual request goes on at once: its turn of the event loop does not end."""

    async def story() -> None:
        async with opened(Watch(), count=1) as (limiter,):
            await limiter.spend("ana", USERS)
            with pytest.raises(StopIteration):
                limiter.spend("ana", USERS).send(None)

    asyncio.run(story())


def test_a_flood_of_keys_costs_a_bounded_memory() -> None:
    """R23: here by number, in Redis by time; names of any size take the same room."""

    async def story() -> None:
        realm = own_realm()
        async with RedisLink(URL, call_s=PATIENCE_S) as link, Redis.from_url(URL) as client:
            limiter = limiter_on(link, Watch(), realm=realm, keys_max=10)
            for number in range(30):
                await limiter.spend(f"{number}" * 1000, SLOW)
                await limiter.take(f"ana {number}", THREE)
                assert limiter.keys_known <= 10
            names = [name async for name in client.scan_iter(realm.name("*"))]
            assert len(names) == 60
            assert max(map(len, names)) < len(realm.name()) + 40
            assert not [name for name in names if b"ana" in name]
            for name in names:
                assert 0 < await client.pttl(name) <= WINDOW.total_seconds() * 1000

    asyncio.run(story())


async def check_is_local(limiter: RedisLimiter) -> None:
    """Half of the tries, never all; the rate as it is."""
    assert await let_in(limiter.take("ana", TEN) for _ in range(20)) == 5
    await limiter.forget("ana")
    tried = await limiter.take("ana", TEN)
    assert await let_in(limiter.take("ana", TEN) for _ in range(20)) == 4
    await limiter.give_back(tried)
    await limiter.take("ana", TEN)
    assert await let_in(limiter.spend("ana", SLOW) for _ in range(60)) == SLOW.burst


def test_without_a_server_there_are_limits_all_the_same() -> None:
    """R12, R25: nothing raises, nobody waits, and sign-in is never open."""

    async def story() -> None:
        async with RedisLink(NOWHERE) as link:
            await check_is_local(limiter_on(link, Watch()))

    asyncio.run(story())


def test_a_server_that_hangs_is_as_good_as_none() -> None:
    """Section 4: one call finds out, within the link's budget."""

    async def story() -> None:
        gone = asyncio.Event()

        async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await gone.wait()
            writer.close()

        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with RedisLink(f"redis://127.0.0.1:{port}") as link:
                await check_is_local(limiter_on(link, Watch()))
            gone.set()

    asyncio.run(story())


def test_an_outage_is_bridged() -> None:
    """What was counted before it counts again after it; meanwhile each process is by itself."""

    async def story() -> None:
        clock = Watch()
        link = RedisLink(URL, call_s=PATIENCE_S)
        limiter = limiter_on(link, clock)
        async with link:
            assert await let_in(limiter.take("ana", TEN) for _ in range(20)) == 10
        assert await let_in(limiter.take("ana", TEN) for _ in range(20)) == 5
        async with link:
            await refused(limiter.take("ana", TEN))
            await limiter.forget("ana")
            assert await let_in(limiter.take("ana", TEN) for _ in range(20)) == 10

    asyncio.run(story())


@pytest.mark.parametrize("value", [b"", b"junk", b"4102444800000000"])
def test_what_others_left_under_our_keys_shuts_nobody_out(value: bytes) -> None:
    """Junk is as good as no server, and a bucket that fills in 2100 as good as a full one."""

    async def story() -> None:
        realm = own_realm()
        async with RedisLink(URL, call_s=PATIENCE_S) as link, Redis.from_url(URL) as client:
            limiter = limiter_on(link, Watch(), realm=realm)
            await limiter.take("ana", TEN)
            await let_in(limiter.spend("ana", SLOW) for _ in range(SLOW_LEASE))
            async for name in client.scan_iter(realm.name("*")):
                await client.set(name, value)
            assert await let_in(limiter.take("ana", TEN) for _ in range(20)) == 5
            await limiter.spend("ana", SLOW)

    asyncio.run(story())
