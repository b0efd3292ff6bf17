"""What a process knows of an account: bounded, and nothing once it has stopped to listen."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from clarin_core.domain.cache import Entry
from clarin_core.domain.events import TagDeleted
from clarin_core.domain.ids import TagId
from clarin_core.reads import freshness
from clarin_core.reads.feed import Feed
from clarin_core.reads.freshness import Knowledge
from clarin_core.testing.tenants import Tenant, settle
from clarin_memory import MemoryPublisher, MemoryStorage
from support.races import fail, now

Story = Callable[[Tenant, Knowledge, Feed], Awaitable[None]]


def tell(story: Story) -> None:
    async def told() -> None:
        publisher = MemoryPublisher()
        storage = MemoryStorage(clock=now, publisher=publisher)
        async with Feed(storage, publisher, fail) as feed:
            tenant = await settle(storage)
            await story(tenant, Knowledge(feed, tenant.id), feed)

    asyncio.run(told())


async def kept(known: Knowledge, *names: str) -> Entry:
    """Return an entry that was read now."""
    await known.open()
    stamp = known.stamp()
    assert stamp is not None
    return Entry(*stamp, names, b"")


def gone(number: int) -> TagDeleted:
    return TagDeleted(tag_id=TagId(number))


def test_only_what_was_changed_is_stale() -> None:
    """An entry counts until one of its names is changed."""

    async def story(tenant: Tenant, known: Knowledge, feed: Feed) -> None:
        one, other = await kept(known, "tag:1"), await kept(known, "tag:2", "tag:3")
        await tenant.emit(gone(1))
        assert not known.allows(other)  # Until the log was followed, who knows.
        await feed.look()
        await asyncio.sleep(0)
        while not known.allows(other):
            await asyncio.sleep(0)
        assert not known.allows(one)

    tell(story)


def test_too_many_names_make_it_forget_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """R23: bounded; whoever has forgotten what changed takes nothing older."""

    async def story(tenant: Tenant, known: Knowledge, feed: Feed) -> None:
        old = await kept(known, "lead:1")
        for number in range(1, 8):
            await tenant.emit(gone(number))
        while known.stamp() is None:
            await asyncio.sleep(0)
        assert not known.allows(old)
        assert known.allows(await kept(known, "lead:1"))

    monkeypatch.setattr(freshness, "_NAMES_MAX", 5)
    tell(story)


def test_who_stopped_to_listen_allows_nothing() -> None:
    """An account that was forgotten to make room, while somebody was reading."""

    async def story(tenant: Tenant, known: Knowledge, feed: Feed) -> None:
        entry = await kept(known, "lead:1")
        assert known.allows(entry)
        known.close()
        await known.open()
        assert not known.allows(entry)
        assert known.stamp() is None

    tell(story)
