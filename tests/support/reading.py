"""A client that sends bytes as it likes, and takes answers apart as bytes."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.serving import House, Person

_ID = re.compile(rb"\b[0-9a-f]{16}\b")
_LENGTH = re.compile(rb"content-length: ([0-9]+)\r\n", re.IGNORECASE)
_PATIENCE_S = 10.0


def request(person: Person, path: str, *headers: str, method: str = "GET") -> bytes:
    """Return a request without a body, as one may send it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: clarin", f"Authorization: Bearer {person.token}"]
    return ("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode()


class Line:
    """A connection: what was sent on it, in which pieces, is the caller's business."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send pieces so that each is read by itself."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            for _ in range(20):
                await asyncio.sleep(0)

    async def answer(self, *, is_head: bool = False) -> bytes:
        """Return the next answer without what is another each time; nothing if it hung up."""
        async with asyncio.timeout(_PATIENCE_S):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as error:
                return error.partial
            found = _LENGTH.search(head)
            size = int(found[1]) if found and not is_head else 0
            return _ID.sub(b"(new)", head + await self._reader.readexactly(size))

    async def ask(self, *pieces: bytes, is_head: bool = False) -> bytes:
        """Send pieces and return the answer to them."""
        await self.send(*pieces)
        return await self.answer(is_head=is_head)


@asynccontextmanager
async def line(house: House) -> AsyncIterator[Line]:
    """Connect to a house."""
    url = house.http.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
