"""Folders that last as long as who made them: the figures of workers, all of a demo.

They are in the folder for temporary files and not in the data directory, because a service with a
database elsewhere needs none. Who uses one holds a lock on it; what was killed left behind is held
by nobody, and the next one of its kind to start removes it.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from clarin_embedded import EmbeddedServerError
from clarin_server.errors import CannotStart

_NEW = "clarin-new-"


def _end_nothing(_: Path) -> None:
    pass


@contextmanager
def temporary_folder(kind: str, *, end: Callable[[Path], None] = _end_nothing) -> Iterator[Path]:
    """Yield an empty folder that is this process's alone; raises CannotStart.

    `end` is to end what may still live in one that was left; it stays where that fails.
    """
    try:
        made = Path(mkdtemp(prefix=_NEW))
    except OSError as error:
        raise CannotStart(f"There is no room for temporary files: {error}. Set TMPDIR.") from error
    name = f"clarin-{kind}-"
    _remove_what_was_left(made.parent, name, end)
    with _held(made):  # Only then it gets the name by which others look for what was left.
        folder = made.rename(made.with_name(made.name.replace(_NEW, name)))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_what_was_left(place: Path, name: str, end: Callable[[Path], None]) -> None:
    for left in place.glob(f"{name}*"):
        with suppress(OSError, EmbeddedServerError), _held(left):
            end(left)
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
