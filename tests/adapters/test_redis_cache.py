"""The cache in Redis: its contract on a real server, and what is no entry of ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from secrets import token_hex

import msgspec
import pytest
from redis.asyncio import Redis

from clarin_core.domain.cache import CacheKey, Entry
from clarin_core.domain.ids import AccountId
from clarin_core.ports.cache import Cache
from clarin_core.testing import CacheContract
from clarin_core.testing.cache import KEY, entry
from clarin_embedded import EmbeddedValkey
from clarin_redis import Realm, RedisCache, RedisLink

SECRET = b"a secret of the tests, long enough"
SHAPES = "one"
OTHER = CacheKey(AccountId(7), "lead", "9")


@pytest.fixture(scope="module", autouse=True)
def address(valkey: EmbeddedValkey) -> str:
    """Return where the server is."""
    global URL
    URL = valkey.url
    return URL


URL = ""
PATIENCE_S = 5  # A busy machine must not make a law fail.


def new_realm() -> Realm:
    return Realm(SECRET, token_hex(6))


@asynccontextmanager
async def opened(realm: Realm | None = None, shapes: str = SHAPES) -> AsyncIterator[RedisCache]:
    async with RedisLink(URL, call_s=PATIENCE_S) as link:
        yield RedisCache(link, realm or new_realm(), shapes)


async def kept(cache: Cache, key: CacheKey, put: Entry) -> None:
    """Put an entry, and see it arrive: what is asked comes behind what was put."""
    await cache.put(key, put)
    assert await cache.get(key) == put


class TestRedisCache(CacheContract):
    """Bytes in a server."""

    def open(self) -> AbstractAsyncContextManager[Cache]:
        return opened()


Spoil = Callable[["Redis", str, str], Awaitable[object]]


async def cut(client: Redis, name: str, _: str) -> None:
    await client.set(name, (await client.get(name) or b"")[:-1])


async def move(client: Redis, name: str, other: str) -> None:
    await client.set(name, await client.get(other) or b"")


async def change(client: Redis, name: str, _: str) -> None:
    raw = await client.get(name)
    assert isinstance(raw, bytes)
    await client.set(name, raw[:20] + bytes([raw[20] ^ 1]) + raw[21:])


async def empty(client: Redis, name: str, _: str) -> None:
    await client.set(name, b"")


async def another_type(client: Redis, name: str, _: str) -> None:
    await client.delete(name)
    await client.rpush(name, "x")


@pytest.mark.parametrize("spoil", [cut, move, change, empty, another_type])
def test_what_is_not_as_it_was_put_is_a_miss_and_goes(spoil: Spoil) -> None:
    """R22: cut short, from another key, changed by one bit, or something else altogether."""

    async def story() -> None:
        realm = new_realm()
        async with opened(realm) as cache, Redis.from_url(URL) as client:
            name, other = (realm.name(SHAPES, key.text) for key in (KEY, OTHER))
            await kept(cache, KEY, entry(5))
            await kept(cache, OTHER, entry(6))
            await spoil(client, name, other)
            assert await cache.get(KEY) is None
            await cache.put(KEY, entry(4))
            assert await cache.get(KEY) == entry(4)
            assert 0 < await client.pttl(name) <= 300_000

    asyncio.run(story())


NEIGHBOURS = {
    "secret": (Realm(b"x" * 32, "one"), SHAPES),
    "database": (Realm(SECRET, "other"), SHAPES),
    "version": (Realm(SECRET, "one"), "other"),
}


@pytest.mark.parametrize("neighbour", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_neighbours_in_a_redis_keep_what_they_put(neighbour: tuple[Realm, str]) -> None:
    """Another installation, by secret or database, or a version that keeps other shapes."""

    async def story() -> None:
        async with opened(Realm(SECRET, "one")) as ours, opened(*neighbour) as theirs:
            await ours.put(KEY, entry(5))
            await theirs.put(KEY, entry(6))
            assert await ours.get(KEY) == entry(5)
            assert await theirs.get(KEY) == entry(6)

    asyncio.run(story())


@pytest.mark.parametrize("stranger", [Realm(b"x" * 32, "one"), Realm(SECRET, "other")])
def test_what_others_put_under_our_key_is_a_miss(stranger: Realm) -> None:
    """Whoever shares the Redis, but not secret and database, cannot tell what is true."""

    async def story() -> None:
        realm = Realm(SECRET, token_hex(6))
        name = realm.name(SHAPES, KEY.text)
        async with opened(realm) as cache, Redis.from_url(URL) as client:
            await kept(cache, KEY, entry(5))
            content = realm.opened(name, await client.get(name))
            assert content is not None
            await client.set(name, stranger.sealed(name, content))
            assert await cache.get(KEY) is None

    asyncio.run(story())


@pytest.mark.parametrize("shape", [["one", 5], {"epoch": "one"}, ["one", "five", [], b""]])
def test_an_entry_of_another_shape_is_a_miss_and_goes(shape: object) -> None:
    """Ours by the seal, and of a version that kept entries in another way."""

    async def story() -> None:
        realm = new_realm()
        name = realm.name(SHAPES, KEY.text)
        raw = realm.sealed(name, bytes(16) + msgspec.msgpack.encode(shape))
        async with opened(realm) as cache, Redis.from_url(URL) as client:
            await client.set(name, raw)
            assert await cache.get(KEY) is None
            assert not await client.exists(name)

    asyncio.run(story())


def test_a_server_that_is_not_there_is_a_miss() -> None:
    """R12: nothing raises, and nobody waits."""

    async def story() -> None:
        async with RedisLink("redis://127.0.0.1:1") as link:
            cache = RedisCache(link, new_realm(), SHAPES)
            for _ in range(100):
                await cache.put(KEY, entry(1))
                assert await cache.get(KEY) is None
            assert not link.is_up
            assert not await link.ping()

    asyncio.run(story())
