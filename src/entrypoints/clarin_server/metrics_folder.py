"""The folder in which the workers of one service share what they measure.

It is in the folder for temporary files and not in the data directory, because a service with a
database elsewhere needs none. Who uses it holds a lock on it; what a killed service left behind
is held by nobody, and the next one to start removes it.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from clarin_server.errors import CannotStart

_NEW = "clarin-new-"
_NAME = "clarin-metrics-"


@contextmanager
def metrics_folder() -> Iterator[Path]:
    """Yield an empty folder that is this service's alone; raises CannotStart."""
    try:
        made = Path(mkdtemp(prefix=_NEW))
    except OSError as error:
        raise CannotStart(f"There is no room for temporary files: {error}. Set TMPDIR.") from error
    _remove_what_was_left(made.parent)
    with _held(made):  # Only then it gets the name by which others look for what was left.
        folder = made.rename(made.with_name(made.name.replace(_NEW, _NAME)))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_what_was_left(folder: Path) -> None:
    for left in folder.glob(f"{_NAME}*"):
        with suppress(OSError), _held(left):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder while inside; raises OSError when somebody else does, or it is none."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
