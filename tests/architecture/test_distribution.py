"""What leaves this folder: the wheel's files, and texts that fit any machine."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOTS = [ROOT / folder for folder in PROJECT["tool"]["hatch"]["build"]["dev-mode-dirs"]]
LEFT_BEHIND = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}

_REGISTRY = re.compile(r"\b(?:pypi|pythonhosted|npmjs|yarnpkg|jsdelivr|unpkg)\.(?:org|com|net)\b")
_MACHINE = re.compile(r"(?<![\w.:}])/(?:home|root|Users|mnt|work|workspace|farm)/\w")
_ADDRESS = re.compile(r"https?://|file:|--(?:extra-)?index-url|--find-links|--trusted-host")

_WHERE_FROM = """
import pkgutil, sys
sys.path.insert(0, sys.argv[1])
for target in sys.argv[2:]:
    assert callable(pkgutil.resolve_name(target))
    print(sys.modules[target.partition(":")[0]].__file__)
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of this tree, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def test_the_wheel_holds_our_packages_and_nothing_else(wheel: Path) -> None:
    """Each file below a source root, by the name under which it is imported."""
    files = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert files == set(sources())
    assert {name.partition("/")[0].partition("_")[0] for name in files} == {"clarin"}


def test_every_package_says_that_it_is_typed(wheel: Path) -> None:
    """Without `py.typed` a type checker ignores our annotations."""
    files = ZipFile(wheel).namelist()
    packages = {name.partition("/")[0] for name in files if name.endswith("/__init__.py")}
    assert "clarin_core" in packages
    assert {name for name in packages if f"{name}/py.typed" not in files} == set()


def test_the_wheel_brings_its_migrations(wheel: Path) -> None:
    """SQL is no Python; a build may drop it without a word."""
    migrations = [name for name in ZipFile(wheel).namelist() if name.endswith(".sql")]
    assert [name for name in migrations if name.startswith("clarin_postgres/migrations/0001_")]


def test_what_the_wheel_promises_is_in_it(wheel: Path) -> None:
    """The command and the storages that it registers can be loaded from the wheel itself."""
    project = PROJECT["project"]
    targets = [*project["scripts"].values(), *project["entry-points"]["clarin.storage"].values()]
    command = [sys.executable, "-W", "error", "-c", _WHERE_FROM, str(wheel), *targets]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    places = done.stdout.splitlines()
    assert len(places) == len(targets)
    assert [place for place in places if not place.startswith(str(wheel))] == []


def test_pins_name_no_place() -> None:
    """Every pin has hashes, and where it is fetched from is the machine's choice."""
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert _ADDRESS.search(text) is None, path.name
        pins = re.findall(r"^[a-z][\w.-]*==\S+(?: ;.*)?(?= \\$)", text, re.MULTILINE)
        lines = [line for line in text.splitlines() if re.match(r"[a-z]", line)]
        assert len(pins) == len(lines) > 0, path.name
        assert text.count("    --hash=sha256:") >= len(pins), path.name


def test_texts_name_no_registry_and_no_machine() -> None:
    """A clone works wherever it lies, behind whatever mirror."""
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in texts()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if _REGISTRY.search(line) or _MACHINE.search(line)
    ]
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(
    ("line", "is_seen"),
    [
        ("index-url = https://" + "pypi" + ".org/simple", True),
        ("see " + "/home" + "/ana/clarin", True),
        ("get('/api/leads" + "/work" + "/x')", False),
        ("/var/lib/clarin", False),
    ],
)
def test_a_named_place_is_seen(line: str, is_seen: bool) -> None:
    """The patterns above tell a place from a path of ours."""
    assert bool(_REGISTRY.search(line) or _MACHINE.search(line)) is is_seen


def sources() -> Iterator[str]:
    """Yield what lies below the source roots, as the wheel names it."""
    for root in ROOTS:
        for package in root.glob("clarin_*"):
            for path in package.rglob("*"):
                if path.is_file() and "__pycache__" not in path.parts:
                    yield path.relative_to(root).as_posix()


def _is_left(name: str) -> bool:
    return name in LEFT_BEHIND or name.startswith(".")


def texts() -> Iterator[Path]:
    """Yield the files that a clone has, as far as they are texts."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name == ".ci" or not _is_left(name)]
        for path in (Path(folder, name) for name in names):
            try:
                path.read_text()
            except UnicodeDecodeError:
                continue  # An import in another encoding; what it says is its matter.
            yield path
