"""Signing in: who may, how often, and as whom."""

from typing import Any

import pytest

from clarin_core.domain.accounts import (
    Membership,
    NewAccount,
    ProfileChange,
    TenantChange,
    UserChange,
)
from clarin_core.domain.actor import Cause, Role
from clarin_core.domain.ids import AccountId
from clarin_core.domain.sign_in import AccountChoice, Credentials
from clarin_core.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
)
from support.desk import tell
from support.gate import ADDRESS, PASSWORD, gate


def test_a_password_gives_tokens_for_one_account() -> None:
    """8 of the design: the user, the account, all memberships, and how long the token lasts."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user(role=Role.ADMIN)
            told = await at.enter(ana)
            assert (told.account_id, told.user) == (at.here.id, ana)
            (place,) = told.accounts
            assert (place.account_name, place.role, place.is_default) == ("Luz", Role.ADMIN, True)
            assert (told.expires_at - at.clock()).total_seconds() == 15 * 60
            actor = await at.actor(told)
            assert (actor.user_id, actor.account_id, actor.role) == (
                ana.id, at.here.id, Role.ADMIN,
            )  # fmt: skip
            assert (actor.origin.cause, actor.origin.user_id) == (Cause.USER, ana.id)
            assert (actor.is_super_admin, actor.region) == (False, "PE")

    tell(story())


@pytest.mark.parametrize("login", ["ana", "ANA", " ana ", "ana@x.pe", "Ana@X.PE"])
def test_the_name_or_the_address_signs_in(login: str) -> None:
    """3.1: user names and e-mail addresses ignore case."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user(username="ana", email="ana@x.pe")
            credentials = Credentials(username=login, password=PASSWORD)
            told = await at.sign_in.login(credentials, address=ADDRESS)
            assert told.user.id == ana.id

    tell(story())


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("ana", "una clave lArga"),
        ("ana", ""),
        ("ana", "x" * 1024),
        ("ana", "\ud800"),
        ("nadie", PASSWORD),
        ("", PASSWORD),
        ("ana\0", PASSWORD),
        ("\ud800", PASSWORD),
        ("dormida", PASSWORD),
    ],
)
def test_every_mismatch_gets_one_answer(login: str, password: str) -> None:
    """R25: unknown names, wrong passwords and inactive users cannot be told apart."""

    async def story() -> None:
        async with gate() as at:
            await at.user(username="ana")
            asleep = await at.user(username="dormida")
            await at.accounts.update_user(at.root, asleep.id, UserChange(is_active=False))
            credentials = Credentials(username=login, password=password)
            with pytest.raises(Unauthorized, match=r"^user name or password is wrong$"):
                await at.sign_in.login(credentials, address=ADDRESS)

    tell(story())


def test_who_works_nowhere_cannot_come_in() -> None:
    """TN4: no membership, or only in accounts that are not active."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user(account_id=None)
            with pytest.raises(Unauthorized):
                await at.enter(ana)
            await at.join(ana, at.there)
            assert (await at.enter(ana)).account_id == at.there.id
            asleep = TenantChange(is_active=False)
            await at.accounts.update_account(at.root, at.there.id, asleep)
            with pytest.raises(Unauthorized):
                await at.enter(ana)

    tell(story())


def test_the_default_account_comes_first() -> None:
    """3.1: the token names the default membership's account."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            await at.join(ana, at.there, is_default=True)
            told = await at.enter(ana)
            assert [place.account_id for place in told.accounts] == [at.there.id, at.here.id]
            assert told.account_id == at.there.id

    tell(story())


