"""Processes that read, write, hear late, forget and begin anew, step by step.

They share one storage and one far cache; each has a near cache and follows the log by itself. A
read stops before it reads the storage, after it, and before it puts what it found, until a step
lets it go on. What was read of the log stops on its way, too. Hints reach the writer's process at
once; the other one gets them late, or never, and each gets some of changes that are still to come.
The far cache forgets, or brings back what it had before.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from clarin_core.domain.actor import Actor
from clarin_core.domain.cache import CacheKey, Entry
from clarin_core.domain.events import EventPage, EventQuery
from clarin_core.domain.ids import AccountId, LeadId, UserId
from clarin_core.domain.leads import LeadChange, LeadView, NewLead
from clarin_core.ports.cache import Cache
from clarin_core.ports.event_publisher import EventPublisher, Hint, News
from clarin_core.ports.storage import Storage
from clarin_core.ports.views import Views
from clarin_core.reads.cached import CachedStorage
from clarin_core.reads.feed import Feed
from clarin_core.testing.tenants import settle
from clarin_core.usecases.leads import LeadUseCases
from clarin_memory import MemoryCache, MemoryPublisher, MemoryStorage
from clarin_memory.views import MemoryViews

MOVES = (
    "read", "read", "go on", "go on", "write", "write and die", "hear", "hear early", "follow",
    "look", "forgets", "reverts", "begin anew",
)  # fmt: skip

_TURNS = 8

Step = tuple[str, int]


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Stop:
    """Where reads wait until they are let go on, one by one."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Event] = []

    @property
    def is_taken(self) -> bool:
        return bool(self._waiting)

    async def wait(self) -> None:
        event = asyncio.Event()
        self._waiting.append(event)
        await event.wait()

    def release(self) -> None:
        if self._waiting:
            self._waiting.pop(0).set()


class Shared(MemoryStorage):
    """The storage of all processes; `publisher` is that of the one at work."""

    def __init__(self) -> None:
        super().__init__(clock=now)

    @contextmanager
    def telling(self, publisher: EventPublisher | None) -> Iterator[None]:
        """Announce to a publisher, or to nobody, what is committed meanwhile."""
        self._publisher = publisher
        yield
        self._publisher = None


class StoppingViews(MemoryViews):
    """Reads that stop before and after they look."""

    def __init__(self, storage: Shared, account_id: AccountId, stop: Stop) -> None:
        super().__init__(storage._shared, account_id)
        self._stop = stop

    async def events(self, query: EventQuery) -> EventPage:
        page = await super().events(query)
        await self._stop.wait()
        return page

    async def lead(self, lead_id: LeadId) -> LeadView:
        await self._stop.wait()
        found = await super().lead(lead_id)
        await self._stop.wait()
        return found


@dataclass
class StoppingStorage:
    """The shared storage, as the reads of one process see it."""

    shared: Shared
    stop: Stop

    def __getattr__(self, name: str) -> object:
        return getattr(self.shared, name)

    def views(self, account_id: AccountId) -> Views:
        return StoppingViews(self.shared, account_id, self.stop)


@dataclass
class Far(Cache):
    """The shared cache; puts stop on their way, and time may be turned back."""

    cache: Cache
    past: list[Entry]
    stop: Stop
    mood: str = "remembers"

    async def get(self, key: CacheKey) -> Entry | None:
        if self.mood == "forgets":
            return None
        if self.mood == "reverts" and self.past:
            return self.past[0]
        return await self.cache.get(key)

    async def put(self, key: CacheKey, entry: Entry) -> None:
        self.past.append(entry)
        await self.stop.wait()
        await self.cache.put(key, entry)


