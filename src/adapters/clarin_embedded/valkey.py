"""A private Valkey, which speaks the Redis protocol: a cache and a messenger for one machine."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from clarin_embedded.account import own_account
from clarin_embedded.binaries import find_valkey
from clarin_embedded.errors import EmbeddedServerError
from clarin_embedded.locks import shared
from clarin_embedded.server_files import log_tail, put_log_aside, socket_folder
from clarin_embedded.sharing import SharedServer

_REPLY_WAIT_S_MAX = 1.0
_REPLY_BYTES_MAX = 64


@dataclass(slots=True, kw_only=True)
class EmbeddedValkey(SharedServer):
    """A Valkey on a Unix socket in `home`, shared by all who start it there.

    It keeps nothing beyond its end, and drops only keys with a time limit when it reaches
    `max_memory`; of two processes that start it, the first one's limit is in force.
    """

    max_memory: str = "64mb"
    timeout_s: int = 10

    _name: ClassVar[str] = "Valkey"
    _instead: ClassVar[str] = "set REDIS_URL (off runs without)"

    @property
    def url(self) -> str:
        """The address for redis-py; it never changes for a `home`."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def _folder(self) -> Path:
        return self.home.resolve() / "server"

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    @property
    def _socket(self) -> Path:
        return socket_folder(self._folder) / "valkey.sock"

    def _prepare(self) -> None:
        for folder in {self._folder, self._socket.parent}:
            own_account().make_private_folder(folder)

    def _answers(self) -> bool:
        return self._call("PING").startswith(b"+PONG")

    def _bring_up(self, *, running: bool) -> None:
        if running:
            return
        self.say("starting Valkey")
        put_log_aside(self._log)
        self._launch()
        if not self._is_running():
            raise EmbeddedServerError(
                f"Valkey does not start in {self.home}; another folder may help, or "
                f"{self._instead}. It said:\n{self._last_words()}"
            )

    def _end(self) -> None:
        self._call("SHUTDOWN NOSAVE")
        if self._is_running():
            raise EmbeddedServerError(f"the Valkey of {self.home} refuses to stop")

    def _last_words(self) -> str:
        return log_tail(self._log)

    def _launch(self) -> None:
        """Start the server, which then lives in the background, in a session of its own."""
        settings: dict[str, str | Path] = {
            "daemonize": "yes",
            "pidfile": self._folder / "server.pid",
            "logfile": self._log,
            "dir": self._folder,
            "port": "0",
            "unixsocket": self._socket,
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "maxmemory": self.max_memory,
            "maxmemory-policy": "volatile-lru",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with shared(self._server_lock) as fd:
            own_account().run(find_valkey(), *words, inherit=(fd,))

    def _call(self, command: str) -> bytes:
        """Return the beginning of the reply to a command, or nothing if none comes."""
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(_REPLY_WAIT_S_MAX)
                link.connect(str(self._socket))
                link.sendall(f"{command}\r\n".encode())
                return link.recv(_REPLY_BYTES_MAX)
        except OSError:
            return b""
