"""The PostgreSQL storage keeps the contract, with row-level security on for reads and off."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from hypothesis import settings

from clarin_core.domain.actor import SYSTEM, Origin
from clarin_core.domain.ids import AccountId
from clarin_core.errors import Contention
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.storage import StorageContract
from clarin_postgres import PostgresStorage, late, purge, uniting


def now() -> datetime:
    return datetime.now(UTC)


class _Database:
    address: ClassVar[str]


@pytest.fixture(scope="module", autouse=True)
def _fresh_database(database: str) -> None:
    _Database.address = database


@pytest.fixture(autouse=True)
def _nothing_miscounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a law of the purge fail that finds a wrong total, whichever law before it made it."""

    async def found(_: object, account_id: int) -> None:
        raise AssertionError(f"account {account_id} has a wrong total")

    monkeypatch.setattr(purge, "_recount", found)


class TestPostgresStorage(StorageContract):
    @classmethod
    def open(cls) -> AbstractAsyncContextManager[Storage]:
        return PostgresStorage(_Database.address, clock=now, publisher=cls.publisher)


class TestPostgresStorageGuarded(StorageContract):
    """R22: under row-level security for reads too, the fourth wall alone changes no answer.

    Nor does it matter in how small portions messages go to another chat.
    """

    @pytest.fixture(autouse=True)
    def _small_portions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(uniting, "PORTION", 1)

    @classmethod
    def open(cls) -> AbstractAsyncContextManager[Storage]:
        return PostgresStorage(
            _Database.address, clock=now, publisher=cls.publisher, guarded_reads=True
        )


class _Attempts(PostgresStorage):
    @asynccontextmanager
    async def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AsyncIterator[Transaction]:
        async with self.attempt(account_id, origin) as tx:
            yield tx


class TestPostgresStorageAttempts(StorageContract):
    """A transaction that begins late is one like any other, but for who is overtaken.

    Ids are taken one by one, since laws take an older row for the one with the smaller id.
    """

    settings = settings(StorageContract.settings, max_examples=5)  # What it reads is read above.

    @pytest.fixture(autouse=True)
    def _single_ids(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(late, "IDS", 1)

    def test_concurrent_changes_of_one_lead_all_count(self) -> None:
        """Who attempts may have to do it again: how that counts, a law of attempts says."""
        with suppress(Contention):
            super().test_concurrent_changes_of_one_lead_all_count()

    def test_concurrent_claims_of_a_phone_get_one_contact(self) -> None:
        """The same; new leads of one person say how that counts."""
        with suppress(Contention):
            super().test_concurrent_claims_of_a_phone_get_one_contact()

    @classmethod
    def open(cls) -> AbstractAsyncContextManager[Storage]:
        return _Attempts(_Database.address, clock=now, publisher=cls.publisher)
