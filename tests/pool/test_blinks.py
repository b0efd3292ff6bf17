"""A store that is away for a moment: before a commit, or after it, when nobody hears of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest

from clarin_core.domain.accounts import ResendUnknown
from clarin_core.domain.actor import SYSTEM, Origin
from clarin_core.domain.ids import AccountId
from clarin_core.domain.messages import MessageStatus
from clarin_core.errors import Conflict, Unavailable
from clarin_core.pool import ears
from clarin_core.pool.ears import Ears
from clarin_core.pool.pool import LEASE
from clarin_core.ports.messaging import Delivery, SessionStep, Step
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.inbox import InboxUseCases
from support.around import Around
from support.fleet import Fleet

Story = Callable[[Fleet], Coroutine[Any, Any, None]]


def run(story: Story, **options: Any) -> None:
    async def told() -> None:
        async with Fleet.open(**options) as fleet:
            await story(fleet)

    asyncio.run(told())


@dataclass
class Blinking:
    """A storage of which some transactions fail, by their number; `after` they were committed."""

    inner: Storage
    fails: set[int] = field(default_factory=set)
    after: bool = False
    count: int = 0

    @asynccontextmanager
    async def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AsyncIterator[Transaction]:
        self.count += 1
        is_away = self.count in self.fails
        async with self.inner.begin(account_id, origin) as tx:
            yield tx
            if is_away and not self.after:
                raise Unavailable("storage")
        if is_away:
            raise Unavailable("storage")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def blinking(fleet: Fleet, number: int, *, after: bool) -> Storage:
    storage = Blinking(fleet.tenant.storage, {number}, after)
    return cast("Storage", storage)


async def never() -> None:
    await asyncio.Event().wait()


class Endless(Around):
    """A session that has always more to tell."""

    def __init__(self) -> None:
        pass

    async def heard(self) -> AsyncIterator[Delivery]:
        while True:
            yield Delivery(SessionStep(step=Step.CONNECTED), never)


STEPS = 14
"""More transactions than it takes to connect, to send two messages and to hear of them."""


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("honours_ids", [False, True], ids=["names of theirs", "names of ours"])
def test_a_store_may_blink_at_every_step(after: bool, honours_ids: bool) -> None:
    """R14, R15: what is sent arrives once, without a new session, whichever answer was lost."""

    async def story(number: int, fleet: Fleet) -> None:
        device, _ = await fleet.paired()
        she = fleet.world.person("+51911111111", "Ana")
        await fleet.write(device, she, "hola", "adiós")

        async def has_all() -> bool:
            return all(one.status is MessageStatus.DELIVERED for one in await fleet.said())

        storage = blinking(fleet, number, after=after)
        async with fleet.pool(storage=storage).running():
            await fleet.until(has_all)
            await fleet.during(timedelta(seconds=3))
        assert she.arrivals == {"hola": 1, "adiós": 1}

    for number in range(1, STEPS):
        run(partial(story, number), honours_ids=honours_ids)


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
def test_a_blink_uses_no_repetition_up(after: bool) -> None:
    """Issue: a message that an account wants sent once more is, though that was hard to note."""

    async def story(fleet: Fleet) -> None:
        device, _ = await fleet.paired()
        she = fleet.world.person("+51911111111", "Ana")
        async with fleet.tenant.begin() as tx:
            account = await tx.account.get()
            account.alter({"resend_unknown": ResendUnknown.ONCE}, at=fleet.glass())
            await tx.account.save(account)
        await fleet.write(device, she, "hola")
        key, storage = fleet.tenant.key_of(device), fleet.tenant.storage
        lease = await storage.leases.lease(key, "node", LEASE)
        assert lease
        sending = fleet.parts(blinking(fleet, 2, after=after)).sending
        errand = await sending.begin(lease, wa_message_id=None)
        assert errand
        with pytest.raises(Unavailable):
            await sending.lose(lease, errand.item)
        await sending.lose(lease, errand.item)
        (message,) = await fleet.said()
        assert message.status is MessageStatus.QUEUED

    run(story)


def test_a_start_ends_though_nothing_of_what_was_set_aside_can_be_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R8: what fails whatever is passed over is no fault of what was heard."""
    monkeypatch.setattr(ears, "ASIDE_MAX", 20)
    tries = []

    async def broken(self: InboxUseCases, lease: object, *, skip: int) -> bool:
        tries.append(skip)
        if len(tries) > 1_000:
            raise asyncio.CancelledError
        raise ZeroDivisionError

    monkeypatch.setattr(InboxUseCases, "receive_aside", broken)

    async def story(fleet: Fleet) -> None:
        _, owner = await fleet.paired()
        she = fleet.world.person("+51911111111", "Ana")
        she.says(owner, "hola")

        async def is_heard() -> bool:
            return bool(await fleet.said())

        async with fleet.running():
            await fleet.until(is_heard)
        assert tries == [*range(20)]

    run(story)


def test_who_listens_to_nobody_any_more_is_gone() -> None:
    """Issue: a lost lease ends the ears, however much is still waiting to be stored."""

    async def story(fleet: Fleet) -> None:
        device, _ = await fleet.paired()
        lease = await fleet.tenant.storage.leases.lease(fleet.tenant.key_of(device), "node", LEASE)
        assert lease

        async def told(_: object) -> None:
            await asyncio.sleep(0)  # By then there is again more than can wait.
            raise Conflict("lease_lost", "somebody else acts for the device")

        before = asyncio.all_tasks()
        with pytest.raises(Conflict):
            await Ears(lease, fleet.parts(), told).hear(Endless())
        for _ in range(5):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    run(story)
