"""A private PostgreSQL server for one machine: development, tests, a small office."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from clarin_embedded.account import Account, choose_account
from clarin_embedded.binaries import find_programs
from clarin_embedded.cluster import Cluster
from clarin_embedded.errors import EmbeddedPostgresError
from clarin_embedded.locks import FileLock, held

_OPEN_TO_OTHERS = Path("/var/lib/clarin")


def _say_nothing(_: str) -> None:
    pass


@dataclass(slots=True)
class EmbeddedPostgres:
    """A PostgreSQL server whose files live in `home`, shared by all who start it there.

    The first to start it creates and runs it, the others join, the last to stop it ends it.
    One that lost all its users, because they were killed, is joined and ended like any other.
    A server that is not `durable` loses its data with the machine's power, and is faster.
    """

    home: Path
    durable: bool = True
    timeout_s: int = 60
    say: Callable[[str], None] = _say_nothing
    _cluster: Cluster | None = field(default=None, init=False, repr=False)
    _use: FileLock | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def dsn(self) -> str:
        """The address of the database `clarin` for its superuser, once the server is started."""
        if self._cluster is None:
            raise EmbeddedPostgresError("the embedded PostgreSQL has no address before its start")
        return self._cluster.dsn

    def start(self) -> None:
        """Create the cluster if there is none, then start its server or join the running one.

        Raises EmbeddedPostgresError with a text that says what helps.
        """
        if self._use is not None:
            return
        with self._gate():
            use = FileLock(self.home / "use.lock")
            use.share()
            try:
                self._cluster = self._find_cluster()
                self._bring_up(self._cluster)
            except Exception:
                use.close()
                raise
            except BaseException:
                self._leave(use)  # Ctrl-C: the server may be half-way up, and must not stay behind
                raise
            self._use = use

    def stop(self) -> None:
        """Leave the server; the last one to leave stops it."""
        if self._use is None:
            return
        use, self._use = self._use, None
        with self._gate():
            self._leave(use)

    @contextmanager
    def _gate(self) -> Iterator[None]:
        """Let one process at a time start or stop the server."""
        try:
            self.home.mkdir(mode=0o711, parents=True, exist_ok=True)
            self.home = self.home.resolve()
            with held(self.home / "start.lock"):
                yield
        except OSError as error:
            raise EmbeddedPostgresError(
                f"PostgreSQL cannot live in {self.home}: {error}; "
                "choose a folder of your own, or set DATABASE_URL"
            ) from error

    def _find_cluster(self) -> Cluster:
        account = choose_account(self.home / "cluster")
        folder = _cluster_folder(self.home, account, self.say)
        account.make_private_folder(folder)
        return Cluster(
            folder=folder,
            programs=find_programs(account, folder.parent, self.say),
            account=account,
            server_lock=self.home / "server.lock",
            durable=self.durable,
            timeout_s=self.timeout_s,
        )

    def _bring_up(self, cluster: Cluster) -> None:
        running = cluster.is_running()
        if not cluster.exists:
            self.say("creating the PostgreSQL cluster")
            cluster.create()
        cluster.check_version()
        if not running:
            self.say("starting PostgreSQL")
            cluster.start()

    def _leave(self, use: FileLock) -> None:
        try:
            is_last = use.try_take()
            if is_last and self._cluster and self._cluster.is_running():
                self.say("stopping PostgreSQL")
                self._cluster.stop()
        finally:
            use.close()


def _cluster_folder(home: Path, account: Account, say: Callable[[str], None]) -> Path:
    """Return the folder of the cluster: in `home`, unless only root can go there.

    Then it is elsewhere, and a link in `home` says where. To open root's folders is not ours.
    """
    folder = home / "cluster"
    if folder.is_symlink():
        return folder.readlink()
    if not folder.exists() and not account.reaches(home):
        folder.symlink_to(_make_open_folder() / "cluster")
        say(f"{home} is closed to {account.name}; the cluster is in {folder.readlink()}")
        return folder.readlink()
    if not account.reaches(home):
        raise EmbeddedPostgresError(
            f"the account {account.name}, which owns {folder}, may not enter {home}; "
            f"let it pass (chmod o+x) or set DATABASE_URL"
        )
    return folder


def _make_open_folder() -> Path:
    _OPEN_TO_OTHERS.mkdir(parents=True, exist_ok=True)
    _OPEN_TO_OTHERS.chmod(0o711)
    # A new name each time: who removes `home` must not meet the old data again.
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=_OPEN_TO_OTHERS))
    folder.chmod(0o711)
    return folder
