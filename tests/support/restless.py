"""A storage and a publisher at their worst: late, silent, early, replaced by a backup."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from itertools import cycle
from typing import Literal

from msgspec.structs import replace

from clarin_core.domain.events import EventPage, EventQuery, Position
from clarin_core.domain.ids import AccountId
from clarin_core.errors import TooOld, Unavailable
from clarin_core.ports.event_publisher import Hint, News
from clarin_core.ports.views import Views
from clarin_memory import MemoryPublisher, MemoryStorage
from clarin_memory.views import MemoryViews
from support.serving import now

Habit = Literal["tells", "loses", "repeats", "hurries"]


class Numbers(MemoryPublisher):
    """Hands on what another process would hear: numbers, and nothing of what was appended."""

    def __init__(self, to: MemoryPublisher) -> None:
        super().__init__()
        self._to = to

    def announce(self, hint: Hint) -> None:
        self._to.announce(hint._replace(appended=None) if isinstance(hint, News) else hint)


class RestlessStorage(MemoryStorage):
    """Memory that answers late, as a database does: a read is old news when it arrives.

    Its hints are numbers, so that there is something to be read.

    `turns` says how many turns of the loop each answer takes, and a `gates` entry that is
    cleared holds the answers of its kind. `is_down` makes the log fail, `end` cuts it off
    behind a number, and another `epoch` makes it another history.
    """

    def __init__(self, publisher: MemoryPublisher, turns: Iterable[int] = (0,)) -> None:
        super().__init__(clock=now, publisher=Numbers(publisher))
        self.is_down = False
        self.end: int | None = None
        self.epoch: str | None = None
        self.gates = {"events": asyncio.Event(), "positions": asyncio.Event()}
        self.asked = {"events": asyncio.Event(), "positions": asyncio.Event()}
        self._turns = cycle(turns)
        for gate in self.gates.values():
            gate.set()

    def views(self, account_id: AccountId) -> Views:
        return _RestlessViews(self, account_id)

    async def positions(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Position]:
        found = await super().positions(account_ids)
        told = {key: self.seen(position) for key, position in found.items()}
        await self.rest("positions")
        return told

    def hold(self, kind: str) -> Awaitable[object]:
        """Hold the answers of a kind; what is returned waits for one at the gate, already old."""
        self.gates[kind].clear()
        self.asked[kind].clear()
        return self.asked[kind].wait()

    def seen(self, position: Position) -> Position:
        """Return a position as this storage tells it."""
        seq = position.seq if self.end is None else min(position.seq, self.end)
        return replace(position, seq=seq, epoch=self.epoch or position.epoch)

    async def rest(self, kind: str) -> None:
        """Take a while."""
        if self.is_down:
            raise Unavailable("the log")
        self.asked[kind].set()
        await self.gates[kind].wait()
        for _ in range(next(self._turns)):
            await asyncio.sleep(0)


class _RestlessViews(MemoryViews):
    def __init__(self, storage: RestlessStorage, account_id: AccountId) -> None:
        super().__init__(storage._shared, account_id)
        self._storage = storage

    async def position(self) -> Position:
        position = self._storage.seen(await super().position())
        await self._storage.rest("positions")
        return position

    async def events(self, query: EventQuery) -> EventPage:
        page = await super().events(query)
        position = self._storage.seen(page.position)
        data = [recorded for recorded in page.data if recorded.seq <= position.seq]
        await self._storage.rest("events")
        if query.after > position.seq:
            raise TooOld(query.after)
        return EventPage(data=data, position=position)


class MoodyPublisher(MemoryPublisher):
    """Hints that are told, lost, repeated, or name a number that is not there yet."""

    def __init__(self, habits: Iterable[Habit]) -> None:
        super().__init__()
        self._habits = cycle(habits)

    def announce(self, hint: Hint) -> None:
        habit = next(self._habits)
        if habit == "loses" or not isinstance(hint, News):
            return
        early = News(hint.account_id, hint.seq + 3)
        super().announce(early if habit == "hurries" else hint)
        if habit == "repeats":
            super().announce(hint)
