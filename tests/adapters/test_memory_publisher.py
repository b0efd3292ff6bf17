"""Hints within one process: to all who listen, bounded, and lost rather than waited for."""

import asyncio
import gc
from collections.abc import AsyncIterator
from weakref import ref

from clarin_core.domain.ids import AccountId
from clarin_memory import MemoryPublisher

END = (AccountId(2**62), 1)

Hint = tuple[AccountId, int]


async def all_heard(publisher: MemoryPublisher, hints: AsyncIterator[Hint]) -> list[Hint]:
    """Return the hints that wait for a listener."""
    publisher.announce(*END)
    heard = [await anext(hints)]
    while heard[-1] != END:
        heard.append(await anext(hints))
    return heard[:-1]


def test_every_listener_hears_every_account() -> None:
    """R3: hints reach all who listen, whoever else has heard them."""

    async def story() -> None:
        publisher = MemoryPublisher()
        first, second = publisher.listen(), publisher.listen()
        publisher.announce(AccountId(1), 1)
        publisher.announce(AccountId(2), 5)
        assert await all_heard(publisher, first) == [(1, 1), (2, 5)]
        publisher.announce(AccountId(1), 2)
        assert await all_heard(publisher, first) == [(1, 2)]
        assert await all_heard(publisher, second) == [(1, 2), (2, 5)]

    asyncio.run(story())


def test_a_listener_hears_from_the_call_on() -> None:
    """What was announced between `listen` and the first wait is heard, what was before is not."""

    async def story() -> None:
        publisher = MemoryPublisher()
        publisher.announce(AccountId(1), 1)
        hints = publisher.listen()
        publisher.announce(AccountId(2), 1)
        assert await all_heard(publisher, hints) == [(2, 1)]

    asyncio.run(story())


def test_a_waiting_listener_wakes() -> None:
    """A listener that waits already is told."""

    async def story() -> None:
        publisher = MemoryPublisher()

        async def announce() -> None:
            publisher.announce(AccountId(7), 3)

        hint, _ = await asyncio.gather(anext(publisher.listen()), announce())
        assert hint == (7, 3)

    asyncio.run(story())


def test_hints_of_one_account_wait_as_one() -> None:
    """A slow listener finds the latest number, even if hints come in the wrong order."""

    async def story() -> None:
        publisher = MemoryPublisher()
        hints = publisher.listen()
        for seq in (1, 3, 2):
            publisher.announce(AccountId(1), seq)
        assert await all_heard(publisher, hints) == [(1, 3)]

    asyncio.run(story())


def test_a_listener_that_never_reads_costs_a_bounded_number_of_hints() -> None:
    """Beyond the bound the oldest hints are lost and the newest kept."""

    async def story() -> None:
        publisher = MemoryPublisher()
        hints = publisher.listen()
        for account in range(1, 5001):
            publisher.announce(AccountId(account), 1)
        heard = [account for account, _ in await all_heard(publisher, hints)]
        assert 0 < len(heard) < 2000
        assert heard == list(range(1, 5001))[-len(heard) :]

    asyncio.run(story())


def test_a_listener_that_went_away_is_forgotten() -> None:
    """Nothing piles up for a socket that is closed."""
    publisher = MemoryPublisher()
    hints = publisher.listen()
    gone = ref(hints)
    del hints
    gc.collect()
    publisher.announce(AccountId(1), 1)
    assert gone() is None
