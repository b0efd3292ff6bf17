"""The service under test: started on a throwaway folder, and what its processes cost."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_urlsafe
from time import monotonic

from msgspec import Struct

from benchmarks.calling import Caller

_START_S, _STOP_S, _STEP_S = 120.0, 30.0, 0.2
_TICKS = os.sysconf("SC_CLK_TCK")


class Service(Struct, kw_only=True):
    """A service that answers; `pids` are the processes that hold sockets, if they are known.

    `root` is the one that was started, the parent of all others, and `redis` its Redis.
    """

    host: str
    port: int
    user: str
    password: str
    pids: list[int]
    root: int = 0
    redis: list[int] = []

    @property
    def resident_bytes(self) -> int:
        """The memory of its processes."""
        return sum(_status_kib(pid, "VmRSS:") for pid in self.pids) * 1024

    @property
    def cpu_s(self) -> float:
        """The processor time that its processes have used."""
        return cpu_s_of(self.pids)


def cpu_s_of(pids: Iterable[int]) -> float:
    """Return the processor time that some processes have used."""
    return sum(_ticks(pid) for pid in pids) / _TICKS


def tree_cpu_s(pid: int) -> float:
    """Return the processor time of a process and its children, those that ended included."""
    return (sum(map(_ticks, [pid, *_children_of(pid)])) + _ticks(pid, at=13)) / _TICKS


def parent_of(pid: int) -> int:
    """Return the process that started this one."""
    return int(_stat(pid)[1])


@asynccontextmanager
async def started(*, workers: int, port: int, **settings: str) -> AsyncIterator[Service]:
    """Run `clarin serve` with its own PostgreSQL and Valkey while inside."""
    password = token_urlsafe(12)
    with tempfile.TemporaryDirectory(prefix="clarin-bench-") as folder:
        Path(folder).chmod(0o755)
        environment = {
            **{name: value for name, value in os.environ.items() if name not in _OURS},
            "ADMIN_PASSWORD": password, "CLARIN_RATE_LIMITS": "off", "LOG_LEVEL": "warning",
            "CLARIN_DATA_DIR": f"{folder}/data", "PORT": str(port or _free_port()),
            **settings,
        }  # fmt: skip
        command = [sys.executable, "-m", "clarin_server", "serve", "--workers", str(workers)]
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        try:
            service = await _ready(process, int(environment["PORT"]), password, workers)
            service.redis = _written_pids(Path(folder) / "data/valkey/server/server.pid")
            yield service
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_STOP_S)


_OURS = {"DATABASE_URL", "REDIS_URL", "CLARIN_STORAGE", "CLARIN_ENV", "HOST", "ADMIN_USER"}


async def _ready(
    process: "subprocess.Popen[bytes]", port: int, password: str, workers: int
) -> Service:
    deadline = monotonic() + _START_S
    while True:
        try:
            async with Caller("127.0.0.1", port) as caller:
                await caller.ask("GET", "/ready")
                break
        except (OSError, EOFError, RuntimeError):
            if process.poll() is not None or monotonic() > deadline:
                raise
            await asyncio.sleep(_STEP_S)
    pids = [process.pid] if workers == 1 else _workers_of(process.pid)
    return Service(
        host="127.0.0.1", port=port, user="admin", password=password, pids=pids, root=process.pid
    )


def _workers_of(pid: int) -> list[int]:
    lines = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in _children_of(pid)}
    return [child for child, line in lines.items() if b"clarin_server.worker" in line]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _status_kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def _children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _written_pids(path: Path) -> list[int]:
    return [int(path.read_text())] if path.exists() else []


def _ticks(pid: int, *, at: int = 11) -> int:
    """Return user and system time of a process; those of its children that ended are at 13."""
    try:
        fields = _stat(pid)
    except FileNotFoundError:
        return 0  # It ended a moment ago.
    return int(fields[at]) + int(fields[at + 1])


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
