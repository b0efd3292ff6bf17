"""Forms that are read as they come: short fields first, then one file, of which little is held."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from clarin_core.errors import Invalid, Malformed
from clarin_server.http.forms import HEAD_BYTES_MAX, Part, read_head, unreadable

_FIELDS_MAX: Final = 8
_FIELD_BYTES_MAX: Final = 4096
_FILE = "file"
_END = b"--"


class FormStream:
    """A form on its way in: what comes before the file is in `fields` when `open` returns."""

    def __init__(self, parts: AsyncIterator[bytes], boundary: bytes) -> None:
        self._parts = parts
        self._mark = b"\r\n--" + boundary
        self._held = b"\r\n"  # The first boundary may stand at the very beginning.
        self.fields: dict[str, Part] = {}

    async def open(self) -> Part:
        """Return the file, without its content; raises Invalid when there is none, Malformed."""
        await self._up_to(self._mark, HEAD_BYTES_MAX)
        while not await self._is_at_end():
            part = read_head(await self._up_to(b"\r\n\r\n", HEAD_BYTES_MAX))
            if part.name == _FILE and part.filename is not None:
                return part
            if part.name in self.fields:
                raise Malformed(part.name[:64], "is given more than once")
            if len(self.fields) == _FIELDS_MAX:
                raise unreadable()
            content = await self._up_to(self._mark, _FIELD_BYTES_MAX)
            self.fields[part.name] = part._replace(content=content)
        raise Invalid(_FILE, "is needed")

    async def content(self) -> AsyncGenerator[bytes, None]:
        """Give the file's content; raises Malformed where it breaks off, Invalid for what follows.

        So who keeps it keeps nothing of a form that is not whole.
        """
        while (end := self._held.find(self._mark)) < 0:
            ready = len(self._held) - len(self._mark) + 1
            if ready > 0:
                piece, self._held = self._held[:ready], self._held[ready:]
                yield piece
            await self._more()
        if end:
            yield self._held[:end]
        self._held = self._held[end + len(self._mark) :]
        if not await self._is_at_end():
            raise Invalid(_FILE, "must be the last field of the form")
        async for _ in self._parts:  # What follows the end belongs to nothing.
            pass

    async def _is_at_end(self) -> bool:
        while len(self._held) < len(_END):
            await self._more()
        return self._held.startswith(_END)

    async def _up_to(self, mark: bytes, bound: int) -> bytes:
        """Return what comes before a mark, and drop both."""
        while (at := self._held.find(mark)) < 0:
            if len(self._held) > bound + len(mark):
                raise unreadable()
            await self._more()
        found, self._held = self._held[:at], self._held[at + len(mark) :]
        if len(found) > bound:
            raise unreadable()
        return found

    async def _more(self) -> None:
        part = await anext(self._parts, None)
        if part is None:
            raise unreadable()
        self._held += part
