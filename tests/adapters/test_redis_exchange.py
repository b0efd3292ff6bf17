"""What a cache asks and tells: in few calls, in order, within bounds, and without waiting."""

import asyncio
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_bytes
from typing import TypeVar

import pytest
from redis.asyncio import Redis

from clarin_core.domain.cache import CacheKey, Entry
from clarin_core.domain.ids import AccountId
from clarin_core.testing.cache import KEY, entry
from clarin_core.testing.event_publisher import until
from clarin_embedded import EmbeddedValkey
from clarin_redis import Realm, RedisCache, RedisLink, exchange
from support.wired import signal_valkey

PATIENCE_S = 5  # A busy machine must not make a law fail.
CROWD = 50
T = TypeVar("T")


class CountingLink(RedisLink):
    """A link that knows how often Redis was asked, and may be held up."""

    def __init__(self, url: str, *, call_s: float = PATIENCE_S) -> None:
        super().__init__(url, call_s=call_s)
        self.asked = 0
        self.may_ask = asyncio.Event()
        self.may_ask.set()

    async def ask(self, work: Callable[[Redis], Awaitable[T]]) -> T | None:
        self.asked += 1
        await self.may_ask.wait()
        return await super().ask(work)


def key(number: int) -> CacheKey:
    return CacheKey(AccountId(7), "lead", str(number))


class Stage:
    """A cache of a process, and one of another process that sees what has arrived."""

    def __init__(self, link: CountingLink, other: RedisLink) -> None:
        realm = Realm(token_bytes(32), "test")
        self.link = link
        self.cache = RedisCache(link, realm, "")
        self.other = RedisCache(other, realm, "")

    async def has_arrived(self, where: CacheKey, put: Entry) -> bool:
        return await self.other.get(where) == put


Story = Callable[[Stage], Awaitable[None]]


def tell(server: EmbeddedValkey, story: Story, *, call_s: float = PATIENCE_S) -> None:
    async def told() -> None:
        link, other = (CountingLink(server.url, call_s=one) for one in (call_s, PATIENCE_S))
        async with asyncio.timeout(20), link, other:
            link.asked = 0
            await story(Stage(link, other))

    asyncio.run(told())


def test_who_asks_at_once_asks_together(valkey: EmbeddedValkey) -> None:
    """All of one turn of the loop are one call, and so are those that come while it is out."""

    async def story(stage: Stage) -> None:
        stage.link.may_ask.clear()
        first = asyncio.gather(*(stage.cache.get(key(number)) for number in range(CROWD)))
        await until(lambda: stage.link.asked == 1)
        later = asyncio.gather(*(stage.cache.get(key(number)) for number in range(CROWD)))
        await asyncio.sleep(0)
        stage.link.may_ask.set()
        assert [*await first, *await later] == [None] * CROWD * 2
        assert stage.link.asked == 2

    tell(valkey, story)


def test_a_crowd_is_asked_for_in_some_calls(valkey: EmbeddedValkey) -> None:
    """However many they are, each gets its own; those beyond the bound do without at once."""

    async def story(stage: Stage) -> None:
        for number in range(100):
            await stage.cache.put(key(number), entry(number))
        found = await asyncio.gather(*(stage.cache.get(key(number % 100)) for number in range(700)))
        assert found[:512] == [entry(number % 100) for number in range(512)]
        assert found[512:] == [None] * 188
        assert stage.link.asked == 8

    tell(valkey, story)


def test_what_is_put_keeps_nobody_waiting(valkey: EmbeddedValkey) -> None:
    """It is sent together a moment later, though nobody asks for anything."""

    async def story(stage: Stage) -> None:
        stage.link.may_ask.clear()
        for number in range(CROWD):
            await stage.cache.put(key(number), entry(number))
        assert stage.link.asked == 0
        stage.link.may_ask.set()
        await until(lambda: stage.link.asked == 1)
        while not await stage.has_arrived(key(CROWD - 1), entry(CROWD - 1)):
            pass
        assert await stage.has_arrived(key(0), entry(0))
        assert stage.link.asked == 1

    tell(valkey, story)


