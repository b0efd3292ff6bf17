"""What a device hears and says while it is run, and what becomes of that when something fails."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import pytest

from clarin_core.domain.accounts import ResendUnknown
from clarin_core.domain.actor import SYSTEM, Origin
from clarin_core.domain.devices import Device, DeviceStatus
from clarin_core.domain.ids import AccountId
from clarin_core.domain.inbound import (
    EditSeen,
    Inbound,
    MessageSeen,
    ReactionSeen,
    ReceiptSeen,
    RevokeSeen,
)
from clarin_core.domain.inbox_events import ContactsSynced
from clarin_core.domain.messages import MessageStatus, MessageView
from clarin_core.domain.sending import MessageChoice, MessageEdit, NewReaction, Typing
from clarin_core.errors import Invalid, Unavailable
from clarin_core.pool.pool import LEASE
from clarin_core.ports.messaging import SentAs
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.inbox import InboxUseCases
from clarin_whatsapp import WILD, Fate, Person
from support.fleet import Fleet

BAD = "nobody can store this"


def run(story: Callable[[Fleet], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def told() -> None:
        async with Fleet.open(**options) as fleet:
            await story(fleet)

    asyncio.run(told())


async def ready(fleet: Fleet) -> tuple[Device, Person, Person]:
    """Return a device, its owner and somebody else."""
    device, owner = await fleet.paired()
    return device, owner, fleet.world.person("+51911111111", "Ana")


def has(fleet: Fleet, *wanted: MessageStatus) -> Callable[[], Coroutine[Any, Any, bool]]:
    """Return whether there are messages of just these statuses, oldest first."""

    async def so() -> bool:
        said = sorted(await fleet.said(), key=lambda one: one.id)
        return [one.status for one in said] == [*wanted]

    return so


def test_what_is_said_here_arrives_and_what_is_said_there_is_heard() -> None:
    """CH8, CH12: receipts raise the status, each once in the log."""

    async def story(fleet: Fleet) -> None:
        device, owner, she = await ready(fleet)
        async with fleet.running():
            (ours,) = await fleet.write(device, she, "hola")
            assert ours.status is MessageStatus.QUEUED
            await fleet.until(has(fleet, MessageStatus.DELIVERED))
            (letter,) = she.messages
            she.reads(letter.wa_message_id)
            she.says(owner, "buenas")
            await fleet.until(has(fleet, MessageStatus.READ, MessageStatus.RECEIVED))
        assert she.arrivals == {"hola": 1}
        assert fleet.diary.outcomes == ["done"]

    run(story)


def test_what_is_done_to_messages_is_done_on_both_sides() -> None:
    """CH10, CH15: nobody tells the device what it did itself, so it happens here when done."""

    async def story(fleet: Fleet) -> None:
        device, _, she = await ready(fleet)
        async with fleet.running():
            first, second = await fleet.write(device, she, "hola", "adiós")
            await fleet.until(has(fleet, MessageStatus.DELIVERED, MessageStatus.DELIVERED))
            does = fleet.messages
            await does.edit(fleet.admin, MessageEdit(message_id=first.id, body="¡hola!"))
            await does.react(fleet.admin, NewReaction(message_id=first.id, emoji="👍"))
            await does.revoke(fleet.admin, MessageChoice(message_id=second.id))
            await does.type(fleet.admin, Typing(chat_id=first.chat_id))

            async def is_done() -> bool:
                return len(fleet.diary.outcomes) == 6

            await fleet.until(is_done)
        edited, revoked = sorted(await fleet.said(), key=lambda one: one.id)
        assert (edited.body, [one.emoji for one in edited.reactions]) == ("¡hola!", ["👍"])
        assert revoked.revoked_at is not None
        (chat,) = await fleet.shown()
        assert chat.last_message == "¡hola!"
        kinds = [type(one) for one in she.screen if not isinstance(one, MessageSeen)]
        assert {EditSeen, ReactionSeen, RevokeSeen} <= set(kinds)
        assert fleet.diary.outcomes == ["done"] * 6

    run(story)


def test_names_come_from_the_phone_at_the_start_and_when_people_want() -> None:
    """Section 11: what is empty is filled; how many were read is told."""

    async def story(fleet: Fleet) -> None:
        device, owner, she = await ready(fleet)
        she.says(owner, "hola")

        def synced(count: int) -> Callable[[], Coroutine[Any, Any, bool]]:
            async def so() -> bool:
                told.extend(
                    one for one in await fleet.desk.news() if isinstance(one, ContactsSynced)
                )
                return len(told) == count

            return so

        told: list[ContactsSynced] = []
        async with fleet.running():
            await fleet.until(synced(1))
            await fleet.devices.sync_contacts(fleet.admin, device.id)
            await fleet.until(synced(2))
            assert not (await fleet.device(device.id)).wants_contacts
        assert [one.count for one in told] == [1, 1]

    run(story)


def test_an_account_may_want_a_doubtful_message_sent_once_more() -> None:
    """Issue: by its policy, and once; by default it waits for a person."""

    async def story(fleet: Fleet) -> None:
        device, _, she = await ready(fleet)
        async with fleet.tenant.begin() as tx:
            account = await tx.account.get()
            account.alter({"resend_unknown": ResendUnknown.ONCE}, at=fleet.glass())
            await tx.account.save(account)
        fleet.world.fates.extend([Fate.LOST, Fate.DONE, Fate.LOST, Fate.LOST])
        async with fleet.running():
            await fleet.write(device, she, "hola")
            await fleet.until(has(fleet, MessageStatus.DELIVERED))
            await fleet.write(device, she, "adiós")
            await fleet.until(has(fleet, MessageStatus.DELIVERED, MessageStatus.UNKNOWN))
        assert fleet.diary.outcomes == ["lost", "done", "lost", "lost"]

    run(story)


def test_what_waited_for_a_day_is_not_sent_any_more() -> None:
    """Reliability 4: it ends failed, and says why; nobody wants yesterday's words today."""

    async def story(fleet: Fleet) -> None:
        device, _, she = await ready(fleet)
        await fleet.write(device, she, "hola")
        fleet.glass.forward(timedelta(days=1))
        async with fleet.running():
            await fleet.until(has(fleet, MessageStatus.FAILED))
        (late,) = await fleet.said()
        assert (late.error, she.arrivals) == ("it waited for too long", {})

    run(story)


