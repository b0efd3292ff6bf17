"""The service as its container wires it, over servers that a test may stop, pause and empty."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from clarin_embedded import EmbeddedPostgres, EmbeddedValkey
from clarin_server.container import Container
from clarin_server.http.app import create_app
from clarin_server.http.serving import listen
from clarin_server.runtime import running
from clarin_server.settings import Settings
from support.serving import NO_TLS, SECRET, House, settle_people


@asynccontextmanager
async def wired(database: str, redis: str = "") -> AsyncIterator[House]:
    """Serve over a PostgreSQL and a Redis."""
    settings = Settings(rate_limits="off")
    container = Container(
        settings=settings, storage_url=database, redis_url=redis, signing_secret=SECRET
    )
    async with running(container) as services:
        app = create_app(services, settings, container.metrics())
        async with (
            listen(app, "127.0.0.1", 0) as (host, port),
            httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=30, verify=NO_TLS) as http,
        ):
            people = await settle_people(services, container.hasher(), http)
            yield House(http, services, container.metrics(), app.ctx.hub, *people)


def signal_valkey(server: EmbeddedValkey, number: signal.Signals) -> None:
    """Send a signal to the server itself."""
    pid = (server.home / "server" / "server.pid").read_text()
    os.kill(int(pid), number)


def signal_postgres(server: EmbeddedPostgres, number: signal.Signals) -> None:
    """Send a signal to the server itself."""
    (pid_file,) = Path(server.home).resolve().glob("cluster/data/postmaster.pid")
    os.kill(int(pid_file.read_text().split()[0]), number)
