"""The files of a server that others look for: its socket and its log."""

import hashlib
import os
import re
from pathlib import Path

_SOCKET_FOLDER_MAX_BYTES = 80  # sun_path holds 107 bytes on Linux, 103 on macOS, name included.
# Never TMPDIR, which may differ between two processes that share a server.
_FAR = Path("/tmp")  # noqa: S108 - checked to be private
_LOG_TAIL_LINES = 12


def socket_folder(near: Path) -> Path:
    """Return the folder of a socket: `near` unless its path is too long, or not plain enough.

    A comma in it separates hosts for PostgreSQL, and asyncpg cannot be told that it does not.
    """
    path = os.fsencode(near)
    if len(path) <= _SOCKET_FOLDER_MAX_BYTES and re.fullmatch(rb"[\w./-]+", path):
        return near
    tag = hashlib.sha256(path).hexdigest()[:12]
    return _FAR / f"clarin-{tag}"


def put_log_aside(log: Path) -> None:
    """Rename the log of the last run, in place of the one before: two runs are kept."""
    if log.exists():
        log.replace(log.with_suffix(".log.1"))


def log_tail(log: Path) -> str:
    """Return the last lines of a log, for a message to people."""
    if not log.exists():
        return "(nothing)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
