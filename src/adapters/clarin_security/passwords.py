"""Password hashes by argon2id, computed in a few threads of their own."""

import asyncio
import os
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from clarin_core.errors import RateLimited
from clarin_core.ports.small import PasswordHasher

# OWASP Password Storage Cheat Sheet, 2024: the least of its settings for argon2id.
_MEMORY_KIB = 19_456
_PASSES = 2
_LANES = 1
_RETRY_AFTER_S = 1

_Result = TypeVar("_Result")


class Argon2Hasher(PasswordHasher):
    """An async context manager with half of the cores, so that the others go on answering.

    `waiting_max` passwords may wait for a thread. Weaker settings are for tests only.
    """

    def __init__(
        self,
        *,
        threads: int | None = None,
        waiting_max: int = 32,
        memory_kib: int = _MEMORY_KIB,
        passes: int = _PASSES,
    ) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=_LANES
        )
        threads = threads or max(1, (os.cpu_count() or 1) // 2)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._free = threads + waiting_max
        # Checked in place of the hash that an unknown user does not have.
        self._nobody = self._argon2.hash(secrets.token_hex())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Return a salted hash; raises RateLimited when too many wait."""
        return await self._in_turn(lambda: self._argon2.hash(_bytes(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Return whether the password fits; takes as long when there is no hash (False).

        Raises RateLimited when too many wait.
        """
        return await self._in_turn(lambda: self._fits(password_hash, _bytes(password)))

    def is_outdated(self, password_hash: str) -> bool:
        """Return whether the hash was made with other parameters than today's."""
        try:
            return self._argon2.check_needs_rehash(password_hash)
        except InvalidHashError:
            return True

    def _fits(self, password_hash: str | None, password: bytes) -> bool:
        try:
            self._argon2.verify(password_hash or self._nobody, password)
        except InvalidHashError:
            return self._fits(None, password)  # A hash that nobody can read is nobody's.
        except VerificationError:
            return False
        return password_hash is not None

    async def _in_turn(self, work: Callable[[], _Result]) -> _Result:
        if self._free == 0:
            raise RateLimited(retry_after_s=_RETRY_AFTER_S)
        self._free -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._free += 1


def _bytes(password: str) -> bytes:
    """Return a password composed, since keyboards differ in how they send one letter.

    Lone surrogates are nobody's password, and end in "wrong password" like any other.
    """
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
