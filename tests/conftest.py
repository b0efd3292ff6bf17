"""Fixtures that all tests may ask for."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sanic import Sanic

from clarin_embedded import EmbeddedPostgres, EmbeddedValkey
from support.databases import drop_database, fresh_database, migrated_template
from support.totals import wrong_totals

_FOLDER = "CLARIN_TESTS_FOLDER"

Sanic.test_mode = True  # It rewrites its own classes at a start, and only so can do it again.


def pytest_configure(config: pytest.Config) -> None:
    """Make one folder for all workers, which the account of a server may enter.

    Not among pytest's own: each of its runs closes their parent to all other accounts.
    """
    if not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="clarin-tests-")
        Path(folder).chmod(0o711)
        os.environ[_FOLDER] = folder


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it, once all workers are gone."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(_FOLDER), ignore_errors=True)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Return the folder of this run."""
    return Path(os.environ[_FOLDER])


@pytest.fixture(scope="session")
def postgres(shared_folder: Path) -> Iterator[EmbeddedPostgres]:
    """Run one throwaway server for all tests and workers."""
    with EmbeddedPostgres(shared_folder / "postgres", durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(shared_folder: Path) -> Iterator[EmbeddedValkey]:
    """Run one server for all tests and workers; who writes to it chooses keys of its own."""
    with EmbeddedValkey(shared_folder / "valkey") as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """Return the name of a migrated database without rows, to be copied."""
    return asyncio.run(migrated_template(postgres.dsn))


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """Return the address of a migrated database that is this module's alone.

    Whatever was done to it, the totals that it keeps must be those of its rows.
    """
    address = asyncio.run(fresh_database(postgres.dsn, template=template))
    yield address
    wrong = asyncio.run(wrong_totals(address))
    asyncio.run(drop_database(postgres.dsn, address))
    assert not wrong


@pytest.fixture(params=["memory", "postgres"])
def address(request: pytest.FixtureRequest) -> str:
    """Return the address of a storage, of each kind in turn; accounts of old may be in it."""
    return "memory:" if request.param == "memory" else request.getfixturevalue("database")
