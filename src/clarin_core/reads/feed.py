"""The feed: the logs that this process follows, each read once, whoever wants to know.

The log in the storage is the truth; this module only follows it. What makes a stream look at
its log is a *hint*: the publisher's word that the account has news, or the poll, which asks for
the position of all streams in one statement. Hints may be lost, doubled or early. The read
decides: events after the cursor, in order, until the log has no more; a hint that comes during a
read is not answered by it. One read at a time per stream, whatever the number of hints and
listeners. What a hint brings along, right behind the cursor, need not be read.

A log that has another epoch (a restored backup), lost its end (a failover) or was trimmed beyond
the cursor begins a new *history*. Whatever awaited the log meanwhile compares the history
afterwards, so that nothing of the old one is taken for the new one's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from typing import Any, Protocol, Self

from clarin_core.domain.events import EventQuery, Position, Recorded
from clarin_core.domain.ids import AccountId
from clarin_core.errors import TooOld
from clarin_core.ports.event_publisher import EventPublisher, Hint, Missed, News
from clarin_core.ports.storage import Storage

POLL_S = 1.0
POLL_WITHOUT_HINTS_S = 0.25
PAGE = 100  # It is told without a pause: others must get their turn in between.

Failed = Callable[[Exception, AccountId | None], None]


class Listener(Protocol):
    """Who wants to know what happens in an account; it must not raise."""

    def take(self, events: Sequence[Recorded]) -> None:
        """Hear the next events, in order and each once."""
        ...

    def begin_anew(self, reason: str) -> None:
        """Forget what was heard: the log is another one, or has a gap behind the last event."""
        ...


class Stream:
    """One account's log, as far as this process has read it (`cursor`)."""

    def __init__(self, account_id: AccountId, storage: Storage) -> None:
        self.account_id = account_id
        self.listeners: list[Listener] = []
        self.epoch = ""  # Until the first listener has asked the log.
        self.cursor = 0
        self.trimmed_to = 0
        self.history = 0
        self._heard = 0
        self._heard_meanwhile = 0
        self._views = storage.views(account_id)
        self._opening = asyncio.Lock()
        self._following = asyncio.Lock()

    @property
    def is_current(self) -> bool:
        """Whether everything has been read of which a hint told."""
        return self.cursor >= self._heard

    @property
    def is_behind(self) -> bool:
        """Whether somebody has to follow the log."""
        return bool(self.epoch) and not self.is_current and not self._following.locked()

    async def open(self) -> None:
        """Begin at the log's end, unless somebody else has opened the stream already."""
        async with self._opening:
            if not self.epoch:
                position = await self._views.position()
                self.epoch, self.cursor = position.epoch, position.seq
                self.trimmed_to = position.trimmed_to

    def hear(self, seq: int) -> None:
        """Take a hint that the log reached a number."""
        self._heard = max(self._heard, seq)
        self._heard_meanwhile = max(self._heard_meanwhile, seq)

    def learn(self, news: News) -> None:
        """Take a hint, and tell what it brings along unless something before that is missing.

        Numbers have no gaps and are given in the order of commits, so what follows the cursor
        is all that there is up to there.
        """
        self.hear(news.seq)
        brought = news.appended
        if brought is None or brought.epoch != self.epoch or len(brought.events) > PAGE:
            return
        if brought.first == self.cursor + 1:
            self._tell(brought.read())

    def meet(self, position: Position, *, asked_at: int) -> None:
        """Compare with the log's position, asked for when the cursor was `asked_at`.

        The cursor may have passed the position since: only a log that is shorter than what
        was told before the question is another one.
        """
        if not self.epoch:
            return
        if position.epoch != self.epoch or position.seq < asked_at:
            self._begin_anew(position, "epoch")
        elif position.trimmed_to > self.cursor:
            self._begin_anew(position, "too_old")
        self.trimmed_to = position.trimmed_to
        self.hear(position.seq)

    async def follow(self) -> None:
        """Tell what the log has beyond the cursor; one reader at a time."""
        if self._following.locked():
            return  # It reads as far as the last hint, and sees those that come meanwhile.
        async with self._following:
            while not self.is_current:
                history, self._heard_meanwhile = self.history, 0
                events = await self.read(self.cursor)
                if history != self.history:
                    continue
                if new := [one for one in events if one.seq > self.cursor]:
                    self._tell(new)  # Some may have been learned while the log was read.
                elif not events:  # The hint was early; the poll will see it.
                    self._heard = max(self.cursor, self._heard_meanwhile)
                await asyncio.sleep(0)

    async def read(self, after: int) -> list[Recorded]:
        """Return some events after a number; raises TooOld unless they are of this history."""
        page = await self._views.events(EventQuery(after=after, limit=PAGE))
        if page.position.epoch != self.epoch:
            raise TooOld(after)
        return page.data

    def _tell(self, events: list[Recorded]) -> None:
        self.cursor = events[-1].seq
        for listener in self.listeners:
            listener.take(events)

    def _begin_anew(self, position: Position, reason: str) -> None:
        self.history += 1
        self.epoch, self.cursor = position.epoch, position.seq
        for listener in self.listeners:
            listener.begin_anew(reason)


