"""A process that dies at a chosen step: nothing that it begins afterwards is done."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from clarin_core.domain.actor import SYSTEM, Origin
from clarin_core.domain.devices import DeviceKey
from clarin_core.domain.ids import AccountId
from clarin_core.ports.messaging import Delivery, Messaging, Session
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from support.around import Around, Wrapped

T = TypeVar("T")


class Died(BaseException):
    """The process is not there any more."""


@dataclass
class Life:
    """How many steps are left; the last one is not survived."""

    steps_left: int = 10**9

    @property
    def is_over(self) -> bool:
        return self.steps_left <= 0

    def step(self) -> None:
        """Go on, or die, for good."""
        self.steps_left -= 1
        if self.is_over:
            raise Died


class MortalStorage:
    """A storage that a process uses; it may die before, in and after each transaction."""

    def __init__(self, inner: Storage, life: Life) -> None:
        self._inner, self._life = inner, life

    @asynccontextmanager
    async def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AsyncIterator[Transaction]:
        self._life.step()
        async with self._inner.begin(account_id, origin) as tx:
            yield tx
            self._life.step()
        self._life.step()

    def __getattr__(self, name: str) -> Any:
        if self._life.is_over:
            raise Died
        return getattr(self._inner, name)


class MortalSession(Around):
    """A session of such a process, which may die before and after each call."""

    def __init__(self, inner: Session, life: Life) -> None:
        super().__init__(inner)
        self._life = life

    async def around(self, act: Callable[[], Awaitable[T]]) -> T:
        self._life.step()
        done = await act()
        self._life.step()
        return done

    async def heard(self) -> AsyncIterator[Delivery]:
        async for delivery in self.inner.heard():
            yield Delivery(delivery.heard, self._mortal(delivery.ack))

    def _mortal(self, ack: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def acknowledge() -> None:
            self._life.step()
            await ack()

        return acknowledge


def mortal(messaging: Messaging, life: Life) -> Messaging:
    def wrap(key: DeviceKey, session: Session) -> Session:
        return MortalSession(session, life)

    return Wrapped(messaging, wrap)
