"""One request to Kommo and its answer, both bounded; what comes of it is judged elsewhere."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Self

import httpx

from clarin_core.ports.crm import CrmGarbage, CrmUnreachable

CONNECT_S = 5.0  # As the vendor's own library has it, and so the next one.
TOTAL_S = 20.0
BODY_BYTES_MAX = 8 * 1024 * 1024
CONNECTIONS_MAX = 32
_IDLE_S = 60.0

Params = tuple[tuple[str, str], ...]


class TimedOut(CrmUnreachable):
    """No answer within the time; the request may still arrive."""


class Answer(NamedTuple):
    """What was answered; `at` is the other side's clock, `is_json` its own word."""

    status: int
    is_json: bool
    body: bytes
    at: datetime | None
    retry_after: str | None


class Transport:
    """Sends requests, without redirects: an async context manager."""

    def __init__(self, *, total_s: float = TOTAL_S) -> None:
        self._total_s = total_s
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(self._total_s, connect=min(CONNECT_S, self._total_s)),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, keepalive_expiry=_IDLE_S),
            headers={"User-Agent": "clarin", "Accept-Encoding": "gzip"},
            follow_redirects=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def get(self, url: str, params: Params, token: str) -> Answer:
        """Ask for something; raises TimedOut, CrmUnreachable or CrmGarbage."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/hal+json"}
        request = self._opened().build_request("GET", url, params=params, headers=headers)
        return await self._send(request)

    async def post(self, url: str, content: Mapping[str, str]) -> Answer:
        """Exchange tokens, which is all that is ever posted; raises as `get` does."""
        return await self._send(self._opened().build_request("POST", url, json=content))

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            raise CrmUnreachable
        return self._client

    async def _send(self, request: httpx.Request) -> Answer:
        try:
            async with asyncio.timeout(self._total_s):
                response = await self._opened().send(request, stream=True)
                async with aclosing(response):
                    return _answer(response, await _body(response))
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise TimedOut from error
        except httpx.TransportError as error:
            raise CrmUnreachable from error


def _answer(response: httpx.Response, body: bytes) -> Answer:
    headers = response.headers
    return Answer(
        status=response.status_code,
        is_json="json" in headers.get("Content-Type", ""),
        body=body,
        at=http_date(headers.get("Date", "")),
        retry_after=headers.get("Retry-After"),
    )


def http_date(text: str) -> datetime | None:
    """Return the moment that a header names, None if it names none."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


async def _body(response: httpx.Response) -> bytes:
    """Return a body; raises CrmGarbage for one that is too large or cut off.

    Unpacked here, because a library would unpack a small part to whatever is in it.
    """
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding == "gzip":
        return await unpacked(response.aiter_raw())
    if encoding != "identity":
        raise CrmGarbage
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        _bound(body)
    return bytes(body)


async def unpacked(parts: AsyncIterator[bytes]) -> bytes:
    """Return what was packed; raises CrmGarbage as soon as it is too large, and for no end."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    body = bytearray()
    try:
        async for part in parts:
            body += unpacker.decompress(part, BODY_BYTES_MAX + 1 - len(body))
            _bound(body)
    except zlib.error as error:
        raise CrmGarbage from error
    if not unpacker.eof:
        raise CrmGarbage
    return bytes(body)


def _bound(body: bytearray) -> None:
    if len(body) > BODY_BYTES_MAX:
        raise CrmGarbage
