"""The command `clarin`."""

import asyncio
import json
import os
import platform
from importlib.metadata import version as version_of
from typing import Annotated

import msgspec
import typer

from clarin_server import cli_kommo
from clarin_server.database import ready_storage
from clarin_server.demo.run import demo as run_demo
from clarin_server.devices import devices
from clarin_server.doctor import examine, print_table
from clarin_server.http.openapi import document
from clarin_server.options import settings_of
from clarin_server.plain_words import plain_words
from clarin_server.progress import Progress
from clarin_server.settings import WANTED, Settings
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

main.add_typer(cli_kommo.main)
main.add_typer(devices, name="devices")

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
_Minutes = Annotated[float, typer.Option(min=0, help="Stop after so long; 0 is never.")]
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
    with plain_words():
        settings = settings_of(given)
        serve_until_stopped(settings, Progress(settings), workers=workers)


@main.command()
def demo(host: _Host = "", port: _Port = "", minutes: _Minutes = 0) -> None:
    """Show an inbox that lives: a shop with a simulated WhatsApp, until Ctrl-C.

    All of it is in a temporary folder, with a PostgreSQL of its own, and is removed at the end.
    """
    given = {name: value for name, value in (("HOST", host), ("PORT", port)) if value}
    with plain_words():
        run_demo({**os.environ, **given}, minutes=minutes or None)


@main.command()
def work(data_dir: _DataDir = "") -> None:
    """Do the background work alone, until Ctrl-C: imports, mirrors of Kommo, purging.

    `serve` does it, too. Several may do it at once, on as many machines as there are.
    """
    with plain_words():
        settings = settings_of({"CLARIN_DATA_DIR": data_dir})
        work_until_stopped(settings, Progress(settings))


@main.command()
def migrate(data_dir: _DataDir = "") -> None:
    """Bring the database to this version's schema, and leave it stopped if it is our own."""
    with plain_words():
        settings = settings_of({"CLARIN_DATA_DIR": data_dir})
        asyncio.run(_migrate(settings, Progress(settings)))


@main.command()
def doctor(as_json: _Json = False, data_dir: _DataDir = "") -> None:
    """Say what is installed, what answers, and what to do about the rest.

    The exit code is 1 when something that Clarin needs is missing.
    """
    with plain_words():
        findings = asyncio.run(examine(settings_of({"CLARIN_DATA_DIR": data_dir})))
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
