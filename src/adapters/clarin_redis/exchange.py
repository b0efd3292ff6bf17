"""What a cache asks of a Redis and tells it, gathered into few calls.

A call costs the client ten times what a key in it costs. So one call is on its way at a time,
and takes along what has come meanwhile: first what is told, in order, then what is asked; so who
asks after telling gets no older answer. What is asked goes at once, with all that is asked in the
same turn of the loop. What is told keeps nobody waiting: it goes with the next question, or by
itself when none comes for a moment, and the oldest is given up when too much is told.

A call that fails is a miss for all that it asked, and loses what it told: all of it may be lost.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from functools import partial
from typing import cast

from redis.asyncio import Redis

from clarin_redis.link import RedisLink

_ASKED_MAX = 512  # As many may wait; one more does without: to be busy is no failure.
_ASKED_AT_ONCE = 64
_TOLD_MAX, _TOLD_BYTES_MAX = 256, 512 * 1024  # All of it in one call, which has 50 ms.
_MOMENT_S = 0.01

Question = tuple[str, "asyncio.Future[object]"]
Told = tuple[str, bytes]


class Exchange:
    """Asks for the values of keys, and hands others to a script.

    The script gets the keys that are told, then those that are asked; and `argument`, then a
    value for each key that is told. It returns what is kept under those that are asked.
    """

    def __init__(self, link: RedisLink, script: str, argument: int) -> None:
        self._link = link
        self._script = script
        self._argument = argument
        self._asked = deque[Question]()
        self._told = deque[Told]()
        self._told_bytes = 0
        self._pause: asyncio.TimerHandle | None = None
        self._calls: asyncio.Task[None] | None = None

    async def ask(self, key: str) -> object:
        """Return what is kept under a key, None if nothing is or nobody answers."""
        if len(self._asked) >= _ASKED_MAX:
            return None
        answer = asyncio.get_running_loop().create_future()
        self._asked.append((key, answer))
        self._call()
        return await answer

    def tell(self, key: str, value: bytes) -> None:
        """Hand a value to the script, soon."""
        self._told.append((key, value))
        self._told_bytes += len(value)
        while len(self._told) > _TOLD_MAX or self._told_bytes > _TOLD_BYTES_MAX:
            self._told_bytes -= len(self._told.popleft()[1])
        if self._pause is None:
            self._pause = asyncio.get_running_loop().call_later(_MOMENT_S, self._end_pause)

    def _end_pause(self) -> None:
        self._pause = None
        self._call()

    def _call(self) -> None:
        if self._calls is None:
            self._calls = asyncio.create_task(self._make_calls())

    async def _make_calls(self) -> None:
        try:
            while self._asked or (self._told and self._pause is None):
                await self._make_one()
        finally:
            self._calls = None

    async def _make_one(self) -> None:
        told = self._all_told()
        asked = [self._asked.popleft() for _ in range(min(_ASKED_AT_ONCE, len(self._asked)))]
        found = None
        try:
            found = await self._link.ask(partial(self._say, told, [key for key, _ in asked]))
        finally:
            for (_, answer), value in zip(asked, found or [None] * len(asked), strict=True):
                if not answer.done():  # Who asked may have left.
                    answer.set_result(value)

    def _all_told(self) -> list[Told]:
        told = list(self._told)
        self._told.clear()
        self._told_bytes = 0
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        return told

    def _say(self, told: list[Told], asked: list[str], client: Redis) -> Awaitable[list[object]]:
        if not told:
            return cast("Awaitable[list[object]]", client.mget(asked))
        keys = [*(key for key, _ in told), *asked]
        values = (value for _, value in told)
        made = client.eval(self._script, len(keys), *keys, self._argument, *values)
        return cast("Awaitable[list[object]]", made)
