"""R25: how often one may guess a password, and what does not count as a guess."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import NoReturn, cast

import pytest

from clarin_core.domain.accounts import (
    PasswordChange,
    User,
)
from clarin_core.domain.sign_in import Credentials
from clarin_core.errors import (
    Invalid,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from clarin_core.ports.small import PasswordHasher
from clarin_core.ports.storage import Storage
from support.desk import tell
from support.gate import ADDRESS, OTHER_PASSWORD, PASSWORD, Gate, gate


def test_a_name_has_ten_tries_in_a_quarter_of_an_hour() -> None:
    """R25: then even the right password waits; a success begins anew."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            for _ in range(2):
                await guess(at, ana, 9)
                await at.enter(ana)
            await guess(at, ana, 10)
            with pytest.raises(RateLimited) as refusal:
                await at.enter(ana)
            at.clock.forward(seconds=refusal.value.retry_after_s)
            await at.enter(ana)

    tell(story())


def test_an_address_has_fifty_tries_over_all_names() -> None:
    """R25: a success does not count, and other addresses do not pay for it."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            for number in range(50):
                await at.enter(ana)
                unknown = Credentials(username=f"nadie{number}", password=PASSWORD)
                with pytest.raises(Unauthorized):
                    await at.sign_in.login(unknown, address=ADDRESS)
            with pytest.raises(RateLimited):
                await at.enter(ana)
            known = Credentials(username=ana.username, password=PASSWORD)
            await at.sign_in.login(known, address="192.0.2.8")

    tell(story())


def test_who_is_refused_by_name_uses_up_no_try_of_the_address() -> None:
    """R25: nor does the address's refusal use up one of the name; neither judges a password."""

    async def story() -> None:
        async with gate() as at:
            ana, eva = await at.user(), await at.user()
            await guess(at, ana, 10)
            for _ in range(60):
                with pytest.raises(RateLimited):
                    await at.enter(ana)
            for number in range(40):
                with pytest.raises(Unauthorized):
                    await at.enter_as(f"nadie{number}")
            for _ in range(10):
                with pytest.raises(RateLimited):
                    await at.enter(eva)
            known = Credentials(username=eva.username, password=PASSWORD)
            await at.sign_in.login(known, address="192.0.2.8")

    tell(story())


def test_a_user_has_ten_tries_under_all_names() -> None:
    """R25: the e-mail address is no second door."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            await guess(at, ana, 9)
            with pytest.raises(Unauthorized):
                await at.enter_as(ana.email, "no es esta")
            with pytest.raises(RateLimited):
                await at.enter(ana)

    tell(story())


def test_a_try_that_nobody_judged_does_not_count() -> None:
    """While the store is away everybody is refused, and nobody is locked out afterwards."""

    class Away:
        def directory(self) -> NoReturn:
            raise Unavailable("the store")

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            away = replace(at.sign_in, storage=cast("Storage", Away()))
            known = Credentials(username=ana.username, password=PASSWORD)
            for _ in range(60):
                with pytest.raises(Unavailable):
                    await away.login(known, address=ADDRESS)
            await at.enter(ana)

    tell(story())


def test_a_try_that_was_too_much_for_the_hasher_does_not_count() -> None:
    """A queue of passwords that is full judges nobody."""

    async def full(*_: object) -> NoReturn:
        raise RateLimited(1)

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            told = await at.enter(ana)
            actor = await at.actor(told)
            busy = replace(at.sign_in, hasher=cast("PasswordHasher", SimpleNamespace(verify=full)))
            change = PasswordChange(current_password=PASSWORD, new_password=OTHER_PASSWORD)
            known = Credentials(username=ana.username, password=PASSWORD)
            for _ in range(60):
                with pytest.raises(RateLimited):
                    await busy.login(known, address=ADDRESS)
                with pytest.raises(RateLimited):
                    await busy.change_password(actor, change)
            await at.enter(ana)

    tell(story())


def test_many_guesses_at_once_are_counted_before_they_are_judged() -> None:
    """R25: a crowd gets no more tries than a queue."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            wrong = Credentials(username=ana.username, password="no es esta")
            guesses = (at.sign_in.login(wrong, address=ADDRESS) for _ in range(30))
            found = await asyncio.gather(*guesses, return_exceptions=True)
            kinds = [type(error) for error in found]
            assert (kinds.count(Unauthorized), kinds.count(RateLimited)) == (10, 20)

    tell(story())


def test_the_old_password_is_guessed_as_rarely_as_at_the_door() -> None:
    """R25: a stolen token is no way around the bound of ten tries."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            told = await at.enter(ana)
            actor = await at.actor(told)
            wrong = PasswordChange(current_password="no es esta", new_password=OTHER_PASSWORD)
            right = PasswordChange(current_password=PASSWORD, new_password=OTHER_PASSWORD)
            for _ in range(10):
                with pytest.raises(Invalid, match="current_password"):
                    await at.sign_in.change_password(actor, wrong)
            with pytest.raises(RateLimited):
                await at.sign_in.change_password(actor, right)
            with pytest.raises(RateLimited):
                await at.enter(ana)
            await at.actor(told)

    tell(story())


def test_who_knows_the_old_password_begins_anew() -> None:
    """R25: a right password forgets the tries before it, here as at the door."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            told = await at.enter(ana)
            for before, after in ((PASSWORD, OTHER_PASSWORD), (OTHER_PASSWORD, PASSWORD)):
                actor = await at.actor(told)
                wrong = PasswordChange(current_password="no es esta", new_password=after)
                for _ in range(9):
                    with pytest.raises(Invalid, match="current_password"):
                        await at.sign_in.change_password(actor, wrong)
                right = PasswordChange(current_password=before, new_password=after)
                told = await at.sign_in.change_password(actor, right)

    tell(story())


async def guess(at: Gate, user: User, times: int) -> None:
    """Try wrong passwords."""
    for _ in range(times):
        with pytest.raises(Unauthorized):
            await at.enter(user, "no es esta")
