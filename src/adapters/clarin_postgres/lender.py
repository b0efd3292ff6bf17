"""A few connections, each lent to one at a time.

The pool of the driver takes three times what a statement of one row does, for every loan: a
proxy, a task to give back, a lock and some timers. This one hands a free connection over in one
step, the one used last first, so that those which nobody needs grow old and are closed. Who
finds none waits in turn. What is handed over is a connection or the room to make one, straight
from the one who gave it back: nobody can overtake, and what was handed to somebody who was
cancelled meanwhile goes on to the next.

What somebody left in the middle, with a statement that is still under way or a transaction, is
settled in the background before anybody else gets it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from clarin_core.errors import Unavailable
from clarin_postgres.errors import DRIVER_ERRORS, POSTGRES

_WAIT_S = 2
_SETTLE_S = 2
_IDLE_S = 300
_CLOSE_S = 5


class Lendable(Protocol):
    """A connection, with what its lender notes on it."""

    generation: int
    idle_since: float

    def is_closed(self) -> bool:
        """Whether it is of no use any more."""
        ...

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    async def settle(self) -> None:
        """End whatever was left in the middle."""
        ...

    async def close(self) -> None:
        """Say goodbye."""
        ...

    def terminate(self) -> None:
        """Be gone at once; may be called twice."""
        ...


C = TypeVar("C", bound=Lendable)


class Lender(Generic[C]):
    """Makes up to `size` connections when they are needed, and lends them."""

    def __init__(self, connect: Callable[[], Awaitable[C]], *, size: int) -> None:
        self._connect = connect
        self._size = size
        self._room = size
        self._idle: list[C] = []
        self._lent: set[C] = set()
        self._waiting = deque[asyncio.Future[C | None]]()
        self._settling: set[asyncio.Task[None]] = set()
        self._generation = 0
        self._all_back: asyncio.Future[None] | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    async def take(self) -> C:
        """Return a connection that is the caller's alone until it is given back.

        Raises TimeoutError when there is none in two seconds, and whatever `connect` raises.
        """
        if self._all_back is not None:
            raise Unavailable(POSTGRES)
        while self._idle:
            connection = self._idle.pop()
            if self._is_fit(connection):
                self._lent.add(connection)
                return connection
            self._drop(connection)
        until = asyncio.get_running_loop().time() + _WAIT_S
        if self._room:
            self._room -= 1
        elif (handed := await self._handed(until)) is not None:
            return handed
        async with asyncio.timeout_at(until):
            return await self._made()

    def give_back(self, connection: C, *, is_quiet: bool) -> None:
        """Take a connection back; it `is_quiet` if all that was asked of it was answered."""
        if not self._is_fit(connection):
            self._drop(connection)
        elif is_quiet and not connection.is_in_transaction():
            self._hand_on(connection)
        else:
            task = asyncio.create_task(self._settle(connection))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    def expire(self, connection: C) -> None:
        """Lend none any more that was made in this one's time."""
        if connection.generation == self._generation:
            self._generation += 1
            idle, self._idle = self._idle, []
            for one in idle:
                self._drop(one)

    async def close(self) -> None:
        """Disconnect; whoever still works gets a few seconds, and who waits gets nothing."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._all_back = asyncio.get_running_loop().create_future()
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(Unavailable(POSTGRES))
        self._note_end()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._all_back
                    await asyncio.gather(
                        *(one.close() for one in self._idle), return_exceptions=True
                    )
        finally:
            for one in (*self._idle, *self._lent):
                one.terminate()

    async def _handed(self, until: float) -> C | None:
        """Wait in turn for a connection, or for the room to make one."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[C | None] = loop.create_future()
        self._waiting.append(waiter)
        patience = loop.call_at(until, _lose_patience, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None:
                self._hand_on(waiter.result())
            raise
        finally:
            patience.cancel()

    async def _made(self) -> C:
        generation = self._generation
        try:
            connection = await self._connect()
        except BaseException:
            self._hand_on(None)
            raise
        connection.generation = generation
        self._lent.add(connection)
        return connection

    def _is_fit(self, connection: C) -> bool:
        return connection.generation == self._generation and not connection.is_closed()

    def _hand_on(self, connection: C | None) -> None:
        """Hand a connection, or the room for one, to whoever waits longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._room += 1
        else:
            self._lay_by(connection)
        self._note_end()

    def _lay_by(self, connection: C) -> None:
        loop = asyncio.get_running_loop()
        self._lent.discard(connection)
        self._idle.append(connection)
        connection.idle_since = loop.time()
        if self._sweeping is None:
            self._sweeping = loop.call_later(_IDLE_S, self._sweep)

    def _drop(self, connection: C) -> None:
        self._lent.discard(connection)
        connection.terminate()
        self._hand_on(None)

    async def _settle(self, connection: C) -> None:
        is_settled = False
        try:
            with suppress(*DRIVER_ERRORS):
                async with asyncio.timeout(_SETTLE_S):
                    await connection.settle()
                    is_settled = True
        finally:
            if is_settled and self._is_fit(connection):
                self._hand_on(connection)
            else:
                self._drop(connection)

    def _sweep(self) -> None:
        """Close those that nobody has needed for long."""
        loop = asyncio.get_running_loop()
        while self._idle and self._idle[0].idle_since <= loop.time() - _IDLE_S:
            self._drop(self._idle.pop(0))
        self._sweeping = loop.call_later(_IDLE_S, self._sweep) if self._idle else None

    def _note_end(self) -> None:
        is_all_back = self._room + len(self._idle) == self._size
        if is_all_back and self._all_back is not None and not self._all_back.done():
            self._all_back.set_result(None)


def _lose_patience(waiter: asyncio.Future[C | None]) -> None:
    """End a wait; a timeout of asyncio would take longer than most waits."""
    if not waiter.done():
        waiter.set_exception(TimeoutError())
