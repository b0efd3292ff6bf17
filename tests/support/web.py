"""A web of a few pages, for those who only want to have fetched something."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from clarin_core.domain.web_address import WebAddress
from clarin_core.errors import Invalid
from clarin_core.ports.web import Web

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 24


@dataclass
class SmallWeb(Web):
    """Pages by what follows the host; `closed` counts who was done with one."""

    pages: dict[str, list[bytes]] = field(default_factory=lambda: {"/foto.png": [PNG[:5], PNG[5:]]})
    closed: int = 0

    async def __aenter__(self) -> "SmallWeb":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def fetch(self, address: WebAddress) -> AsyncGenerator[bytes, None]:
        if address.target not in self.pages:
            raise Invalid("url", "answers with 404")
        try:
            for part in self.pages[address.target]:
                await asyncio.sleep(0)
                yield part
        finally:
            self.closed += 1
