"""Frames that are written together: few writes, and yet each frame once and in order."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from math import inf
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarin_core.domain.ids import AccountId
from clarin_core.ports.event_publisher import Aside
from clarin_memory import MemoryPublisher
from clarin_server.http import joining
from clarin_server.http.frames import Frame
from clarin_server.http.joining import Bundle, Window
from clarin_server.http.socket import ENDED, RESTART, Socket
from support.restless import RestlessStorage
from support.screen import Screen, live_screen, run, screen, write
from support.serving import now, serving

LONG_S = 3600.0


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have a window last for ever, and note how much each write to a socket has."""
    monkeypatch.setattr(joining, "_WINDOW_S", LONG_S)
    noted: list[int] = []
    right = Socket.put

    def put(socket: Socket, frames: bytes) -> None:
        noted.append(frames.count(b'"seq":'))
        right(socket, frames)

    monkeypatch.setattr(Socket, "put", put)
    return noted


def seqs(frames: list[dict[str, object]], there: Screen) -> list[int]:
    """Return the numbers of frames, counted from the hello's."""
    start = there.hello["data"]["seq"]
    return [cast("int", frame["seq"]) - start for frame in frames if "seq" in frame]


def test_the_first_frame_comes_at_once_and_the_next_ones_together(writes: list[int]) -> None:
    """Where it is quiet nobody waits; where much happens a write carries it all."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            writes.clear()
            await write(house, 1)
            assert seqs([await ana.hear()], ana) == [1]
            await write(house, 4)
            assert writes == [1]
            assert seqs(await ana.settle(), ana) == [2, 3, 4, 5]
            assert writes == [1, 4, 0]

    run(story())


def test_frames_do_not_wait_for_more_than_a_moment() -> None:
    """Nobody has to say anything for them to come."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana, live_screen(house.beto):
            for number in range(1, 30, 3):
                await write(house, 3)
                end = ana.hello["data"]["seq"] + number + 2
                heard = seqs(await ana.until(end), ana)
                assert heard == [number, number + 1, number + 2]

    run(story())


