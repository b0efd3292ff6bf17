"""From the library's threads to the loop: in order, nothing dropped, and no faster than taken.

The library's own way to hand over events loses their order, their errors and any bound.
"""

import asyncio
import ctypes
from datetime import UTC, datetime

from google.protobuf.message import Message as Proto
from neonize.aioze.client import NewAClient
from neonize.events import EVENT_TO_INT, INT_TO_EVENT
from neonize.proto import Neonize_pb2 as N

from clarin_core.ports.messaging import Heard
from clarin_whatsapp.translate import MEANT, code_shown, logged_in

QUEUED_MAX = 256


class Bridge:
    """What the library tells, to be taken one by one; to be made before the client connects."""

    def __init__(self, client: NewAClient) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Proto | Heard | None] = asyncio.Queue(QUEUED_MAX)
        self._has_code = False
        client.event.execute = self._heard
        client.event.qr(self._code)
        client._NewAClient__onLoginStatus = self._login
        client.event.list_func |= dict.fromkeys(EVENT_TO_INT[getattr(N, name)] for name in MEANT)

    @property
    def shows_codes(self) -> bool:
        """Whether the device can be paired now."""
        return self._has_code

    async def take(self) -> Proto | Heard | None:
        """Return the next event, or what it means already; None at the end."""
        return await self._queue.get()

    async def put(self, *what: Heard | None) -> None:
        """Let something be taken after what was told."""
        for one in what:
            await self._queue.put(one)

    def _heard(self, _uuid: int, address: int, size: int, code: int) -> None:
        """Hand over an event; the library waits, and so does WhatsApp in the end.

        Called by a thread of the library, whose memory it is.
        """
        event = INT_TO_EVENT[code].FromString(ctypes.string_at(address, size))
        asyncio.run_coroutine_threadsafe(self._queue.put(event), self._loop).result()

    def _login(self, _uuid: int, status: int) -> None:
        ended = logged_in(ctypes.string_at(status).decode())
        if ended is not None:
            asyncio.run_coroutine_threadsafe(self._queue.put(ended), self._loop).result()

    async def _code(self, _client: NewAClient, code: bytes) -> None:
        shown = code_shown(code, is_first=not self._has_code, now=datetime.now(UTC))
        self._has_code = True
        await self._queue.put(shown)
