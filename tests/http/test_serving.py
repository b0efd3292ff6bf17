"""Listening and stopping: nobody is cut off, nothing is left."""

import asyncio
import gc
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from sanic import Sanic
from sanic.exceptions import SanicException

from clarin_memory import MemoryStorage
from clarin_server.http.app import create_app
from clarin_server.http.context import App
from clarin_server.http.serving import listen
from clarin_server.http.socket import RESTART
from clarin_server.metrics import Metrics
from clarin_server.settings import Settings
from support.screen import live_screen, run, screen
from support.serving import House, now, serving

HERE = "127.0.0.1"


class PatientStorage(MemoryStorage):
    """Memory whose `ping` takes as long as the test wants."""

    def __init__(self) -> None:
        super().__init__(clock=now)
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def ping(self) -> None:
        self.asked.set()
        await self.answer.wait()


@pytest.mark.parametrize("is_listening", [True, False])
def test_a_port_in_use_is_an_error_that_leaves_nothing(is_listening: bool) -> None:
    """The caller gets OSError; no task, no socket and no application stays behind."""

    async def story() -> None:
        async with serving() as house:
            with socket.socket() as taken:
                taken.bind((HERE, 0))
                if is_listening:
                    taken.listen()
                port, before = taken.getsockname()[1], asyncio.all_tasks()
                app = app_of(house)
                with pytest.raises(OSError, match="in use"):
                    async with listen(app, HERE, port):
                        pass
                assert asyncio.all_tasks() == before
                assert not is_registered(app)
            async with listen(app_of(house), HERE, port) as address:
                assert address == (HERE, port)

    run(story())
    gc.collect()  # A socket that was left would now be a warning, and so an error.


def test_an_unknown_host_is_an_error() -> None:
    """A name that stands for no address of this machine cannot be listened on."""

    async def story() -> None:
        async with serving() as house:
            for host in ("host.invalid", "192.0.2.1"):
                app = app_of(house)
                with pytest.raises(OSError, match=r"\w"):
                    async with listen(app, host, 0):
                        pass
                assert not is_registered(app)

    run(story())


def test_a_request_in_flight_is_answered() -> None:
    """R28: whoever was asked before the stop answers; nobody else is let in."""

    async def story() -> None:
        storage = PatientStorage()
        async with AsyncExitStack() as stack:
            house = await stack.enter_async_context(serving(storage))
            address = house.http.base_url
            async with httpx.AsyncClient(base_url=address) as client:
                idle, writer = await asyncio.open_connection(address.host, address.port)
                asking = asyncio.create_task(client.get("/ready"))
                await storage.asked.wait()
                stopping = asyncio.create_task(stack.aclose())
                assert await idle.read() == b""
                writer.close()
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection(address.host, address.port)
                storage.answer.set()
                assert (await asking).status_code == 200
                await stopping

    run(story())


def test_a_request_that_takes_too_long_is_cut() -> None:
    """R28: the stop has an end, whatever is asked."""

    async def story() -> None:
        storage = PatientStorage()
        async with serving(storage) as house:
            before = asyncio.all_tasks()
            async with (
                httpx.AsyncClient() as client,
                listen(app_of(house), HERE, 0, drain_s=0.05) as (host, port),
            ):
                asking = asyncio.create_task(client.get(f"http://{host}:{port}/ready"))
                await storage.asked.wait()
            with pytest.raises(httpx.TransportError):
                await asking
            assert asyncio.all_tasks() == before

    run(story())


def test_sockets_are_told_to_come_back() -> None:
    """R28: 1012 for every socket, live or not, and the changes before it."""

    async def story() -> None:
        async with AsyncExitStack() as stack:
            house = await stack.enter_async_context(serving())
            async with live_screen(house.ana) as ana, screen(house.carla) as carla:
                await house.ana.post("/api/leads", name="Luz")
                stopping = asyncio.create_task(stack.aclose())
                assert (await ana.hear())["event"] == "lead_update"
                for there in (ana, carla):
                    frame = await there.hear()
                    assert frame["event"] == "reconnect"
                    assert 0 <= frame["data"]["after_ms"] < 10_000
                    assert await there.goodbye() == RESTART
                await stopping

    run(story())


@pytest.mark.parametrize("run_", [run, asyncio.run])
def test_nothing_is_left(run_: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """No task survives: of idle, half-open and silent connections, of live and closed sockets."""

    async def story() -> None:
        before = asyncio.all_tasks()
        async with AsyncExitStack() as stack:
            house = await stack.enter_async_context(serving())
            host, port = house.http.base_url.host, house.http.base_url.port
            for said in (
                b"",
                b"GET /health HT",
                b"POST /api/tags HTTP/1.1\r\nContent-Length: 9\r\n",
            ):
                _, writer = await asyncio.open_connection(host, port)
                writer.write(said)
                stack.callback(writer.close)
            async with live_screen(house.ana), screen(house.beto), live_screen(house.carla) as c:
                await c.socket.close()
                await stack.aclose()
        assert asyncio.all_tasks() == before

    run_(story())
    gc.collect()


def test_a_failure_inside_is_a_stop_too() -> None:
    """R28: an exception of the caller passes on after everything was closed."""

    async def story() -> None:
        async with serving() as house:
            before, app = asyncio.all_tasks(), app_of(house)
            with pytest.raises(ZeroDivisionError):
                await fail_inside(app)
            assert asyncio.all_tasks() == before
            assert not is_registered(app)

    run(story())


def app_of(house: House) -> App:
    """Return another application over the services of a house."""
    return create_app(house.services, Settings(), Metrics())


async def fail_inside(app: App) -> None:
    """Listen, let somebody connect, and fail."""
    async with listen(app, HERE, 0) as (host, port):
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        raise ZeroDivisionError


def is_registered(app: App) -> bool:
    """Return whether Sanic still knows the application."""
    try:
        return Sanic.get_app(app.name) is app
    except SanicException:
        return False
