"""The hub: every change reaches every screen of its account, once and in order."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarin_core.domain.actor import Actor
from clarin_core.domain.ids import ID_MAX
from clarin_core.domain.leads import NewLead
from clarin_memory import MemoryPublisher
from support.restless import Habit, MoodyPublisher, RestlessStorage
from support.screen import Frame, live_screen, run, screen
from support.serving import House, Person, now, serving

TURNS = st.lists(st.integers(0, 4), min_size=1, max_size=5)
HABITS = st.lists(st.sampled_from(["tells", "loses", "repeats", "hurries"]), min_size=1, max_size=5)


def test_a_change_reaches_every_screen_of_the_account_and_no_other() -> None:
    """R3, R22: Ana twice and Beto once; Carla, of another account, hears nothing."""

    async def story() -> None:
        async with (
            serving() as house,
            live_screen(house.ana) as one,
            live_screen(house.ana) as two,
            live_screen(house.beto) as beto,
            live_screen(house.carla) as carla,
        ):
            lead = await house.ana.post("/api/leads", name="Luz")
            for there in (one, two, beto):
                frame = await there.hear()
                assert set(frame) == {"event", "seq", "at", "account_id", "data"}
                assert frame["event"] == "lead_update"
                assert frame["account_id"] == house.ana.account_id
                assert frame["data"]["id"] == lead["id"]
            assert await carla.settle() == []

    run(story())


def test_frames_are_the_log() -> None:
    """R3: dense numbers from the hello's on, in the order of the commits."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            await asyncio.gather(*(write(house, 5) for _ in range(4)))
            end = ana.hello["data"]["seq"] + 20
            assert_log(await ana.until(end), await log(house.ana), ana.hello["data"]["seq"])

    run(story())


def test_a_screen_that_says_nothing_becomes_live() -> None:
    """A client that does not resume gets what came after its hello."""

    async def story() -> None:
        async with serving() as house, screen(house.ana) as ana:
            await write(house, 2)
            seq = ana.hello["data"]["seq"]
            assert [frame["seq"] for frame in await ana.until(seq + 2)] == [seq + 1, seq + 2]

    run(story())


@settings(max_examples=15, deadline=None)
@given(
    turns=TURNS,
    habits=HABITS,
    connections=st.lists(st.integers(0, 12), max_size=6),
    bursts=st.lists(st.integers(1, 4), min_size=1, max_size=12),
)
def test_who_comes_and_goes_misses_nothing_and_hears_nothing_twice(
    turns: list[int], habits: list[Habit], connections: list[int], bursts: list[int]
) -> None:
    """R3, R4: random departures while others write; hints lost, doubled, early; reads late.

    What one client hears over all of its connections, and what another one hears that stays,
    is the log.
    """

    async def story() -> None:
        publisher = MoodyPublisher(habits)
        storage = RestlessStorage(publisher, turns)
        async with serving(storage, publisher=publisher) as house, live_screen(house.beto) as beto:
            start = beto.hello["data"]["seq"]
            end = start + sum(bursts)
            polling = asyncio.create_task(poll(house))
            writing = asyncio.create_task(write_bursts(house, bursts))
            heard: list[Frame] = []
            for count in [*connections, end]:
                heard += await some(house.ana, after=start + len(heard), count=count, end=end)
            stayed = await beto.until(end)
            await writing
            polling.cancel()
            written = await log(house.ana)
            assert_log(heard, written, start)
            assert_log(stayed, written, start)

    run(story())


def test_a_resume_replays_what_was_missed() -> None:
    """R4: through the log, and through the ring, which holds the last 1,024 of 1,500."""

    async def story() -> None:
        async with serving() as house, live_screen(house.beto) as beto:
            await write(house, 1500 - beto.hello["data"]["seq"])
            await beto.until(1500)
            written = await log(house.ana)
            for after in (0, 4, 100, 475, 476, 477, 1499, 1500):
                async with screen(house.ana) as ana:
                    assert_log(await ana.resume(after), written, after)

    run(story())


