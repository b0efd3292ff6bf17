"""A device fetches its files: over a simulated WhatsApp that fails, forgets and is cut off."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from clarin_core.domain.actor import SYSTEM, Origin
from clarin_core.domain.ids import AccountId
from clarin_core.domain.media import Media, MediaState
from clarin_core.errors import Conflict
from clarin_core.pool.files import Files
from clarin_core.ports.messaging import Session
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.messaging_stage import connected
from clarin_memory import MemoryStorage
from clarin_whatsapp import Fate
from support.cabinet import Blobs, Cabinet
from support.desk import Desk, Ticking, tell
from support.fleet import Diary
from support.web import PNG
from support.world import SimulatedStage


class Enough(Exception):
    """Nothing is due, and the test has seen what it wanted."""


class Still(Ticking):
    """A clock that stands until it is set."""

    def __call__(self) -> datetime:
        return self.at


class Halting(MemoryStorage):
    """A storage that can be cut off before a transaction, before its commit, and after it."""

    @asynccontextmanager
    async def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AsyncIterator[Transaction]:
        await asyncio.sleep(0)
        async with super().begin(account_id, origin) as tx:
            yield tx
            await asyncio.sleep(0)
        await asyncio.sleep(0)


class HaltingBlobs(Blobs):
    """A place for bytes that can be cut off before and after."""

    async def put(self, account_id: Any, key: str, content: AsyncIterator[bytes]) -> None:
        await asyncio.sleep(0)
        await super().put(account_id, key, content)
        await asyncio.sleep(0)


@dataclass
class Scene:
    """A cabinet, and a session that is connected."""

    cabinet: Cabinet
    stage: SimulatedStage
    session: Session
    waits: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def offer(self, content: bytes = PNG, **fields: Any) -> Media:
        """Offer a file that WhatsApp has."""
        return await self.cabinet.offer(source=self.stage.world.keep(content), **fields)

    async def run(self) -> None:
        """Fetch until nothing is due, and as often again as there are `waits`."""

        async def wait() -> None:
            if not self.waits:
                raise Enough
            await self.waits.pop(0)()

        files = Files(self.cabinet.lease, self.session, self.cabinet.fetching, Diary())
        with suppress(Enough):
            while True:
                if not await files.fetch_one():
                    await wait()

    async def state(self, media: Media) -> MediaState:
        return (await self.cabinet.stored(media.id)).state


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    stage = SimulatedStage()
    cabinet = await Cabinet.open(await Desk.open(Halting(clock=Ticking())))
    cabinet.desk.clock, cabinet.blobs = Still(), HaltingBlobs()
    async with asyncio.timeout(20), connected(stage) as (session, _):
        yield Scene(cabinet, stage, session)


def test_files_are_fetched_one_after_the_other() -> None:
    """CH16: all that are due, the oldest first; then somebody says when to look again."""

    async def story() -> None:
        async with scene() as there:
            files = [await there.offer(PNG + bytes([number])) for number in range(3)]
            later: list[Media] = []

            async def news() -> None:
                later.append(await there.offer())

            there.waits.append(news)
            await there.run()
            for number, media in enumerate(files):
                assert await there.cabinet.bytes_of(media) == PNG + bytes([number])
            assert await there.state(later[0]) is MediaState.STORED
            events = await there.cabinet.desk.news()
            told = [event.media.id for event in events if hasattr(event, "media")]
            assert told == [media.id for media in [*files, *later]]

    tell(story())


@pytest.mark.parametrize("fate", [Fate.FAILED, Fate.LOST, Fate.UNANSWERED])
def test_what_fails_is_tried_later(fate: Fate) -> None:
    """Not in a loop: the others are fetched meanwhile, and it has its turn when it is due."""

    async def story() -> None:
        async with scene() as there:
            first, second = await there.offer(), await there.offer()
            there.stage.world.fates.append(fate)

            async def look() -> None:
                assert await there.state(first) is MediaState.PENDING
                assert await there.state(second) is MediaState.STORED
                there.cabinet.desk.clock.at += timedelta(minutes=2)

            there.waits.append(look)
            await there.run()
            assert await there.state(first) is MediaState.STORED

    tell(story())


def test_a_file_that_always_fails_is_tried_five_times() -> None:
    """Section 11."""

    async def story() -> None:
        async with scene() as there:
            media = await there.offer()
            there.stage.world.fates.extend([Fate.FAILED] * 9)

            async def later() -> None:
                there.cabinet.desk.clock.at += timedelta(hours=3)

            there.waits.extend([later] * 6)
            await there.run()
            assert await there.state(media) is MediaState.EXPIRED
            assert len(there.stage.world.fates) == 4

    tell(story())


def test_a_file_that_is_gone_is_asked_for_once() -> None:
    async def story() -> None:
        async with scene() as there:
            media = await there.cabinet.offer(source=b"nowhere")
            await there.run()
            assert await there.state(media) is MediaState.EXPIRED

    tell(story())


def test_a_place_that_is_away_is_waited_for() -> None:
    """No try is lost, and nothing is announced."""

    async def story() -> None:
        async with scene() as there:
            media = await there.offer()
            there.cabinet.blobs.is_away = True

            async def come_back() -> None:
                assert (await there.cabinet.stored(media.id)).attempts == 0
                there.cabinet.blobs.is_away = False

            there.waits.append(come_back)
            await there.run()
            assert await there.state(media) is MediaState.STORED

    tell(story())


def test_who_lost_the_device_stops() -> None:
    """And says so to whoever runs it."""

    async def story() -> None:
        async with scene() as there:
            media = await there.offer()
            there.cabinet.lease = replace(there.cabinet.lease, token=99)
            with pytest.raises(Conflict) as refused:
                await there.run()
            assert refused.value.code == "lease_lost"
            assert await there.state(media) is MediaState.PENDING

    tell(story())


class Steps:
    """Counts the times at which something is awaited, and cancels at one of them."""

    def __init__(self, work: Any, at: int) -> None:
        self._work, self._left = work.__await__(), at

    def __await__(self) -> Any:
        value: Any = None
        while True:
            if self._left == 0:
                self._left = -1
                self._work.throw(asyncio.CancelledError())
            self._left -= 1
            try:
                value = yield self._work.send(value)
            except StopIteration as done:
                return done.value


def test_a_fetch_may_be_cut_off_anywhere() -> None:
    """At whatever await: nothing is half done, and the next one brings all of it in."""

    async def story(at: int) -> bool:
        async with scene() as there:
            files = [await there.offer(PNG + bytes([number])) for number in range(2)]
            try:
                await Steps(there.run(), at)
                was_cut = False
            except asyncio.CancelledError:
                was_cut = True
            for media in files:
                stored = await there.cabinet.stored(media.id)
                assert stored.attempts == 0
                if stored.state is MediaState.STORED:
                    assert await there.cabinet.bytes_of(media)
            await there.run()
            for number, media in enumerate(files):
                assert await there.state(media) is MediaState.STORED
                assert await there.cabinet.bytes_of(media) == PNG + bytes([number])
            told = [event for event in await there.cabinet.desk.names() if event == "media.changed"]
            assert len(told) == 2
            return was_cut

    cuts = 0
    while tell(story(cuts)):
        cuts += 1
    assert cuts > 10
