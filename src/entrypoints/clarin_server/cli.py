"""The command `clarin`."""

import asyncio
import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as version_of
from typing import Annotated

import msgspec
import typer

from clarin_core.errors import ClarinError
from clarin_embedded import EmbeddedServerError
from clarin_postgres import PostgresSetupError
from clarin_server.database import ready_storage
from clarin_server.doctor import examine, print_table
from clarin_server.errors import CannotStart, WrongSettings
from clarin_server.http.openapi import document
from clarin_server.log import set_up_logging
from clarin_server.progress import Progress
from clarin_server.settings import WANTED, Settings, read_settings
from clarin_server.start import serve as serve_until_stopped
from clarin_server.start import work as work_until_stopped

main = typer.Typer(
    name="clarin",
    help="A WhatsApp-first CRM backend. Begin with: clarin serve",
    epilog="Settings come from the environment; `clarin settings` lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # They show the values of local variables.
)

_Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.  [HOST]")]
_Port = Annotated[str, typer.Option(help="Port to listen on; 0 takes a free one.  [PORT]")]
_Workers = Annotated[
    int, typer.Option(min=1, max=64, help="Processes that serve; more than one needs a database.")
]
_Storage = Annotated[
    str, typer.Option(help="`memory` keeps everything in this process only.  [CLARIN_STORAGE]")
]
_DataDir = Annotated[
    str, typer.Option(help="Folder of the embedded database.  [CLARIN_DATA_DIR, ./data]")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


@main.command()
def serve(
    host: _Host = "",
    port: _Port = "",
    workers: _Workers = 1,
    storage: _Storage = "",
    data_dir: _DataDir = "",
) -> None:
    """Serve HTTP and WebSocket, with all background work, until Ctrl-C.

    Without DATABASE_URL it makes and runs a PostgreSQL of its own under the data directory, and
    without REDIS_URL a Valkey.
    """
    given = {"HOST": host, "PORT": port, "CLARIN_STORAGE": storage, "CLARIN_DATA_DIR": data_dir}
    with _plain_words():
        settings = _settings(given)
        serve_until_stopped(settings, Progress(settings), workers=workers)


@main.command()
def work(data_dir: _DataDir = "") -> None:
    """Do the background work alone, until Ctrl-C: imports are run, what is old is purged.

    `serve` does it, too. Several may do it at once, on as many machines as there are.
    """
    with _plain_words():
        settings = _settings({"CLARIN_DATA_DIR": data_dir})
        work_until_stopped(settings, Progress(settings))


@main.command()
def migrate(data_dir: _DataDir = "") -> None:
    """Bring the database to this version's schema, and leave it stopped if it is our own."""
    with _plain_words():
        settings = _settings({"CLARIN_DATA_DIR": data_dir})
        asyncio.run(_migrate(settings, Progress(settings)))


@main.command()
def doctor(as_json: _Json = False, data_dir: _DataDir = "") -> None:
    """Say what is installed, what answers, and what to do about the rest.

    The exit code is 1 when something that Clarin needs is missing.
    """
    with _plain_words():
        findings = asyncio.run(examine(_settings({"CLARIN_DATA_DIR": data_dir})))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(findings)))
    else:
        print_table(findings)
    if any(finding.health == "bad" for finding in findings):
        raise typer.Exit(1)


@main.command("settings")
def show_settings() -> None:
    """List the environment variables that are settings, with an example of each."""
    for name, wanted in WANTED.items():
        typer.echo(f"# {wanted.meaning}\n{name}={wanted.example}\n")


@main.command()
def version() -> None:
    """Print the version of Clarin and of Python."""
    typer.echo(f"clarin {version_of('clarin')}, Python {platform.python_version()}")


@main.command()
def openapi() -> None:
    """Print the OpenAPI 3.1 document of the HTTP surface."""
    typer.echo(json.dumps(document(), indent=2))


async def _migrate(settings: Settings, progress: Progress) -> None:
    async with ready_storage(settings, progress.say):
        progress.say("the database is up to date")


def _settings(given: dict[str, str]) -> Settings:
    """Return the environment's settings but for those given as options."""
    options = {name: value for name, value in given.items() if value}
    settings = read_settings({**os.environ, **options})
    set_up_logging(settings)
    return settings


@contextmanager
def _plain_words() -> Iterator[None]:
    """End the program with a line or two for what is no fault of Clarin's."""
    try:
        yield
    except (CannotStart, ClarinError, EmbeddedServerError, PostgresSetupError) as error:
        typer.echo(f"clarin: {error}", err=True)
        sys.exit(2 if isinstance(error, WrongSettings) else 1)
    finally:
        _let_go_of_a_lost_terminal()


def _let_go_of_a_lost_terminal() -> None:
    """Drop what nobody can read any more: Python would end with a failure of its own over it."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