def test_switching_the_account_gives_tokens_for_it() -> None:
    """Section 7: another account is another role; the new refresh token stays there."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            await at.join(ana, at.there, role=Role.ADMIN)
            told = await at.enter(ana)
            choice = AccountChoice(account_id=at.there.id)
            switched = await at.sign_in.switch_account(await at.actor(told), choice)
            actor = await at.actor(switched)
            assert (actor.account_id, actor.role) == (at.there.id, Role.ADMIN)
            again = await at.refresh(switched.refresh_token)
            assert again.account_id == at.there.id
            assert (await at.actor(told)).account_id == at.here.id

    tell(story())


def test_nobody_switches_into_an_account_without_a_place_there() -> None:
    """TN1: a foreign account, an unknown one and an inactive one are the same 404."""

    async def story() -> None:
        async with gate() as at:
            actor = await at.actor(await at.enter(await at.user()))
            inactive = await at.accounts.create_account(at.root, NewAccount(name="Sol"))
            asleep = TenantChange(is_active=False)
            await at.accounts.update_account(at.root, inactive.id, asleep)
            for key in (at.there.id, inactive.id, AccountId(10**6)):
                with pytest.raises(NotFound, match=f"^account {key} does not exist$"):
                    await at.sign_in.switch_account(actor, AccountChoice(account_id=key))

    tell(story())


def test_a_role_changes_at_once() -> None:
    """Section 7: the role is read, not remembered in the token."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            told = await at.enter(ana)
            await at.join(ana, at.here, role=Role.ADMIN)
            assert (await at.actor(told)).role is Role.ADMIN

    tell(story())


def test_a_ticket_opens_one_socket_within_half_a_minute() -> None:
    """8 of the design: as the account of the sign-in, for an access token's life."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            actor = await at.actor(await at.enter(ana))
            ticket = await at.sign_in.ticket(actor)
            found, claims = await at.sign_in.redeem(ticket.ticket)
            assert found == actor
            assert (claims.expires_at - at.clock()).total_seconds() == 15 * 60
            late = await at.sign_in.ticket(actor)
            at.clock.forward(seconds=30)
            for text in (ticket.ticket, late.ticket, "", "x"):
                with pytest.raises(Unauthorized):
                    await at.sign_in.redeem(text)

    tell(story())


def test_users_see_and_change_what_is_theirs() -> None:
    """Section 8: the profile, the accounts, the e-mail address unless it is taken."""

    async def story() -> None:
        async with gate() as at:
            ana, eva = await at.user(), await at.user()
            actor = await at.actor(await at.enter(ana))
            profile = await at.sign_in.me(actor)
            assert (profile.user, profile.account, profile.role) == (ana, at.here, "agent")
            places = await at.sign_in.my_accounts(actor)
            assert [place.account_id for place in places] == [at.here.id]
            assert all(isinstance(place, Membership) for place in places)
            change = ProfileChange(email="luz@x.pe", display_name="Luz")
            changed = await at.sign_in.change_profile(actor, change)
            assert (changed.email, changed.display_name, changed.version) == ("luz@x.pe", "Luz", 2)
            cleared = await at.sign_in.change_profile(actor, ProfileChange(display_name=None))
            assert (cleared.display_name, cleared.version) == (None, 3)
            assert (await at.sign_in.change_profile(actor, ProfileChange())).version == 3
            with pytest.raises(Conflict):
                await at.sign_in.change_profile(actor, ProfileChange(email=eva.email.upper()))

    tell(story())


@pytest.mark.parametrize(
    ("role", "is_super", "allowed"),
    [
        (Role.AGENT, False, set()),
        (Role.ADMIN, False, {"admin"}),
        (Role.AGENT, True, {"super_admin"}),
        (Role.ADMIN, True, {"admin", "super_admin"}),
    ],
)
def test_roles_allow_what_they_say(role: Role, is_super: bool, allowed: set[str]) -> None:
    """Section 7: the flag of those who run the service gives no role in an account."""

    async def story() -> None:
        async with gate() as at:
            user = await at.user(role=role, is_super_admin=is_super)
            actor = await at.actor(await at.enter(user))
            checks: dict[str, Any] = {
                "admin": actor.require_admin,
                "super_admin": actor.require_super_admin,
            }
            for name, check in checks.items():
                if name in allowed:
                    check()
                else:
                    with pytest.raises(Forbidden, match=name):
                        check()

    tell(story())
