"""R3: whatever way events come, each is told once and in order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from clarin_core.domain.events import EventPage, EventQuery, Recorded, TagDeleted
from clarin_core.domain.ids import AccountId, TagId
from clarin_core.ports.event_publisher import Hint, News
from clarin_core.ports.views import Views
from clarin_core.reads.feed import PAGE, Listener, Stream
from clarin_core.testing.tenants import Tenant, settle
from clarin_memory import MemoryPublisher, MemoryStorage
from clarin_memory.views import MemoryViews
from support.races import Stop, now

Story = Callable[[Tenant, Stream, "Heard", list[News]], Awaitable[None]]


class SlowViews(MemoryViews):
    """Reads of the log that have looked, and stop before they are back."""

    stop: Stop

    async def events(self, query: EventQuery) -> EventPage:
        page = await super().events(query)
        await self.stop.wait()
        return page


class Slow(MemoryStorage):
    """Memory, whose log is read slowly."""

    def __init__(self, publisher: MemoryPublisher) -> None:
        super().__init__(clock=now, publisher=publisher)
        self.stop = Stop()

    def views(self, account_id: AccountId) -> Views:
        views = SlowViews(self._shared, account_id)
        views.stop = self.stop
        return views


class Heard(Listener):
    """Keeps the numbers of what was told."""

    def __init__(self, storage: Slow) -> None:
        self.numbers: list[int] = []
        self.release = storage.stop.release

    def take(self, events: Sequence[Recorded]) -> None:
        self.numbers += [event.seq for event in events]

    def begin_anew(self, reason: str) -> None:
        self.numbers.clear()


def tell(story: Story) -> None:
    async def told() -> None:
        publisher, news = MemoryPublisher(), list[News]()

        def heed(hint: Hint) -> None:
            if isinstance(hint, News):
                news.append(hint)

        storage = Slow(publisher)
        tenant = await settle(storage)
        heard, stream = Heard(storage), Stream(tenant.id, storage)
        stream.listeners.append(heard)
        await stream.open()
        with publisher.heard_by(heed):
            await story(tenant, stream, heard, news)

    asyncio.run(told())


def gone(number: int) -> TagDeleted:
    return TagDeleted(tag_id=TagId(number))


def after(stream: Stream, count: int) -> list[int]:
    """Return the next numbers."""
    return list(range(stream.cursor + 1, stream.cursor + 1 + count))


def test_what_is_brought_along_is_told_without_a_read() -> None:
    async def story(tenant: Tenant, stream: Stream, heard: Heard, news: list[News]) -> None:
        expected = after(stream, 3)
        await tenant.emit(gone(1), gone(2))
        await tenant.emit(gone(3))
        for hint in (*news, *news):
            stream.learn(hint)
        assert (heard.numbers, stream.is_current) == (expected, True)

    tell(story)


def test_what_has_a_gap_before_it_is_not_told() -> None:
    async def story(tenant: Tenant, stream: Stream, heard: Heard, news: list[News]) -> None:
        await tenant.emit(gone(1))
        await tenant.emit(gone(2))
        stream.learn(news[1])
        assert (heard.numbers, stream.is_current) == ([], False)

    tell(story)


def test_what_another_history_brings_is_not_told() -> None:
    async def story(tenant: Tenant, stream: Stream, heard: Heard, news: list[News]) -> None:
        await tenant.emit(gone(1))
        brought = news[0].appended
        assert brought is not None
        restored = replace(brought, epoch="another")
        stream.learn(news[0]._replace(appended=restored))
        assert (heard.numbers, stream.is_current) == ([], False)

    tell(story)


def test_more_than_a_page_is_read_in_pages() -> None:
    async def story(tenant: Tenant, stream: Stream, heard: Heard, news: list[News]) -> None:
        await tenant.emit(*map(gone, range(1, PAGE + 2)))
        stream.learn(news[0])
        assert heard.numbers == []

    tell(story)


def test_what_was_brought_along_during_a_read_is_not_told_again() -> None:
    async def story(tenant: Tenant, stream: Stream, heard: Heard, news: list[News]) -> None:
        expected = after(stream, 3)
        await tenant.emit(gone(1))
        await tenant.emit(gone(2))
        stream.hear(news[1].seq)
        reading = asyncio.create_task(stream.follow())
        await asyncio.sleep(0)
        stream.learn(news[0])
        assert heard.numbers == expected[:1]
        await tenant.emit(gone(3))
        heard.release()
        while stream.cursor < expected[1]:
            await asyncio.sleep(0)
        stream.learn(news[2])
        heard.release()
        await reading
        assert (heard.numbers, stream.is_current) == (expected, True)

    tell(story)


def test_a_hint_beyond_the_end_is_done_with_whatever_comes_during_the_read() -> None:
    """Of a write that nobody answered not even the number is known (`clarin_postgres.storage`)."""

    async def story(tenant: Tenant, stream: Stream, heard: Heard, news: list[News]) -> None:
        expected = after(stream, 1)
        stream.hear(2**62)
        reading = asyncio.create_task(stream.follow())
        await asyncio.sleep(0)
        await tenant.emit(gone(1))
        stream.learn(news[0])
        heard.release()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (heard.numbers, stream.is_current) == (expected, True)
        await reading

    tell(story)
