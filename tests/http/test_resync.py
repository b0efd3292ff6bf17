"""Logs that are not what they were: trimmed, restored, cut off; every screen is told (R4)."""

import asyncio
from datetime import timedelta

import pytest

from clarin_core.domain.ids import ID_MAX
from clarin_memory import MemoryPublisher
from support.restless import MoodyPublisher, RestlessStorage
from support.screen import live_screen, log, run, screen, write
from support.serving import now, serving

OTHER_BOUNDS = ("deleted_before", "answers_before", "marks_before")
"""The bounds of a purge that are not about events."""


@pytest.mark.parametrize("ahead", [1, ID_MAX - 10])
def test_a_number_from_the_future_needs_a_resync(ahead: int) -> None:
    """R4: nobody has seen what was not written; afterwards the screen is live."""

    async def story() -> None:
        async with serving() as house, screen(house.ana) as ana:
            place = {key: ana.hello["data"][key] for key in ("epoch", "seq")}
            (frame,) = await ana.resume(place["seq"] + ahead)
            assert frame == {"event": "resync", "data": {"reason": "too_old", **place}}
            await write(house, 1)
            assert (await ana.hear())["seq"] == place["seq"] + 1

    run(story())


def test_another_epoch_needs_a_resync() -> None:
    """R4: numbers of another history mean nothing here."""

    async def story() -> None:
        async with serving() as house, screen(house.ana) as ana:
            place = {key: ana.hello["data"][key] for key in ("epoch", "seq")}
            (frame,) = await ana.resume(1, epoch="of yesterday's backup")
            assert frame == {"event": "resync", "data": {"reason": "epoch", **place}}
            await write(house, 1)
            assert (await ana.hear())["seq"] == place["seq"] + 1

    run(story())


def test_a_trimmed_log_needs_a_resync_only_below_its_beginning() -> None:
    """R4: events that are no longer kept cannot be replayed; those that are still can."""

    async def story() -> None:
        waited = timedelta()
        async with serving(clock=lambda: now() + waited) as house:
            trimmed_to = len(await log(house.ana))
            waited = timedelta(minutes=5)
            await write(house, 3)
            await house.services.storage.purge(
                deleted_before=now(),
                events_before=now() + waited / 2,
                answers_before=now(),
                marks_before=now(),
            )
            await house.hub.look()
            async with screen(house.ana) as ana:
                assert ana.hello["data"]["trimmed_to"] == trimmed_to
                (frame,) = await ana.resume(trimmed_to - 1)
                assert (frame["event"], frame["data"]["reason"]) == ("resync", "too_old")
                replayed = await ana.resume(trimmed_to)
                assert [frame["seq"] for frame in replayed] == [trimmed_to + n for n in (1, 2, 3)]

    run(story())


@pytest.mark.parametrize("lost", [0, 2])
def test_a_restored_backup_is_told_to_all(lost: int) -> None:
    """R4, R30: another epoch sends every screen back to the state, with or without a loss."""

    async def story() -> None:
        publisher = MemoryPublisher()
        storage = RestlessStorage(publisher)
        async with (
            serving(storage, publisher=publisher) as house,
            live_screen(house.ana) as live,
            screen(house.ana) as greeted,
        ):
            await write(house, 3)
            end = live.hello["data"]["seq"] + 3
            await live.until(end)
            storage.epoch, storage.end = "restored", end - lost
            await house.hub.look()
            place = {"epoch": "restored", "seq": end - lost}
            for there in (live, greeted):
                frame = await there.hear()
                assert frame == {"event": "resync", "data": {"reason": "epoch", **place}}
            (frame,) = await live.resume(1, epoch=live.hello["data"]["epoch"])
            assert frame["event"] == "resync"
            assert len(await live.resume(end - lost - 1, epoch="restored")) == 1

    run(story())


def test_a_backup_that_is_restored_during_a_replay_is_told_once() -> None:
    """R4: what comes after the resync is of the new history only."""

    async def story() -> None:
        publisher = MemoryPublisher()
        storage = RestlessStorage(publisher)
        async with serving(storage, publisher=publisher) as house, screen(house.ana) as ana:
            asked = storage.hold("events")
            await ana.say("resume", after=0)
            await asked
            storage.epoch = "restored"
            await house.hub.look()
            storage.gates["events"].set()
            heard = await ana.settle()
            assert [frame["event"] for frame in heard] == ["resync"]
            assert heard[-1]["data"]["epoch"] == "restored"
            await write(house, 1)
            assert (await ana.hear())["seq"] == heard[-1]["data"]["seq"] + 1

    run(story())


