"""Every way in which a sign-in ends, and none in which it does not (TN4, R24)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from clarin_core.domain.accounts import (
    PasswordChange,
    TenantChange,
    User,
    UserChange,
)
from clarin_core.domain.ids import AccountId
from clarin_core.errors import Unauthorized
from support.desk import tell
from support.gate import OTHER_PASSWORD, PASSWORD, Gate, gate


def test_a_refresh_token_counts_once_and_its_reuse_ends_the_sign_in() -> None:
    """Section 7: refreshing rotates; a thief and the owner cannot both go on."""

    async def story() -> None:
        async with gate() as at:
            first = await at.enter(await at.user())
            second = await at.refresh(first.refresh_token)
            await at.actor(second)
            third = await at.refresh(second.refresh_token)
            with pytest.raises(Unauthorized):
                await at.refresh(first.refresh_token)
            for told in (first, second, third):
                with pytest.raises(Unauthorized):
                    await at.actor(told)
            with pytest.raises(Unauthorized):
                await at.refresh(third.refresh_token)

    tell(story())


@pytest.mark.parametrize(
    "guess_at",
    [
        lambda own: "",
        lambda own: own.partition(".")[0],
        lambda own: f"{own.partition('.')[0]}.x",
        lambda own: f"{own.partition('.')[0]}.x.y",
        lambda own: f"{own.partition('.')[0]}." + "0" * 64 + "." + "0" * 64,
        lambda own: own.replace(".", "..", 1),
        lambda own: f"9{own}",
        lambda own: f"-{own}",
        lambda own: f"٣{own}",
    ],
)
def test_a_token_that_was_never_given_ends_nothing(guess_at: Callable[[str], str]) -> None:
    """R22: who knows a number of another's sign-in cannot end it."""

    async def story() -> None:
        async with gate() as at:
            told = await at.enter(await at.user())
            with pytest.raises(Unauthorized):
                await at.refresh(guess_at(told.refresh_token))
            await at.actor(told)
            await at.refresh(told.refresh_token)

    tell(story())


def test_a_sign_in_lasts_thirty_days_after_its_last_refresh() -> None:
    """Section 7: an access token a quarter of an hour; each refresh begins the month anew."""

    async def story() -> None:
        async with gate() as at:
            told = await at.enter(await at.user())
            at.clock.forward(minutes=14, seconds=59)
            await at.actor(told)
            at.clock.forward(seconds=1)
            with pytest.raises(Unauthorized):
                await at.actor(told)
            for _ in range(2):
                at.clock.forward(days=29)
                told = await at.refresh(told.refresh_token)
                await at.actor(told)
            at.clock.forward(days=30)
            with pytest.raises(Unauthorized):
                await at.refresh(told.refresh_token)

    tell(story())


ELSEWHERE = AccountId(2**40)

ENDINGS: dict[str, Callable[[Gate, User], Awaitable[object]]] = {
    "membership": lambda at, user: at.accounts.end_membership(at.root, user.id, at.here.id),
    "user": lambda at, user: at.accounts.update_user(at.root, user.id, UserChange(is_active=False)),
    "account": lambda at, user: at.accounts.update_account(
        replace(at.root, account_id=ELSEWHERE), at.here.id, TenantChange(is_active=False)
    ),
    "password": lambda at, user: at.accounts.update_user(
        at.root, user.id, UserChange(password=OTHER_PASSWORD)
    ),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_a_sign_in_ends_with_its_reason(how: str) -> None:
    """TN4, R24: access token, refresh token and ticket; what another account gives stays."""

    async def story() -> None:
        async with gate() as at:
            ana, eva = await at.user(), await at.user(account_id=at.there.id)
            told, other = await at.enter(ana), await at.enter(eva)
            ticket = await at.sign_in.ticket(await at.actor(told))
            await ENDINGS[how](at, ana)
            for attempt in (
                at.actor(told),
                at.refresh(told.refresh_token),
                at.sign_in.redeem(ticket.ticket),
            ):
                with pytest.raises(Unauthorized):
                    await attempt
            await at.actor(other)
            await at.refresh(other.refresh_token)

    tell(story())


def test_logging_out_ends_one_sign_in() -> None:
    """R24: its tokens and its ticket; other sign-ins of the user go on."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            phone, desk = await at.enter(ana), await at.enter(ana)
            actor = await at.actor(phone)
            ticket = await at.sign_in.ticket(actor)
            await at.sign_in.logout(actor)
            for attempt in (
                at.actor(phone),
                at.refresh(phone.refresh_token),
                at.sign_in.redeem(ticket.ticket),
                at.sign_in.logout(actor),
                at.sign_in.ticket(actor),
            ):
                with pytest.raises(Unauthorized):
                    await attempt
            await at.actor(desk)

    tell(story())


def test_a_new_password_ends_every_other_sign_in() -> None:
    """R24: proved by the old one; the one who changed it goes on with new tokens."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            here, elsewhere = await at.enter(ana), await at.enter(ana)
            change = PasswordChange(current_password=PASSWORD, new_password=OTHER_PASSWORD)
            new = await at.sign_in.change_password(await at.actor(here), change)
            for told in (here, elsewhere):
                with pytest.raises(Unauthorized):
                    await at.actor(told)
            with pytest.raises(Unauthorized):
                await at.refresh(elsewhere.refresh_token)
            await at.actor(new)
            await at.refresh(new.refresh_token)
            with pytest.raises(Unauthorized):
                await at.enter(ana)
            await at.enter(ana, OTHER_PASSWORD)

    tell(story())