class Feed:
    """All streams of this process, and what keeps them moving; open while in use.

    `failed` hears of each failure, which the next look makes good; `watchers` hear when looking
    begins to fail, and when it ends. Whoever attaches a listener hears from then on; a stream
    that nobody listens to any more is closed.
    """

    def __init__(self, storage: Storage, publisher: EventPublisher, failed: Failed) -> None:
        self._storage = storage
        self._publisher = publisher
        self._failed = failed
        self.watchers: list[Callable[[bool], None]] = []
        self._is_reached = True
        self._streams: dict[AccountId, Stream] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._missed = asyncio.Event()
        self._hearing = ExitStack()

    async def __aenter__(self) -> Self:
        """Follow the logs from now on."""
        self._hearing.enter_context(self._publisher.heard_by(self._heed))
        self._spawn(self._keep_looking())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hearing.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def attach(self, account_id: AccountId, listener: Listener) -> Stream:
        """Let somebody hear of an account; return its stream, which has yet to be opened."""
        stream = self._streams.get(account_id)
        if stream is None:
            stream = self._streams[account_id] = Stream(account_id, self._storage)
        stream.listeners.append(listener)
        return stream

    def detach(self, stream: Stream, listener: Listener) -> None:
        """Let somebody hear no more."""
        stream.listeners.remove(listener)
        if not stream.listeners:
            del self._streams[stream.account_id]

    async def look(self) -> None:
        """Compare every stream with its log."""
        asked_at = {stream: stream.cursor for stream in self._streams.values()}
        if not asked_at:
            return
        positions = await self._storage.positions([stream.account_id for stream in asked_at])
        for stream, cursor in asked_at.items():
            if position := positions.get(stream.account_id):
                stream.meet(position, asked_at=cursor)
                self._follow_if_behind(stream)

    def _heed(self, hint: Hint) -> None:
        if isinstance(hint, Missed):
            self._missed.set()
        elif isinstance(hint, News) and (stream := self._streams.get(hint.account_id)):
            self._learn(stream, hint)
            self._follow_if_behind(stream)

    def _learn(self, stream: Stream, news: News) -> None:
        try:
            stream.learn(news)
        except Exception as error:  # Whoever announces has committed, and must not hear of it.
            self._failed(error, stream.account_id)

    def _follow_if_behind(self, stream: Stream) -> None:
        if stream.is_behind:
            self._spawn(self._carefully(stream.follow, stream.account_id))

    async def _keep_looking(self) -> None:
        while True:
            self._become(is_reached=await self._carefully(self.look, None))
            await self._pause()

    def _become(self, *, is_reached: bool) -> None:
        if is_reached != self._is_reached:
            self._is_reached = is_reached
            for tell in list(self.watchers):
                tell(is_reached)

    async def _pause(self) -> None:
        """Wait for the time of the next look, which is now when hints may have been lost."""
        try:
            async with asyncio.timeout(
                POLL_S if self._publisher.is_whole else POLL_WITHOUT_HINTS_S
            ):
                await self._missed.wait()
        except TimeoutError:
            pass
        self._missed.clear()

    async def _carefully(
        self, work: Callable[[], Awaitable[None]], account_id: AccountId | None
    ) -> bool:
        try:
            await work()
        except Exception as error:
            self._failed(error, account_id)
            return False
        return True

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
