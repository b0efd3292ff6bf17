"""Bytes on a connection, for what no HTTP client would send."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.houses import PATIENCE_S
from support.serving import House, Person


class Wire:
    """A connection to the service; what does not come within 10 seconds fails the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, said: bytes) -> None:
        self._writer.write(said)
        await self._writer.drain()

    async def head(self) -> bytes:
        """Return the next status line and headers."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def take(self, size: int) -> bytes:
        """Return the next bytes, so many."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readexactly(size)

    async def rest(self) -> bytes:
        """Return all that comes until the service hangs up."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.read()


@asynccontextmanager
async def wire(house: House, *, sock: socket.socket | None = None) -> AsyncIterator[Wire]:
    """Connect, unless `sock` is connected, and hang up at the end."""
    url = house.http.base_url
    there = {"sock": sock} if sock else {"host": url.host, "port": url.port}
    reader, writer = await asyncio.open_connection(**there)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        await asyncio.wait_for(writer.wait_closed(), PATIENCE_S)


def post(person: Person, path: str, *headers: str) -> bytes:
    """Return the head of a POST of JSON."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {person.token}",
        "Content-Type: application/json",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode("latin-1")


@asynccontextmanager
async def at_work(house: House, body: bytes) -> AsyncIterator[Wire]:
    """Begin to post a lead: the service waits for the body while inside."""
    async with wire(house) as line:
        await line.send(
            post(house.ana, "/api/leads", f"Content-Length: {len(body)}", "Expect: 100-continue")
        )
        assert (await line.head()).startswith(b"HTTP/1.1 100 ")
        yield line
