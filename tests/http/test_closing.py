"""Sockets that the server closes: ended sign-ins, clients that do not read."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from clarin_core.domain.actor import Actor
from clarin_core.domain.leads import LeadChange, NewLead
from clarin_server.http.socket import DEAD, ENDED, SLOW, Socket
from support.screen import live_screen, run, screen
from support.serving import PASSWORD, House, now, serving
from support.wire import Wire, wire

END_SIGN_IN: list[Callable[[House], Awaitable[object]]] = [
    lambda house: house.beto.post("/api/auth/logout"),
    lambda house: house.ana.ask(
        "DELETE", f"/api/admin/users/{house.beto.user_id}/accounts/{house.beto.account_id}"
    ),
    lambda house: house.ana.put(f"/api/admin/users/{house.beto.user_id}", is_active=False),
    lambda house: house.ana.put(f"/api/admin/users/{house.beto.user_id}", password="otra clave"),
    lambda house: house.beto.put(
        "/api/settings/password", current_password=PASSWORD, new_password="otra clave"
    ),
]


@pytest.mark.parametrize("end", END_SIGN_IN)
def test_an_ended_sign_in_loses_its_sockets(end: Callable[[House], Awaitable[object]]) -> None:
    """R24: log-out, removed membership, disabled user, new password; others stay."""

    async def story() -> None:
        async with (
            serving() as house,
            live_screen(house.ana) as ana,
            live_screen(house.beto) as live,
            screen(house.beto) as greeted,
        ):
            await end(house)
            await house.hub.check_sign_ins()
            assert await live.goodbye() == ENDED
            assert await greeted.goodbye() == ENDED
            await ana.settle()

    run(story())


def test_an_account_that_is_closed_loses_all_its_sockets() -> None:
    """TN4: nobody works in an inactive account."""

    async def story() -> None:
        async with (
            serving() as house,
            live_screen(house.ana) as ana,
            live_screen(house.carla) as carla,
        ):
            path = f"/api/admin/accounts/{house.carla.account_id}"
            await house.ana.put(path, is_active=False)
            await house.hub.check_sign_ins()
            assert await carla.goodbye() == ENDED
            assert await ana.settle() == []

    run(story())


def test_a_socket_lasts_as_long_as_an_access_token() -> None:
    """Section 9: the expiry of the credential closes the socket."""

    async def story() -> None:
        waited = timedelta()
        async with serving(clock=lambda: now() + waited) as house, live_screen(house.ana) as ana:
            waited = timedelta(minutes=14)
            await house.hub.check_sign_ins()
            assert await ana.settle() == []
            waited = timedelta(minutes=15)
            await house.hub.check_sign_ins()
            assert await ana.goodbye() == ENDED

    run(story())


def test_sign_ins_are_checked_by_themselves() -> None:
    """R24: nobody has to ask; the bound of five seconds is the pause between two checks."""

    async def story() -> None:
        async with serving() as house, live_screen(house.beto) as beto:
            await house.beto.post("/api/auth/logout")
            assert await beto.goodbye() == ENDED

    run(story())


def test_who_does_not_read_is_closed_and_delays_nobody() -> None:
    """R9: 4008 for the one, every frame for the others; what was not read is in the log."""

    async def story() -> None:
        async with serving() as house, live_screen(house.beto) as beto:
            start = beto.hello["data"]["seq"]
            hearing = asyncio.create_task(beto.until(start + 300))
            async with screen(house.ana, sock=narrow(house), max_queue=1) as slow:
                await slow.settle()
                await write_large(house, 300)
                assert [frame["seq"] for frame in await hearing] == [*range(start + 1, start + 301)]
                assert slow_consumers(house) == 1
                read = [frame["seq"] async for frame in slow.rest()]
                assert await slow.goodbye() == SLOW
            async with screen(house.ana) as back:
                missed = [frame["seq"] for frame in await back.resume(read[-1])]
                assert read + missed == [*range(start + 1, start + 301)]

    run(story())


def test_who_does_not_read_a_replay_waits_alone() -> None:
    """R9: catching up keeps pace with the client; the others hear and write meanwhile."""

    async def story() -> None:
        async with serving() as house:
            await write_large(house, 300)
            async with (
                live_screen(house.beto) as beto,
                screen(house.ana, sock=narrow(house), max_queue=1) as slow,
            ):
                end = beto.hello["data"]["seq"]
                await slow.say("resume", after=0)
                await write_large(house, 10)
                assert len(await beto.until(end + 10)) == 10
                replayed = [frame["seq"] for frame in await slow.until(end + 10)]
                assert replayed == [*range(1, end + 11)]
                assert slow_consumers(house) == 0

    run(story())


def narrow(house: House) -> socket.socket:
    """Return a connection that takes little at a time."""
    there = socket.socket()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    there.connect((house.http.base_url.host, house.http.base_url.port))
    there.setblocking(False)
    return there


async def write_large(house: House, changes: int) -> None:
    """Make a lead and change it; each frame has as much text as may be."""
    ana = Actor(account_id=house.ana.account_id, user_id=house.ana.user_id)
    lead = await house.services.leads.create(ana, NewLead(name="Luz"))
    for number in range(1, changes):
        notes = f"{number} ".ljust(10_000, "💬")
        await house.services.leads.update(ana, lead.id, LeadChange(notes=notes))
        await asyncio.sleep(0)


def slow_consumers(house: House) -> int:
    """Return how many sockets were closed for not reading."""
    name = "clarin_slow_consumers_closed_total "
    lines = house.metrics.text().decode().splitlines()
    (line,) = (line for line in lines if line.startswith(name))
    return int(float(line.removeprefix(name)))


def test_who_gives_no_sign_of_life_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 9: nothing was heard for a minute, not even the answer to a ping."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            await house.hub.check_pulse()
            await ana.settle()
            monkeypatch.setattr(Socket, "silence_s", 60.1)
            await house.hub.check_pulse()
            assert await ana.goodbye() == DEAD

    run(story())


def test_every_socket_is_pinged() -> None:
    """Section 9: proxies keep a connection on which something happens; clients answer."""

    async def story() -> None:
        async with serving() as house, wire(house) as line:
            await greeted(house, line)
            await house.hub.check_pulse()
            assert await line.take(2) == PING

    run(story())


def test_who_reads_slowly_is_pinged_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 9: until too much waits for it, it is not to be taken for dead.

    The bound is raised here, because nobody can tell how much the kernel takes off the buffer.
    """

    async def story() -> None:
        async with serving() as house, wire(house, sock=narrow(house)) as line:
            await greeted(house, line)
            await line.send(SETTLE)
            await frame(line)
            await write_large(house, 200)
            await house.hub.check_pulse()
            await write_large(house, 1)
            heard = [await frame(line) for _ in range(202)]
            assert heard.index(PING) == 200

    monkeypatch.setattr("clarin_server.http.socket._BUFFER_BYTES_MAX", 2**30)
    run(story())


PING = b"\x89\x00"
SETTLE = b"\x81\x90\0\0\0\0" + b'{"event":"ping"}'


async def greeted(house: House, line: Wire) -> None:
    """Open a socket, and hear its hello."""
    ticket = (await house.ana.post("/api/auth/ws-ticket"))["ticket"]
    await line.send(
        f"GET /ws?ticket={ticket} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert (await line.head()).startswith(b"HTTP/1.1 101 ")
    await frame(line)


async def frame(line: Wire) -> bytes:
    """Return the next frame."""
    head = await line.take(2)
    if head[1] < 126:
        return head + await line.take(head[1])
    size = await line.take(2 if head[1] == 126 else 8)
    return head + size + await line.take(int.from_bytes(size))
