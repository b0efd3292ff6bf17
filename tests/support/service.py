"""`clarin serve` in processes of its own, as people start it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread, Timer

import httpx

from clarin_server.settings import WANTED

LATE_S = 120  # One that hangs fails its test, and not the whole run.
PASSWORD = re.compile(r"password +(\S+)")


class Service:
    """A `clarin serve` in a process of its own, and what it has said so far."""

    def __init__(self, *words: str, **environ: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in WANTED}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "clarin_server", "serve", "--port", "0", *words],
            stderr=subprocess.PIPE,
            text=True,
            env=inherited | environ,
            process_group=0,
        )
        self.said = ""
        self._reader: Thread | None = None

    def keep_reading(self) -> None:
        """Read on while the test does something else: nobody may wait for a full pipe."""
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, words: str) -> str:
        """Read until a line holds these words, and return that line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if words in line:
                return line
        raise AssertionError(f"it ended without {words!r}:\n{self.said}")

    def wait_until_ready(self) -> str:
        """Return the address."""
        address = self.wait_for("is ready at ").split()[-1].rstrip('",')
        self.wait_for("Ctrl-C stops it")
        return address

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.rest()

    def rest(self) -> int:
        """Read to the end, and return the exit code."""
        if self._reader is None:
            self.keep_reading()
        self.stop_reading()
        return self.process.wait(LATE_S)

    def stop_reading(self) -> None:
        """Wait until all is read, where it is read meanwhile, but not for ever.

        Whatever it has started has its pipe, too, and may hang when the process itself is gone.
        """
        if self._reader is not None:
            self._reader.join(LATE_S)
            assert not self._reader.is_alive(), f"something that it started hangs:\n{self.said}"

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line

    @property
    def password(self) -> str | None:
        """The password that was told, if any was."""
        found = PASSWORD.search(self.said)
        return found[1] if found else None


@contextmanager
def serving(*words: str, **environ: str) -> Iterator[Service]:
    service = Service(*words, **environ)
    late = Timer(LATE_S, service.process.kill)
    late.start()
    try:
        yield service
    finally:
        late.cancel()
        service.process.kill()
        service.stop_reading()
        with service.process:
            pass  # Closes the pipe.


def in_data(home: Path) -> tuple[str, str]:
    return "--data-dir", str(home / "data")


def processes_of(home: Path) -> list[str]:
    """Return the command lines of all live processes that name the folder."""
    commands = subprocess.run(
        ["/bin/ps", "-axwwo", "args="], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in commands.splitlines() if f"{home}/" in line]


def token_of(address: str, password: str | None) -> str:
    credentials = {"username": "admin", "password": password}
    answer = httpx.post(f"{address}/api/auth/login", json=credentials)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["token"]
    return token


def ask(method: str, url: str, token: str, json: object = None) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.request(method, url, headers=headers, json=json)
    assert answer.is_success, answer.text
    told: dict[str, object] = answer.json()
    return told
