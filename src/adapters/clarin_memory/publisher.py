"""Hints within one process."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self
from weakref import WeakSet

from clarin_core.domain.ids import AccountId
from clarin_core.ports.small import EventPublisher

_ACCOUNTS_MAX = 1024  # Waiting for one listener; beyond it the oldest hint is lost.


class MemoryPublisher(EventPublisher):
    """Tells the listeners of this process; one that is no longer used is forgotten."""

    def __init__(self) -> None:
        self._listeners = WeakSet[_Listener]()

    def announce(self, account_id: AccountId, seq: int) -> None:
        """Say that the account's log reached `seq`; never blocks, never raises."""
        for listener in list(self._listeners):
            listener.hear(account_id, seq)

    def listen(self) -> AsyncIterator[tuple[AccountId, int]]:
        """Return an iterator of the hints from now on."""
        listener = _Listener()
        self._listeners.add(listener)
        return listener


class _Listener(AsyncIterator[tuple[AccountId, int]]):
    """One queue, in which an account waits once, with its latest number."""

    def __init__(self) -> None:
        self._waiting: dict[AccountId, int] = {}
        self._news = asyncio.Event()

    def hear(self, account_id: AccountId, seq: int) -> None:
        if account_id not in self._waiting and len(self._waiting) == _ACCOUNTS_MAX:
            self._take_oldest()
        self._waiting[account_id] = max(seq, self._waiting.get(account_id, 0))
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[AccountId, int]:
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        return self._take_oldest()

    def _take_oldest(self) -> tuple[AccountId, int]:
        account_id = next(iter(self._waiting))
        return account_id, self._waiting.pop(account_id)
