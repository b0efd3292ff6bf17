"""Borrowers of connections, who come, wait, leave, and are cancelled whenever it hurts."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from clarin_postgres.errors import ConnectionLost
from clarin_postgres.lender import Lender

SIZE = 2
MOVES = (
    "turn", "turn", "turn", "come", "come", "connect", "finish", "finish", "cancel", "cancel",
    "settle", "leave", "refuse", "stay unsettled", "break", "lose", "grow old",
)  # fmt: skip

Move = tuple[str, int]
T = TypeVar("T")


class Fake:
    """A connection that says how it is doing."""

    generation = 0
    idle_since = 0.0

    def __init__(self) -> None:
        self.is_gone = False
        self.said_goodbye = False
        self.in_transaction = False
        self.settling: asyncio.Future[None] | None = None

    def is_closed(self) -> bool:
        return self.is_gone

    def is_in_transaction(self) -> bool:
        return self.in_transaction

    async def settle(self) -> None:
        self.settling = asyncio.get_running_loop().create_future()
        await self.settling
        self.in_transaction = False

    async def close(self) -> None:
        self.said_goodbye = self.is_gone = True

    def terminate(self) -> None:
        self.is_gone = True
        if self.settling is not None and not self.settling.done():
            self.settling.set_exception(OSError())


class Borrowed:
    """Somebody's loan, and how it is to end."""

    def __init__(self) -> None:
        self.connection: Fake | None = None
        self.end = asyncio.get_running_loop().create_future()


class Counter:
    """A lender, those who borrow from it, and the connections that it has made."""

    def __init__(self, size: int = SIZE) -> None:
        self.lender = Lender(self._connect, size=size)
        self.size = size
        self.connecting: list[asyncio.Future[None]] = []
        self.made: list[Fake] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.loans: list[Borrowed] = []
        self.got: list[int] = []

    @property
    def held(self) -> list[Borrowed]:
        """Loans that somebody has now."""
        return [loan for loan in self.loans if loan.connection and not loan.end.done()]

    def come(self) -> None:
        """Let one more borrow a connection, and keep it until told how to end."""
        loan = Borrowed()
        self.loans.append(loan)
        self.tasks.append(asyncio.create_task(self._borrow(loan, len(self.loans))))

    def make(self, move: str, place: int) -> None:
        """Make a move; where there are several, `place` says which."""
        match move:
            case "finish" | "leave" | "lose":
                for loan in _one_of(self.held, place):
                    loan.end.set_result(move)
            case "cancel":
                for task in _one_of([task for task in self.tasks if not task.done()], place):
                    task.cancel()
            case "break":
                for one in _one_of(self.alive(), place):
                    one.is_gone = True
            case "grow old":
                self.lender._sweep()
            case _:
                self._answer(move, place)

    async def rest(self) -> None:
        """Let the loop turn until nothing happens by itself any more."""
        for _ in range(20):
            await asyncio.sleep(0)

    def answer_all(self) -> None:
        """Let all that is being made or settled end well."""
        for one in [*self._connecting(), *self._settling()]:
            one.set_result(None)

    def alive(self) -> list[Fake]:
        """Return the connections that are open."""
        return [one for one in self.made if not one.is_gone]

    async def play(self, moves: Sequence[Move]) -> None:
        """Make moves, and see after each that there are never too many."""
        for move, place in moves:
            if move == "turn":
                await asyncio.sleep(0)
            elif move == "come":
                self.come()
            else:
                self.make(move, place)
            assert len(self.alive()) + len(self._connecting()) <= self.size

    async def wind_up(self) -> None:
        """Let everything end well that has begun, and everybody have had a connection."""
        await self.rest()
        while any(not task.done() for task in self.tasks) or self._connecting() + self._settling():
            for loan in self.held:
                loan.end.set_result("finish")
            self.answer_all()
            await self.rest()

    async def check_that_none_is_lost(self) -> None:
        """As many as there may be can be borrowed at once."""
        for _ in range(self.size):
            self.come()
        await self.rest()
        self.answer_all()
        await self.rest()
        assert len(self.held) == self.size

    async def end(self) -> None:
        """Give back what is held, and close."""
        for loan in self.held:
            loan.end.set_result("finish")
        await self.rest()
        await self.lender.close()
        assert self.alive() == []

    async def _borrow(self, loan: Borrowed, number: int) -> None:
        try:
            connection = await self.lender.take()
        except OSError:
            return
        loan.connection = connection
        self.got.append(number)
        holders = [other for other in self.held if other.connection is connection]
        assert holders == [loan]
        is_quiet = False
        try:
            end = await loan.end
            is_quiet = end == "finish"
            if end == "lose":
                connection.is_gone = True
                raise ConnectionLost("test")
        except ConnectionLost:
            self.lender.expire(connection)
        finally:
            loan.end.cancel()
            self.lender.give_back(connection, is_quiet=is_quiet)

    async def _connect(self) -> Fake:
        answer = asyncio.get_running_loop().create_future()
        self.connecting.append(answer)
        await answer
        made = Fake()
        self.made.append(made)
        return made

    def _answer(self, move: str, place: int) -> None:
        waiting = self._settling() if "settle" in move else self._connecting()
        for one in _one_of(waiting, place):
            if move in ("connect", "settle"):
                one.set_result(None)
            else:
                one.set_exception(OSError())

    def _connecting(self) -> list[asyncio.Future[None]]:
        return [one for one in self.connecting if not one.done()]

    def _settling(self) -> list[asyncio.Future[None]]:
        settling = [made.settling for made in self.made if made.settling is not None]
        return [one for one in settling if not one.done()]


def _one_of(several: list[T], place: int) -> list[T]:
    """Return one of them, if there are any."""
    return [several[place % len(several)]] if several else []
