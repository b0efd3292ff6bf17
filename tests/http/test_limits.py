"""How much users, addresses and new sockets may ask: 429 and 503, each with Retry-After."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from clarin_core.testing.watch import Watch
from clarin_memory import MemoryLimiter
from clarin_server.settings import (
    ADDRESS_REQUESTS,
    HANDSHAKE_RETRY_S_MAX,
    HANDSHAKES,
    USER_REQUESTS,
)
from support.houses import refused
from support.serving import House, Person, serving

FREE = ("/health", "/ready", "/metrics", "/docs", "/openapi.json")
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def tell(story: Callable[[House, Watch], Awaitable[None]], **settings: Any) -> None:
    """Run a story in a house with limits, whose time stands still."""

    async def told() -> None:
        clock = Watch()
        async with serving(clock=clock, limiter=MemoryLimiter(clock), **settings) as house:
            clock.forward(minutes=1)
            await story(house, clock)

    asyncio.run(told())


async def use_up(ask: Callable[[], Awaitable[httpx.Response]], count: int, status: int) -> None:
    """Ask as often as one may; then nothing else than 429 comes, with the time to wait."""
    for _ in range(count):
        assert (await ask()).status_code == status
    answer = await ask()
    refused(answer, 429, "rate_limited")
    assert answer.headers["retry-after"] == "1"


def me(person: Person) -> Callable[[], Awaitable[httpx.Response]]:
    return lambda: person.ask("GET", "/api/me")


async def knock(house: House, bearer: str = "x") -> httpx.Response:
    headers = UPGRADE | {"Authorization": f"Bearer {bearer}"}
    return await house.http.get("/ws", headers=headers)


async def guess(house: House) -> httpx.Response:
    return await house.http.get("/api/me", headers={"Authorization": "Bearer x"})


async def renew(house: House, text: str = "x") -> httpx.Response:
    return await house.http.post("/api/auth/refresh", json={"refresh_token": text})


def test_a_user_has_a_rate_and_a_burst() -> None:
    """Whatever is asked; nobody else pays for it, not even the neighbour at the next desk."""

    async def story(house: House, clock: Watch) -> None:
        await use_up(me(house.beto), USER_REQUESTS.burst, 200)
        refused(await house.beto.ask("GET", "/api/leads/9"), 429, "rate_limited")
        refused(await house.beto.ask("POST", "/api/import/csv"), 429, "rate_limited")
        for other in (house.ana, house.carla):
            assert (await other.ask("GET", "/api/me")).status_code == 200
        assert (await renew(house, house.beto.refresh_token)).status_code == 200
        clock.forward(seconds=0.1)
        await use_up(me(house.beto), 5, 200)

    tell(story)


def test_a_refusal_is_counted_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """An operator sees how many there are, and which account they concern."""

    async def story(house: House, _: Watch) -> None:
        await use_up(me(house.beto), USER_REQUESTS.burst, 200)
        counted = (await house.http.get("/metrics")).text
        labels = 'method="GET",route="/api/me",status="429"'
        assert f"clarin_http_requests_total{{{labels}}} 1.0" in counted
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "status=429" in line]
        assert f"account_id={house.beto.account_id} " in f"{line} "

    tell(story)


def test_a_user_has_a_rate_in_each_account() -> None:
    """No limit crosses accounts: who works in two has two."""

    async def story(house: House, _: Watch) -> None:
        ana = house.ana
        place = {"account_id": house.carla.account_id, "role": "agent"}
        await ana.post(f"/api/admin/users/{ana.user_id}/accounts", **place)
        told = await ana.post("/api/auth/switch-account", account_id=house.carla.account_id)
        there = Person(house.http, told["account_id"], ana.user_id, told["token"], "")
        await use_up(me(ana), USER_REQUESTS.burst - 2, 200)
        await use_up(me(there), USER_REQUESTS.burst, 200)

    tell(story)


@pytest.mark.parametrize(("ask", "status"), [(guess, 401), (renew, 401), (knock, 401)])
def test_an_address_has_a_rate_while_nobody_is_known(
    ask: Callable[[House], Awaitable[httpx.Response]], status: int
) -> None:
    """Credentials that do not count, public operations and sockets share it; users do not."""

    async def story(house: House, clock: Watch) -> None:
        await use_up(lambda: ask(house), ADDRESS_REQUESTS.burst, status)
        said = {"username": "nadie", "password": "x"}
        refused(await house.http.post("/api/auth/login", json=said), 429, "rate_limited")
        for other in (guess(house), renew(house), knock(house, house.ana.token)):
            refused(await other, 429, "rate_limited")
        assert (await house.ana.ask("GET", "/api/me")).status_code == 200
        clock.forward(seconds=0.1)
        await use_up(lambda: ask(house), 2, status)

    tell(story)


def test_probes_and_documents_are_free() -> None:
    """A monitor behind a busy address is answered."""

    async def story(house: House, _: Watch) -> None:
        await use_up(lambda: guess(house), ADDRESS_REQUESTS.burst, 401)
        for path in FREE * 30:
            assert (await house.http.get(path)).status_code == 200

    tell(story)


def test_sockets_open_at_a_bounded_rate() -> None:
    """2.3: after a restart all come at once; who is sent away comes back at various moments."""

    async def story() -> None:
        clock = Watch()
        async with serving(clock=clock, rate_limits="on") as house:
            for _ in range(HANDSHAKES.burst):
                refused(await knock(house), 401, "unauthorized")
            answers = [await knock(house) for _ in range(40)]
            for answer in answers:
                refused(answer, 503, "unavailable")
            waits = {int(answer.headers["retry-after"]) for answer in answers}
            assert len(waits) > 1
            assert waits <= set(range(1, HANDSHAKE_RETRY_S_MAX + 1))
            assert (await house.ana.ask("GET", "/api/me")).status_code == 200
            clock.forward(seconds=0.01)
            assert [(await knock(house)).status_code for _ in range(3)] == [401, 401, 503]

    asyncio.run(story())


def test_where_limits_are_off_sockets_open_at_any_rate() -> None:
    """CLARIN_RATE_LIMITS=off: for load tests."""

    async def story() -> None:
        async with serving(clock=Watch(), rate_limits="off") as house:
            for _ in range(HANDSHAKES.burst + 20):
                refused(await knock(house), 401, "unauthorized")

    asyncio.run(story())
