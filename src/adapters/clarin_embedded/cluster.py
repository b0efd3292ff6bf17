"""One PostgreSQL cluster on disk, and the server that runs it.

Whoever calls this module holds `start.lock`, see `clarin_embedded.locks`.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from clarin_embedded.account import Account
from clarin_embedded.errors import EmbeddedServerError
from clarin_embedded.locks import shared
from clarin_embedded.server_files import log_tail, put_log_aside, socket_folder

SUPERUSER = "clarin"
DATABASE = "clarin"

_PORT = 5432  # Only a part of the socket's name; said aloud because PGPORT changes the default.

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
    "max_connections": "200",
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
            raise EmbeddedServerError(
                f"{self._data} was made by PostgreSQL {made_by}, and {installed} is installed: "
                f"dump it with {made_by} and restore the dump, or move the folder away"
            )

    def answers(self) -> bool:
        """Tell whether the server takes connections at this moment."""
        if not self._sockets.exists():
            return False
        where = ("-h", self._sockets, "-U", SUPERUSER, "-d", DATABASE)
        return self.account.attempt(self.programs / "pg_isready", "-q", *where)[0] == 0

    def start(self) -> None:
        """Start the server, of which no process lives, and wait until it takes connections."""
        self._clear_what_the_dead_left()
        self._write_settings()
        try:
            self._control("start", "-l", str(self._log))
        except EmbeddedServerError as error:
            raise EmbeddedServerError(
                f"PostgreSQL does not start in {self.folder}; another folder, or a DATABASE_URL, "
                f"may help. It said:\n{self.last_words()}"
            ) from error

    def stop(self) -> None:
        """Break off what the clients do, and stop the server in order."""
        self._control("stop", "-m", "fast")

    def last_words(self) -> str:
        """Return the end of the server's log."""
        return log_tail(self._log)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    @property
    def _sockets(self) -> Path:
        return socket_folder(self.folder / "run")

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
        put_log_aside(self._log)

    def _control(self, *words: str) -> None:
        """Run pg_ctl; the server that it starts inherits, and so holds, the server's lock."""
        self._run("pg_ctl", "-s", "-w", "-t", str(self.timeout_s), "-D", str(self._data), *words)

    def _run(self, program: str, *words: str, feed: str = "") -> str:
        with shared(self.server_lock) as fd:
            return self.account.run(self.programs / program, *words, feed=feed, inherit=(fd,))
