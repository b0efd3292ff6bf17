"""The contract of a place for bytes, held to places with a fault each: a law must find it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from clarin_core.domain.ids import AccountId
from clarin_core.errors import NotFound
from clarin_core.ports.blobs import BlobStore
from clarin_core.testing import BlobStoreContract
from clarin_memory import MemoryBlobs, blobs

Patch = pytest.MonkeyPatch
FOUND = (AssertionError, NotFound, pytest.fail.Exception, ExceptionGroup)


class Mutant(BlobStoreContract):
    """The contract on the place in memory, which has a fault meanwhile."""

    patience_s = 10.0

    def open(self) -> AbstractAsyncContextManager[BlobStore]:
        return MemoryBlobs()


def accounts_share_their_keys(patch: Patch) -> None:
    _rename(patch, lambda account, key: (AccountId(1), key))


def accounts_meet_when_written_down(patch: Patch) -> None:
    _rename(patch, lambda account, key: (AccountId(1), str(account)[:1] + key))


def the_first_content_stays(patch: Patch) -> None:
    right = MemoryBlobs.put

    async def put(
        self: MemoryBlobs, account: AccountId, key: str, content: AsyncIterator[bytes]
    ) -> None:
        if (account, key) not in self._kept:
            await right(self, account, key, content)

    patch.setattr(MemoryBlobs, "put", put)


def what_comes_is_kept_at_once(patch: Patch) -> None:
    async def put(
        self: MemoryBlobs, account: AccountId, key: str, content: AsyncIterator[bytes]
    ) -> None:
        self._kept[account, key] = b""
        async for part in content:
            self._kept[account, key] += part

    patch.setattr(MemoryBlobs, "put", put)


def a_part_is_lost(patch: Patch) -> None:
    right = MemoryBlobs.put

    async def put(
        self: MemoryBlobs, account: AccountId, key: str, content: AsyncIterator[bytes]
    ) -> None:
        await right(self, account, key, _without_the_second(content))

    patch.setattr(MemoryBlobs, "put", put)


def the_end_is_inclusive(patch: Patch) -> None:
    right = MemoryBlobs.read

    def read(
        self: MemoryBlobs, account: AccountId, key: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        return right(self, account, key, start=start, stop=None if stop is None else stop + 1)

    patch.setattr(MemoryBlobs, "read", read)


def what_is_not_there_is_empty(patch: Patch) -> None:
    patch.setattr(blobs, "NotFound", lambda *_: StopAsyncIteration())


def nothing_is_removed(patch: Patch) -> None:
    async def remove(self: MemoryBlobs, account: AccountId, key: str) -> None:
        pass

    patch.setattr(MemoryBlobs, "remove", remove)


def what_is_not_there_cannot_be_removed(patch: Patch) -> None:
    async def remove(self: MemoryBlobs, account: AccountId, key: str) -> None:
        if self._kept.pop((account, key), None) is None:
            raise NotFound("file", "with this key")

    patch.setattr(MemoryBlobs, "remove", remove)


def all_is_given_in_one_piece(patch: Patch) -> None:
    patch.setattr(blobs, "PIECE_BYTES", 10**9)


async def _without_the_second(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    number = 0
    async for part in content:
        number += 1
        if number != 2:
            yield part


def _renamed(right: Any, name: Callable[[AccountId, str], tuple[AccountId, str]]) -> Any:
    def wrong(self: MemoryBlobs, account: AccountId, key: str, *rest: Any, **more: Any) -> Any:
        return right(self, *name(account, key), *rest, **more)

    return wrong


def _rename(patch: Patch, name: Callable[[AccountId, str], tuple[AccountId, str]]) -> None:
    for method in ("put", "read", "remove"):
        patch.setattr(MemoryBlobs, method, _renamed(getattr(MemoryBlobs, method), name))


Fault = Callable[[Patch], None]

CAUGHT: list[tuple[Fault, str, dict[str, int]]] = [
    (accounts_share_their_keys, "places_do_not_meet", {}),
    (accounts_meet_when_written_down, "places_do_not_meet", {}),
    (the_first_content_stays, "what_is_put_again_replaces", {}),
    (what_comes_is_kept_at_once, "content_that_breaks_off_is_not_kept", {"size": 10}),
    (what_comes_is_kept_at_once, "who_is_cancelled_keeps_nothing", {"size": 10}),
    (a_part_is_lost, "what_was_put_is_there", {}),
    (a_part_is_lost, "large_content_is_kept_as_it_is", {}),
    (the_end_is_inclusive, "a_range_is_a_part", {}),
    (what_is_not_there_is_empty, "nothing_lies_under_what_is_no_key", {}),
    (nothing_is_removed, "what_was_removed_is_gone", {}),
    (what_is_not_there_cannot_be_removed, "what_was_removed_is_gone", {}),
    (all_is_given_in_one_piece, "large_content_is_kept_as_it_is", {}),
]


@pytest.mark.parametrize(
    ("fault", "law", "fields"), CAUGHT, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_a_planted_fault_breaks_its_law(
    fault: Fault, law: str, fields: dict[str, int], monkeypatch: Patch
) -> None:
    """The law holds without the fault, and not with it."""
    prove = getattr(Mutant(), f"test_{law}")
    prove(**fields)
    fault(monkeypatch)
    with pytest.raises((*FOUND, RuntimeError)):
        prove(**fields)
