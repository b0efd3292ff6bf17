"""Passwords and tokens: nothing forged counts, nobody can tell who exists (R25)."""

import asyncio
import base64
import json
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

import argon2
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.ids import AccountId, SessionId, UserId
from clarin_core.errors import RateLimited, Unauthorized
from clarin_core.ports.small import Claims
from clarin_security import Argon2Hasher, JwtIssuer, system_random

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LIFE = timedelta(minutes=15)
KEY, OTHER_KEY = b"k" * 32, b"o" * 32
CLAIMS = Claims(UserId(7), AccountId(3), SessionId(9), 2, NOON + LIFE)
ISSUER = JwtIssuer(KEY, life=LIFE)
GOOD = {
    "iss": "clarin", "aud": "clarin", "sub": "7", "acc": 3, "sid": 9, "ver": 2,
    "iat": int(NOON.timestamp()), "nbf": int(NOON.timestamp()),
    "exp": int((NOON + LIFE).timestamp()),
}  # fmt: skip


def quick_hasher(*, threads: int = 1, waiting_max: int = 32) -> Argon2Hasher:
    return Argon2Hasher(threads=threads, waiting_max=waiting_max, memory_kib=64, passes=1)


def segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed(
    payload: object = GOOD, *, key: bytes = KEY, algorithm: str = "HS256", typ: str = "at+jwt"
) -> str:
    raw = json.dumps(payload).encode()
    return jwt.PyJWS().encode(raw, key, algorithm, headers={"typ": typ})


def unsigned(header: bytes) -> str:
    return f"{segment(header)}.{segment(json.dumps(GOOD).encode())}."


def but(**changes: object) -> dict[str, object]:
    return {**GOOD, **changes}


def without(claim: str) -> dict[str, object]:
    return {name: value for name, value in GOOD.items() if name != claim}


def test_a_token_gives_back_what_it_was_made_of() -> None:
    assert ISSUER.read(ISSUER.issue(CLAIMS), at=NOON) == CLAIMS
    assert ISSUER.read(signed(), at=NOON) == CLAIMS


FORGERIES = {
    "another key": signed(key=OTHER_KEY),
    "another algorithm": signed(key=KEY * 2, algorithm="HS512"),
    "alg none": unsigned(b'{"alg":"none","typ":"at+jwt"}'),
    "alg None": unsigned(b'{"alg":"None","typ":"at+jwt"}'),
    "no alg": unsigned(b'{"typ":"at+jwt"}'),
    "a list of algs": unsigned(b'{"alg":["HS256"],"typ":"at+jwt"}'),
    "a header that is no object": unsigned(b"[]"),
    "a header without end": unsigned(b"[" * 3000),
    "a number without end": unsigned(b'{"alg":' + b"1" * 5000 + b"}"),
    "the signature cut off": signed().rpartition(".")[0] + ".",
    "two parts": signed().rpartition(".")[0],
    "one bit more": signed()[:-6] + "AAAAAA",
    "a payload that is no object": signed([1]),
    "another kind of token": signed(typ="JWT"),
    "another issuer": signed(but(iss="mallory")),
    "another audience": signed(but(aud="others")),
    "audiences": signed(but(aud=["clarin"])),
    "a user that is no number": signed(but(sub="seven")),
    "a user by a number": signed(but(sub=7)),
    "a truthful account": signed(but(acc=True)),
    "an account of zero": signed(but(acc=0)),
    "an end in words": signed(but(exp="tomorrow")),
    "an end beyond the calendar": signed(but(exp=10**18)),
    "nothing": "",
    "dots": "..",
    "not ASCII": "é.é.é",
    "a lone surrogate": "\ud800.a.b",
    "NUL": "\x00.\x00.\x00",
    **{f"no {claim}": signed(without(claim)) for claim in GOOD},
}


