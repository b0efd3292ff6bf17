"""What passes: that somebody types, told to the others while it lasts, and kept nowhere."""

import pytest

from clarin_core.domain.ids import AccountId
from clarin_core.ports.event_publisher import Aside
from clarin_server.http import sockets
from clarin_server.http.pace import Pace
from support.screen import live_screen, run, screen
from support.serving import serving

COMPOSING = {"chat_id": 7, "state": "composing"}


def test_colleagues_see_that_somebody_types() -> None:
    """Section 9: the account's other sockets, without a number; nobody else, and no log."""

    async def story() -> None:
        async with (
            serving() as house,
            live_screen(house.ana) as ana,
            live_screen(house.ana) as elsewhere,
            live_screen(house.beto) as beto,
            live_screen(house.carla) as carla,
        ):
            before = await house.ana.get("/api/events/stream", limit=1000)
            await ana.say("typing", chat_id=7)
            await ana.say("typing", chat_id=7, state="paused")
            for state in ("composing", "paused"):
                told = {**COMPOSING, "state": state, "user_id": house.ana.user_id}
                about = {"event": "typing", "account_id": house.ana.account_id, "data": told}
                assert [await beto.hear(), await elsewhere.hear()] == [about] * 2
            assert [await ana.settle(), await carla.settle()] == [[], []]
            assert await house.ana.get("/api/events/stream", limit=1000) == before

    run(story())


def test_other_processes_are_heard() -> None:
    """What is said there comes as a hint; one who is not live yet misses it."""

    async def story() -> None:
        async with serving() as house, live_screen(house.ana) as ana, screen(house.ana) as late:
            account_id = AccountId(house.ana.account_id)
            told = b'{"event":"typing","data":{}}'
            house.services.publisher.announce(Aside(account_id, "elsewhere", told))
            house.services.publisher.announce(Aside(AccountId(2**40), "elsewhere", told))
            assert await ana.settle() == [{"event": "typing", "data": {}}]
            assert await late.settle() == []

    run(story())


def test_who_types_too_fast_is_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many a second of each client; what is more is of no use, and no fault."""
    monkeypatch.setattr(sockets, "_TYPING_PER_SECOND", 0)

    async def story() -> None:
        async with (
            serving() as house,
            live_screen(house.ana) as ana,
            live_screen(house.beto) as beto,
        ):
            for _ in range(5):
                await ana.say("typing", chat_id=7)
            assert await ana.settle() == []
            assert await beto.settle() == []

    run(story())


@pytest.mark.parametrize("most", [1, 10])
def test_a_pace_counts_second_by_second(most: int) -> None:
    now = 0.0
    pace = Pace(most, clock=lambda: now)
    for second in (0.0, 1.0, 7.5):
        now = second
        assert [pace.is_exceeded() for _ in range(most)] == [False] * most
        now = second + 0.99
        assert [pace.is_exceeded() for _ in range(3)] == [True] * 3
