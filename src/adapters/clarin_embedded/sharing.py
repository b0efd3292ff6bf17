"""How several processes share a server of ours: who starts it, who joins, who ends it."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from clarin_embedded.errors import EmbeddedServerError
from clarin_embedded.locks import FileLock, held, is_free

_POLL_S = 0.02


def _say_nothing(_: str) -> None:
    pass


@dataclass(slots=True, kw_only=True)
class SharedServer(ABC):
    """A server whose files live in `home`, shared by all who start it there.

    The first to start it runs it, the others join, the last to stop it ends it. One that lost
    all its users, because they were killed, is joined and ended like any other. One that died is
    replaced at the next start. One that lives but does not answer is waited for, `timeout_s` at
    most, and then reported: it is never killed, since who it is cannot be told for certain.
    """

    home: Path = field(kw_only=False)
    timeout_s: int
    say: Callable[[str], None] = _say_nothing
    _use: FileLock | None = field(default=None, init=False, repr=False)

    _name: ClassVar[str]
    _instead: ClassVar[str]
    """What helps who cannot have this server."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, or join the running one; a second call does nothing.

        Raises EmbeddedServerError with a text that says what helps.
        """
        if self._use is not None:
            return
        with self._gate():
            self._prepare()
            use = FileLock(self.home / "use.lock")
            use.share()
            try:
                self._bring_up(running=self._is_running())
            except Exception:
                use.close()
                raise
            except BaseException:
                self._leave(use)  # Ctrl-C: the server may be half-way up, and must not stay behind
                raise
            self._use = use

    def stop(self) -> None:
        """Leave the server; the last one to leave ends it."""
        if self._use is None:
            return
        use, self._use = self._use, None
        with self._gate():
            self._leave(use)

    def end_if_unused(self) -> None:
        """End the server that killed users left behind, if there is one.

        Raises EmbeddedServerError when somebody uses it, or it does not end.
        """
        with self._gate(), FileLock(self.home / "use.lock") as use:
            if not use.try_take():
                raise EmbeddedServerError(f"the {self._name} of {self.home} is in use")
            self._prepare()
            if self._is_running():
                self._end()

    @property
    def _server_lock(self) -> Path:
        return self.home / "server.lock"

    @abstractmethod
    def _prepare(self) -> None:
        """Find out what the server needs, before anything is started."""

    @abstractmethod
    def _answers(self) -> bool:
        """Tell whether the server answers at this moment."""

    @abstractmethod
    def _bring_up(self, *, running: bool) -> None:
        """See that the server answers; its processes inherit, and so hold, `_server_lock`."""

    @abstractmethod
    def _end(self) -> None:
        """End the running server, and return when its processes are gone."""

    @abstractmethod
    def _last_words(self) -> str:
        """Return the end of the server's log."""

    @contextmanager
    def _gate(self) -> Iterator[None]:
        """Let one process at a time start or stop the server."""
        try:
            self.home.mkdir(mode=0o711, parents=True, exist_ok=True)
            self.home = self.home.resolve()
            with held(self.home / "start.lock"):
                yield
        except OSError as error:
            raise EmbeddedServerError(
                f"{self._name} cannot live in {self.home}: {error}; "
                f"choose a folder of your own, or {self._instead}"
            ) from error

    def _is_running(self) -> bool:
        """Tell whether the server answers, once it is clear that it does or that none lives."""
        deadline = time.monotonic() + self.timeout_s
        while not self._answers():
            if is_free(self._server_lock):
                return False
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"the {self._name} of {self.home} lives but does not answer; "
                    f"end its process, or {self._instead}. It said:\n{self._last_words()}"
                )
            time.sleep(_POLL_S)
        return True

    def _leave(self, use: FileLock) -> None:
        try:
            if use.try_take() and self._is_running():
                self.say(f"stopping {self._name}")
                self._end()
        finally:
            use.close()
