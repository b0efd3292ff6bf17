"""Accounts, users and memberships: run by super administrators, changed by nobody else."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from clarin_core.domain.accounts import (
    AccountChange,
    AccountQuery,
    NewAccount,
    NewMembership,
    NewUser,
    Plan,
    TenantChange,
    UserChange,
    UserQuery,
)
from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.events import (
    AccountChanged,
    EventAction,
    EventQuery,
    MembershipChanged,
    PipelineChanged,
)
from clarin_core.domain.ids import AccountId, UserId
from clarin_core.domain.leads import NewLead
from clarin_core.domain.members import MemberQuery
from clarin_core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized
from clarin_core.usecases.leads import LeadUseCases
from support.desk import tell
from support.gate import OTHER_PASSWORD, PASSWORD, Gate, gate

ATTEMPTS: list[Callable[[Gate, Actor], Awaitable[object]]] = [
    lambda at, who: at.accounts.accounts(who, AccountQuery()),
    lambda at, who: at.accounts.account(who, at.here.id),
    lambda at, who: at.accounts.create_account(who, NewAccount(name="x")),
    lambda at, who: at.accounts.update_account(who, at.here.id, TenantChange(name="x")),
    lambda at, who: at.accounts.delete_account(who, at.there.id),
    lambda at, who: at.accounts.users(who, UserQuery()),
    lambda at, who: at.accounts.user(who, at.root.user_id),
    lambda at, who: at.accounts.create_user(who, new_user("x")),
    lambda at, who: at.accounts.update_user(who, at.root.user_id, UserChange(is_active=False)),
    lambda at, who: at.accounts.memberships(who, at.root.user_id),
    lambda at, who: at.accounts.put_membership(
        who, at.root.user_id, NewMembership(account_id=at.there.id, role=Role.ADMIN)
    ),
    lambda at, who: at.accounts.end_membership(who, at.root.user_id, at.here.id),
]


def test_only_those_who_run_the_service_reach_above_accounts() -> None:
    """Section 7: an account's administrator may not even look."""

    async def story() -> None:
        async with gate() as at:
            user = await at.user(role=Role.ADMIN)
            admin = await at.actor(await at.enter(user))
            before = await picture(at)
            for attempt in ATTEMPTS:
                with pytest.raises(Forbidden, match="super_admin"):
                    await attempt(at, admin)
            assert await picture(at) == before

    tell(story())


def test_a_new_account_can_be_worked_in() -> None:
    """3.2: with its default pipeline, and its first two events, in one step."""

    async def story() -> None:
        async with gate() as at:
            new = NewAccount(name="Sol", slug="sol", default_region="CL", timezone="UTC")
            account = await at.accounts.create_account(at.root, new)
            assert (account.is_active, account.plan, account.version) == (True, Plan.BASIC, 1)
            page = await at.storage.views(account.id).events(EventQuery())
            first, second = (recorded.event for recorded in page.data)
            assert first == AccountChanged(account=account)
            assert isinstance(second, PipelineChanged)
            assert (second.action, second.pipeline.is_default) == (EventAction.CREATED, True)
            actor = replace_account(at.root, account.id)
            lead = await LeadUseCases(at.storage, at.clock).create(actor, NewLead(name="Luz"))
            assert lead.pipeline_id == second.pipeline.id

    tell(story())


def test_a_slug_belongs_to_one_account() -> None:
    """3.1: taken is a conflict, for a new account and for a changed one; null frees it."""

    async def story() -> None:
        async with gate() as at:
            sol = await at.accounts.create_account(at.root, NewAccount(name="Sol", slug="sol"))
            with pytest.raises(Conflict):
                await at.accounts.create_account(at.root, NewAccount(name="Otro", slug="sol"))
            change = TenantChange(slug="sol")
            with pytest.raises(Conflict):
                await at.accounts.update_account(at.root, at.here.id, change)
            await at.accounts.update_account(at.root, sol.id, TenantChange(slug=None))
            changed = await at.accounts.update_account(
                at.root, at.here.id, TenantChange(slug="sol")
            )
            assert (changed.slug, changed.version) == ("sol", 2)

    tell(story())


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"default_region": "XX"}, "default_region"),
        ({"timezone": "Marte/Olympus"}, "timezone"),
        ({"name": "  "}, "name"),
    ],
)
def test_an_account_lives_somewhere_on_earth(wrong: dict[str, Any], field: str) -> None:
    """Section 5 of the reliability reference: regions and zones that are installed."""
    with pytest.raises(Invalid) as refusal:
        NewAccount(**{"name": "Luz", **wrong})
    assert refusal.value.field == field
    with pytest.raises(Invalid):
        AccountChange(**wrong)


