"""The way to one account of Kommo's: one request at a time that the shared budget allows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import ceil
from typing import Final, NamedTuple

from clarin_core.domain.budget import Wait, Why
from clarin_core.ports.budget import Budget, Turn
from clarin_core.ports.crm import CrmBlocked, CrmRateLimited
from clarin_kommo.answers import BLOCKED_S, REST_PATIENCE_S, Chance, fault, rest_s
from clarin_kommo.transport import Answer, TimedOut

PATIENCE_S: Final = 60.0

Sleep = Callable[[float], Awaitable[None]]
Send = Callable[[], Awaitable[Answer]]


class Waiting(NamedTuple):
    """How one waits, and with which jitter."""

    sleep: Sleep
    chance: Chance


class Line:
    """The turns of one connection: who came first goes first, and gentle ones hold up nobody."""

    def __init__(self, budget: Budget, key: str, waiting: Waiting) -> None:
        self._budget = budget
        self._key = key
        self._waiting = waiting
        self._queues = {is_gentle: asyncio.Lock() for is_gentle in (False, True)}

    async def send(self, send: Send, *, attempt: int = 1, is_gentle: bool = False) -> Answer:
        """Return what was asked for, or that there is nothing (204); raises what is wrong.

        All who share the budget rest after a 429, and stop when we were shut out.
        """
        async with self._turn(is_gentle=is_gentle):
            answer = await send()
        error = fault(answer)
        if error is None:
            return answer
        if isinstance(error, CrmBlocked):
            await self._budget.shut(self._key, BLOCKED_S)
        if isinstance(error, CrmRateLimited):
            seconds = rest_s(answer, attempt, self._waiting.chance())
            await self._budget.rest(self._key, seconds)
            error = CrmRateLimited(ceil(seconds))
        raise error

    @asynccontextmanager
    async def _turn(self, *, is_gentle: bool) -> AsyncIterator[None]:
        """Wait for a turn; what is given up inside may still arrive, and counts until it cannot."""
        async with self._queues[is_gentle]:
            turn = await self._claimed(is_gentle=is_gentle)
        try:
            yield
        except (TimedOut, asyncio.CancelledError):
            raise
        except BaseException:
            await self._budget.answered(turn)
            raise
        await self._budget.answered(turn)

    async def _claimed(self, *, is_gentle: bool) -> Turn:
        """Return a turn, unless nobody may have one for longer than one waits here."""
        left = PATIENCE_S
        while isinstance(found := await self._budget.claim(self._key, is_gentle=is_gentle), Wait):
            if found.why is Why.SHUT:
                raise CrmBlocked(ceil(found.seconds))
            if found.why is Why.REST and found.seconds > REST_PATIENCE_S:
                raise CrmRateLimited(ceil(found.seconds))
            if left < 0:
                raise CrmRateLimited(ceil(PATIENCE_S))
            await self._waiting.sleep(found.seconds)
            left -= found.seconds
        return found
