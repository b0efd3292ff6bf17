"""What a start says while it works, and at its end."""

from contextlib import suppress
from importlib.metadata import version
from ipaddress import ip_address
from time import monotonic

import structlog
from rich.console import Console
from rich.text import Text

from clarin_server.settings import Settings

_log = structlog.get_logger(component="CLI")


class Progress:
    """Writes lines to stderr with the seconds since its making; as logs if these are JSON."""

    def __init__(self, settings: Settings) -> None:
        self._began = monotonic()
        self._as_logs = settings.log_format == "json"
        self._user = settings.admin_user
        self._console = _Lines(stderr=True, highlight=False, soft_wrap=True, markup=False)

    def say(self, what: str) -> None:
        """Write a line."""
        if self._as_logs:
            _log.info(what)
        else:
            passed = f"{monotonic() - self._began:6.1f} s  "
            self._print(Text.assemble((passed, "dim"), what))

    def greet(self, address: tuple[str, int], password: str | None) -> None:
        """Say where to go and what to type next; a password that was made is said only here."""
        url = url_of(address)
        self.say(f"Clarin {version('clarin')} is ready at {url}")
        if not self._as_logs:
            self._print(_next_steps(url, self._user, password))
        elif password:
            self._print(f"user {self._user}, password {password} (shown only now)")

    def _print(self, what: Text | str) -> None:
        with suppress(OSError):  # A terminal that is gone must not keep us from stopping.
            self._console.print(what)


class _Lines(Console):
    def on_broken_pipe(self) -> None:
        """Say nothing more where nobody reads; rich would end the program."""
        self.quiet = True


def url_of(address: tuple[str, int]) -> str:
    """Return what to type into a browser on this machine."""
    host, port = address
    if ip_address(host).is_unspecified:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _next_steps(url: str, user: str, password: str | None) -> str:
    made = f"\n  password   {password}   (shown only now: keep it)" if password else ""
    typed = password or "…"
    return f"""
  reference  {url}/docs
  user       {user}{made}

  Sign in:

    curl -s {url}/api/auth/login -H 'Content-Type: application/json' \\
      -d '{{"username":"{user}","password":"{typed}"}}'

  Ctrl-C stops it.
"""
