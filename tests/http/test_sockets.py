"""`GET /ws`: who may open a socket, and what one may say on it."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from support.screen import live_screen, run, screen
from support.serving import House, now, serving

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


NONSENSE: list[str | bytes] = [
    b'{"event":"ping"}',
    "",
    "ping",
    "[]",
    "7",
    "null",
    "{}",
    '{"event":null}',
    '{"event":"zumba","data":{}}',
    '{"event":"lead_update","data":{}}',
    '{"event":"resume"}',
    '{"event":"resume","data":[]}',
    '{"event":"resume","data":{"after":-1}}',
    '{"event":"resume","data":{"after":9223372036854775808}}',
    '{"event":"resume","data":{"after":1.5}}',
    '{"event":"resume","data":{"after":true}}',
    '{"event":"resume","data":{"after":"1"}}',
    '{"event":"resume","data":{"after":1,"epoch":7}}',
    '{"event":"typing"}',
    '{"event":"typing","data":{"chat_id":0}}',
    '{"event":"typing","data":{"chat_id":"1"}}',
    '{"event":"typing","data":{"chat_id":1,"state":"zumba"}}',
    '{"event":"typing","data":{"chat_id":1,"text":"hola"}}',
    '{"event":"ping","data":' + "[" * 8000 + "]" * 8000 + "}",
    '{"event":"resume","data":{"after":' + "[" * 8000 + "]" * 8000 + "}}",
    '{"event":' + "[" * 8000,
]


@pytest.mark.parametrize("run_", [run, asyncio.run])
def test_a_bearer_header_opens_a_socket(
    run_: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    """Section 9: on the loop of production and on the one of the standard library."""

    async def story() -> None:
        async with serving() as house, knock(house, token=house.ana.token) as socket:
            assert json.loads(await socket.recv())["event"] == "hello"

    run_(story())


def test_a_ticket_opens_one_socket() -> None:
    """Section 9: a ticket counts once."""

    async def story() -> None:
        async with serving() as house:
            ticket = (await house.ana.post("/api/auth/ws-ticket"))["ticket"]
            async with knock(house, f"?ticket={ticket}") as socket:
                assert json.loads(await socket.recv())["event"] == "hello"
            assert await refused(house, f"?ticket={ticket}") == (401, "unauthorized")

    run(story())


def test_a_ticket_counts_for_half_a_minute() -> None:
    """Section 9: a ticket that waited for 30 seconds opens nothing."""

    async def story() -> None:
        waited = timedelta()
        async with serving(clock=lambda: now() + waited) as house:
            ticket = (await house.ana.post("/api/auth/ws-ticket"))["ticket"]
            waited = timedelta(seconds=30)
            assert await refused(house, f"?ticket={ticket}") == (401, "unauthorized")

    run(story())


def test_nobody_comes_in_without_a_credential() -> None:
    """Section 5: refused as plain HTTP, before the upgrade."""

    async def story() -> None:
        async with serving() as house:
            for query in ("", "?ticket=", "?ticket=x", f"?ticket={'x' * 999}", "?token=x"):
                for token in (None, "", "x", "a.b.c"):
                    assert await refused(house, query, token=token) == (401, "unauthorized")

    run(story())


@pytest.mark.parametrize(
    ("origin", "is_welcome"),
    [
        ("https://crm.example", True),
        ("https://crm.example.evil", False),
        ("http://crm.example", False),
        ("https://evil.example", False),
        ("null", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_pages_of_other_origins_stay_outside(origin: str, is_welcome: bool) -> None:
    """Section 9: the origin is checked, whatever the credential; nobody's page is its own."""

    async def story() -> None:
        async with serving(cors_origins=("https://crm.example",)) as house:
            headers = UPGRADE | {"Origin": origin, "Authorization": f"Bearer {house.ana.token}"}
            async with house.http.stream("GET", "/ws", headers=headers) as answer:
                assert answer.status_code == (101 if is_welcome else 403)

    run(story())


