"""Fetching from addresses that a stranger chose, without being led into our own network.

The name is looked up here, once, and the connection is made to the very number that was checked:
the request is addressed to the number, and carries the name for the certificate and the host.
So a name that answers with another number a moment later leads nowhere. The library's client,
which follows, remembers and obeys the environment, is left out: one request goes through its
transport, over a connection that nobody uses again, since it was verified for this name only.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_address
from ssl import SSLContext, create_default_context
from typing import Final, Self, TypeVar

import httpx

from clarin_core.domain.web_address import HTTPS_PORT, WebAddress, is_public
from clarin_core.errors import Invalid, TooLarge
from clarin_core.ports.web import FETCH_BYTES_MAX, FETCH_S_MAX, Web

FIELD: Final = "url"

_NUMBERS_TRIED = 3
_FETCHES_MAX = 16  # At once, in one process.
_TIMEOUTS = {"connect": 3.0, "read": FETCH_S_MAX, "write": 3.0, "pool": FETCH_S_MAX}

Resolve = Callable[[str], Awaitable[list[str]]]
T = TypeVar("T")


class HttpsWeb(Web):
    """Asks one host for one thing, and forgets it."""

    def __init__(
        self,
        *,
        resolve: Resolve | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        seconds: float = FETCH_S_MAX,
    ) -> None:
        self._resolve = resolve or _look_up
        self._transport = transport
        self._seconds = seconds

    async def __aenter__(self) -> Self:
        """Read the certificates that the machine trusts."""
        if self._transport is None:
            self._transport = transport_with(await asyncio.to_thread(create_default_context))
        return self

    async def __aexit__(self, *_: object) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def fetch(self, address: WebAddress) -> AsyncGenerator[bytes, None]:
        """Give the bytes that lie there; raises Invalid `url`, TooLarge."""
        until = asyncio.get_running_loop().time() + self._seconds
        response = await _in_time(self._ask(address), until)
        try:
            _check(response)
            size, parts = 0, aiter(_stream(response))
            while (part := await _in_time(anext(parts, None), until)) is not None:
                size += len(part)
                if size > FETCH_BYTES_MAX:
                    raise _too_large()
                yield part
        finally:
            with suppress(httpx.HTTPError):
                await response.aclose()

    async def _ask(self, address: WebAddress) -> httpx.Response:
        """Return the first answer of the numbers that a name has, if all of them are public."""
        assert self._transport is not None, "it is not open"
        try:
            numbers = await self._resolve(address.host)
        except (OSError, UnicodeError):
            numbers = []
        if not numbers:
            raise Invalid(FIELD, "has a host that is not known")
        if not all(map(is_public, numbers)):
            raise Invalid(FIELD, "does not lead to the public internet")
        for number in numbers[:_NUMBERS_TRIED]:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await self._transport.handle_async_request(_request(address, number))
        raise _no_answer()


def transport_with(trusted: SSLContext) -> httpx.AsyncHTTPTransport:
    """Return what connects, trusting these certificates and nothing of the environment.

    No connection is used twice: it was verified for one name, and others share its number.
    """
    limits = httpx.Limits(max_connections=_FETCHES_MAX, max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(verify=trusted, trust_env=False, limits=limits)


def _request(address: WebAddress, number: str) -> httpx.Request:
    """Return a request to a number, for what a name has there."""
    host = f"[{number}]" if ip_address(number).version == 6 else number
    return httpx.Request(
        "GET",
        httpx.URL(f"https://{host}:{HTTPS_PORT}", raw_path=address.target.encode()),
        headers={
            "Host": address.host,
            "User-Agent": "Clarin",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        },
        extensions={"sni_hostname": address.host, "timeout": _TIMEOUTS},
    )


def _check(response: httpx.Response) -> None:
    """Raise Invalid for anything but the thing itself as it is."""
    if response.is_redirect:
        raise Invalid(FIELD, "leads on to another address")
    if response.status_code != 200:
        raise Invalid(FIELD, f"answers with {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Invalid(FIELD, "answers in an encoding that nobody asked for")
    announced = response.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > FETCH_BYTES_MAX:
        raise _too_large()


def _stream(response: httpx.Response) -> AsyncIterator[bytes]:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return aiter(response.stream)


async def _look_up(host: str) -> list[str]:
    """Return the numbers of a name, those of version 4 first: not every machine has a 6."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, HTTPS_PORT, type=socket.SOCK_STREAM)
    numbers = dict.fromkeys(str(address[0]) for *_, address in found)
    return sorted(numbers, key=lambda number: ":" in number)


async def _in_time(work: Awaitable[T], until: float) -> T:
    """Return what comes of some work; raises Invalid when it is too late, or nothing comes."""
    try:
        async with asyncio.timeout_at(until):
            return await work
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise _no_answer() from error


def _no_answer() -> Invalid:
    return Invalid(FIELD, "gives no answer in time, or none that can be read")


def _too_large() -> TooLarge:
    return TooLarge("the file", f"{FETCH_BYTES_MAX // 2**20} MiB")
