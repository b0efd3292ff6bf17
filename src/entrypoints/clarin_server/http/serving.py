"""Listening, and stopping without cutting anybody off (R28)."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

from sanic import Sanic
from sanic.server import AsyncioServer

from clarin_server.http.context import App
from clarin_server.http.socket import Protocol

_DRAIN_S = 10.0
_STEP_S = 0.05
_BACKLOG = 1024
_LAST_TURNS = 20


@asynccontextmanager
async def listen(
    app: App, host: str, port: int, *, drain_s: float = _DRAIN_S
) -> AsyncIterator[tuple[str, int]]:
    """Serve on an address while inside; port 0 takes a free one.

    Raises OSError when the address cannot be had. The application is used up in any case.
    """
    try:
        listening = bind(host, port)
    except OSError:
        Sanic.unregister_app(app)
        raise
    async with listen_on(app, listening, drain_s=drain_s):
        yield listening.getsockname()[:2]


@asynccontextmanager
async def listen_on(
    app: App, listening: socket.socket, *, drain_s: float = _DRAIN_S
) -> AsyncIterator[None]:
    """Serve on a bound socket while inside; it is closed afterwards.

    On the way out, however it comes: no new connections, sockets closed with 1012, requests in
    flight finished within `drain_s` seconds. The application is used up.
    """
    try:
        with closing(listening):
            server = await _create(app, listening)
            try:
                async with app.ctx.hub.running(), _accepting(server):
                    yield
            finally:
                await _drain(server, drain_s)
    finally:
        Sanic.unregister_app(app)


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket that is bound to an address, which others may be as well if `shared`."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening


async def _create(app: App, listening: socket.socket) -> AsyncioServer:
    """Return a server that is ready, but accepts nobody yet."""
    server = await app.create_server(
        sock=listening,
        protocol=Protocol,
        backlog=_BACKLOG,
        asyncio_server_kwargs={"start_serving": False},
    )
    assert server is not None
    await server.startup()
    await server.before_start()
    return server


@asynccontextmanager
async def _accepting(server: AsyncioServer) -> AsyncIterator[None]:
    """Take new connections while inside."""
    listener = server.server
    assert listener is not None
    try:
        await server.start_serving()
        await server.after_start()
        yield
    finally:
        await server.before_stop()
        listener.close()


async def _drain(server: AsyncioServer, seconds: float) -> None:
    """Wait for requests in flight; what is idle or too slow is closed."""
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while server.connections:
                    for connection in list(server.connections):
                        connection.close_if_idle()
                    await asyncio.sleep(_STEP_S)
    finally:  # Who would not wait for that cancels it.
        while server.connections:
            for connection in list(server.connections):
                connection.abort()
            await asyncio.sleep(0)
        for _ in range(_LAST_TURNS):  # The handlers of lost connections are told, and end.
            await asyncio.sleep(0)
        await server.after_stop()
