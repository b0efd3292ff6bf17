"""One PostgreSQL cluster on disk, and the server that runs it.

Whoever calls this module holds `start.lock`, see `clarin_embedded.locks`.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from clarin_embedded.account import Account
from clarin_embedded.errors import EmbeddedPostgresError
from clarin_embedded.locks import FileLock, is_free

SUPERUSER = "clarin"
DATABASE = "clarin"

_PORT = 5432  # Only a part of the socket's name; said aloud because PGPORT changes the default.
_SOCKET_FOLDER_MAX_BYTES = 80  # sun_path holds 107 bytes on Linux, 103 on macOS, name included.
# Never TMPDIR, which may differ between two processes that share a server.
_FAR = Path("/tmp")  # noqa: S108 - checked to be private
_POLL_S = 0.02
_LOG_TAIL_LINES = 12

# Sorts by code point and knows all of Unicode, the same on every machine.
_LOCALE = (
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=PG_UNICODE_FAST",
)

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "''",
    "port": f"{_PORT}",
    "max_connections": "60",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "1GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "random_page_cost": "1.1",
    "io_method": "sync",
    "huge_pages": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "shared_preload_libraries": "'pg_stat_statements'",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_min_duration_statement": "'200ms'",
    "log_parameter_max_length": "0",
    "log_error_verbosity": "terse",  # The details of an error hold values.
    "idle_in_transaction_session_timeout": "'60s'",
}
_THROWAWAY_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """The files of a cluster in `folder`, which belongs to `account` alone."""

    folder: Path
    programs: Path
    account: Account
    server_lock: Path
    durable: bool
    timeout_s: int

    @property
    def dsn(self) -> str:
        """The address of the database, for asyncpg and libpq."""
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(self._sockets))}&port={_PORT}"

    @property
    def exists(self) -> bool:
        """Tell whether the cluster was made before."""
        return (self._data / "PG_VERSION").exists()

    def create(self) -> None:
        """Make the cluster, whole or not at all: a half-made one is never opened."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._initdb(fresh)
        with (fresh / "postgresql.conf").open("a") as conf:
            conf.write("include 'clarin.conf'\n")
        (fresh / "clarin.conf").touch()
        self._create_database(fresh)
        fresh.rename(self._data)

    def check_version(self) -> None:
        """Refuse a cluster of another major version."""
        made_by = (self._data / "PG_VERSION").read_text().strip()
        installed = self._run("postgres", "--version").split()[-1].partition(".")[0]
        if made_by != installed:
            raise EmbeddedPostgresError(
                f"{self._data} was made by PostgreSQL {made_by}, and {installed} is installed: "
                f"dump it with {made_by} and restore the dump, or move the folder away"
            )

    def is_running(self) -> bool:
        """Tell whether the server answers, once it is clear that it does or that none lives."""
        deadline = time.monotonic() + self.timeout_s
        while not self._answers():
            if is_free(self.server_lock):
                return False
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"the PostgreSQL of {self._data} lives but does not answer:\n{self._log_tail()}"
                )
            time.sleep(_POLL_S)
        return True

    def start(self) -> None:
        """Start the server, of which no process lives, and wait until it takes connections."""
        self._clear_what_the_dead_left()
        self._write_settings()
        try:
            self._control("start", "-l", str(self._log))
        except EmbeddedPostgresError as error:
            raise EmbeddedPostgresError(
                f"PostgreSQL does not start in {self.folder}; another folder, or a DATABASE_URL, "
                f"may help. It said:\n{self._log_tail()}"
            ) from error

    def stop(self) -> None:
        """Break off what the clients do, and stop the server in order."""
        self._control("stop", "-m", "fast")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    @property
    def _sockets(self) -> Path:
        """The folder of the socket: nearby unless the path is too long, or not plain enough.

        A comma in it separates hosts, and asyncpg cannot be told that it does not.
        """
        near = self.folder / "run"
        path = os.fsencode(near)
        if len(path) <= _SOCKET_FOLDER_MAX_BYTES and re.fullmatch(rb"[\w./-]+", path):
            return near
        tag = hashlib.sha256(path).hexdigest()[:12]
        return _FAR / f"clarin-{tag}"

    def _initdb(self, target: Path) -> None:
        trusted = ("--auth-local=trust", "--auth-host=scram-sha-256")
        unsafe = () if self.durable else ("--no-sync", "--no-data-checksums")
        set_up = ("-D", str(target), "-U", SUPERUSER, "--set=huge_pages=off")
        self._run("initdb", *set_up, *_LOCALE, *trusted, *unsafe)

    def _create_database(self, data: Path) -> None:
        """Work in single-user mode, so that no client ever meets a server without it."""
        single = ("--single", "-D", str(data), "postgres")
        self._run("postgres", *single, feed=f"create database {DATABASE}\n")

    def _write_settings(self) -> None:
        self.account.make_private_folder(self._sockets)
        settings = {**_SETTINGS, "unix_socket_directories": f"'{self._sockets}'"}
        if not self.durable:
            settings.update(_THROWAWAY_SETTINGS)
        conf = self._data / "clarin.conf"
        conf.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        self.account.own(conf)

    def _clear_what_the_dead_left(self) -> None:
        # PostgreSQL itself would believe a process id that a stranger, or a zombie, has now.
        for path in (self._data / "postmaster.pid", *self._sockets.glob(".s.PGSQL.*")):
            path.unlink(missing_ok=True)
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))

    def _answers(self) -> bool:
        if not self._sockets.exists():
            return False
        where = ("-h", self._sockets, "-U", SUPERUSER, "-d", DATABASE)
        return self.account.attempt(self.programs / "pg_isready", "-q", *where)[0] == 0

    def _control(self, *words: str) -> None:
        """Run pg_ctl; the server that it starts inherits, and so holds, the server's lock."""
        self._run("pg_ctl", "-s", "-w", "-t", str(self.timeout_s), "-D", str(self._data), *words)

    def _run(self, program: str, *words: str, feed: str = "") -> str:
        with FileLock(self.server_lock) as lock:
            lock.share()
            return self.account.run(self.programs / program, *words, feed=feed, inherit=(lock.fd,))

    def _log_tail(self) -> str:
        if not self._log.exists():
            return "(nothing)"
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
