"""Folders that last as long as who made them: nobody's is taken away, nobody's is left."""

import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import pytest

from clarin_embedded import EmbeddedServerError
from clarin_server import temporary_folder as module
from clarin_server.errors import CannotStart
from clarin_server.temporary_folder import temporary_folder

KILLED = """
import os, signal
from clarin_server.temporary_folder import temporary_folder
with temporary_folder("x") as folder:
    (folder / "counter_1.db").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let temporary files be made in a folder of the test."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_each_service_has_its_own_until_it_ends(place: Path) -> None:
    with temporary_folder("x") as one, temporary_folder("x") as other:
        assert one.is_dir()
        assert sorted(place.iterdir()) == sorted([one, other])
    assert list(place.iterdir()) == []


def test_what_a_killed_service_left_is_removed_by_the_next(place: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED], env={"TMPDIR": str(place)}, check=False)
    (left,) = place.iterdir()
    assert list(left.iterdir())
    with temporary_folder("x") as folder:
        assert list(place.iterdir()) == [folder]


def test_what_cannot_be_ended_stays(place: Path) -> None:
    """So does what somebody else has, and what has another name."""

    def fail(left: Path) -> None:
        raise EmbeddedServerError(f"{left} lives")

    subprocess.run([sys.executable, "-c", KILLED], env={"TMPDIR": str(place)}, check=False)
    (left,) = place.iterdir()
    with temporary_folder("x", end=fail), temporary_folder("y"):
        assert left.is_dir()
    ended: list[Path] = []
    with temporary_folder("x", end=ended.append), temporary_folder("x", end=ended.append):
        assert ended == [left]


def test_who_starts_meanwhile_does_not_take_a_new_one_for_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make_while_another_starts(prefix: str) -> str:
        made = mkdtemp(prefix=prefix)
        with monkeypatch.context() as later:
            later.setattr(module, "mkdtemp", mkdtemp)
            with temporary_folder("x"):
                return made

    monkeypatch.setattr(module, "mkdtemp", make_while_another_starts)
    with temporary_folder("x") as folder:
        assert folder.is_dir()


def test_no_room_for_it_is_said_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")
    with pytest.raises(CannotStart, match="TMPDIR"), temporary_folder("x"):
        pass