def test_a_device_that_is_away_sends_when_it_is_back() -> None:
    """Reliability 4: what waits is tried when there is a connection, and wears no try out."""

    async def story(fleet: Fleet) -> None:
        device, _, she = await ready(fleet)
        fleet.world.is_reachable = False
        async with fleet.running():
            await fleet.write(device, she, "hola")
            await fleet.during(timedelta(minutes=20))
            assert await has(fleet, MessageStatus.QUEUED)()
            fleet.world.is_reachable = True
            await fleet.until(has(fleet, MessageStatus.DELIVERED))
        assert fleet.diary.outcomes == ["done"]

    run(story)


def test_what_surely_did_not_leave_is_tried_again_eight_times() -> None:
    """Issue: with back-off; it ends failed with the reason, and goes when it is asked for again."""

    async def story(fleet: Fleet) -> None:
        device, _, she = await ready(fleet)
        fleet.world.fates.extend([Fate.FAILED] * 8)
        async with fleet.running():
            (ours,) = await fleet.write(device, she, "hola")
            await fleet.until(has(fleet, MessageStatus.FAILED))
            assert fleet.diary.outcomes == ["put_off"] * 8
            (lost,) = await fleet.said()
            assert lost.error == "it did not leave"
            await fleet.messages.retry(fleet.admin, ours.id)
            await fleet.until(has(fleet, MessageStatus.DELIVERED))
        assert she.arrivals == {"hola": 1}

    run(story)


def test_a_doubt_is_settled_by_a_receipt() -> None:
    """Issue: the only message that it can be about; the echo of another one proves it wrong."""

    async def story(fleet: Fleet) -> None:
        device, owner, she = await ready(fleet)
        fleet.world.fates.append(Fate.UNANSWERED)
        async with fleet.running():
            await fleet.write(device, she, "hola")
            await fleet.until(has(fleet, MessageStatus.DELIVERED))
            (ours,) = await fleet.said()
            assert ours.wa_message_id == she.messages[0].wa_message_id
        fleet.world.fates.append(Fate.LOST)
        async with fleet.running():
            await fleet.write(device, she, "adiós")
            await fleet.until(has(fleet, MessageStatus.DELIVERED, MessageStatus.UNKNOWN))
            owner.says(she, "otra cosa")  # Its receipt may come before its echo.
            await fleet.until(
                has(fleet, MessageStatus.DELIVERED, MessageStatus.UNKNOWN, MessageStatus.DELIVERED)
            )

    run(story)


def test_a_receipt_of_what_is_just_being_sent_settles_no_older_doubt() -> None:
    """Issue: it may be heard before the answer is told, and is not the lost message's then."""

    async def story(fleet: Fleet) -> None:
        device, _, she = await ready(fleet)
        await fleet.write(device, she, "hola", "adiós")
        parts, at = fleet.parts(), fleet.glass()
        key = fleet.tenant.key_of(device)
        lease = await fleet.tenant.storage.leases.lease(key, "node", LEASE)
        assert lease
        lost = await parts.sending.begin(lease, wa_message_id=None)
        assert lost
        await parts.sending.lose(lease, lost.item)
        ours = await parts.sending.begin(lease, wa_message_id=None)
        assert ours
        status = MessageStatus.DELIVERED
        receipt = ReceiptSeen(chat=she.peer, wa_message_ids=["3EB0"], status=status, at=at)
        await parts.inbox.receive(lease, [receipt])
        await parts.sending.done(lease, ours.item, SentAs(wa_message_id="3EB0", at=at))
        assert await has(fleet, MessageStatus.UNKNOWN, MessageStatus.DELIVERED)()

    run(story)


