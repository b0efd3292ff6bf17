"""One Redis, asked with little patience, and left alone for a while when it does not answer.

The defaults of the client would make a dead server cost seconds a call. Here a call has 50 ms;
the first failure opens a breaker, and until two seconds later nobody asks. Then one call tries.
So a server that hangs costs one caller 50 ms every two seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as NotInTime

CONNECT_S = 0.1
_CALL_S = 0.05
_REST_S = 2.0
_CALLS_MAX = 32  # Each has a connection, and one more does without: to be busy is no failure.
_SILENT_S = 60.0
_OUTAGES = (NotConnected, NotInTime, OSError, TimeoutError)

T = TypeVar("T")

Told = Callable[[bool], None]
Failed = Callable[[Exception], None]


def _tell_nobody(_: object) -> None:
    pass


class RedisLink:
    """Asks a Redis; raises nothing.

    `changed` hears when it begins or ends to answer, `failed` of errors that nobody expected.
    """

    def __init__(
        self,
        url: str,
        *,
        changed: Told = _tell_nobody,
        failed: Failed = _tell_nobody,
        call_s: float = _CALL_S,
    ) -> None:
        self._url = url
        self._call_s = call_s
        self._changed = changed
        self._failed = failed
        self._client: Redis | None = None
        self._rests_until = 0.0
        self._is_up = False
        self._silent_until = 0.0
        self._calls = 0

    async def __aenter__(self) -> Self:
        """Prepare, and ask whether it is there: the service starts without Redis, too."""
        self._client = Redis.from_url(
            self._url,
            protocol=3,
            socket_connect_timeout=max(CONNECT_S, self._call_s),
            socket_timeout=self._call_s,
            retry=None,
            client_name="clarin",
        )
        await self.ping()
        return self

    async def __aexit__(self, *_: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @property
    def url(self) -> str:
        """Where it is."""
        return self._url

    @property
    def is_up(self) -> bool:
        """Whether it answered when it was asked last."""
        return self._is_up

    async def ask(self, work: Callable[[Redis], Awaitable[T]]) -> T | None:
        """Return what it answers; None if it does not, or says that it cannot."""
        now = asyncio.get_running_loop().time()
        if self._client is None or now < self._rests_until or self._calls >= _CALLS_MAX:
            return None
        if not self._is_up:
            self._rests_until = now + _REST_S  # This call tries, the others do not wait for it.
        self._calls += 1
        try:
            async with asyncio.timeout(CONNECT_S + self._call_s):
                answer = await work(self._client)
        except ResponseError:  # It lives, and is full, or keeps something else under that key.
            answer = None
        except Exception as error:
            self._rests_until = now + _REST_S
            self._become(is_up=False)
            self.tell(error)
            return None
        finally:
            self._calls -= 1
        self._rests_until = 0.0
        self._become(is_up=True)
        return answer

    def tell(self, error: Exception) -> None:
        """Tell of an error that is no outage, a fault of the client or of ours; once a minute."""
        now = asyncio.get_running_loop().time()
        if not isinstance(error, _OUTAGES) and now >= self._silent_until:
            self._silent_until = now + _SILENT_S
            self._failed(error)

    async def ping(self) -> bool:
        """Return whether it answers now."""
        return bool(await self.ask(lambda client: client.ping()))

    def _become(self, *, is_up: bool) -> None:
        if is_up != self._is_up:
            self._is_up = is_up
            self._changed(is_up)