def test_what_is_too_much_to_wait_does_not(
    writes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound of what waits is one of bytes."""
    monkeypatch.setattr(joining, "_BYTES_MAX", 1000)

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            writes.clear()
            await write(house, 40)
            assert 2 < len(writes) < 20
            assert seqs(await ana.settle(), ana) == [*range(1, 41)]

    run(story())


def test_who_comes_while_frames_wait_hears_none_of_them(writes: list[int]) -> None:
    """They are before its hello, or in what it resumes after; the others hear them once."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            await write(house, 3)
            async with screen(house.ana) as late, screen(house.ana) as back:
                assert seqs(await back.resume(back.hello["data"]["seq"] - 3), back) == [-2, -1, 0]
                assert await late.settle() == []
                await write(house, 2)
                assert seqs(await late.settle(), late) == [1, 2]
                assert seqs(await back.settle(), back) == [1, 2]
            assert seqs(await ana.settle(), ana) == [1, 2, 3, 4, 5]

    run(story())


def test_who_resumes_while_frames_wait_hears_each_once(writes: list[int]) -> None:
    """What waits for it comes with what it has missed, and not again."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            await write(house, 4)
            assert seqs([await ana.hear()], ana) == [1]
            assert seqs(await ana.resume(ana.hello["data"]["seq"] + 2), ana) == [3, 4]
            await write(house, 1)
            assert seqs(await ana.settle(), ana) == [5]

    run(story())


def test_what_passes_keeps_its_place(writes: list[int]) -> None:
    """Between the events around it, and without the one who said it."""

    async def story() -> None:
        async with (
            serving() as house,
            live_screen(house.ana) as ana,
            live_screen(house.beto) as beto,
        ):
            await write(house, 2)
            await ana.say("typing", chat_id=7)
            assert seqs(await ana.settle(), ana) == [1, 2]
            account_id = AccountId(house.ana.account_id)
            await write(house, 1)
            house.services.publisher.announce(Aside(account_id, "elsewhere", b'{"event":"x"}'))
            await write(house, 1)
            heard = [frame.get("seq", frame["event"]) for frame in await beto.settle()]
            start = beto.hello["data"]["seq"]
            assert heard == [start + 1, start + 2, "typing", start + 3, "x", start + 4]
            assert [frame["event"] for frame in await ana.settle()][1] == "x"

    run(story())


def test_nothing_overtakes_what_waits(writes: list[int]) -> None:
    """Neither what is said of the store, nor a resync, nor any goodbye."""

    async def story() -> None:
        waited = timedelta()
        publisher = MemoryPublisher()
        storage = RestlessStorage(publisher)
        async with (
            serving(storage, publisher=publisher, clock=lambda: now() + waited) as house,
            live_screen(house.ana) as ana,
            live_screen(house.beto) as beto,
        ):
            await write(house, 3)
            house.hub._tell_of_the_store(is_reached=False)
            heard = [(await ana.hear())["event"] for _ in range(4)]
            assert heard == ["lead_update"] * 3 + ["notification"]
            await write(house, 2)
            storage.epoch = "restored"
            await house.hub.look()
            heard = [(await ana.hear())["event"] for _ in range(3)]
            assert heard == ["lead_update"] * 2 + ["resync"]
            await write(house, 2)
            waited = timedelta(minutes=15)
            await house.hub.check_sign_ins()
            await check_the_end(beto, ENDED, ["resync", "lead_update", "lead_update"])

    run(story())


def test_who_stops_says_all_that_waits(writes: list[int]) -> None:
    """R28: before the words that ask a client to come back."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana:
            await write(house, 3)
            await house.hub._say_goodbye()
            await check_the_end(ana, RESTART, ["lead_update"] * 3 + ["reconnect"])

    run(story())


async def check_the_end(there: Screen, end: tuple[int, str], events: list[str]) -> None:
    """Hear the last frames, then the close."""
    heard = [frame["event"] async for frame in there.rest()]
    assert heard[-len(events) :] == events
    assert await there.goodbye() == end


class Client:
    """A socket as a bundle sees it, with what has come of it."""

    def __init__(self, number: int) -> None:
        self.name = f"c{number}"
        self.is_admin = number % 2 == 0
        self.live = False
        self.seq = 0
        self.heard: list[str] = []

    def put(self, frames: bytes) -> None:
        self.heard += frames.decode().split()

    @property
    def numbers(self) -> list[int]:
        """Return the numbers of the events that came, which are for a role."""
        mark = "A" if self.is_admin else "a"
        events = [heard for heard in self.heard if heard[0] in "Aa"]
        assert all(heard[0] == mark for heard in events)
        return [int(heard[1:]) for heard in events]

    def learn(self, cursor: int) -> None:
        """Know all events up to one, and be live from there on."""
        mark = "A" if self.is_admin else "a"
        self.heard += [f"{mark}{seq}" for seq in range(len(self.numbers) + 1, cursor + 1)]
        self.seq, self.live = max(cursor, len(self.numbers)), True


MOVES = st.lists(
    st.tuples(st.sampled_from(["event", "event", "aside", "flush", "resume", "read", "go"]),
              st.integers(0, 3)), max_size=50,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(moves=MOVES)
def test_whoever_is_live_hears_each_event_once_and_in_order(moves: list[tuple[str, int]]) -> None:
    """And what passes between the events around it, unless it is its own."""
    bundle, clients, cursor = Bundle(), [Client(number) for number in range(4)], 0
    sockets = cast("list[Socket]", clients)
    for move, number in [*moves, ("event", 0), ("flush", 0)]:
        client = clients[number]
        match move:
            case "event":
                cursor += 1
                bundle.add(Frame(b"A%d " % cursor, b"a%d " % cursor), seq=cursor)
            case "aside":
                told = f"{client.name}:{cursor} ".encode()
                bundle.add(Frame(told, told), speaker=client.name)
            case "flush" if bundle:
                gone = {other: len(other.heard) for other in clients if not other.live}
                bundle.write_to(sockets)
                assert gone == {other: len(other.heard) for other in gone}
            case "resume" | "read":  # What was read, such as the state, may be ahead of the room.
                client.learn(cursor + (move == "read"))
            case "go":
                client.live = False
    for client in clients:
        assert client.numbers == [*range(1, len(client.numbers) + 1)]
        assert not client.live or len(client.numbers) >= cursor
        assert not any(heard.startswith(client.name) for heard in client.heard)


class Sender:
    """Somebody who makes so many writes when it flushes, which may take time."""

    def __init__(self, writes: int, takes: Callable[[], None] = lambda: None) -> None:
        self.flushed_at = -inf
        self.flushes = 0
        self._writes = writes
        self._takes = takes

    def flush(self) -> int:
        self.flushes += 1
        self._takes()
        return self._writes


def test_whoever_has_been_quiet_writes_at_once_unless_much_was_written() -> None:
    """By any: the process has only so much time for it."""

    async def story() -> None:
        at = 100.0
        window = Window(clock=lambda: at)
        senders = [Sender(100) for _ in range(5)]
        for sender in senders:
            window.offer(sender)
        assert [sender.flushes for sender in senders] == [1, 1, 1, 0, 0]
        window.offer(senders[0])
        while senders[0].flushes < 2:
            await asyncio.sleep(0)
        assert [sender.flushes for sender in senders] == [2, 1, 1, 1, 1]
        window.offer(quick := Sender(1))
        assert quick.flushes == 0  # Three hundred were written just now.
        while not quick.flushes:
            await asyncio.sleep(0)
        window.offer(other := Sender(1))
        assert other.flushes == 1
        at += 0.004
        window.offer(other)
        assert other.flushes == 1
        while other.flushes < 2:
            await asyncio.sleep(0)
        at += 0.006
        window.offer(other)
        assert other.flushes == 3

    run(story())


def test_the_time_that_writing_took_is_no_quiet() -> None:
    """Else a process with too much to write would never write anything together."""

    async def story() -> None:
        at = 100.0

        def take() -> None:
            nonlocal at
            at += 0.01

        window = Window(clock=lambda: at)
        window.offer(large := Sender(300, take))
        window.offer(other := Sender(1))
        assert (large.flushes, other.flushes) == (1, 0)
        at += 0.006
        window.offer(third := Sender(1))
        assert third.flushes == 1

    run(story())