def test_what_is_put_while_a_call_is_out_follows_it(
    valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its moment may end while the call is out, and nobody may ask for anything after that."""
    monkeypatch.setattr(exchange, "_MOMENT_S", 0)

    async def story(stage: Stage) -> None:
        stage.link.may_ask.clear()
        asking = asyncio.create_task(stage.cache.get(KEY))
        await until(lambda: stage.link.asked == 1)
        await stage.cache.put(KEY, entry(1))
        await until(lambda: stage.cache._exchange._pause is None)
        stage.link.may_ask.set()
        assert await asking is None
        while not await stage.has_arrived(KEY, entry(1)):
            pass
        assert stage.link.asked == 2

    tell(valkey, story)


def test_what_is_put_arrives_in_order(valkey: EmbeddedValkey) -> None:
    """Within one call, too: of a history the newest stays, and another history replaces it."""

    async def story(stage: Stage) -> None:
        for put in (entry(2), entry(9), entry(3), entry(4, epoch="two"), entry(1, epoch="two")):
            await stage.cache.put(KEY, put)
        assert await stage.cache.get(KEY) == entry(4, epoch="two")
        assert stage.link.asked == 1

    tell(valkey, story)


@pytest.mark.parametrize(
    ("puts", "body", "kept"), [(400, b"", 256), (20, b"x" * 100_000, 5)], ids=["number", "bytes"]
)
def test_of_too_much_the_oldest_is_given_up(
    puts: int, body: bytes, kept: int, valkey: EmbeddedValkey
) -> None:
    """So a Redis that is slow costs neither memory nor time without end."""

    async def story(stage: Stage) -> None:
        for number in range(puts):
            await stage.cache.put(key(number), entry(1, body=body))
        found = [await stage.cache.get(key(number)) for number in range(puts)]
        assert found == [None] * (puts - kept) + [entry(1, body=body)] * kept

    tell(valkey, story)


def test_each_call_makes_room(valkey: EmbeddedValkey) -> None:
    """What was sent counts no more; what is too large for any call is not sent at all."""

    async def story(stage: Stage) -> None:
        for seq, size in enumerate([200_000] * 5 + [600_000, 200_000]):
            put = entry(seq, body=b"x" * size)
            await stage.cache.put(key(size), put)
            assert await stage.cache.get(key(size)) == (None if size > 512 * 1024 else put)

    tell(valkey, story)


def test_who_leaves_takes_nothing_from_the_others(valkey: EmbeddedValkey) -> None:
    """A reader is cancelled while all wait for one call."""

    async def story(stage: Stage) -> None:
        await stage.cache.put(KEY, entry(1))
        stage.link.may_ask.clear()
        asking = [asyncio.create_task(stage.cache.get(KEY)) for _ in range(3)]
        await until(lambda: stage.link.asked == 1)
        asking[0].cancel()
        with suppress(asyncio.CancelledError):
            await asking[0]
        stage.link.may_ask.set()
        assert [await one for one in asking[1:]] == [entry(1)] * 2

    tell(valkey, story)


@pytest.fixture
def valkey_of_its_own() -> Iterator[EmbeddedValkey]:
    """Run a server that is this test's to fill."""
    with tempfile.TemporaryDirectory(prefix="full-") as made:
        Path(made).chmod(0o711)
        with EmbeddedValkey(Path(made) / "valkey") as server:
            yield server


def test_a_full_server_still_answers(valkey_of_its_own: EmbeddedValkey) -> None:
    """What cannot be kept takes nothing from what is asked in the same call."""

    async def story(stage: Stage) -> None:
        await stage.cache.put(KEY, entry(1))
        assert await stage.cache.get(KEY) == entry(1)
        async with Redis.from_url(valkey_of_its_own.url) as client:
            await client.config_set("maxmemory-policy", "noeviction")
            await client.config_set("maxmemory", 1)
            await stage.cache.put(KEY, entry(2))
            assert await stage.cache.get(KEY) == entry(1)
            assert stage.link.is_up

    tell(valkey_of_its_own, story)


def test_a_server_that_hangs_costs_all_of_them_one_call(
    valkey_of_its_own: EmbeddedValkey,
) -> None:
    """R12: who waits for the same call misses with it, and what was told goes with it."""

    async def story(stage: Stage) -> None:
        signal_valkey(valkey_of_its_own, signal.SIGSTOP)
        try:
            await stage.cache.put(KEY, entry(1))
            asking = (stage.cache.get(KEY) for _ in range(CROWD))
            assert await asyncio.gather(*asking) == [None] * CROWD
        finally:
            signal_valkey(valkey_of_its_own, signal.SIGCONT)
        assert stage.link.asked == 1
        assert not stage.link.is_up

    tell(valkey_of_its_own, story, call_s=0.05)


def test_who_waits_when_the_link_closes_is_answered(valkey: EmbeddedValkey) -> None:
    """What was put is lost, as it may be; nobody waits for ever, and nothing fails."""

    async def story() -> None:
        failed: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: failed.append(told))
        link = CountingLink(valkey.url)
        async with asyncio.timeout(20):
            async with link:
                cache = RedisCache(link, Realm(token_bytes(32), ""), "")
                link.asked = 0
                link.may_ask.clear()
                waiting = [asyncio.create_task(cache.get(KEY)) for _ in range(3)]
                await until(lambda: link.asked == 1)
                await cache.put(KEY, entry(1))
                waiting.append(asyncio.create_task(cache.get(KEY)))
            link.may_ask.set()
            assert [await one for one in waiting] == [None] * 4
        assert failed == []

    asyncio.run(story())