def test_an_account_is_changed_only_by_what_differs() -> None:
    """15.18: counted and told once, or not at all."""

    async def story() -> None:
        async with gate() as at:
            before = await at.seq(at.here.id)
            for change, version in (
                (TenantChange(), 1),
                (TenantChange(name="Luz"), 1),
                (TenantChange(name="Luz y Mar", max_devices=9), 2),
                (TenantChange(max_devices=3), 3),
            ):
                changed = await at.accounts.update_account(at.root, at.here.id, change)
                assert changed.version == version
                assert await at.accounts.account(at.root, at.here.id) == changed
            assert await at.seq(at.here.id) == before + 2

    tell(story())


def test_administrators_change_the_settings_of_their_own_account() -> None:
    """Section 7: agents do not; the account is the token's."""

    async def story() -> None:
        async with gate() as at:
            admin = await at.actor(await at.enter(await at.user(role=Role.ADMIN)))
            agent = await at.actor(await at.enter(await at.user()))
            change = AccountChange(default_region="CL")
            with pytest.raises(Forbidden):
                await at.accounts.change_own_account(agent, change)
            changed = await at.accounts.change_own_account(admin, change)
            assert (changed.id, changed.default_region) == (at.here.id, "CL")
            token = await at.enter(await at.user())
            assert (await at.actor(token)).region == "CL"
            assert await at.accounts.account(at.root, at.there.id) == at.there

    tell(story())


def test_an_account_with_people_or_leads_stays() -> None:
    """3.1: deletion is refused while something would go with it."""

    async def story() -> None:
        async with gate() as at:
            with pytest.raises(Conflict) as refusal:
                await at.accounts.delete_account(at.root, at.here.id)
            assert refusal.value.code == "invalid_state"
            await at.accounts.delete_account(at.root, at.there.id)
            for key in (at.there.id, AccountId(10**6)):
                with pytest.raises(NotFound):
                    await at.accounts.delete_account(at.root, key)

    tell(story())


@pytest.mark.parametrize(
    "same", [{"username": "ANA"}, {"email": "ana@X.pe"}, {"username": "ana@x.pe"}]
)
def test_a_user_is_known_by_name_and_address(same: dict[str, Any]) -> None:
    """3.1: both unique ignoring case, over all accounts; nothing is left of the refused one."""

    async def story() -> None:
        async with gate() as at:
            await at.user(username="ana", email="ana@x.pe")
            before = await picture(at)
            with pytest.raises(Conflict):
                await at.user(account_id=at.there.id, **same)
            assert await picture(at) == before

    tell(story())


def test_a_new_user_may_have_a_first_place() -> None:
    """3.1: the membership comes with the user and is the default; an unknown account is invalid."""

    async def story() -> None:
        async with gate() as at:
            seq = await at.seq(at.here.id)
            ana = await at.user(role=Role.ADMIN)
            (place,) = await at.accounts.memberships(at.root, ana.id)
            assert (place.account_id, place.role, place.is_default) == (
                at.here.id, Role.ADMIN, True,
            )  # fmt: skip
            page = await at.storage.views(at.here.id).events(EventQuery(after=seq))
            (recorded,) = page.data
            assert recorded.event == MembershipChanged(user_id=ana.id, role=Role.ADMIN)
            before = await picture(at)
            with pytest.raises(Invalid, match="account_id"):
                await at.user(account_id=AccountId(10**6))
            assert await picture(at) == before
            alone = await at.user(account_id=None)
            assert await at.accounts.memberships(at.root, alone.id) == []

    tell(story())


def test_a_user_is_changed_only_by_what_differs() -> None:
    """15.18: null clears the shown name; sign-ins end only with a reason (R24)."""

    async def story() -> None:
        async with gate() as at:
            ana, eva = await at.user(display_name="Ana"), await at.user()
            told = await at.enter(ana)
            for change, version in (
                (UserChange(), 1),
                (UserChange(display_name="Ana", is_active=True), 1),
                (UserChange(email="luz@x.pe"), 2),
                (UserChange(display_name=None), 3),
            ):
                changed = await at.accounts.update_user(at.root, ana.id, change)
                assert changed.version == version
                assert await at.accounts.user(at.root, ana.id) == changed
            await at.actor(told)
            with pytest.raises(Conflict):
                await at.accounts.update_user(at.root, ana.id, UserChange(email=eva.email))

    tell(story())


