"""What an import needs, and where a noun is found: read from bare interpreters and file names.

The arrows between the packages are import-linter's affair (`make lint`).
"""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import clarin_core

SOURCE = Path(__file__).parents[2] / "src"
CORE = SOURCE / "clarin_core"
TALK = {
    "device_sessions", "inbox", "inbox_leads", "inbox_news", "inbox_people", "inbox_replies",
    "media_fetch", "media_purge", "sending",
}  # fmt: skip
"""Use cases of a device's talk and of a job: no noun's own, but what happens to its rows."""
NOUNS = sorted({path.stem for path in CORE.glob("usecases/[!_]*.py")} - TALK)

NEEDED = ("clarin_core", "msgspec", "phonenumbers")

RINGS = {
    "testing": CORE / "testing",
    "clarin_memory": SOURCE / "adapters" / "clarin_memory",
    "clarin_postgres": SOURCE / "adapters" / "clarin_postgres",
    "routes": SOURCE / "entrypoints" / "clarin_server" / "http" / "routes",
}

ELSEWHERE = {
    ("idempotency", "routes"): "it is a header of other nouns' routes",
    ("sign_in", "clarin_memory"): "signing in keeps users and sessions, each with a file",
    ("sign_in", "clarin_postgres"): "signing in keeps users and sessions, each with a file",
}
"""Nouns without a file of their name in a ring, each with the reason."""


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Return a folder that holds the core and the packages that it needs, and nothing else."""
    for name in NEEDED:
        (package,) = importlib.import_module(name).__path__
        (tmp_path / name).symlink_to(package)
    return tmp_path


def test_the_library_needs_two_packages(shelf: Path) -> None:
    """`import clarin_core` works with the standard library, msgspec and phonenumbers alone."""
    assert errors_of_import(shelf, "clarin_core") == ""


def test_every_module_of_the_core_needs_two_packages(shelf: Path) -> None:
    """So does each of its modules, save the harness, which needs its extra."""
    found = (found.name for found in pkgutil.walk_packages(clarin_core.__path__, "clarin_core."))
    modules = [name for name in found if not name.startswith("clarin_core.testing")]
    assert "clarin_core.usecases.leads" in modules
    assert errors_of_import(shelf, *modules) == ""


def test_another_package_would_be_missed(shelf: Path) -> None:
    """The checks above can fail: the harness does not find pytest there."""
    assert "No module named 'pytest'" in errors_of_import(shelf, "clarin_core.testing")


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_has_one_file_name_in_every_ring(noun: str) -> None:
    """Who knows `usecases/leads.py` knows where its entity, its stores and its routes are."""
    assert [ring for ring in ("domain", "ports") if (CORE / ring / f"{noun}.py").exists()]
    missing = {ring for ring, folder in RINGS.items() if not (folder / f"{noun}.py").exists()}
    assert missing == {ring for known, ring in ELSEWHERE if known == noun}


def test_every_route_belongs_to_a_noun() -> None:
    """No file of routes has a name that the core does not know."""
    routes = {path.stem for path in RINGS["routes"].glob("[!_]*.py")}
    assert routes - {path.stem for path in CORE.glob("domain/*.py")} == set()


def errors_of_import(shelf: Path, *modules: str) -> str:
    """Import modules where only the standard library and the shelf are; return what went wrong."""
    script = f"import sys; sys.path.append({str(shelf)!r}); import {', '.join(modules)}"
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert bool(done.stderr) == bool(done.returncode)
    return done.stderr
