"""The PostgreSQL storage keeps the contract, with row-level security on for reads and off."""

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from clarin_core.ports.storage import Storage
from clarin_core.testing.storage import StorageContract
from clarin_postgres import PostgresStorage, purge, uniting


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