def test_what_cannot_be_stored_is_set_aside_and_tried_again() -> None:
    """R8: it holds up nothing else, is told, and is there after the next start."""

    async def story(fleet: Fleet) -> None:
        _, owner, she = await ready(fleet)
        receive = InboxUseCases._store

        async def picky(
            self: InboxUseCases, tx: Transaction, device: Device, heard: Sequence[Inbound]
        ) -> None:
            if any(isinstance(one, MessageSeen) and one.body == BAD for one in heard):
                raise Invalid("body", "cannot be stored")
            await receive(self, tx, device, heard)

        for body in ("antes", BAD, "después"):
            she.says(owner, body)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(InboxUseCases, "_store", picky)
            for _ in range(2):
                async with fleet.running():
                    await fleet.until(has(fleet, MessageStatus.RECEIVED, MessageStatus.RECEIVED))
        assert [what for what, _, _ in fleet.diary.failures] == ["store what was heard"]
        async with fleet.running():
            await fleet.until(has(fleet, *[MessageStatus.RECEIVED] * 3))
        assert sorted(one.body or "" for one in await fleet.said()) == ["antes", "después", BAD]

    run(story)


@dataclass
class Away:
    """A storage that is away at times."""

    inner: Storage
    is_away: bool = False

    @asynccontextmanager
    async def begin(
        self, account_id: AccountId, origin: Origin = SYSTEM
    ) -> AsyncIterator[Transaction]:
        if self.is_away:
            raise Unavailable("storage")
        async with self.inner.begin(account_id, origin) as tx:
            yield tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_nothing_is_lost_while_the_store_is_away() -> None:
    """Reliability 4: what was heard waits, and what was sent is told of afterwards."""

    async def story(fleet: Fleet) -> None:
        device, owner, she = await ready(fleet)
        away = Away(fleet.tenant.storage)
        async with fleet.running(fleet.pool(storage=cast("Storage", away))):
            await fleet.until(connected(fleet, device))
            away.is_away = True
            for n in range(5):
                she.says(owner, f"hola {n}")
            await fleet.during(timedelta(minutes=1))
            away.is_away = False
            await fleet.until(has(fleet, *[MessageStatus.RECEIVED] * 5))
        assert fleet.diary.failures == []

    run(story)


def test_who_dies_is_taken_over_from_and_writes_nothing_any_more() -> None:
    """R15, R18: when the lease is over, and not before; who wakes up late is refused."""

    async def story(fleet: Fleet) -> None:
        device, owner, she = await ready(fleet)
        first = fleet.pool("first")
        looking = asyncio.create_task(keep(first.running()))
        await fleet.until(connected(fleet, device))
        for task in asyncio.all_tasks():
            if "DevicePool._again" in repr(task):
                task.cancel()  # It still runs the device, and renews no lease.
        async with fleet.running(fleet.pool("second")):
            began = fleet.glass()

            async def has_second() -> bool:
                return not first.held

            await fleet.until(has_second)
            assert LEASE - timedelta(seconds=8) < fleet.glass() - began
            she.says(owner, "hola")
            await fleet.until(has(fleet, MessageStatus.RECEIVED), connected(fleet, device))
        looking.cancel()

    run(story)


async def keep(context: Any) -> None:
    async with context:
        await asyncio.Event().wait()


def connected(fleet: Fleet, device: Device) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def so() -> bool:
        return (await fleet.device(device.id)).status is DeviceStatus.CONNECTED

    return so


def test_talk_survives_a_world_of_bad_manners() -> None:
    """R7: all that people say is there once, whatever WhatsApp does to it on the way."""

    async def story(fleet: Fleet) -> None:
        device, owner, she = await ready(fleet)

        async def all_said() -> bool:
            bodies = [one.body for one in await fleet.said()]
            return sorted(filter(None, bodies)) == sorted(f"{n}" for n in range(60))

        async with fleet.running():
            for n in range(60):
                if n % 3 == 0:
                    she.says(owner, f"{n}")
                elif n % 3 == 1:
                    owner.says(she, f"{n}")
                else:
                    await fleet.write(device, she, f"{n}")
                await fleet.during(timedelta(seconds=2))
            await fleet.during(timedelta(minutes=12))  # To look at all of it each time is slow.
            await fleet.until(all_said, settled(fleet))
        assert max(she.arrivals.values()) == 1

    run(story, seed=7, manner=WILD)


def settled(fleet: Fleet) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def so() -> bool:
        waiting = {MessageStatus.QUEUED, MessageStatus.SENDING}
        said: list[MessageView] = await fleet.said()
        return not any(one.status in waiting for one in said)

    return so