def test_a_page_of_the_service_itself_is_welcome() -> None:
    """The documents that Clarin serves may open a socket without being listed."""

    async def story() -> None:
        async with serving() as house:
            own = str(house.http.base_url).rstrip("/")
            async with knock(house, token=house.ana.token, origin=own) as socket:
                assert json.loads(await socket.recv())["event"] == "hello"

    run(story())


@pytest.mark.parametrize(
    "wrong",
    [
        {"Upgrade": "h2c"},
        {"Upgrade": "websocket, h2c"},
        {"Connection": "keep-alive"},
        {"Sec-WebSocket-Version": "12"},
        {"Sec-WebSocket-Key": "x"},
    ],
)
def test_a_handshake_that_is_none_is_refused(wrong: dict[str, str]) -> None:
    """R23: no header makes the service fail."""

    async def story() -> None:
        async with serving() as house:
            answer = await house.ana.ask("GET", "/ws", headers=UPGRADE | wrong)
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")

    run(story())


def test_a_ping_is_answered() -> None:
    """Section 9: at any time, also before the client is live."""

    async def story() -> None:
        async with serving() as house, screen(house.ana) as ana:
            for _ in range(3):
                await ana.say("ping")
                assert await ana.hear() == {"event": "pong", "data": {}}

    run(story())


def test_what_nobody_understands_is_an_error_twice_and_the_end_the_third_time() -> None:
    """R23: an `error` frame each time, 1008 after three; the words are not echoed."""

    async def story() -> None:
        async with serving() as house:
            for said in NONSENSE:
                async with live_screen(house.ana) as ana:
                    for _ in range(3):
                        await ana.socket.send(said)
                        frame = await ana.hear()
                        assert (frame["event"], frame["data"]["code"]) == ("error", "bad_request")
                        assert "zumba" not in frame["data"]["error"]
                    assert await ana.goodbye() == (1008, "bad_frames")

    run(story())


@pytest.mark.parametrize("said", ["x" * 16_385, ["x" * 9000, "x" * 9000], b"x" * 100_000])
def test_a_large_frame_is_the_end(said: Any) -> None:
    """Section 9: 16 KiB, in one piece or in several."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            await ana.socket.send(said)
            assert (await ana.goodbye())[0] == 1009

    run(story())


def test_text_that_is_no_text_is_the_end() -> None:
    """R23: a text frame that is not UTF-8 breaks the protocol."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            await ana.socket.send(b'{"event":"\xff"}', text=True)
            assert (await ana.goodbye())[0] == 1007

    run(story())


def test_who_talks_too_fast_is_cut_off() -> None:
    """Section 5: more than 20 frames a second end in 4029."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            for _ in range(100):
                await ana.say("ping")
            assert await ana.goodbye() == (4029, "too_many_frames")

    run(story())


def test_a_socket_that_goes_is_forgotten() -> None:
    """No client leaves anything behind, however it goes."""

    async def story() -> None:
        async with serving() as house:
            async with live_screen(house.ana), screen(house.carla) as carla:
                assert sockets_open(house) == 2
                carla.socket.transport.abort()
            async with live_screen(house.beto):
                while sockets_open(house) > 1:
                    await asyncio.sleep(0)
            while sockets_open(house) > 0:
                await asyncio.sleep(0)
            assert not house.hub._rooms

    run(story())


def knock(house: House, query: str = "", **headers: Any) -> connect:
    """Return a connection to the socket's address."""
    url = str(house.http.base_url).replace("http", "ws").rstrip("/")
    token, origin = headers.get("token"), headers.get("origin")
    given = {} if token is None else {"Authorization": f"Bearer {token}"}
    return connect(f"{url}/ws{query}", additional_headers=given, origin=origin)


async def refused(house: House, query: str = "", **headers: Any) -> tuple[int, str]:
    """Return the status and the code with which the socket is refused."""
    with pytest.raises(InvalidStatus) as refusal:
        await knock(house, query, **headers)
    answer = refusal.value.response
    assert answer.body is not None
    return answer.status_code, json.loads(answer.body)["code"]


def sockets_open(house: House) -> int:
    """Return how many sockets the service counts."""
    lines = house.metrics.text().decode().splitlines()
    (line,) = (line for line in lines if line.startswith("clarin_sockets_open "))
    return int(float(line.split()[1]))
