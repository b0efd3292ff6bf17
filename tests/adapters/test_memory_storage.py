"""The memory storage keeps the contract, and what a store without constraints must do itself."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import pytest

from clarin_core.domain.events import AccountChanged, LeadCreated
from clarin_core.domain.leads import LeadQuery
from clarin_core.errors import Conflict, Invalid, Malformed
from clarin_core.ports.storage import Storage
from clarin_core.testing.storage import StorageContract
from clarin_core.testing.tenants import NOON, Tenant, settle
from clarin_memory import MemoryStorage, storage_from_url


def now() -> datetime:
    return datetime.now(UTC)


class TestMemoryStorage(StorageContract):
    @classmethod
    def open(cls) -> AbstractAsyncContextManager[Storage]:
        return MemoryStorage(clock=now, publisher=cls.publisher)


def test_a_slug_that_another_account_took_meanwhile_undoes_the_commit() -> None:
    """Section 3.1: two accounts that choose a slug at one moment do not both get it."""

    async def story() -> None:
        storage = MemoryStorage(clock=now)
        first, second = await settle(storage), await settle(storage)
        before = await second.picture()
        with pytest.raises(Conflict):
            await choose_together(first, second, "luz")
        assert await second.picture() == before
        assert (await first.views.account()).slug == "luz"

    asyncio.run(story())


@pytest.mark.parametrize("key", [[1], ["1", 2], [1, 2, 3], [True, 1], [1.5, 2], [[], {}]], ids=str)
def test_a_cursor_of_another_shape_is_refused(key: list[Any]) -> None:
    """Section 1: whoever writes a cursor himself gets an answer, not a fault of the service."""

    async def story() -> None:
        account = await settle(MemoryStorage(clock=now))
        await account.add_lead()
        forged = LeadQuery(after="").answer(account.id, [], key, 1).next
        with pytest.raises(Malformed):
            await account.views.leads(LeadQuery(after=forged))

    asyncio.run(story())


@pytest.mark.parametrize("url", ["memory", "memory:", "memory://"])
def test_the_url_of_a_memory_storage_says_nothing_more(url: str) -> None:
    """Each call makes an empty storage; events are dated by the clock that it was given."""

    async def story() -> None:
        account = await settle(storage_from_url(url, clock=lambda: NOON))
        await account.emit(LeadCreated(leads=[]))
        (recorded,) = await account.events()
        assert (account.id, recorded.at) == (1, NOON)

    asyncio.run(story())


def test_a_url_that_names_a_place_is_refused() -> None:
    """Nobody should believe that the rows go somewhere."""
    with pytest.raises(Invalid):
        storage_from_url("memory:///var/lib/clarin", clock=now)


async def choose_together(first: Tenant, second: Tenant, slug: str) -> None:
    """Choose a slug for both; the first account commits first."""
    async with second.begin() as late, first.begin() as early:
        for tx in (late, early):
            account = await tx.account.get()
            account.slug = slug
            await tx.account.save(account)
            tx.emit(AccountChanged(account=account))
