"""Many people who write and listen on several nodes at once."""

import asyncio
import secrets
from contextlib import suppress

import httpx

from support.nodes import Listener, Node
from support.screen import log
from support.serving import Person

_LISTENERS = 8  # On one node: a worker without any is then one run in a hundred.


async def open_lead(person: Person, name: str) -> None:
    """Open a lead once, however often the connection, or the worker, is lost on the way."""
    key = secrets.token_hex(16)
    while True:
        with suppress(httpx.TransportError):
            answer = await person.ask(
                "POST", "/api/leads", json={"name": name}, headers={"Idempotency-Key": key}
            )
            if answer.status_code == 201:
                return
            assert answer.status_code in (409, 503), answer.text
        await asyncio.sleep(0.02)


def some_names(count: int) -> list[str]:
    """Return names that no other test has."""
    return sorted(f"{secrets.token_hex(6)}" for _ in range(count))


async def kept(person: Person, names: list[str]) -> list[str]:
    """Return which leads of these names there are, sorted, as often as they are there."""
    wanted, found, after = set(names), list[str](), ""
    while after is not None:
        page = await person.get("/api/leads", limit=200, after=after)
        found += [lead["name"] for lead in page["data"] if lead["name"] in wanted]
        after = page.get("next")
    return sorted(found)


class Hall:
    """Everybody who writes and listens, on every node."""

    def __init__(self, people: list[Person]) -> None:
        self.people = people
        self.listeners = [Listener(person) for person in people]
        self._end = asyncio.Event()
        self._listening = [asyncio.create_task(one.listen(self._end)) for one in self.listeners]

    @classmethod
    async def of(cls, nodes: list[Node]) -> "Hall":
        hall = cls([await node.person() for node in nodes for _ in range(_LISTENERS)])
        for listener in hall.listeners:
            await listener.ready.wait()
        return hall

    async def check(self) -> None:
        """Every listener hears the whole log from its beginning on, each event once, in order."""
        written = await log(self.people[0])
        end = written[-1]["seq"]
        while not all(listener.has_heard(end) for listener in self.listeners):
            await asyncio.sleep(0.01)
        self._end.set()
        await asyncio.gather(*self._listening)
        for listener in self.listeners:
            heard = [frame["seq"] for frame in listener.frames]
            assert heard == list(range(heard[0], end + 1))
        for person in self.people:
            await person.http.aclose()
