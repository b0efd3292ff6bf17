"""Secrets at rest: they come back to whom they belong, and to nobody else."""

from secrets import token_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.ids import AccountId
from clarin_core.ports.small import SealBroken
from clarin_security import AesGcmBox, system_random

SECRET = bytes(range(32))
ANA, EVA = AccountId(7), AccountId(8)
BOX = AesGcmBox(SECRET, system_random)


@given(st.binary(max_size=3000))
def test_what_is_sealed_comes_back(secret: bytes) -> None:
    """By whichever process of the installation."""
    assert AesGcmBox(SECRET, system_random).unseal(ANA, BOX.seal(ANA, secret)) == secret


def test_a_seal_tells_nothing() -> None:
    """Neither the secret, nor that two are equal."""
    seals = {BOX.seal(ANA, b"a token that nobody shall read") for _ in range(100)}
    assert len(seals) == 100
    assert not [seal for seal in seals if b"token" in seal]


def test_swapped_accounts_do_not_open() -> None:
    """A row that was copied to another account is of no use there."""
    with pytest.raises(SealBroken, match="do not belong to this account"):
        BOX.unseal(EVA, BOX.seal(ANA, b"token"))


def test_accounts_are_told_apart_by_all_their_digits() -> None:
    for one, other in ((1, 11), (12, 1), (2**63 - 1, 2**62)):
        with pytest.raises(SealBroken):
            BOX.unseal(AccountId(other), BOX.seal(AccountId(one), b"token"))


def test_another_signing_secret_is_named_as_the_reason() -> None:
    """Whoever changes it knows then what to do."""
    other = AesGcmBox(SECRET[::-1], system_random)
    with pytest.raises(SealBroken, match="another signing secret"):
        other.unseal(ANA, BOX.seal(ANA, b"token"))


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.integers(0, 10_000))
def test_what_was_changed_does_not_open(at: int, bit: int, cut: int) -> None:
    """Not one bit of it, and no part of it."""
    seal = BOX.seal(ANA, b"a token")
    flipped = bytearray(seal)
    flipped[at % len(seal)] ^= 1 << bit
    for broken in (bytes(flipped), seal[: cut % len(seal)], seal + b"\0"):
        with pytest.raises(SealBroken):
            BOX.unseal(ANA, broken)


def test_errors_tell_no_secret() -> None:
    with pytest.raises(SealBroken) as broken:
        BOX.unseal(EVA, BOX.seal(ANA, b"canary"))
    assert "canary" not in f"{broken.value!r} {broken.value.__context__!r}"
    assert "canary" not in repr(vars(BOX))


def test_a_short_signing_secret_is_refused() -> None:
    """R27."""
    with pytest.raises(ValueError, match="32 bytes"):
        AesGcmBox(token_bytes(31), system_random)
