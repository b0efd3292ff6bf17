"""What a process knows of an account: bounded, and nothing once it has stopped to listen."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from clarin_core.domain.cache import Entry, names_changed
from clarin_core.domain.events import TagDeleted
from clarin_core.domain.ids import AccountId, TagId
from clarin_core.reads import freshness
from clarin_core.reads.feed import Feed
from clarin_core.reads.freshness import Changes, Knowledge
from clarin_core.testing.tenants import Tenant, settle
from clarin_memory import MemoryPublisher, MemoryStorage
from support.races import fail, now
from support.restless import Numbers

Story = Callable[[Tenant, Knowledge, Feed], Awaitable[None]]


def tell(story: Story, *, of_another_process: bool = False) -> None:
    async def told() -> None:
        publisher = MemoryPublisher()
        writer = Numbers(publisher) if of_another_process else publisher
        storage = MemoryStorage(clock=now, publisher=writer)
        async with Feed(storage, publisher, fail) as feed:
            tenant = await settle(storage)
            await story(tenant, Knowledge(feed, tenant.id, Changes()), feed)

    asyncio.run(told())


async def kept(known: Knowledge, *names: str) -> Entry:
    """Return an entry that was read now."""
    await known.open()
    stamp = known.stamp()
    assert stamp is not None
    return Entry(*stamp, names, b"")


def gone(number: int) -> TagDeleted:
    return TagDeleted(tag_id=TagId(number))


NAMES = len(list(names_changed(gone(1))))


async def change(tenant: Tenant, known: Knowledge, number: int) -> None:
    """Change a tag, and wait until that is known."""
    await tenant.emit(gone(number))
    while known.stamp() is None:
        await asyncio.sleep(0)


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

    tell(story, of_another_process=True)


def test_what_has_not_changed_is_as_if_read_now() -> None:
    """Renewed again and again, it still knows the first change of what it was made of."""

    async def story(tenant: Tenant, known: Knowledge, feed: Feed) -> None:
        entry = await kept(known, "tag:1")
        for _ in range(3):
            await change(tenant, known, 2)
            assert known.allows(entry)
            newer = known.renewed(entry)
            assert (newer.seq > entry.seq, newer.body) == (True, entry.body)
            assert known.renewed(newer) is newer
            entry = newer
        await change(tenant, known, 1)
        assert not known.allows(entry)

    tell(story)


def test_what_this_process_changed_casts_no_doubt_on_the_rest() -> None:
    """R10: it is known as soon as it is committed, and nothing is read for it."""

    async def story(tenant: Tenant, known: Knowledge, feed: Feed) -> None:
        one, other = await kept(known, "tag:1"), await kept(known, "tag:2")
        await tenant.emit(gone(1), gone(3))
        assert not known.allows(one)
        assert known.allows(other)

    tell(story)


def test_too_many_changes_make_it_forget_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """R23: bounded over all accounts; who has forgotten what changed takes nothing older."""

    async def story(tenant: Tenant, known: Knowledge, feed: Feed) -> None:
        oldest = await kept(known, "lead:1")
        await change(tenant, known, 1)
        older = await kept(known, "lead:1")
        for number in range(2, 5):
            await change(tenant, known, number)
        assert known.allows(oldest)
        await change(tenant, known, 5)
        assert not known.allows(oldest)
        assert known.allows(older)

    monkeypatch.setattr(freshness, "_CHANGES_MAX", 4 * NAMES)
    tell(story)


def test_a_later_change_is_not_forgotten_with_an_earlier_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was changed twice counts from the last time."""

    async def story(tenant: Tenant, known: Knowledge, feed: Feed) -> None:
        await known.open()
        await change(tenant, known, 1)
        between = await kept(known, "tag:1")
        await change(tenant, known, 1)
        await change(tenant, known, 2)
        assert not known.allows(between)

    monkeypatch.setattr(freshness, "_CHANGES_MAX", 2 * NAMES)
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


def test_of_an_account_that_is_not_there_nothing_is_known() -> None:
    """Whoever asks is told so by the storage, in its own words."""

    async def story(tenant: Tenant, known: Knowledge, feed: Feed) -> None:
        nobody = Knowledge(feed, AccountId(2**40), Changes())
        await nobody.open()
        assert nobody.stamp() is None
        assert not nobody.allows(Entry("", 0, (), b""))

    tell(story)


def test_who_stops_to_listen_before_it_began_never_begins() -> None:
    """It is forgotten to make room while it asks where the log ends: it hears of nothing."""

    async def story(tenant: Tenant, known: Knowledge, feed: Feed) -> None:
        other = await kept(Knowledge(feed, tenant.id, Changes()), "tag:1")
        async with known._stream._opening:
            opening = asyncio.create_task(known.open())
            await asyncio.sleep(0)
            known.close()
        await opening
        await tenant.emit(gone(1))
        assert not known.allows(other)
        assert known.stamp() is None

    tell(story)
