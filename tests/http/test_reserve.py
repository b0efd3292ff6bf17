"""Uploads hold a bounded number of bytes, an account's and all together."""

import asyncio

import pytest

from clarin_core.domain.ids import AccountId
from clarin_core.errors import RateLimited, Unavailable
from clarin_server.http import uploads
from clarin_server.http.reserve import Reserve
from support.houses import PATIENCE_S, refused, tell
from support.serving import House
from support.wire import post, wire

LUZ, MAR, SOL = AccountId(1), AccountId(2), AccountId(3)


def test_an_account_has_its_share_and_all_have_a_limit() -> None:
    """What is given back can be taken again, however it comes to that."""
    reserve = Reserve(total=10, per_account=6)
    with reserve.share(LUZ) as luz, reserve.share(MAR) as mar, reserve.share(SOL) as sol:
        luz(4)
        luz(2)
        with pytest.raises(RateLimited, match="under way, wait 5"):
            luz(1)
        with reserve.share(LUZ) as again, pytest.raises(RateLimited):
            again(1)
        mar(4)
        with pytest.raises(Unavailable, match="too much to do"):
            sol(1)
    with pytest.raises(RateLimited), reserve.share(LUZ) as luz:
        luz(7)
    with reserve.share(LUZ) as luz, reserve.share(MAR) as mar:
        luz(6)
        mar(4)


def test_uploads_beyond_the_share_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of one account are on their way; another account still uploads."""
    monkeypatch.setattr(uploads, "UPLOAD_BYTES_PER_ACCOUNT_MAX", 100_000)

    async def story(house: House) -> None:
        head = post(
            house.ana, "/api/import/csv", "Content-Length: 48000", "Expect: 100-continue"
        ).replace(b"application/json", b"multipart/form-data; boundary=x")
        form = {"file": ("gente.csv", b"nombre;notas\nLuz;" + b"x" * 9000, "text/csv")}
        async with wire(house) as one, wire(house) as two:
            for line in (one, two):
                await line.send(head)
                assert (await line.head()).startswith(b"HTTP/1.1 100 ")
                await line.send(b"x" * 47_999)
            async with asyncio.timeout(PATIENCE_S):
                answer = await house.ana.ask("POST", "/api/import/csv/preview", files=form)
                while answer.is_success:  # The service has not read all of it yet.
                    answer = await house.ana.ask("POST", "/api/import/csv/preview", files=form)
            refused(answer, 429, "rate_limited")
            assert int(answer.headers["retry-after"]) >= 1
            other = await house.carla.ask("POST", "/api/import/csv", files=form)
            assert other.status_code == 202
        again = await house.ana.ask("POST", "/api/import/csv", files=form)
        assert again.status_code == 202

    tell(story)
