"""The fast lane: every case has the same bytes with it and without it."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from secrets import token_hex
from sys import getrefcount
from typing import Any

import pytest
from sanic import Request

from clarin_core.domain.cache import lead_key
from clarin_core.domain.ids import LeadId
from clarin_core.testing.watch import Watch
from clarin_memory import MemoryLimiter
from clarin_server.http.lane import Lane
from clarin_server.http.socket import Protocol
from clarin_server.settings import USER_REQUESTS
from support.reading import Line, line, request
from support.serving import House, serving

LEAD, LEADS, TAGS = "/api/leads/1", "/api/leads?limit=2", "/api/tags"
Story = Callable[[House, Line, Watch], Awaitable[list[bytes]]]
STORIES: list[Story] = []


def story(told: Story) -> Story:
    STORIES.append(told)
    return told


class Counter:
    """Counts what the lane answers."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.answers = 0
        right = Lane.answer

        def answer(lane: Lane, asked: bytes) -> bytes | None:
            found = right(lane, asked)
            self.answers += found is not None
            return found

        patch.setattr(Lane, "answer", answer)


def play(told: Story, **settings: Any) -> list[bytes]:
    """Return what is answered in a fresh house, in which a lead is kept already."""

    async def played() -> list[bytes]:
        clock = Watch()
        limiter = MemoryLimiter(clock)
        async with serving(clock=clock, limiter=limiter, **settings) as house:
            for name in ("Luz", "Sol", "Mar"):
                await house.ana.post("/api/leads", name=name)
            clock.forward(minutes=1)
            async with line(house) as one:
                for path in (LEAD, LEADS, TAGS):
                    for _ in range(3):  # It is kept, then known to the lane, then answered by it.
                        await one.ask(request(house.ana, path))
                return await told(house, one, clock)

    return asyncio.run(played())


@story
async def what_is_kept_is_answered_again(house: House, one: Line, at: Watch) -> list[bytes]:
    return [await one.ask(request(house.ana, path)) for path in (LEAD, LEADS, TAGS) * 3]


@story
async def every_header_counts(house: House, one: Line, at: Watch) -> list[bytes]:
    headers = ("X-Request-ID: mine", "X-Request-ID: not/mine", "Origin: http://elsewhere",
               "Accept-Encoding: gzip", "If-Match: \"9\"", "Cookie: a=b")  # fmt: skip
    return [await one.ask(request(house.ana, LEAD, header)) for header in headers * 3]


@story
async def a_head_is_no_body(house: House, one: Line, at: Watch) -> list[bytes]:
    asked = request(house.ana, LEAD, method="HEAD")
    heads = [await one.ask(asked, is_head=True) for _ in range(3)]
    return [*heads, await one.ask(request(house.ana, LEAD))]


@story
async def pieces_are_put_together(house: House, one: Line, at: Watch) -> list[bytes]:
    asked = request(house.ana, LEAD)
    return [await one.ask(asked[:cut], asked[cut:]) for cut in range(1, len(asked))]


@story
async def requests_may_come_together(house: House, one: Line, at: Watch) -> list[bytes]:
    lead, leads = request(house.ana, LEAD), request(house.ana, LEADS)
    await one.send(lead + leads + lead[:30])
    found = [await one.answer(), await one.answer()]
    await one.send(lead[30:], leads, lead)
    return [*found, *[await one.answer() for _ in range(3)]]


@story
async def half_a_request_makes_another_of_the_next(
    house: House, one: Line, at: Watch
) -> list[bytes]:
    asked = request(house.ana, LEAD)
    found = []
    for half in (asked[:-2], asked[:5], b"GET /health HTTP/1.1\r\nX: "):
        async with line(house) as other:
            found += [await other.ask(asked), await other.ask(half, asked)]
    return [*found, await one.ask(asked)]


@story
async def a_connection_that_shall_end_ends(house: House, one: Line, at: Watch) -> list[bytes]:
    asked = request(house.ana, LEAD, "Connection: close")
    found = []
    for _ in range(3):
        async with line(house) as other:
            found += [await other.ask(asked), await other.ask(request(house.ana, LEAD))]
    return found


