"""A stage for a device's host: the library's own client, whose foreign half is played.

Loads the library, as `support.protobuf` does.
"""

import asyncio
import ctypes
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from clarin_core.ports.messaging import Session
from clarin_core.testing.messaging_stage import Ear
from clarin_whatsapp.messaging import NeonizeSession
from support.protobuf import E, N, filled

pytest.importorskip("support.protobuf")

from neonize.aioze import events as library
from neonize.aioze.client import NewAClient
from neonize.events import EVENT_TO_INT

from clarin_whatsapp.host.device import DeviceHost


class Go:
    """The foreign half of the library: writes down what it is asked, answers as it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers: dict[str, bytes] = {"SendMessage": sent("3EB0NEW")}
        self.is_over = asyncio.Event()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[bytes]]:
        async def call(*given: Any) -> bytes:
            self.calls.append((name, *given))
            if name == "Stop":
                self.is_over.set()
            if name == "Neonize":
                await self.is_over.wait()
            return self.answers.get(name, b"")

        return call

    def asked(self, name: str) -> tuple[Any, ...]:
        """Return what was given with the one call of that name."""
        (given,) = (call[1:] for call in self.calls if call[0] == name)
        return given

    def message(self) -> Any:
        """Return the message that was sent."""
        return E.Message.FromString(self.asked("SendMessage")[3])


class Stage:
    """A device at work, and the session of whoever started it."""

    def __init__(self, session: Session, client: Any, go: Go) -> None:
        self.session = session
        self.ear = Ear(session)
        self.client = client
        self.go = go

    def fire(self, event: Any) -> None:
        """Tell of an event as the library does; called by a thread of its own."""
        raw = event.SerializeToString()
        held = ctypes.create_string_buffer(raw, len(raw))
        code = EVENT_TO_INT[type(event)]
        self.client.event.execute(0, ctypes.addressof(held), len(raw), code)

    async def happens(self, *events: Any) -> None:
        """Tell of events, one after the other."""
        for event in events:
            await asyncio.to_thread(self.fire, event)


Story = Callable[[Stage], Awaitable[None]]


def sent(name: str, error: str = "") -> bytes:
    """Return what the foreign half answers to a message."""
    answer = N.SendResponse(ID=name, Timestamp=1_795_000_000)
    done = filled(N.SendMessageReturnFunction(SendResponse=answer, Error=error))
    return bytes(done.SerializeToString())


@asynccontextmanager
async def at_work() -> AsyncIterator[Stage]:
    """Have a device at work until its session ends."""
    ours, theirs = socket.socketpair()
    client, go = NewAClient("unused.db", uuid="device", new_device=True), Go()
    client._stop_finalizer.detach()
    client._NewAClient__client = client.contact._ContactStore__client = go
    reader, writer = await asyncio.open_connection(sock=theirs)

    host = DeviceHost(client, reader, writer)

    async def run() -> None:
        await host.run()
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group, NeonizeSession(ours, call_s=30) as session:
        group.create_task(run())
        yield Stage(session, client, go)


def tell(story: Story) -> None:
    """Run a story with a device at work.

    The library remembers the first loop for ever: it takes that of each story.
    """

    async def told() -> None:
        async with asyncio.timeout(30), at_work() as stage:
            await story(stage)

    library.event_global_loop = None
    try:
        asyncio.run(told())
    finally:
        library.event_global_loop = None