@pytest.mark.parametrize("token", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_token_counts_for_nothing(token: str) -> None:
    with pytest.raises(Unauthorized):
        ISSUER.read(token, at=NOON)


@given(st.text(max_size=200))
def test_no_text_is_a_token_by_chance(text: str) -> None:
    with pytest.raises(Unauthorized):
        ISSUER.read(text, at=NOON)


@given(st.integers(0, len(signed()) - 1), st.characters(codec="ascii"))
def test_a_token_with_another_letter_says_the_same_or_counts_for_nothing(
    place: int, letter: str
) -> None:
    """The last letter of base64 has spare bits; no change can alter what a token says."""
    token = signed()
    changed = token[:place] + letter + token[place + 1 :]
    try:
        assert ISSUER.read(changed, at=NOON) == CLAIMS
    except Unauthorized:
        assert changed != token


def test_a_token_ends_at_its_end_to_the_second() -> None:
    token = ISSUER.issue(CLAIMS)
    assert ISSUER.read(token, at=NOON + LIFE - timedelta(microseconds=1)) == CLAIMS
    with pytest.raises(Unauthorized, match="expired"):
        ISSUER.read(token, at=NOON + LIFE)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_of_a_clock_that_runs_ahead_counts_for_30_seconds(claim: str) -> None:
    ahead = signed(but(**{claim: GOOD[claim] + 30}))  # type: ignore[operator]  # both are numbers
    assert ISSUER.read(ahead, at=NOON) == CLAIMS
    with pytest.raises(Unauthorized):
        ISSUER.read(ahead, at=NOON - timedelta(seconds=1))


def test_a_token_is_verified_once_and_its_end_is_looked_at_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issuer = JwtIssuer(KEY, life=LIFE)
    token = issuer.issue(CLAIMS)
    assert issuer.read(token, at=NOON) == CLAIMS
    monkeypatch.setattr(jwt.PyJWS, "decode_complete", lambda *_, **__: pytest.fail("again"))
    assert issuer.read(token, at=NOON) == CLAIMS
    with pytest.raises(Unauthorized, match="expired"):
        issuer.read(token, at=NOON + LIFE)
    assert issuer.tokens_known == 0


def test_no_more_than_so_many_tokens_are_remembered_and_no_forged_one() -> None:
    issuer = JwtIssuer(KEY, life=LIFE, known_max=2)
    tokens = [signed(but(ver=version)) for version in range(3)]
    assert [issuer.read(token, at=NOON).token_version for token in tokens] == [0, 1, 2]
    assert issuer.tokens_known == 2
    assert issuer.read(tokens[0], at=NOON).token_version == 0
    for forged in FORGERIES.values():
        with pytest.raises(Unauthorized):
            issuer.read(forged, at=NOON)
    assert issuer.tokens_known == 2


def test_a_short_secret_is_refused() -> None:
    """R27: no service signs with a secret that can be guessed."""
    with pytest.raises(ValueError, match="32 bytes"):
        JwtIssuer(b"k" * 31, life=LIFE)


def test_a_password_fits_its_own_hash_only() -> None:
    async def story() -> tuple[bool, ...]:
        async with quick_hasher() as hasher:
            hashed = await hasher.hash("correct horse")
            assert await hasher.hash("correct horse") != hashed
            tries = ("correct horse", " correct horse\n", "correct  horse", "Correct horse")
            outcomes = [await hasher.verify(hashed, each) for each in tries]
            return *outcomes, await hasher.verify(None, "correct horse")

    assert asyncio.run(story()) == (True, False, False, False, False)


@given(st.text(st.characters(), max_size=40))
def test_any_text_can_be_tried_as_a_password(password: str) -> None:
    """R23: lone surrogates and NUL included; composed or not, a letter is the same letter."""

    async def story() -> bool:
        async with quick_hasher() as hasher:
            hashed = await hasher.hash(unicodedata.normalize("NFD", password))
            return await hasher.verify(hashed, unicodedata.normalize("NFC", password))

    assert asyncio.run(story())


class CountingArgon2(argon2.PasswordHasher):
    """Counts the checks that were really computed."""

    checks = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        """Check, and count unless the hash could not be read."""
        argon2.extract_parameters(hash if isinstance(hash, str) else hash.decode())
        self.checks += 1
        return super().verify(hash, password)


@pytest.mark.parametrize("kept", ["own", "unknown", "unreadable"])
def test_every_try_costs_one_check(kept: str) -> None:
    """R25: an unknown name cannot be told by the time that its answer takes."""

    async def story() -> int:
        async with quick_hasher() as hasher:
            hashes = {"own": await hasher.hash("another"), "unreadable": "$2b$12$bcrypt"}
            counting = CountingArgon2(time_cost=1, memory_cost=64, parallelism=1)
            hasher._argon2 = counting
            assert not await hasher.verify(hashes.get(kept), "guess")
            return counting.checks

    assert asyncio.run(story()) == 1


def test_the_hash_of_nobody_is_as_slow_as_the_others() -> None:
    """R25: the dummy has today's parameters, which are OWASP's."""
    hasher = Argon2Hasher(threads=1)
    parameters = argon2.extract_parameters(hasher._nobody)
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19_456, 2, 1)
    assert parameters.type is argon2.Type.ID
    assert not hasher.is_outdated(hasher._nobody)


def test_a_hash_of_other_parameters_is_outdated() -> None:
    hasher = quick_hasher()
    assert hasher.is_outdated(argon2.PasswordHasher(memory_cost=32, time_cost=1).hash("x"))
    assert hasher.is_outdated("$2b$12$bcrypt")


def test_beyond_the_queue_a_try_is_refused_at_once() -> None:
    """R25: hashing cannot starve other requests; a place is free again after an answer."""

    async def story() -> tuple[list[object], bool]:
        async with quick_hasher(threads=1, waiting_max=2) as hasher:
            hashed = await hasher.hash("secret")
            tries = (hasher.verify(hashed, "secret") for _ in range(5))
            outcomes = await asyncio.gather(*tries, return_exceptions=True)
            return list(outcomes), await hasher.verify(hashed, "secret")

    outcomes, afterwards = asyncio.run(story())
    assert outcomes[:3] == [True, True, True]
    refused = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
    assert [error.retry_after_s for error in refused] == [1, 1]
    assert afterwards


def test_who_gives_up_waiting_leaves_a_place() -> None:
    async def story() -> bool:
        async with quick_hasher(threads=1, waiting_max=0) as hasher:
            hashed = await hasher.hash("secret")
            impatient = asyncio.ensure_future(hasher.verify(hashed, "secret"))
            await asyncio.sleep(0)
            impatient.cancel()
            await asyncio.wait([impatient])
            return await hasher.verify(hashed, "secret")

    assert asyncio.run(story())


@pytest.mark.parametrize("size", [1, 16, 32])
def test_random_bytes_have_their_size_and_do_not_repeat(size: int) -> None:
    draw: Callable[[int], bytes] = system_random
    assert len(draw(size)) == size
    assert len({draw(16) for _ in range(100)}) == 100
