"""A client of the WebSocket, as a person's screen is one."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from clarin_core.domain.actor import Actor
from clarin_core.domain.leads import NewLead
from support.serving import House, Person

Frame = dict[str, Any]

_PATIENCE_S = 20


class Screen:
    """What one socket says and hears; `hello` is what it was greeted with."""

    def __init__(self, socket: ClientConnection, hello: Frame) -> None:
        self.socket = socket
        self.hello = hello

    async def say(self, event: str, **data: Any) -> None:
        """Send a frame."""
        await self.socket.send(json.dumps({"event": event, "data": data}))

    async def hear(self) -> Frame:
        """Return the next frame."""
        frame: Frame = json.loads(await self.socket.recv(decode=False))
        return frame

    async def settle(self) -> list[Frame]:
        """Return what comes before the answer to a ping: then all that was said is done."""
        await self.say("ping")
        heard = [await self.hear()]
        while heard[-1]["event"] != "pong":
            heard.append(await self.hear())
        return heard[:-1]

    async def resume(self, after: int, **epoch: str) -> list[Frame]:
        """Return what the client has missed, as far as the room is."""
        await self.say("resume", after=after, **epoch)
        return await self.settle()

    async def until(self, seq: int) -> list[Frame]:
        """Return the numbered frames up to a number."""
        heard: list[Frame] = []
        while not heard or heard[-1]["seq"] < seq:
            frame = await self.hear()
            heard += [frame] if "seq" in frame else []
        return heard

    async def goodbye(self) -> tuple[int, str]:
        """Hear all the rest; return the code and the reason with which the server closed."""
        async for _ in self.rest():
            pass
        closed = self.socket.protocol.close_rcvd
        assert closed is not None, "the server hung up without a word"
        return closed.code, closed.reason

    async def rest(self) -> AsyncIterator[Frame]:
        """Yield all that comes until the end."""
        while True:
            try:
                yield await self.hear()
            except ConnectionClosed:
                return


@asynccontextmanager
async def screen(person: Person, **options: Any) -> AsyncIterator[Screen]:
    """Open a socket that is greeted, and not yet live."""
    async with person.socket(**options) as socket:
        yield Screen(socket, json.loads(await socket.recv()))


@asynccontextmanager
async def live_screen(person: Person) -> AsyncIterator[Screen]:
    """Open a socket that gets all changes from now on."""
    async with screen(person) as opened:
        assert await opened.settle() == []
        yield opened


def run(story: Coroutine[Any, Any, None]) -> None:
    """Run a story on the loop that production uses; one that waits for ever fails."""

    async def patiently() -> None:
        async with asyncio.timeout(_PATIENCE_S):
            await story

    uvloop.run(patiently())


async def write(house: House, changes: int) -> None:
    """Make some changes in Ana's account, one event each."""
    ana = Actor(account_id=house.ana.account_id, user_id=house.ana.user_id)
    for number in range(changes):
        await house.services.leads.create(ana, NewLead(name=f"Luz {number}"))


async def log(person: Person) -> list[dict[str, Any]]:
    """Return the account's whole log."""
    events: list[dict[str, Any]] = []
    while True:
        after = events[-1]["seq"] if events else 0
        page = await person.get("/api/events/stream", after=after, limit=1000)
        events += page["data"]
        if not page["data"]:
            return events
