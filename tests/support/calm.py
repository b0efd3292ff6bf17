"""Answers that stay calm: nothing fails, hangs or says what is behind it (R23, R26)."""

import re

import httpx

from support.houses import problem
from support.serving import House

CANARY = "c4n4r10"

_UNSEEMLY = re.compile(r'Traceback|File "|asyncpg|msgspec|clarin_|sanic|sqlstate', re.IGNORECASE)


def check_calm(answer: httpx.Response, place: str) -> None:
    """An answer never shows what is behind it, nor what it was asked with."""
    assert answer.status_code < 500, (place, answer.text)
    if answer.is_error and answer.request.method != "HEAD":
        problem(answer)
        assert not _UNSEEMLY.search(answer.text), (place, answer.text)
        assert CANARY not in answer.text, (place, answer.text)


async def check_alive(house: House) -> None:
    """The service answers, and no request so far was a failure of its own."""
    assert (await house.http.get("/health")).status_code == 200
    assert (await house.carla.ask("GET", "/api/leads")).status_code == 200
    assert 'status="5' not in (await house.http.get("/metrics")).text
