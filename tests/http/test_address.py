"""Where a request comes from: nobody is believed but the named proxies, about whom they saw."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sanic import Request
from sanic.compat import Header

from clarin_core.domain.sign_in import TRIES_PER_ADDRESS
from clarin_core.testing.watch import Watch
from clarin_memory import MemoryLimiter
from clarin_server.http.address import address_of
from clarin_server.settings import ADDRESS_REQUESTS, Settings
from support.houses import refused
from support.serving import House, serving

TRUSTED = ("10.0.0.7", "172.20.0.0/16", "2001:db8:7::/64")
PEERS = st.sampled_from(["10.0.0.7", "172.20.3.4", "2001:db8:7::1", "::ffff:10.0.0.7"])


def found(peer: str, *forwarded: str, proxies: tuple[str, ...] = TRUSTED) -> str:
    headers = Header([("X-Forwarded-For", text) for text in forwarded])
    request = SimpleNamespace(ip=peer, headers=headers)
    return address_of(cast("Request", request), Settings(trusted_proxies=proxies).proxies)


@pytest.mark.parametrize(
    ("ip", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::3", "20010db800010002/64"),
        ("2001:db8:1:2:ffff::1", "20010db800010002/64"),
        ("2001:db8:1:3::3", "20010db800010003/64"),
        ("fe80::1%eth0", "fe80000000000000/64"),
    ],
)
def test_an_address_is_what_one_subscriber_has(ip: str, address: str) -> None:
    """Otherwise who has IPv6 has 2**64 limits; a proxy may say it as well as a peer."""
    assert found(ip) == address
    assert found("10.0.0.7", ip) == (address or "10.0.0.7")


@pytest.mark.parametrize("peer", ["192.0.2.7", "10.0.0.8", "172.21.0.1", "2001:db8:8::1", ""])
def test_a_stranger_is_not_believed(peer: str) -> None:
    """Whatever header it sends, it has its own address; so it has where no proxy is named."""
    for said in ("198.51.100.1", "10.0.0.7", "198.51.100.1, 10.0.0.7", "unknown"):
        assert found(peer, said) == found(peer)
    assert found("10.0.0.7", "198.51.100.1", proxies=()) == "10.0.0.7"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (["198.51.100.1"], "198.51.100.1"),
        (["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        (["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        (["203.0.113.9,198.51.100.1,172.20.0.9"], "198.51.100.1"),
        (["203.0.113.9, 198.51.100.1", "172.20.0.9 ,\t2001:db8:7::5"], "198.51.100.1"),
        (["10.0.0.7, 198.51.100.1"], "198.51.100.1"),
        (["198.51.100.1, 2001:db8:9::1"], "20010db800090000/64"),
        (["172.20.0.8, 172.20.0.9"], "172.20.0.8"),
        (["::ffff:172.20.0.9"], "172.20.0.9"),
    ],
)
def test_a_proxy_is_believed_about_whom_it_saw(forwarded: list[str], address: str) -> None:
    """The right-most who is no proxy; what stands left of it, in whichever line, is only said."""
    assert found("10.0.0.7", *forwarded) == address


@pytest.mark.parametrize(
    "entry",
    ["", " ", "unknown", "_hidden", "198.51.100", "198.51.100.1:80", "[2001:db8::1]", "0x7f.1",
     "198.51.100.01", "198.51.100.1/32", "198.51.100.1;", "1" * 4000, "١٩٨.51.100.1", "\udcff"],
)  # fmt: skip
def test_what_is_no_address_is_not_believed(entry: str) -> None:
    """The last proxy counts, and nothing left of the entry does."""
    assert found("10.0.0.7", entry) == "10.0.0.7"
    assert found("10.0.0.7", f"198.51.100.1, {entry}") == "10.0.0.7"
    assert found("10.0.0.7", f"198.51.100.1, {entry}, 172.20.0.9") == "172.20.0.9"


@given(peer=PEERS, said=st.lists(st.text(st.characters(codec="latin-1"), max_size=40), max_size=4))
def test_nothing_that_a_client_says_hides_it(peer: str, said: list[str]) -> None:
    """A proxy appends whom it saw, to the line or as a line of its own."""
    assert found(peer, *said, "198.51.100.1") == "198.51.100.1"
    assert found(peer, ",".join([*said, "198.51.100.1"])) == "198.51.100.1"


def test_the_shipped_proxy_appends_whom_it_sees() -> None:
    """In nginx a location that sets any header inherits none, and hands on what a client sent."""
    text = (Path(__file__).parents[2] / "deploy/nginx.conf").read_text()
    passing = [one for one in re.findall(r"location [^{]*{([^}]*)}", text) if "proxy_pass" in one]
    assert len(passing) == text.count("proxy_pass ")
    for location in passing:
        assert "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;" in location
        assert "proxy_set_header Host $http_host;" in location


async def ask(house: House, path: str, forwarded: str, **said: str) -> httpx.Response:
    return await house.http.post(path, json=said, headers={"X-Forwarded-For": forwarded})


def tell(story: Callable[[House], Awaitable[None]]) -> None:
    """Run a story in a house with limits that believes who asks it, and whose time stands still."""

    async def told() -> None:
        clock = Watch()
        limiter = MemoryLimiter(clock)
        async with serving(clock=clock, limiter=limiter, trusted_proxies=("127.0.0.1",)) as house:
            await story(house)

    asyncio.run(told())


def test_behind_a_proxy_each_client_has_a_rate_of_its_own() -> None:
    """For requests and sockets; who has used it up gains nothing by what it says."""

    async def story(house: House) -> None:
        async def renew(forwarded: str) -> httpx.Response:
            return await ask(house, "/api/auth/refresh", forwarded, refresh_token="x")

        for number in range(ADDRESS_REQUESTS.burst):
            refused(await renew(f"203.0.113.{number}, 198.51.100.1"), 401, "unauthorized")
        for said in ("198.51.100.1", "203.0.113.200,198.51.100.1"):
            refused(await renew(said), 429, "rate_limited")
            headers = {"X-Forwarded-For": said, "Authorization": "Bearer x"}
            refused(await house.http.get("/ws", headers=headers), 429, "rate_limited")
        refused(await renew("198.51.100.2"), 401, "unauthorized")

    tell(story)


def test_behind_a_proxy_each_client_has_tries_of_its_own() -> None:
    """R25: neither do others pay for who guesses, nor does a header buy a guess."""

    async def story(house: House) -> None:
        async def guess(number: int, forwarded: str) -> httpx.Response:
            said = {"username": f"nadie{number}", "password": "x"}
            return await ask(house, "/api/auth/login", forwarded, **said)

        for number in range(TRIES_PER_ADDRESS.count):
            said = f"203.0.113.{number}, 198.51.100.1"
            refused(await guess(number, said), 401, "unauthorized")
        refused(await guess(50, "203.0.113.200, 198.51.100.1"), 429, "rate_limited")
        refused(await guess(51, "198.51.100.2"), 401, "unauthorized")

    tell(story)
