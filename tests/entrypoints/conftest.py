"""A folder in which a service may make its data."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clarin_embedded import EmbeddedPostgres
from support.service import processes_of


@pytest.fixture
def home() -> Iterator[Path]:
    """Make a folder with a short path, which the account of the server may enter."""
    folder = Path(tempfile.mkdtemp(prefix="serve-"))
    folder.chmod(0o711)
    yield folder
    left = processes_of(folder)
    if left:
        with EmbeddedPostgres(folder / "data" / "postgres"):
            pass  # Who joins a server that was left behind is the last to leave it.
    shutil.rmtree(folder)
    assert left == []