def test_a_password_can_be_set_for_another() -> None:
    """R24: the new one counts from then on."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            await at.accounts.update_user(at.root, ana.id, UserChange(password=OTHER_PASSWORD))
            await at.enter(ana, OTHER_PASSWORD)
            with pytest.raises(Unauthorized):
                await at.enter(ana)

    tell(story())


@pytest.mark.parametrize(
    "change",
    [
        UserChange(is_active=False),
        UserChange(is_super_admin=False),
        UserChange(password=PASSWORD),
    ],
)
def test_nobody_locks_oneself_out(change: UserChange) -> None:
    """Section 8: one's own password is changed with the old one, in the settings."""

    async def story() -> None:
        async with gate() as at:
            with pytest.raises(Invalid, match="oneself"):
                await at.accounts.update_user(at.root, at.root.user_id, change)

    tell(story())


def test_a_user_has_one_default_account() -> None:
    """3.1: another default ends the first; roles differ from account to account."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            await at.join(ana, at.there, role=Role.ADMIN, is_default=True)
            places = await at.accounts.memberships(at.root, ana.id)
            assert [(p.account_id, p.role, p.is_default) for p in places] == [
                (at.there.id, Role.ADMIN, True),
                (at.here.id, Role.AGENT, False),
            ]
            with pytest.raises(Invalid, match="account_id"):
                await at.join(ana, replace(at.there, id=AccountId(10**6)))
            with pytest.raises(NotFound):
                await at.join(replace(ana, id=UserId(10**6)), at.there)

    tell(story())


def test_a_membership_ends_with_an_event() -> None:
    """TN4: told to the account that lost somebody; ending it twice is 404."""

    async def story() -> None:
        async with gate() as at:
            ana = await at.user()
            seq = await at.seq(at.here.id)
            await at.accounts.end_membership(at.root, ana.id, at.here.id)
            views = at.storage.views(at.here.id)
            (recorded,) = (await views.events(EventQuery(after=seq))).data
            assert recorded.event == MembershipChanged(user_id=ana.id, role=None)
            members = (await views.members(MemberQuery())).data
            assert ana.id not in {member.user_id for member in members}
            for account_id in (at.here.id, at.there.id, AccountId(10**6)):
                with pytest.raises(NotFound):
                    await at.accounts.end_membership(at.root, ana.id, account_id)

    tell(story())


def new_user(name: str) -> NewUser:
    """Return a user to be."""
    return NewUser(username=name, email=f"{name}@x.pe", password=PASSWORD)


def replace_account(actor: Actor, account_id: AccountId) -> Actor:
    """Return the actor at work in another account."""
    return Actor(account_id=account_id, user_id=actor.user_id, role=Role.ADMIN)


async def picture(at: Gate) -> list[Any]:
    """Return all accounts, users and places."""
    users = (await at.accounts.users(at.root, UserQuery(limit=200))).data
    return [
        (await at.accounts.accounts(at.root, AccountQuery(limit=200))).data,
        users,
        [await at.accounts.memberships(at.root, user.id) for user in users],
    ]


def test_nobody_closes_the_account_that_one_works_in() -> None:
    """Section 8: the last administrator of a service cannot end every sign-in for good."""

    async def story() -> None:
        async with gate() as at:
            here = at.root.account_id
            with pytest.raises(Invalid, match="is_active"):
                await at.accounts.update_account(at.root, here, TenantChange(is_active=False))
            with pytest.raises(Invalid, match="account_id"):
                await at.accounts.end_membership(at.root, at.root.user_id, here)

    tell(story())


def test_a_password_is_bounded_and_kept_as_it_is() -> None:
    """R25: blanks belong to a password; eight characters are the least, however it is made."""
    padded = NewUser(username="ana", email="ana@ejemplo.pe", password="  clave  ")
    assert padded.password == "  clave  "
    with pytest.raises(Invalid, match="password"):
        NewUser(username="ana", email="ana@ejemplo.pe", password="corta")
