"""Members: an account's administrators decide who works in it, and one of them is always left."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from clarin_core.domain.accounts import User
from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.events import EventQuery, MembershipChanged
from clarin_core.domain.ids import UserId
from clarin_core.domain.members import Member, MemberChange, MemberQuery, NewMember
from clarin_core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized
from support.desk import tell
from support.gate import PASSWORD, Gate, gate

DEMOTION = MemberChange(role=Role.AGENT)


def colleague(name: str, role: Role = Role.AGENT) -> NewMember:
    return NewMember(username=name, email=f"{name}@x.pe", password=PASSWORD, role=role)


async def admin(at: Gate) -> tuple[User, Actor]:
    """Return a new administrator of the first account, signed in."""
    user = await at.user(role=Role.ADMIN)
    return user, await at.actor(await at.enter(user))


async def roles(at: Gate) -> dict[UserId, Role]:
    members = (await at.storage.views(at.here.id).members(MemberQuery())).data
    return {member.user_id: member.role for member in members}


ATTEMPTS: list[Callable[[Gate, Actor, User], Awaitable[object]]] = [
    lambda at, who, other: at.members.add(who, colleague("x")),
    lambda at, who, other: at.members.change(who, other.id, MemberChange(role=Role.ADMIN)),
    lambda at, who, other: at.members.remove(who, other.id),
]


@pytest.mark.parametrize("attempt", range(len(ATTEMPTS)))
def test_agents_administer_nobody(attempt: int) -> None:
    """Section 7: members are an administrator's affair."""

    async def story() -> None:
        async with gate() as at:
            ana, other = await at.user(), await at.user()
            before = await roles(at)
            with pytest.raises(Forbidden):
                await ATTEMPTS[attempt](at, await at.actor(await at.enter(ana)), other)
            assert await roles(at) == before

    tell(story())


def test_a_new_member_signs_in_and_works_here() -> None:
    """Section 3.1: the account is the new user's default; names are taken through all accounts."""

    async def story() -> None:
        async with gate() as at:
            _, ana = await admin(at)
            seq = await at.seq(at.here.id)
            made = await at.members.add(ana, colleague("dora", role=Role.ADMIN))
            assert made == Member(
                user_id=made.user_id, username="dora", role=Role.ADMIN, is_active=True
            )
            dora = await at.actor(await at.enter_as("dora"))
            assert (dora.account_id, dora.role) == (at.here.id, Role.ADMIN)
            (recorded,) = (await at.storage.views(at.here.id).events(EventQuery(after=seq))).data
            assert recorded.event == MembershipChanged(user_id=made.user_id, role=Role.ADMIN)
            with pytest.raises(Conflict):
                await at.members.add(ana, colleague("DORA"))

    tell(story())


def test_another_role_counts_at_once_and_is_announced_once() -> None:
    """Section 7: read from the membership at each request."""

    async def story() -> None:
        async with gate() as at:
            (user, beto), (_, ana) = await admin(at), await admin(at)
            token = await at.enter(user)
            seq = await at.seq(at.here.id)
            for _ in range(2):
                changed = await at.members.change(ana, user.id, DEMOTION)
                assert (changed.user_id, changed.role) == (user.id, Role.AGENT)
            assert (await at.actor(token)).role is Role.AGENT
            events = (await at.storage.views(at.here.id).events(EventQuery(after=seq))).data
            assert [one.event for one in events] == [
                MembershipChanged(user_id=user.id, role=Role.AGENT)
            ]
            with pytest.raises(Forbidden):  # He signed in as an administrator, and is none now.
                await at.members.remove(beto, ana.user_id)

    tell(story())


def test_who_was_removed_is_signed_out() -> None:
    """TN4: the tokens end, the user stays."""

    async def story() -> None:
        async with gate() as at:
            user, (_, ana) = await at.user(), await admin(at)
            token = await at.enter(user)
            await at.members.remove(ana, user.id)
            assert user.id not in await roles(at)
            with pytest.raises(Unauthorized):
                await at.actor(token)
            with pytest.raises(NotFound):
                await at.members.remove(ana, user.id)
            assert (await at.accounts.user(at.root, user.id)).is_active

    tell(story())


def test_strangers_are_as_unknown_as_nobody() -> None:
    """R22: a member of another account is no member here."""

    async def story() -> None:
        async with gate() as at:
            stranger = await at.user(account_id=at.there.id)
            _, ana = await admin(at)
            for user_id in (stranger.id, UserId(2**60)):
                with pytest.raises(NotFound, match=f"member {user_id} "):
                    await at.members.change(ana, user_id, DEMOTION)
                with pytest.raises(NotFound, match=f"member {user_id} "):
                    await at.members.remove(ana, user_id)

    tell(story())


def test_nobody_changes_the_own_place() -> None:
    """So that an account keeps an administrator."""

    async def story() -> None:
        async with gate() as at:
            user, ana = await admin(at)
            with pytest.raises(Invalid, match="user_id is oneself"):
                await at.members.change(ana, user.id, DEMOTION)
            with pytest.raises(Invalid, match="user_id is oneself"):
                await at.members.remove(ana, user.id)

    tell(story())


def test_of_two_who_remove_each_other_one_is_left() -> None:
    """The second one is no administrator any more when it comes to act."""

    async def story() -> None:
        async with gate() as at:
            (first, one), (second, other) = await admin(at), await admin(at)
            ends = await asyncio.gather(
                at.members.change(one, second.id, DEMOTION),
                at.members.remove(other, first.id),
                return_exceptions=True,
            )
            assert [type(end) for end in ends if isinstance(end, Exception)] == [Forbidden]
            left = [role for role in (await roles(at)).values() if role is Role.ADMIN]
            assert len(left) == 1

    tell(story())


def test_who_is_removed_meanwhile_adds_nobody() -> None:
    """A password takes a while to hash, and much may happen in it."""

    async def story() -> None:
        async with gate() as at:
            (user, ana), (_, other) = await admin(at), await admin(at)
            adding = asyncio.create_task(at.members.add(ana, colleague("dora", Role.ADMIN)))
            await asyncio.sleep(0)
            await at.members.remove(other, user.id)
            with pytest.raises(Forbidden):
                await adding
            with pytest.raises(Unauthorized):
                await at.enter_as("dora")

    tell(story())


def test_who_comes_back_signs_in_anew() -> None:
    """TN4: tokens of the time before do not count again."""

    async def story() -> None:
        async with gate() as at:
            user, (_, ana) = await at.user(), await admin(at)
            await at.join(user, at.there)
            token = await at.enter(user)
            await at.members.remove(ana, user.id)
            await at.join(user, at.here)
            with pytest.raises(Unauthorized):
                await at.actor(token)
            with pytest.raises(Unauthorized):
                await at.refresh(token.refresh_token)
            assert (await at.enter(user)).account_id in (at.here.id, at.there.id)

    tell(story())


def test_an_account_does_not_shut_out_who_runs_the_service() -> None:
    """Section 7: a super administrator's place is changed from above only."""

    async def story() -> None:
        async with gate() as at:
            _, ana = await admin(at)
            with pytest.raises(Forbidden, match="super_admin"):
                await at.members.remove(ana, at.root.user_id)
            assert at.root.user_id in await roles(at)

    tell(story())
