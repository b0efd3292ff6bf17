"""The demo from its start to its end: nothing is left of it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.sign_in import Credentials
from clarin_embedded import EmbeddedPostgres, EmbeddedValkey
from clarin_security import system_random
from clarin_server.demo.desk import Desk
from clarin_server.demo.filling import Filling
from clarin_server.demo.screen import Screen
from clarin_server.errors import CannotStart
from clarin_server.listening import check_address
from clarin_server.log import set_up_logging
from clarin_server.progress import Progress, url_of
from clarin_server.settings import Settings, read_settings
from clarin_server.start import Served, serving, until_stopped
from clarin_server.temporary_folder import temporary_folder
from clarin_whatsapp import CALM
from clarin_whatsapp.lines import Chance

_KEPT = ("HOST", "PORT", "LOG_FORMAT", "LOG_LEVEL")
_OURS = {
    "CLARIN_MESSAGING": "simulated",
    "ACCOUNT_NAME": "Luz del Sur",
    "LOG_LEVEL": "error",
}
_SEED_BYTES = 8
_MINUTE_S = 60.0


def demo(environ: Mapping[str, str], *, minutes: float | None = None) -> None:
    """Show an inbox that lives, until somebody asks to stop; raises CannotStart."""
    with temporary_folder("demo", end=_end_servers) as folder:
        folder.chmod(0o711)  # The database may run as somebody else, who passes through.
        settings = settings_of(environ, folder)
        set_up_logging(settings)
        progress = Progress(settings)
        progress.say(f"a demo in {folder}, which is removed at its end")
        after_s = None if minutes is None else minutes * _MINUTE_S
        until_stopped(_shown(settings, progress), progress, after_s=after_s)
    progress.say(f"{folder} is removed, with the database and the files that were in it")


def settings_of(environ: Mapping[str, str], folder: Path) -> Settings:
    """Return the settings of a demo: nothing of a real installation is touched.

    Where nobody named a port, and the usual one is taken, it is any free one.
    """
    kept = {name: environ[name] for name in _KEPT if name in environ}
    settings = read_settings({**_OURS, **kept, "CLARIN_DATA_DIR": str(folder)})
    if kept.get("PORT") or _is_free(settings):
        return settings
    return read_settings({**_OURS, **kept, "CLARIN_DATA_DIR": str(folder), "PORT": "0"})


def _is_free(settings: Settings) -> bool:
    try:
        check_address(settings.host, settings.port)
    except CannotStart:
        return False
    return True


def _end_servers(folder: Path) -> None:
    """End what a demo that was killed left running."""
    EmbeddedPostgres(folder / "postgres").end_if_unused()
    EmbeddedValkey(folder / "valkey").end_if_unused()


@asynccontextmanager
async def _shown(settings: Settings, progress: Progress) -> AsyncIterator[None]:
    async with serving(settings, progress) as served:
        admin = await _administrator(served, settings.admin_user)
        progress.say("filling an account: 300 leads, 3 colleagues, 3 devices")
        colleagues = await Filling(served.services, admin).fill()
        console = Console(highlight=False)
        how = how_to_look(url_of(served.address), settings.admin_user, served.password)
        console.print(Text(how), soft_wrap=True)
        chance = Chance(int.from_bytes(system_random(_SEED_BYTES)), CALM)
        screen = Screen(served.services, admin.account_id, console)
        title = f"Clarin demo at {url_of(served.address)}: user {settings.admin_user}, password "
        async with asyncio.TaskGroup() as group:
            works = (
                Desk(served.services, colleagues, chance).work(),
                screen.show(f"{title}{served.password}; Ctrl-C stops it"),
            )
            tasks = [group.create_task(work) for work in works]
            yield
            for task in tasks:
                task.cancel()


async def _administrator(served: Served, user: str) -> Actor:
    credentials = Credentials(username=user, password=served.password or "")
    signed_in = await served.services.sign_in.login(credentials, address="127.0.0.1")
    return Actor(account_id=signed_in.account_id, user_id=signed_in.user.id, role=Role.ADMIN)


def how_to_look(url: str, user: str, password: str | None) -> str:
    """Return three commands to be typed into another terminal."""
    python = os.path.relpath(sys.executable)
    picked = f"{python} -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])'"
    as_json = "-H 'Content-Type: application/json'"
    return f"""
  Look at it from another terminal, in this folder; {url}/docs has the rest:

  TOKEN=$(curl -s {url}/api/auth/login {as_json} \\
    -d '{{"username":"{user}","password":"{password}"}}' | {picked} token)
  curl -s -H "Authorization: Bearer $TOKEN" "{url}/api/chats?limit=3"
  {python} -m websockets "{url.replace("http", "ws", 1)}/ws?ticket=$(curl -s -X POST \\
    -H "Authorization: Bearer $TOKEN" {url}/api/auth/ws-ticket | {picked} ticket)"
"""