def test_a_live_screen_may_resume_again() -> None:
    """What the client says it has not seen is repeated; then it goes on live."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            start = ana.hello["data"]["seq"]
            await write(house, 3)
            await ana.until(start + 3)
            repeated = await ana.resume(start + 1, epoch=ana.hello["data"]["epoch"])
            assert [frame["seq"] for frame in repeated] == [start + 2, start + 3]
            await write(house, 1)
            assert (await ana.hear())["seq"] == start + 4

    run(story())


def test_a_client_may_know_more_than_the_room() -> None:
    """R5: who read the state before the hint came resumes after it, and is not sent back."""

    async def story() -> None:
        publisher = MoodyPublisher(["loses"])
        storage = RestlessStorage(publisher)
        async with serving(storage, publisher=publisher) as house, screen(house.ana) as ana:
            await write(house, 2)
            seq = await seq_of(house.ana, "/api/leads")
            assert seq == ana.hello["data"]["seq"] + 2
            assert await ana.resume(seq) == []
            await write(house, 1)
            assert (await ana.hear())["seq"] == seq + 1

    run(story())


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
                deleted_before=now(), events_before=now() + waited / 2
            )
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
            await storage.purge(deleted_before=now(), events_before=late)
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
            await storage.purge(deleted_before=now(), events_before=late)
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


def test_lost_hints_are_made_good_by_the_poll() -> None:
    """R3: the log is the truth, a hint only says look."""

    async def story() -> None:
        publisher = MoodyPublisher(["loses"])
        async with (
            serving(publisher=publisher) as house,
            live_screen(house.ana) as ana,
        ):
            await write(house, 3)
            start = ana.hello["data"]["seq"]
            assert [frame["seq"] for frame in await ana.until(start + 3)] == [
                start + 1, start + 2, start + 3,
            ]  # fmt: skip

    run(story())


def test_a_log_that_fails_for_a_while_is_followed_afterwards() -> None:
    """R29: nobody is cut off, nothing is missed; who resumes meanwhile is asked to come later."""

    async def story() -> None:
        publisher = MemoryPublisher()
        storage = RestlessStorage(publisher)
        async with (
            serving(storage, publisher=publisher) as house,
            live_screen(house.ana) as ana,
            live_screen(house.beto) as beto,
        ):
            storage.is_down = True
            await write(house, 3)
            await beto.say("resume", after=0)
            assert await beto.goodbye() == (1013, "try_again_later")
            assert await ana.settle() == []
            storage.is_down = False
            await write(house, 1)
            start = ana.hello["data"]["seq"]
            assert_log(await ana.until(start + 4), await log(house.ana), start)

    run(story())


def test_rooms_close_behind_the_last_one() -> None:
    """Who joins while the last one leaves is not left in a room that nobody looks after."""

    async def story() -> None:
        publisher = MemoryPublisher()
        storage = RestlessStorage(publisher, turns=[7])
        async with serving(storage, publisher=publisher) as house:
            for _ in range(20):
                async with screen(house.ana) as leaving:
                    joining = asyncio.create_task(hear_a_change(house))
                    await leaving.socket.close()
                    await joining

    run(story())


async def write(house: House, changes: int) -> None:
    """Make some changes in Ana's account, one event each."""
    ana = Actor(account_id=house.ana.account_id, user_id=house.ana.user_id)
    for number in range(changes):
        await house.services.leads.create(ana, NewLead(name=f"Luz {number}"))


async def write_bursts(house: House, bursts: Sequence[int]) -> None:
    """Make changes, several at a time."""
    for burst in bursts:
        await asyncio.gather(*(write(house, 1) for _ in range(burst)))
        await house.ana.get("/health")


async def poll(house: House, times: int = 10**9) -> None:
    """Look at the logs again and again."""
    for _ in range(times):
        await house.hub.look()
        await asyncio.sleep(0)


async def some(person: Person, *, after: int, count: int, end: int) -> list[Frame]:
    """Resume after a number and hear some frames before leaving."""
    heard: list[Frame] = []
    async with screen(person) as there:
        await there.say("resume", after=after)
        while len(heard) < min(count, end - after):
            heard.append(await there.hear())
    return heard


async def hear_a_change(house: House) -> None:
    """Join, and hear of a change."""
    async with live_screen(house.ana) as there:
        await write(house, 1)
        assert (await there.hear())["event"] == "lead_update"


async def log(person: Person) -> list[dict[str, Any]]:
    """Return the account's whole log."""
    events: list[dict[str, Any]] = []
    while True:
        after = events[-1]["seq"] if events else 0
        page = await person.get("/api/events/stream", after=after, limit=1000)
        events += page["data"]
        if not page["data"]:
            return events


async def seq_of(person: Person, path: str) -> int:
    """Return the place in the log of a list."""
    return int((await person.ask("GET", path)).headers["clarin-seq"])


def assert_log(frames: list[Frame], written: list[dict[str, Any]], after: int) -> None:
    """Check that frames are the log after a number, one by one."""
    heard = [(frame["seq"], frame["at"], frame["event"]) for frame in frames]
    assert [(seq, at) for seq, at, _ in heard] == [
        (event["seq"], event["at"]) for event in written[after:]
    ]
    assert all(name.endswith("_update") for _, _, name in heard)
