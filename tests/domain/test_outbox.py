"""The outbox: how long what was not done waits, and when it is done again unasked."""

from datetime import timedelta

import pytest

from clarin_core.domain.accounts import ResendUnknown
from clarin_core.domain.ids import ChatId, DeviceId, OutboxId
from clarin_core.domain.outbox import TRIES_MAX, OutboxItem, OutboxKind, may_repeat
from clarin_core.testing.tenants import LATER, NOON


def item() -> OutboxItem:
    return OutboxItem(
        id=OutboxId(1), kind=OutboxKind.SEND, device_id=DeviceId(1), chat_id=ChatId(1),
        not_before=NOON,
    )  # fmt: skip


def test_what_did_not_reach_the_wire_waits_longer_each_time() -> None:
    """R15: so often, and no longer than ten minutes."""
    one, pauses = item(), []
    for turn in range(TRIES_MAX):
        one.begin(7)
        assert one.put_off(LATER) is (turn < TRIES_MAX - 1)
        assert one.token is None
        pauses.append((one.not_before - LATER).total_seconds())
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128]
    one.attempts = 12
    one.put_off(LATER)
    assert one.not_before == LATER + timedelta(minutes=10)


@pytest.mark.parametrize("tries", [1, 3])
def test_what_nobody_knows_of_is_repeated_once_where_it_is_wanted(tries: int) -> None:
    """However often it had been put off before; then a person has to say so."""
    one = item()
    for _ in range(tries):
        one.begin(7)
    assert may_repeat(one, ResendUnknown.ONCE, is_campaign=False)
    one.repeat(LATER)
    assert (one.token, one.not_before > LATER) == (None, True)
    assert not may_repeat(one, ResendUnknown.ONCE, is_campaign=False)


@pytest.mark.parametrize("is_campaign", [True, False])
def test_an_account_has_to_want_repetitions(is_campaign: bool) -> None:
    """None is the default, and a campaign's message is never repeated."""
    assert not may_repeat(item(), ResendUnknown.NEVER, is_campaign=is_campaign)
    assert not may_repeat(item(), ResendUnknown.ONCE, is_campaign=True)
