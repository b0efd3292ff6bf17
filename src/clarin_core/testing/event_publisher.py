"""The contract of an event publisher: hints reach everybody, those of one's own at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager

import pytest

from clarin_core.domain.ids import AccountId, UserId
from clarin_core.ports.event_publisher import (
    Announcement,
    Appended,
    Aside,
    EventPublisher,
    Hint,
    News,
    UserChanged,
)
from clarin_core.testing.tenants import NOON

BROUGHT = Appended("one", 1, NOON, b'{"cause":"system"}', (b'{"name":"tag.deleted","tag_id":1}',))
HINTS: tuple[Announcement, ...] = (
    News(AccountId(1), 1, BROUGHT),
    News(AccountId(2**62), 2**62),
    UserChanged(UserId(3)),
    Aside(AccountId(1), "somebody", b'{"event":"typing"}'),
    Aside(AccountId(1), "somebody", b'{"event":"paused"}'),
    News(AccountId(1), 2),
)

Publishers = tuple[EventPublisher, EventPublisher]
Story = Callable[[EventPublisher, EventPublisher], Awaitable[None]]


class EventPublisherContract:
    """What an event publisher must keep; extend it, and say in `open` how to open two of yours.

    They stand for two processes on one medium that nobody else uses; where there is one
    process only, both are the same.
    """

    patience_s = 20.0

    def open(self) -> AbstractAsyncContextManager[Publishers]:
        """Return two publishers that hear each other."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to open its publishers")

    def tell(self, story: Story) -> None:
        """Run a story on a loop of its own."""

        async def told() -> None:
            async with asyncio.timeout(self.patience_s), self.open() as pair:
                await story(*pair)

        asyncio.run(told())

    @pytest.mark.parametrize("hint", HINTS, ids=str)
    def test_ones_own_hints_are_heard_before_announce_returns(self, hint: Announcement) -> None:
        """Who was answered finds the hint heard; each listener hears it once."""

        async def story(one: EventPublisher, _: EventPublisher) -> None:
            first, second = list[Hint](), list[Hint]()
            with one.heard_by(first.append), one.heard_by(second.append):
                one.announce(hint)
                assert first == second == [hint]

        self.tell(story)

    def test_hints_reach_the_other_process(self) -> None:
        """R3: all that was announced is heard there, the newest number of an account at least."""

        async def story(one: EventPublisher, other: EventPublisher) -> None:
            heard = set[Hint]()
            with other.heard_by(heard.add):
                for hint in HINTS:
                    one.announce(hint)
                await until(lambda: set(HINTS) <= heard)

        self.tell(story)

    def test_who_left_hears_nothing_more(self) -> None:
        """A closed hub is not woken."""

        async def story(one: EventPublisher, _: EventPublisher) -> None:
            heard = list[Hint]()
            with one.heard_by(heard.append):
                one.announce(HINTS[0])
            one.announce(HINTS[1])
            assert heard == [HINTS[0]]

        self.tell(story)

    def test_a_listener_may_leave_while_it_hears(self) -> None:
        """The others hear the hint all the same."""

        async def story(one: EventPublisher, _: EventPublisher) -> None:
            heard = list[Hint]()

            def leave(_: Hint) -> None:
                leaving.close()

            leaving = ExitStack()
            leaving.enter_context(one.heard_by(leave))
            with one.heard_by(heard.append):
                one.announce(HINTS[0])
                one.announce(HINTS[1])
            assert heard == list(HINTS[:2])

        self.tell(story)

    def test_it_says_that_it_is_whole(self) -> None:
        """As long as the medium works, nobody has to look more often."""

        async def story(one: EventPublisher, other: EventPublisher) -> None:
            await until(lambda: one.is_whole and other.is_whole)

        self.tell(story)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that needs the other process; the story's patience ends it."""
    while not is_so():
        await asyncio.sleep(0)


@asynccontextmanager
async def alone(publisher: EventPublisher) -> AsyncIterator[Publishers]:
    """Return a publisher of one process as both."""
    yield publisher, publisher