@story
async def an_old_client_is_hung_up_on(house: House, one: Line, at: Watch) -> list[bytes]:
    asked = request(house.ana, LEAD).replace(b"HTTP/1.1", b"HTTP/1.0")
    found = []
    for _ in range(3):
        async with line(house) as other:
            found += [await other.ask(asked), await other.answer()]
    return found


@story
async def a_body_is_no_request(house: House, one: Line, at: Watch) -> list[bytes]:
    """What stands in a body that nobody reads is not asked."""
    asked = request(house.ana, LEAD)
    length = f"Content-Length: {len(asked)}"
    found = []
    for path in ("/api/nowhere", "/api/leads", LEAD):
        for method in ("POST", "GET"):
            async with line(house) as other:
                head = request(house.ana, path, length, method=method)
                found += [await other.ask(head, asked), await other.ask(asked)]
    return found


@story
async def a_body_in_chunks_is_waited_for(house: House, one: Line, at: Watch) -> list[bytes]:
    asked = request(house.ana, LEAD, "Transfer-Encoding: chunked")
    return [await one.ask(asked, b"0\r\n\r\n") for _ in range(3)]


@story
async def a_length_of_nothing_is_nothing(house: House, one: Line, at: Watch) -> list[bytes]:
    return [await one.ask(request(house.ana, LEAD, "Content-Length: 0")) for _ in range(3)]


@story
async def a_token_ends(house: House, one: Line, at: Watch) -> list[bytes]:
    asked = request(house.ana, LEAD)
    found = []
    for _ in range(40):
        found.append(await one.ask(asked))
        at.forward(minutes=1)
    return found


@story
async def who_signs_out_is_out(house: House, one: Line, at: Watch) -> list[bytes]:
    asked = request(house.beto, LEAD)
    before = [await one.ask(asked) for _ in range(3)]
    await house.beto.post("/api/auth/logout", refresh_token=house.beto.refresh_token)
    return [*before, *[await one.ask(asked) for _ in range(2)]]


@story
async def who_is_put_out_is_out(house: House, one: Line, at: Watch) -> list[bytes]:
    asked = request(house.beto, LEAD)
    before = [await one.ask(asked) for _ in range(3)]
    answer = await house.ana.ask("DELETE", f"/api/members/{house.beto.user_id}")
    assert answer.status_code == 204, answer.text
    return [*before, *[await one.ask(asked) for _ in range(2)]]


@story
async def the_other_account_has_its_own(house: House, one: Line, at: Watch) -> list[bytes]:
    people = (house.ana, house.carla, house.beto) * 3
    return [await one.ask(request(who, path)) for who in people for path in (LEAD, LEADS)]


@story
async def a_write_is_seen_at_once(house: House, one: Line, at: Watch) -> list[bytes]:
    found = []
    for number in range(4):
        answer = await house.beto.ask("PATCH", LEAD, json={"name": f"Luz {number}"})
        assert answer.status_code == 200, answer.text
        for path in (LEAD, LEADS, LEAD):
            found.append(await one.ask(request(house.ana, path)))
    assert b"Luz 3" in found[-1]
    await house.ana.ask("DELETE", LEAD)
    return [*found, *[await one.ask(request(house.ana, path)) for path in (LEAD, LEADS)]]


@story
async def nonsense_is_refused(house: House, one: Line, at: Watch) -> list[bytes]:
    asked = request(house.ana, LEAD)
    token = house.ana.token.encode()
    found = []
    for wrong in (
        asked.replace(b"GET", b"GRT"), asked.replace(b"HTTP/1.1", b"HTTP/9"),
        asked.replace(token, token[:-4] + b"AAAA"), asked.replace(b"Bearer", b"Basic"),
        asked.replace(b"\r\n\r\n", b"\r\nX: \xff\r\n\r\n"), asked.replace(b"\r\n", b"\n"),
        b"\r\n" + asked, b"\x16\x03\x01" + asked,
    ):  # fmt: skip
        async with line(house) as other:
            found += [await other.ask(asked), await other.ask(wrong + b"\r\n\r\n")]
    return found


