"""A private PostgreSQL server for one machine: development, tests, a small office."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from clarin_embedded.account import Account, choose_account
from clarin_embedded.binaries import find_programs
from clarin_embedded.cluster import Cluster
from clarin_embedded.errors import EmbeddedServerError
from clarin_embedded.sharing import SharedServer

_OPEN_TO_OTHERS = Path("/var/lib/clarin")


@dataclass(slots=True, kw_only=True)
class EmbeddedPostgres(SharedServer):
    """A PostgreSQL in `home`, shared by all who start it there; the first creates its cluster.

    A server that is not `durable` loses its data with the machine's power, and is faster.
    """

    durable: bool = True
    timeout_s: int = 60
    _cluster: Cluster | None = field(default=None, init=False, repr=False)

    _name: ClassVar[str] = "PostgreSQL"
    _instead: ClassVar[str] = "set DATABASE_URL"

    @property
    def dsn(self) -> str:
        """The address of the database `clarin` for its superuser, once the server is started."""
        return self._known_cluster.dsn

    @property
    def _known_cluster(self) -> Cluster:
        if self._cluster is None:
            raise EmbeddedServerError("the embedded PostgreSQL has no address before its start")
        return self._cluster

    def _prepare(self) -> None:
        account = choose_account(self.home / "cluster")
        folder = _cluster_folder(self.home, account, self.say)
        account.make_private_folder(folder)
        self._cluster = Cluster(
            folder=folder,
            programs=find_programs(account, folder.parent, self.say),
            account=account,
            server_lock=self._server_lock,
            durable=self.durable,
            timeout_s=self.timeout_s,
        )

    def _answers(self) -> bool:
        return self._known_cluster.answers()

    def _bring_up(self, *, running: bool) -> None:
        cluster = self._known_cluster
        if not cluster.exists:
            self.say("creating the PostgreSQL cluster")
            cluster.create()
        cluster.check_version()
        if not running:
            self.say("starting PostgreSQL")
            cluster.start()

    def _end(self) -> None:
        self._known_cluster.stop()

    def _last_words(self) -> str:
        return self._known_cluster.last_words()


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
        raise EmbeddedServerError(
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
