"""One thing after the other, while a device is connected and there is something to do."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Rounds:
    """Calls `do_one` until it has nothing more to do, and then whenever it is stirred."""

    do_one: Callable[[], Awaitable[bool]]
    _is_online: bool = False
    _is_closing: bool = False
    _stirred: asyncio.Event = field(default_factory=asyncio.Event)

    def stir(self) -> None:
        """Look whether there is something to do."""
        self._stirred.set()

    def go_online(self, is_online: bool) -> None:
        """Work while the device is connected, and wait while it is not."""
        self._is_online = is_online
        self._stirred.set()

    def close(self) -> None:
        """Begin nothing more."""
        self._is_closing = True
        self._stirred.set()

    async def work(self) -> None:
        """Work until closed."""
        while not self._is_closing:
            self._stirred.clear()
            if not (self._is_online and await self.do_one()):
                await self._stirred.wait()
