"""Trying again what came to nothing because others changed the same rows.

The first try may be an attempt, which locks nothing that it reads and so is quicker. Whoever is
overtaken in that waits for its turn in the next one, like everybody else.
"""

import asyncio
import dataclasses
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from clarin_core.domain.actor import SYSTEM, Origin
from clarin_core.domain.ids import AccountId
from clarin_core.errors import Contention
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction

TRIES = 3

T = TypeVar("T")


class _Attempting:
    """A storage whose transactions are attempts."""

    def __init__(self, inner: Storage) -> None:
        self._inner = inner

    def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AbstractAsyncContextManager[Transaction]:
        return self._inner.attempt(account_id, origin)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def tries_of(owner: object, name: str, storage: Storage) -> list[Callable[..., Awaitable[Any]]]:
    """Return how often, and how, a method of use cases is tried."""
    part: Any = owner
    attempting = dataclasses.replace(part, storage=_Attempting(storage))
    return [getattr(attempting, name), *[getattr(owner, name)] * (TRIES - 1)]


async def patiently(tries: Sequence[Callable[..., Awaitable[T]]], arguments: dict[str, Any]) -> T:
    """Return what the first of the tries does that is not Contention, or the last one anyway."""
    *first, last = tries
    for call in first:
        try:
            return await call(**arguments)
        except Contention:
            await asyncio.sleep(random.uniform(0.01, 0.05))  # noqa: S311  (no secret)
    return await last(**arguments)
