"""Fixtures that all tests may ask for."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clarin_embedded import EmbeddedPostgres
from support.databases import drop_database, fresh_database, migrated_template


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all workers, which the account of a server may enter."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    if os.geteuid() == 0:
        for closed in (shared, shared.parent):
            closed.chmod(0o711)
    return shared


@pytest.fixture(scope="session")
def postgres(shared_folder: Path) -> Iterator[EmbeddedPostgres]:
    """Run one throwaway server for all tests and workers."""
    with EmbeddedPostgres(shared_folder / "postgres", durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """Return the name of a migrated database without rows, to be copied."""
    return asyncio.run(migrated_template(postgres.dsn))


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """Return the address of a migrated database that is this module's alone."""
    address = asyncio.run(fresh_database(postgres.dsn, template=template))
    yield address
    asyncio.run(drop_database(postgres.dsn, address))