@pytest.mark.parametrize("told", STORIES, ids=lambda told: told.__name__)
def test_the_bytes_are_the_same(told: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the lane and without it."""
    without = play(told, fast_lane="off")
    counter = Counter(monkeypatch)
    assert play(told, fast_lane="on") == without
    assert any(without)
    assert counter.answers > 0, "the lane was not taken once"


def test_who_asks_too_often_is_refused_in_the_lane_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """R25: the requests of both ways are one account of them."""

    async def too_often(house: House, one: Line, at: Watch) -> list[bytes]:
        asked = request(house.beto, LEAD)
        found = [await one.ask(asked) for _ in range(USER_REQUESTS.burst + 3)]
        at.forward(minutes=1)
        return [*found, await one.ask(asked)]

    without = play(too_often, fast_lane="off", rate_limits="on")
    counter = Counter(monkeypatch)
    assert play(too_often, fast_lane="on", rate_limits="on") == without
    assert counter.answers > USER_REQUESTS.burst / 2
    assert [answer[9:12] for answer in without[-5:]] == [b"200", *[b"429"] * 3, b"200"]


def test_who_does_not_read_is_not_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a client is bounded: what it asks meanwhile waits, too."""
    waiting: list[int] = []
    right = Protocol.data_received

    def data_received(protocol: Protocol, data: bytes) -> None:
        right(protocol, data)
        if protocol.transport is not None:
            waiting.append(protocol.transport.get_write_buffer_size())

    async def unread(house: House, one: Line, at: Watch) -> list[bytes]:
        for _ in range(40):
            await house.ana.post("/api/leads", name="Luz", notes="n" * 10_000)
        asked = request(house.ana, "/api/leads?limit=100")
        found = [await one.ask(asked) for _ in range(3)]
        for _ in range(60):
            await one.send(asked)
        return [*found, *[await one.answer() for _ in range(60)]]

    counter = Counter(monkeypatch)
    monkeypatch.setattr(Protocol, "data_received", data_received)
    found = play(unread)
    assert len(set(found)) == 1
    assert counter.answers > 3
    assert max(waiting) < 2 * len(found[0])


def test_what_is_not_kept_any_more_takes_no_memory() -> None:
    """R23: a body is held where its bytes are counted, however many requests it answered."""

    async def remembered(house: House, one: Line, at: Watch) -> list[bytes]:
        key = lead_key(house.ana.account_id, LeadId(1))
        entry = house.services.reads.through.near(key)
        assert entry is not None
        before = getrefcount(entry.body)
        for path in (*[LEAD] * 5, TAGS):  # Of each connection Sanic knows the last request.
            await one.ask(request(house.ana, path, f"X-Request-ID: {token_hex(8)}"))
        gc.collect()  # Its requests and answers know each other.
        after = getrefcount(entry.body)
        assert after == before
        return []

    play(remembered)


def test_the_lane_counts_what_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the route, like all others."""
    told: list[str] = []

    async def counted(house: House, one: Line, at: Watch) -> list[bytes]:
        found = [await one.ask(request(house.ana, LEAD)) for _ in range(5)]
        text = house.metrics.text().decode()
        told.extend(row for row in text.splitlines() if "{lead_id}" in row and "_total" in row)
        return found

    play(counted, fast_lane="off")
    play(counted, fast_lane="on")
    without, with_lane = told
    assert with_lane == without
    assert with_lane.endswith(" 8.0")


def test_what_is_asked_once_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would push out what is asked again and again."""
    learned: list[bytes] = []
    learn = Lane.learn

    def noted(lane: Lane, asked: Request, route: str, sent: bytes) -> None:
        learned.append(asked.head)
        learn(lane, asked, route, sent)

    async def once(house: House, one: Line, at: Watch) -> list[bytes]:
        sizes = []
        for _ in range(3):
            await one.ask(request(house.ana, "/api/leads/2"))
            sizes.append(len(learned))
        assert [size - sizes[0] for size in sizes] == [0, 1, 1]
        return []

    monkeypatch.setattr(Lane, "learn", noted)
    play(once)


def test_a_log_of_everything_has_no_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """Level debug names each request."""
    counter = Counter(monkeypatch)
    play(what_is_kept_is_answered_again, log_level="debug")
    assert counter.answers == 0
