"""Trying again: the first try may be overtaken, and nobody who asks has to know."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from clarin_core.domain.leads import LeadChange
from clarin_core.errors import Contention
from clarin_server.http.tries import TRIES, patiently
from support.houses import tell
from support.serving import House


def test_many_changes_of_one_lead_are_all_answered(address: str) -> None:
    """Section 2.1: each counts once, and each is answered with the version that it made."""

    async def story(house: House) -> None:
        ana = house.ana
        lead = (await ana.ask("POST", "/api/leads", json={"name": "Luz"})).json()

        async def change(number: int) -> int:
            answer = await ana.ask("PATCH", f"/api/leads/{lead['id']}", json={"notes": f"{number}"})
            assert answer.status_code == 200, answer.text
            version: int = answer.json()["version"]
            return version

        versions = await asyncio.gather(*map(change, range(12)))
        assert max(versions) == lead["version"] + 12

    tell(story, address=address)


def test_what_is_contention_is_tried_again_in_earnest() -> None:
    """The second try is not like the first, and the last one's error is told."""
    said: list[str] = []

    async def hasty(change: LeadChange) -> str:
        said.append("hasty")
        raise Contention("postgresql")

    async def earnest(change: LeadChange) -> str:
        said.append("earnest")
        if len(said) < TRIES:
            raise Contention("postgresql")
        return "done"

    async def ask(*tries: Callable[..., Awaitable[str]]) -> str:
        return await patiently(tries, {"change": LeadChange()})

    assert asyncio.run(ask(hasty, earnest, earnest)) == "done"
    assert said == ["hasty", "earnest", "earnest"]
    with pytest.raises(Contention):
        asyncio.run(ask(hasty, hasty))
