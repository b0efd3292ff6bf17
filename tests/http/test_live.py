"""The hub: every change reaches every screen of its account, once and in order."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clarin_memory import MemoryPublisher
from support.houses import tell
from support.restless import Habit, MoodyPublisher, RestlessStorage
from support.screen import Frame, live_screen, log, run, screen, write
from support.serving import House, Person, serving

TURNS = st.lists(st.integers(0, 4), min_size=1, max_size=5)


HABITS = st.lists(st.sampled_from(["tells", "loses", "repeats", "hurries"]), min_size=1, max_size=5)


def test_a_change_reaches_every_screen_of_the_account_and_no_other(address: str) -> None:
    """R3, R22: Ana twice and Beto once; Carla, of another account, hears nothing."""

    async def story(house: House) -> None:
        async with (
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

    tell(story, address=address)


def test_frames_are_the_log(address: str) -> None:
    """R3: dense numbers from the hello's on, in the order of the commits."""

    async def story(house: House) -> None:
        async with live_screen(house.ana) as ana:
            await asyncio.gather(*(write(house, 5) for _ in range(4)))
            end = ana.hello["data"]["seq"] + 20
            assert_log(await ana.until(end), await log(house.ana), ana.hello["data"]["seq"])

    tell(story, address=address)


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
            heard = await ana.settle()
            assert not [frame for frame in heard if frame["event"] != "notification"]
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
