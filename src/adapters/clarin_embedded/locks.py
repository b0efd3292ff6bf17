"""Ownership by kernel file locks: a process that dies, however it dies, leaves none behind.

Three files decide about a server that several processes share:

- `start.lock` is held, exclusively, while a process starts or stops the server.
- `use.lock` is held, shared, by each process that uses the server. Whoever can turn
  its own hold into an exclusive one is the last, and stops the server.
- `server.lock` is open in the server's own processes, which inherit it. As long as one of
  them lives, in whichever container, the lock is taken. No list of processes has to be
  read, and a process id in a file, which may since belong to a stranger, proves nothing.

A bare `os.fork` copies a hold; children that are started by exec do not get it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self


class FileLock:
    """An open lock file, with or without a hold on it."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def share(self) -> None:
        """Wait for a hold that others may have too."""
        fcntl.flock(self.fd, fcntl.LOCK_SH)

    def take(self) -> None:
        """Wait until nobody else has a hold."""
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def try_take(self) -> bool:
        """Take the lock if nobody else has a hold; a shared hold of ours may be lost if not."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Close the file; the hold ends unless another process inherited it."""
        os.close(self.fd)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold `path` exclusively within the block."""
    with FileLock(path) as lock:
        lock.take()
        yield


@contextmanager
def shared(path: Path) -> Iterator[int]:
    """Have a shared hold on `path` within the block; whoever inherits the descriptor keeps it."""
    with FileLock(path) as lock:
        lock.share()
        yield lock.fd


def is_free(path: Path) -> bool:
    """Tell whether no process holds `path` at this moment."""
    with FileLock(path) as lock:
        return lock.try_take()