class Process:
    """One process, and what it was answered about the lead; names are numbers that grow."""

    def __init__(self, shared: Shared, far: Cache, past: list[Entry], key: Actor) -> None:
        self.answered = 0
        self.late: list[Hint] = []
        self._actor = key
        self._shared = shared
        self._stop = Stop()
        self._log = Stop()
        self._publisher = MemoryPublisher()
        self._feed = Feed(
            StoppingStorage(shared, self._log),  # type: ignore[arg-type]  # it hands on the rest
            self._publisher, fail,
        )  # fmt: skip
        self._far = Far(far, past, self._stop)
        self._cached = CachedStorage(
            StoppingStorage(shared, self._stop),  # type: ignore[arg-type]  # it hands on the rest
            self._feed, self._publisher, MemoryCache(now), [self._far],
        )  # fmt: skip
        self._reads: set[asyncio.Task[None]] = set()
        self._opened = AsyncExitStack()
        self._storage: Storage

    async def open(self) -> Self:
        await self._opened.enter_async_context(self._feed)
        self._storage = await self._opened.enter_async_context(self._cached)
        return self

    async def close(self) -> None:
        while self._reads:
            self._stop.release()
            await asyncio.sleep(0)
        await self._opened.aclose()

    async def quiet(self) -> None:
        """Wait until every read is done, or stands at a stop."""
        for _ in range(_TURNS):  # Whoever follows the log needs a few.
            await asyncio.sleep(0)
        while self._reads and not self._stop.is_taken:
            await asyncio.sleep(0)

    def read(self, lead_id: LeadId) -> None:
        task = asyncio.create_task(self._read(lead_id, self.answered))
        self._reads.add(task)
        task.add_done_callback(self._end)

    def let(self, event: str, end: int) -> None:
        """Let something happen that was on its way, or a hint of what may never be."""
        if event == "go on":
            self._stop.release()
        elif event == "follow":
            self._log.release()
        elif event == "hear early":
            self._publisher.announce(News(self._actor.account_id, end + 1))
        elif self.late:
            self._publisher.announce(self.late.pop(0))

    async def write(self, lead_id: LeadId, number: int, *, dies: bool) -> list[Hint]:
        """Name the lead; return the hints for the others. Who dies tells nobody, not itself."""
        told: list[Hint] = []
        leads = LeadUseCases(self._shared, now)
        publisher = MemoryPublisher() if dies else self._publisher
        with self._shared.telling(publisher), publisher.heard_by(told.append):
            await leads.update(self._actor, lead_id, LeadChange(name=str(number)))
        if dies:
            return []
        self.answered = number
        return [News(hint.account_id, hint.seq) for hint in told if isinstance(hint, News)]

    async def look(self, latest: int) -> None:
        """Look at the log, after which nothing older than now is read here."""
        await self._feed.look()
        self.answered = max(self.answered, latest)

    def feel(self, mood: str) -> None:
        """Let the far cache be another one, or its old self again."""
        self._far.mood = "remembers" if self._far.mood == mood else mood

    async def _read(self, lead_id: LeadId, answered: int) -> None:
        lead = await self._storage.views(self._actor.account_id).lead(lead_id)
        assert int(lead.name or 0) >= answered, f"{lead.name} after {answered} was answered"

    def _end(self, task: asyncio.Task[None]) -> None:
        self._reads.discard(task)
        task.result()


@asynccontextmanager
async def processes(far: Cache) -> AsyncIterator["World"]:
    """Open two processes over one storage and a far cache, with one lead."""
    shared = Shared()
    tenant = await settle(shared)
    actor = Actor(account_id=tenant.id, user_id=UserId(1))
    lead = await LeadUseCases(shared, now).create(actor, NewLead(name="0"))
    world = World(shared, far, actor, lead.id)
    world.processes = [await world.begin(), await world.begin()]
    yield world
    for process in world.processes:
        await process.close()


@dataclass
class World:
    """All processes, and the number of the last write."""

    shared: Shared
    far: Cache
    actor: Actor
    lead_id: LeadId
    latest: int = 0
    past: list[Entry] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    async def begin(self) -> Process:
        return await Process(self.shared, self.far, self.past, self.actor).open()

    async def play(self, steps: Sequence[Step]) -> None:
        """Make the steps; after each, whatever can go on by itself does."""
        for move, place in steps:
            await self._make(move, place)
            for process in self.processes:
                await process.quiet()

    async def _make(self, move: str, place: int) -> None:
        one, other = self.processes[place], self.processes[1 - place]
        match move:
            case "read":
                one.read(self.lead_id)
            case "write" | "write and die":
                self.latest += 1
                dies = move == "write and die"
                other.late += await one.write(self.lead_id, self.latest, dies=dies)
            case "look":
                await one.look(self.latest)
            case "begin anew":
                await one.close()
                self.processes[place] = await self.begin()
            case "forgets" | "reverts":
                one.feel(move)
            case event:
                one.let(event, await self._end_of_log())

    async def _end_of_log(self) -> int:
        return (await self.shared.views(self.actor.account_id).position()).seq


def fail(error: Exception, _: object) -> None:
    """Let nothing pass."""
    raise error
