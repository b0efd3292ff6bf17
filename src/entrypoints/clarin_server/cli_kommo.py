"""The command `clarin kommo`."""

import asyncio
import os
from typing import Annotated

import typer
from rich.console import Console

from clarin_core.domain.actor import Actor
from clarin_core.domain.kommo import KommoCredentials
from clarin_server import kommo
from clarin_server.errors import CannotStart
from clarin_server.options import settings_of
from clarin_server.plain_words import plain_words
from clarin_server.progress import Progress
from clarin_server.services import Services
from clarin_server.start import services_of

main = typer.Typer(
    name="kommo", help="Mirror an account of Kommo.", no_args_is_help=True, add_completion=False
)

_Account = Annotated[int | None, typer.Option(help="Id of the account, if there are several.")]
_DataDir = Annotated[
    str, typer.Option(help="Folder of the embedded database.  [CLARIN_DATA_DIR, ./data]")
]
_Subdomain = Annotated[str, typer.Argument(help="What stands before .kommo.com.")]
_Pipelines = Annotated[
    list[int] | None, typer.Option("--pipeline", help="Id of a pipeline to mirror; repeatable.")
]


@main.command()
def status(account: _Account = None, data_dir: _DataDir = "") -> None:
    """Show the connection, and how far its mirror is."""

    async def show(services: Services, actor: Actor) -> None:
        console = Console()
        console.print(kommo.status_table(shown := await services.kommo.status(actor)))
        if shown.is_configured:
            console.print(kommo.pipelines_table(await services.kommo.connected(actor)))

    _run(show, account, data_dir)


@main.command()
def connect(
    subdomain: _Subdomain,
    pipeline: _Pipelines = None,
    account: _Account = None,
    data_dir: _DataDir = "",
) -> None:
    """Put credentials, and choose pipelines to mirror.

    The long-lived token comes from KOMMO_TOKEN, or is asked for; never from the command line,
    which others may read.
    """

    async def put(services: Services, actor: Actor) -> None:
        credentials = KommoCredentials(subdomain=subdomain, token=token)
        shown = await kommo.connect(services, actor, credentials, pipeline or [])
        Console().print(kommo.pipelines_table(shown))

    asked = "Long-lived token"
    token = os.environ.get("KOMMO_TOKEN") or typer.prompt(asked, hide_input=True)
    _run(put, account, data_dir)


@main.command()
def sync(account: _Account = None, data_dir: _DataDir = "") -> None:
    """Read everything now, with a bar that shows how far it is.

    Ctrl-C loses nothing: the next sync, or the service, goes on from there.
    """

    async def fill(services: Services, actor: Actor) -> None:
        async with kommo.sync_bar(Console(stderr=True)) as bar:
            bar.finish(await kommo.sync(services, actor, bar.show))

    _run(fill, account, data_dir)


def _run(work: kommo.Work, account: int | None, data_dir: str) -> None:
    with plain_words():
        settings = settings_of({"CLARIN_DATA_DIR": data_dir})
        if (settings.storage_url or "").startswith("memory"):
            raise CannotStart("Storage in memory is in one process: no other sees it.")

        async def told() -> None:
            async with services_of(settings, Progress(settings)) as services:
                await work(services, await kommo.operator_of(services.storage, account))

        asyncio.run(told())
