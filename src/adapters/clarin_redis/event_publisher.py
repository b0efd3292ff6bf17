"""Hints over Redis: one channel that every process of a realm speaks into and listens to.

What happens here is heard here at once, whatever Redis does. For the others it is gathered while
a message is on its way, and sent in the next one: a busy process sends few messages, each of
them new. What was appended goes along unless it is much, so that the others need not read it. A
message that cannot be sent is lost, as hints may be. Who cannot listen says so (`is_whole`), and
looks at the logs more often; who can again looks at once. What a stranger says on the channel does
not open, and is passed over: a number from nowhere would cast doubt for ever.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from secrets import token_hex
from time import monotonic
from typing import Self

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from clarin_core.domain.ids import UserId
from clarin_core.ports.event_publisher import (
    Announcement,
    Aside,
    EventPublisher,
    Heed,
    Hint,
    Missed,
    News,
    UserChanged,
)
from clarin_redis.link import CONNECT_S, RedisLink
from clarin_redis.realm import Realm

_WAITING_MAX = 10_000
_ASIDES_MAX = 1_000
_BROUGHT_MAX, _ALL_BROUGHT_MAX = 16 * 1024, 256 * 1024  # Bytes of one hint, and of a message.
_LISTEN_S = 1.0
_SILENCE_S = 3.0
_AGAIN_S = 1.0
_CANCEL_S = 0.1


class _Message(Struct, array_like=True):
    sender: str
    news: list[News]
    users: list[UserId]
    asides: list[Aside] = []


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Message).decode


class RedisPublisher(EventPublisher):
    """Tells the processes that share a Redis and a realm; open while in use."""

    def __init__(self, link: RedisLink, realm: Realm) -> None:
        self._link = link
        self._realm = realm
        self._channel = realm.name("hints")
        self._me = token_hex(8)
        self._listeners: list[Heed] = []
        self._news = deque[News](maxlen=_WAITING_MAX)
        self._brought = 0
        self._users: set[UserId] = set()
        self._asides = deque[Aside](maxlen=_ASIDES_MAX)
        self._due = asyncio.Event()
        self._is_whole = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin to speak and to listen; neither needs Redis to be there yet."""
        self._tasks = [asyncio.create_task(self._speak()), asyncio.create_task(self._listen())]
        return self

    async def __aexit__(self, *error: object) -> None:
        pending = set(self._tasks)
        while pending:  # The client swallows a cancellation that meets it while it connects.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=_CANCEL_S)

    @property
    def is_whole(self) -> bool:
        """Whether the hints of all processes arrive."""
        return self._is_whole

    def announce(self, hint: Announcement) -> None:
        """Give a hint: here now, to the others with the next message."""
        self._tell(hint)
        match hint:
            case UserChanged():
                self._users.add(hint.user_id)
            case Aside():
                self._asides.append(hint)
            case News():
                self._news.append(self._lightened(hint))
        if len(self._users) > _WAITING_MAX:
            self._users.pop()
        self._due.set()

    @contextmanager
    def heard_by(self, heed: Heed) -> Iterator[None]:
        """Call `heed` with every hint while inside."""
        self._listeners.append(heed)
        try:
            yield
        finally:
            self._listeners.remove(heed)

    def _tell(self, hint: Hint) -> None:
        for heed in list(self._listeners):
            heed(hint)

    def _lightened(self, hint: News) -> News:
        """Return a hint that brings along no more than the next message has room for."""
        size = hint.appended.size if hint.appended else 0
        if size > _BROUGHT_MAX or self._brought + size > _ALL_BROUGHT_MAX:
            return hint._replace(appended=None)
        self._brought += size
        return hint

    async def _speak(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            news = _gathered(self._news)
            self._news.clear()
            self._brought = 0
            users, self._users = self._users, set()
            asides = list(self._asides)
            self._asides.clear()
            try:
                message = _encode(_Message(self._me, news, list(users), asides))
                sealed = self._realm.sealed(self._channel, message)
                await self._link.ask(partial(self._publish, sealed))
            except Exception as error:
                self._link.tell(error)

    async def _publish(self, message: bytes, client: Redis) -> None:
        await client.publish(self._channel, message)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._subscribed() as channel:
                    self._is_whole = True
                    self._tell(Missed())
                    await self._hear(channel)
            except Exception as error:
                self._link.tell(error)
            finally:
                self._is_whole = False
            await asyncio.sleep(_AGAIN_S)

    @asynccontextmanager
    async def _subscribed(self) -> AsyncIterator[PubSub]:
        client = Redis.from_url(
            self._link.url, protocol=3, socket_connect_timeout=CONNECT_S, retry=None
        )
        async with client, client.pubsub() as channel:
            async with asyncio.timeout(_SILENCE_S):
                await channel.subscribe(self._channel)
                await channel.get_message(timeout=_SILENCE_S)
            yield channel

    async def _hear(self, channel: PubSub) -> None:
        """Hear until the connection breaks, or until a ping stays unanswered for too long."""
        heard_at = monotonic()
        while monotonic() - heard_at < _SILENCE_S:
            message = await channel.get_message(timeout=_LISTEN_S)
            if message is None:
                async with asyncio.timeout(_LISTEN_S):
                    await channel.ping()
                continue
            heard_at = monotonic()
            if message["type"] == "message":
                self._take(message["data"])

    def _take(self, data: bytes) -> None:
        message = self._opened(data)
        if message is None or message.sender == self._me:
            return
        for news in message.news:
            self._tell(news)
        for user_id in message.users:
            self._tell(UserChanged(user_id))
        for aside in message.asides:
            self._tell(aside)

    def _opened(self, data: bytes) -> _Message | None:
        said = self._realm.opened(self._channel, data)
        try:
            return None if said is None else _decode(said)
        except msgspec.MsgspecError:  # Ours, and of another version.
            return None


def _gathered(news: Iterable[News]) -> list[News]:
    """Return hints without those that bring nothing along and that a later one makes good."""
    hints = list(news)
    last = {hint.account_id: hint for hint in hints}
    return [hint for hint in hints if hint.appended or hint is last[hint.account_id]]
