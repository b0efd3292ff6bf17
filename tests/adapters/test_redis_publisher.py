"""Hints over a real Redis, between processes that have nothing else in common."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from secrets import token_hex

import msgspec
import pytest
from redis.asyncio import Redis

from clarin_core.domain.ids import AccountId
from clarin_core.ports.event_publisher import Appended, Hint, Missed, News
from clarin_core.testing import EventPublisherContract
from clarin_core.testing.event_publisher import Publishers, until
from clarin_core.testing.tenants import NOON
from clarin_embedded import EmbeddedValkey
from clarin_redis import Realm, RedisLink, RedisPublisher


@pytest.fixture(scope="module", autouse=True)
def address(valkey: EmbeddedValkey) -> str:
    """Return where the server is."""
    global URL
    URL = valkey.url
    return URL


URL = ""
PATIENCE_S = 5  # A busy machine must not make a law fail.


SECRET = b"a secret of the tests, long enough"
Failed = Callable[[Exception], None]


def fail(error: Exception) -> None:
    raise error


def new_realm() -> Realm:
    return Realm(SECRET, token_hex(6))


@asynccontextmanager
async def pair(realm: Realm | None = None, *, failed: Failed = fail) -> AsyncIterator[Publishers]:
    realm = realm or new_realm()
    async with (
        RedisLink(URL, call_s=PATIENCE_S, failed=failed) as link,
        RedisPublisher(link, realm) as one,
        RedisPublisher(link, realm) as other,
    ):
        await until(lambda: one.is_whole and other.is_whole)
        yield one, other


class TestRedisPublisher(EventPublisherContract):
    """Two publishers, each with a connection of its own."""

    def open(self) -> AbstractAsyncContextManager[Publishers]:
        return pair()


def test_a_flood_is_gathered_and_its_end_is_heard() -> None:
    """Ten thousand changes of one account are a few messages, the last number among them."""

    async def story() -> None:
        async with asyncio.timeout(20), pair() as (one, other):
            heard: list[Hint] = []
            with other.heard_by(heard.append):
                for seq in range(1, 10_001):
                    one.announce(News(AccountId(1), seq))
                    if seq % 100 == 0:
                        await asyncio.sleep(0)
                await until(lambda: News(AccountId(1), 10_000) in heard)
            assert len(heard) < 1000

    asyncio.run(story())


UNTRUE = msgspec.msgpack.encode(["somebody", [[1, 2**62, None]], []])
Stranger = Callable[[str], Realm]
STRANGERS: dict[str, Stranger] = {
    "secret": lambda database: Realm(b"x" * 32, database),
    "database": lambda database: Realm(SECRET, f"{database} or other"),
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_what_strangers_say_on_the_channel_is_passed_over(stranger: Stranger) -> None:
    """Whoever shares the Redis may say what they like; no number of theirs casts doubt."""

    async def story() -> None:
        database = token_hex(6)
        realm = Realm(SECRET, database)
        channel = realm.name("hints")
        moved = realm.sealed(realm.name("elsewhere"), UNTRUE)
        forged = stranger(database).sealed(channel, UNTRUE)
        said = (b"", b"hola", UNTRUE, b"x" * 16 + UNTRUE, forged, moved)
        async with asyncio.timeout(20), pair(realm) as (one, other), Redis.from_url(URL) as them:
            heard: list[Hint] = []
            with other.heard_by(heard.append):
                for message in said:
                    await them.publish(channel, message)
                one.announce(News(AccountId(1), 1))
                await until(lambda: bool(heard))
            assert heard == [News(AccountId(1), 1)]

    asyncio.run(story())


def test_what_another_version_says_is_passed_over() -> None:
    """It is ours, in a shape that is not: the connection stays, and the next hint is heard."""

    async def story() -> None:
        realm, heard = new_realm(), list[Hint]()
        channel = realm.name("hints")
        async with asyncio.timeout(20), pair(realm) as (one, other), Redis.from_url(URL) as them:
            with other.heard_by(heard.append):
                for shape in (b"", msgspec.msgpack.encode({"sender": "x"})):
                    await them.publish(channel, realm.sealed(channel, shape))
                one.announce(News(AccountId(1), 1))
                await until(lambda: bool(heard))
            assert heard == [News(AccountId(1), 1)]

    asyncio.run(story())


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_installations_that_share_a_redis_do_not_hear_each_other(stranger: Stranger) -> None:
    """Another secret, or another database with the same one."""

    async def story() -> None:
        database, ours, theirs = token_hex(6), list[Hint](), list[Hint]()
        async with (
            asyncio.timeout(20),
            pair(Realm(SECRET, database)) as (one, other),
            pair(stranger(database)) as (their_one, their_other),
        ):
            with other.heard_by(ours.append), their_other.heard_by(theirs.append):
                one.announce(News(AccountId(1), 1))
                await until(lambda: bool(ours))
                their_one.announce(News(AccountId(2), 2))
                await until(lambda: bool(theirs))
            assert (ours, theirs) == ([News(AccountId(1), 1)], [News(AccountId(2), 2)])

    asyncio.run(story())


def test_who_lost_the_connection_says_so_and_looks_when_it_is_back() -> None:
    """Section 4: hints may be missed meanwhile, and nobody may believe otherwise."""

    async def story() -> None:
        async with asyncio.timeout(20), pair() as (_, other), Redis.from_url(URL) as admin:
            heard: list[Hint] = []
            with other.heard_by(heard.append):
                await admin.client_kill_filter(_type="pubsub")
                await until(lambda: not other.is_whole)
                await until(lambda: other.is_whole)
            assert Missed() in heard

    asyncio.run(story())


def test_a_hint_that_cannot_be_said_does_not_silence_the_next() -> None:
    """Whoever speaks goes on after any error, which is told."""

    async def story() -> None:
        failed: list[Exception] = []
        async with asyncio.timeout(20), pair(failed=failed.append) as (one, other):
            heard: list[Hint] = []
            with other.heard_by(heard.append):
                one.announce(News(AccountId(1), 2**70))
                await until(lambda: bool(failed))
                one.announce(News(AccountId(1), 1))
                await until(lambda: bool(heard))
            assert [type(error) for error in failed] == [OverflowError]

    asyncio.run(story())


def test_who_cannot_hear_for_an_unknown_reason_says_so_and_tries_again() -> None:
    """Not only an outage ends a connection; the error is told, and nobody believes it whole."""

    async def story() -> None:
        failed: list[Exception] = []
        async with asyncio.timeout(20), pair(failed=failed.append) as (one, other):

            def stumble(hint: Hint) -> None:
                if isinstance(hint, News):
                    raise LookupError(hint)

            with other.heard_by(stumble):
                one.announce(News(AccountId(1), 1))
                await until(lambda: not other.is_whole)
                await until(lambda: other.is_whole)
            assert [type(error) for error in failed] == [LookupError]

    asyncio.run(story())


def test_it_can_be_closed_at_any_moment() -> None:
    """The client of Redis swallows some cancellations; a stop must not wait for that."""

    async def story() -> None:
        async with asyncio.timeout(20), RedisLink(URL, call_s=PATIENCE_S) as link:
            for turns in (*range(60), 100, 200, 400):
                async with RedisPublisher(link, new_realm()):
                    for _ in range(turns):
                        await asyncio.sleep(0)

    asyncio.run(story())


def test_what_is_much_is_left_to_be_read() -> None:
    """A message is bounded: the number gets there, and what it stands for is in the log."""
    much, last = _brought(2, 20_000), _brought(4, 10_000)
    crowd = [_brought(account, 10_000) for account in range(5, 45)]

    async def story() -> None:
        async with asyncio.timeout(20), pair() as (one, other):
            heard: list[Hint] = []
            with other.heard_by(heard.append):
                for hint in (_brought(1, 1000), much, *crowd, last):
                    one.announce(hint)
                await until(lambda: last._replace(appended=None) in heard)
            news = [hint for hint in heard if isinstance(hint, News)]
            assert news[:2] == [_brought(1, 1000), much._replace(appended=None)]
            assert {hint.account_id for hint in news} == {1, 2, 4, *range(5, 45)}
            assert sum(one.appended.size for one in news if one.appended) <= 256 * 1024

    asyncio.run(story())


def _brought(account: int, size: int) -> News:
    return News(AccountId(account), 1, Appended("one", 1, NOON, b"", (b"x" * size,)))