def test_a_replay_of_what_was_lost_meanwhile_ends_in_a_resync() -> None:
    """R4: the log lost its end while it was read; who has seen that end must load again."""

    async def story() -> None:
        publisher = MemoryPublisher()
        storage = RestlessStorage(publisher)
        async with serving(storage, publisher=publisher) as house, screen(house.ana) as ana:
            asked = storage.hold("events")
            await ana.say("resume", after=0)
            await asked
            storage.end = ana.hello["data"]["seq"] - 2
            await house.hub.look()
            storage.gates["events"].set()
            *_, last = await ana.settle()
            assert (last["event"], last["data"]["seq"]) == ("resync", storage.end)

    run(story())


def test_a_backup_that_nobody_has_noticed_yet_is_not_replayed() -> None:
    """R4: numbers of the old history do not find events of the new one."""

    async def story() -> None:
        publisher = MemoryPublisher()
        storage = RestlessStorage(publisher)
        async with serving(storage, publisher=publisher) as house, screen(house.ana) as ana:
            storage.epoch = "restored"
            assert {frame["event"] for frame in await ana.resume(0)} == {"resync"}

    run(story())


def test_a_log_that_ends_before_the_room_cannot_be_replayed() -> None:
    """R4: the number is the log's last one, and yet the room has told more."""

    async def story() -> None:
        publisher = MemoryPublisher()
        storage = RestlessStorage(publisher, turns=[1])
        async with serving(storage, publisher=publisher) as house, screen(house.ana) as ana:
            storage.gates["positions"].clear()  # The poll must not find out first.
            storage.end = ana.hello["data"]["seq"] - 1
            assert {frame["event"] for frame in await ana.resume(storage.end)} == {"resync"}

    run(story())


def test_a_page_of_the_past_is_not_delivered() -> None:
    """R4: what was read before the room began anew is of no use afterwards."""

    async def story() -> None:
        publisher = MemoryPublisher()
        storage = RestlessStorage(publisher)
        async with serving(storage, publisher=publisher) as house, live_screen(house.ana) as ana:
            asked = storage.hold("events")
            await write(house, 2)
            await asked
            await write(house, 1)
            late = now() + timedelta(hours=1)
            await storage.purge(
                deleted_before=now(), events_before=late, answers_before=now(), marks_before=now()
            )
            await house.hub.look()
            storage.gates["events"].set()
            (frame,) = await ana.settle()
            assert frame["event"] == "resync"
            await write(house, 1)
            assert (await ana.hear())["seq"] == frame["data"]["seq"] + 1

    run(story())


def test_a_log_that_lost_its_end_is_another_history() -> None:
    """Section 10: a failover may lose the last commits and keep the epoch."""

    async def story() -> None:
        publisher = MemoryPublisher()
        storage = RestlessStorage(publisher)
        async with serving(storage, publisher=publisher) as house, live_screen(house.ana) as ana:
            storage.end = ana.hello["data"]["seq"] - 1
            await house.hub.look()
            frame = await ana.hear()
            assert (frame["event"], frame["data"]["seq"]) == ("resync", storage.end)

    run(story())


def test_a_room_that_is_behind_a_trimmed_log_says_so() -> None:
    """R4: what the room itself can no longer read is a resync for all, never silence."""

    async def story() -> None:
        publisher = MoodyPublisher(["loses"])
        storage = RestlessStorage(publisher)
        async with serving(storage, publisher=publisher) as house, live_screen(house.ana) as ana:
            await write(house, 3)
            late = now() + timedelta(hours=1)
            await storage.purge(
                deleted_before=now(), events_before=late, answers_before=now(), marks_before=now()
            )
            await house.hub.look()
            frame = await ana.hear()
            end = ana.hello["data"]["seq"] + 3
            assert (frame["event"], frame["data"]["seq"]) == ("resync", end)
            await write(house, 1)
            await house.hub.look()
            assert (await ana.hear())["seq"] == end + 1

    run(story())


def test_an_old_answer_of_the_poll_is_no_restored_backup() -> None:
    """R3: a position that was read before the last frames went out does not count against them."""

    async def story() -> None:
        publisher = MemoryPublisher()
        storage = RestlessStorage(publisher)
        async with serving(storage, publisher=publisher) as house, live_screen(house.ana) as ana:
            asked = storage.hold("positions")
            looking = asyncio.create_task(house.hub.look())
            await asked
            await write(house, 2)
            start = ana.hello["data"]["seq"]
            assert [frame["seq"] for frame in await ana.until(start + 2)] == [start + 1, start + 2]
            storage.gates["positions"].set()
            await looking
            assert await ana.settle() == []

    run(story())
