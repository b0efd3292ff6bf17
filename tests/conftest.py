"""Fixtures that all tests may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clarin_embedded import EmbeddedPostgres


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
