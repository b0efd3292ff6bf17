"""The folder of the workers' figures: nobody's is taken away, nobody's is left."""

import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import pytest

from clarin_server import metrics_folder as module
from clarin_server.errors import CannotStart
from clarin_server.metrics_folder import metrics_folder

KILLED = """
import os, signal
from clarin_server.metrics_folder import metrics_folder
with metrics_folder() as folder:
    (folder / "counter_1.db").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let temporary files be made in a folder of the test."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_each_service_has_its_own_until_it_ends(place: Path) -> None:
    with metrics_folder() as one, metrics_folder() as other:
        assert one.is_dir()
        assert sorted(place.iterdir()) == sorted([one, other])
    assert list(place.iterdir()) == []


def test_what_a_killed_service_left_is_removed_by_the_next(place: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED], env={"TMPDIR": str(place)}, check=False)
    (left,) = place.iterdir()
    assert list(left.iterdir())
    with metrics_folder() as folder:
        assert list(place.iterdir()) == [folder]


def test_who_starts_meanwhile_does_not_take_a_new_one_for_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make_while_another_starts(prefix: str) -> str:
        made = mkdtemp(prefix=prefix)
        with monkeypatch.context() as later:
            later.setattr(module, "mkdtemp", mkdtemp)
            with metrics_folder():
                return made

    monkeypatch.setattr(module, "mkdtemp", make_while_another_starts)
    with metrics_folder() as folder:
        assert folder.is_dir()


def test_no_room_for_it_is_said_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")
    with pytest.raises(CannotStart, match="TMPDIR"), metrics_folder():
        pass
