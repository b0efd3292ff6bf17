"""The operating-system account that runs a server; PostgreSQL refuses to run as root."""

import os
import pwd
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clarin_embedded.errors import EmbeddedServerError

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """Runs programs and owns folders for a server."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Tell whether this process is root and has to become the account first."""
        return os.geteuid() != self.uid

    def run(self, *argv: str | Path, feed: str = "", inherit: Sequence[int] = ()) -> str:
        """Run a program to its end and return its output.

        The programs get the open files `inherit`. Raises EmbeddedServerError when it fails.
        """
        code, output = self.attempt(*argv, feed=feed, inherit=inherit)
        if code:
            raise EmbeddedServerError(f"{Path(argv[0]).name} failed:\n{output.strip()}")
        return output

    def attempt(
        self, *argv: str | Path, feed: str = "", inherit: Sequence[int] = ()
    ) -> tuple[int, str]:
        """Run a program to its end and return its exit code and output."""
        # The output goes to a file: a server would inherit a pipe and keep it open for ever.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                argv,
                check=False,
                input=feed.encode(),
                stdout=output,
                stderr=output,
                env=_ENVIRONMENT,
                cwd="/",
                user=self.uid if self.is_other else None,
                group=self.gid if self.is_other else None,
                extra_groups=[] if self.is_other else None,
                pass_fds=inherit,
                process_group=0,  # Ctrl-C is for us, who then stop the server in order
            )
            output.seek(0)
            return done.returncode, output.read().decode(errors="replace")

    def reaches(self, path: Path) -> bool:
        """Tell whether the account may pass all folders above `path`, and enter or run it."""
        if not self.is_other:
            return os.access(path, os.X_OK)
        return self.attempt("/usr/bin/env", "test", "-x", path)[0] == 0

    def own(self, path: Path) -> None:
        """Give `path` to the account."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)

    def make_private_folder(self, path: Path) -> None:
        """Make `path` a folder for the account alone, or check that it is one."""
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            self._check_private_folder(path)
        else:
            self.own(path)

    def _check_private_folder(self, path: Path) -> None:
        # lstat: in a shared folder, a stranger's link to our own data must not pass.
        at = path.lstat()
        if not stat.S_ISDIR(at.st_mode) or at.st_uid != self.uid or at.st_mode & 0o077:
            raise EmbeddedServerError(
                f"{path} is not a private folder of the account {self.name}; "
                f"remove it, or run: chown -R {self.name} {path} && chmod 700 {path}"
            )


def own_account() -> Account:
    """Return the account of this process, for a server that may be anybody's, root's too."""
    return Account(f"{os.geteuid()}", os.geteuid(), os.getegid())


def choose_account(cluster: Path) -> Account:
    """Return the account for a cluster: ours or, for root, its owner or an unprivileged one.

    Root can name the account of a new cluster in CLARIN_PG_OS_USER.
    """
    entry = _unprivileged(cluster) if os.geteuid() == 0 else _by_uid(os.geteuid())
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _unprivileged(cluster: Path) -> pwd.struct_passwd:
    if cluster.exists() and cluster.stat().st_uid:
        return _by_uid(cluster.stat().st_uid)
    for name in (os.environ.get("CLARIN_PG_OS_USER", ""), "postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedServerError(
        "PostgreSQL does not run as root, and neither postgres nor nobody is an account here; "
        "name another one in CLARIN_PG_OS_USER, or set DATABASE_URL"
    )


def _by_uid(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedServerError(
            f"user id {uid} has no name in /etc/passwd, and PostgreSQL insists on one; "
            "add an entry, run as another user, or set DATABASE_URL"
        ) from None
