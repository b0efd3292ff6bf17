"""Laws of users and sign-ins: who one is, and whether a token still counts."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from msgspec.structs import replace

from clarin_core.domain.accounts import Session, Standing
from clarin_core.domain.actor import Role
from clarin_core.domain.ids import AccountId, SessionId, UserId
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.directory import Directory
from clarin_core.testing import strategies
from clarin_core.testing.contract import Capability, Contract, law
from clarin_core.testing.tenants import HASH, LATER, NOON, Tenant, person

SOON = LATER + timedelta(hours=1)


class SignInLaws(Contract):
    """What `Users`, `Sessions` and `Storage.standings` promise."""

    @law(shown=strategies.maybe(strategies.names()))
    async def test_a_user_comes_back_as_it_was_added(
        self, account: Tenant, shown: str | None
    ) -> None:
        """The store gives the id and keeps the rest."""
        new = person(display_name=shown, is_super_admin=True)
        async with self.storage.directory() as directory:
            user = await directory.users.add(new, password_hash=HASH)
        assert replace(user, id=new.id) == new
        async with self.storage.directory() as directory:
            assert await directory.users.get(user.id) == user
            secret = await directory.users.secret_of(user.id)
        assert (secret.user, secret.password_hash) == (user, HASH)

    @law()
    async def test_a_secret_is_found_by_either_name(self, account: Tenant) -> None:
        """Section 3.1: user name and e-mail address, both without regard to case."""
        name = f"Ñusta{uuid4().hex}"
        async with self.storage.directory() as directory:
            new = person(username=name, email=f"{name}@x.pe")
            user = await directory.users.add(new, password_hash=HASH)
            spellings = (name, name.lower(), name.upper(), new.email, new.email.upper())
            found = [await directory.users.secret(login) for login in spellings]
            assert [secret.user.id for secret in found if secret] == [user.id] * len(spellings)
            assert await directory.users.secret(f"{name}x") is None

    @law()
    async def test_names_and_addresses_belong_to_one_user(self, account: Tenant) -> None:
        """Section 3.1: unique in all accounts, ignoring case, when added and when saved."""
        first, second = person(), person()
        async with self.storage.directory() as directory:
            await directory.users.add(first, password_hash=HASH)
            second = await directory.users.add(second, password_hash=HASH)
        for rival in (
            person(username=first.username.upper()), person(email=first.email.upper()),
        ):  # fmt: skip
            with pytest.raises(Conflict) as caught:
                async with self.storage.directory() as directory:
                    await directory.users.add(rival, password_hash=HASH)
            assert caught.value.code == "conflict"
        with pytest.raises(Conflict):
            async with self.storage.directory() as directory:
                await directory.users.save(replace(second, email=first.email.upper()))

    @law()
    async def test_a_user_can_be_changed(self, account: Tenant) -> None:
        """Everything but the id, and the password beside it."""
        user_id = await account.hire()
        async with self.storage.directory() as directory:
            user = await directory.users.get(user_id)
            values = {"email": f"{uuid4().hex}@x.pe", "display_name": "Ana", "is_active": False}
            user.alter(values, at=LATER)
            await directory.users.save(user)
            await directory.users.set_password(user_id, "$2")
        async with self.storage.directory() as directory:
            secret = await directory.users.secret_of(user_id)
        assert (secret.user, secret.password_hash) == (user, "$2")

    @law()
    async def test_tokens_end_by_a_higher_version(self, account: Tenant) -> None:
        """R24: every call raises the version, of that user alone."""
        user_id, other = await account.hire(), await account.hire()
        async with self.storage.directory() as directory:
            before = (await directory.users.secret_of(user_id)).token_version
            others = (await directory.users.secret_of(other)).token_version
            raised = [await directory.users.end_tokens(user_id) for _ in range(2)]
        assert raised == [before + 1, before + 2]
        async with self.storage.directory() as directory:
            assert (await directory.users.secret_of(user_id)).token_version == before + 2
            assert (await directory.users.secret_of(other)).token_version == others

    @law()
    async def test_unknown_users_and_sign_ins_are_not_found(self, account: Tenant) -> None:
        """An id that nobody has is NotFound, not an error of the store."""
        asks: list[Callable[[Directory], Awaitable[object]]] = [
            lambda directory: directory.users.get(UserId(2**62)),
            lambda directory: directory.users.secret_of(UserId(2**62)),
            lambda directory: directory.sessions.get(SessionId(2**62)),
            lambda directory: directory.accounts.get(AccountId(2**62)),
            lambda directory: directory.enter(AccountId(2**62)),
        ]
        for ask in asks:
            with pytest.raises(NotFound):
                async with self.storage.directory() as directory:
                    await ask(directory)

    @law()
    async def test_a_sign_in_comes_back_as_it_was_saved(self, account: Tenant) -> None:
        """Section 7: it can turn to another account, another token, and its end."""
        session = await sign_in(account, await account.hire())
        other = await account.stranger()
        assert (session.account_id, session.revoked_at, session.expires_at) == (
            account.id, None, SOON,
        )  # fmt: skip
        session.account_id, session.refresh_hash = other.id, b"\xff\x00"
        session.expires_at, session.revoked_at = SOON + timedelta(days=1), LATER
        async with self.storage.directory() as directory:
            await directory.sessions.save(session)
        async with self.storage.directory() as directory:
            assert await directory.sessions.get(session.id) == session

    @law()
    async def test_all_sign_ins_but_one_can_be_ended(self, account: Tenant) -> None:
        """R24: those of other users go on, an end that was keeps its time."""
        mine, other = await account.hire(), await account.hire()
        kept, ended, past = [await sign_in(account, mine) for _ in range(3)]
        theirs = await sign_in(account, other)
        async with self.storage.directory() as directory:
            await directory.sessions.save(replace(past, revoked_at=NOON))
            await directory.sessions.revoke_others(mine, kept.id, at=LATER)
        async with self.storage.directory() as directory:
            found = [await directory.sessions.get(one.id) for one in (kept, ended, past, theirs)]
            assert [one.revoked_at for one in found] == [None, LATER, NOON, None]
            await directory.sessions.revoke_others(mine, None, at=LATER)
            assert (await directory.sessions.get(kept.id)).revoked_at == LATER

    @law()
    async def test_a_ticket_is_used_once(self, account: Tenant) -> None:
        """Design 8: it names its sign-in and account, and is gone when it was taken."""
        session, digest = await sign_in(account, await account.hire()), uuid4().bytes
        await add_ticket(session, account, digest)
        async with self.storage.directory() as directory:
            taken = await directory.sessions.take_ticket(digest, at=NOON)
        assert taken == (session.id, account.id)
        with pytest.raises(NotFound):
            async with self.storage.directory() as directory:
                await directory.sessions.take_ticket(digest, at=NOON)

    @law()
    async def test_a_ticket_expires(self, account: Tenant) -> None:
        """Design 8: at its time it counts no longer, nor does one that never was."""
        session, digest = await sign_in(account, await account.hire()), uuid4().bytes
        await add_ticket(session, account, digest)
        for unusable, at in ((digest, SOON), (uuid4().bytes, NOON)):
            with pytest.raises(NotFound):
                async with self.storage.directory() as directory:
                    await directory.sessions.take_ticket(unusable, at=at)

    @law()
    async def test_standings_are_aligned_with_their_keys(self, account: Tenant) -> None:
        """R24: one look at many tokens; unknown ones are None in their place."""
        user_id = await account.hire(Role.ADMIN)
        session, unknown = await sign_in(account, user_id), SessionId(2**62)
        other = await account.stranger()
        keys = [
            (unknown, account.id), (session.id, account.id), (session.id, AccountId(2**62)),
            (session.id, other.id), (session.id, account.id),
        ]  # fmt: skip
        found = await self.storage.standings(keys, at=NOON)
        mine = Standing(
            user_id=user_id, account_id=account.id, role=Role.ADMIN, user_is_active=True,
            account_is_active=True, is_super_admin=False,
            token_version=await token_version(account, user_id), session_is_live=True, region="PE",
        )  # fmt: skip
        assert found == [None, mine, None, replace(mine, account_id=other.id, role=None), mine]
        assert await self.storage.standings([], at=NOON) == []

    @law()
    async def test_a_standing_shows_every_end_of_a_token(self, account: Tenant) -> None:
        """R24: expiry, revocation, a raised version, a closed account, an idle user."""
        user_id = await account.hire()
        session = await sign_in(account, user_id)
        before = await standing(account, session, at=NOON)
        assert not (await standing(account, session, at=SOON)).session_is_live
        async with self.storage.directory() as directory:
            await directory.sessions.save(replace(session, revoked_at=NOON))
            await directory.users.end_tokens(user_id)
            user = await directory.users.get(user_id)
            await directory.users.save(replace(user, is_active=False, is_super_admin=True))
            inside = await directory.enter(account.id)
            await inside.members.remove(user_id)
            tenant = await inside.account.get()
            await inside.account.save(replace(tenant, is_active=False, default_region="CL"))
        assert await standing(account, session, at=NOON) == replace(
            before, role=None, user_is_active=False, account_is_active=False, is_super_admin=True,
            token_version=before.token_version + 1, session_is_live=False, region="CL",
        )  # fmt: skip

    @law()
    async def test_the_sign_ins_of_one_account_can_be_ended(self, account: Tenant) -> None:
        """TN4: who is removed from an account is signed out there, and nowhere else."""
        there, mine, other = await account.stranger(), await account.hire(), await account.hire()
        ended, kept = await sign_in(account, mine), await sign_in(there, mine)
        theirs = await sign_in(account, other)
        async with self.storage.directory() as directory:
            await directory.sessions.revoke_in(account.id, mine, at=NOON)
            sessions = [await directory.sessions.get(one.id) for one in (ended, kept, theirs)]
        assert [one.revoked_at for one in sessions] == [NOON, None, None]

    @law(needs=Capability.ANNOUNCING)
    async def test_a_changed_user_is_announced(self, account: Tenant) -> None:
        """R24: whoever remembers that a token counts is told that it may not count any more."""
        user_id = await account.hire()

        async def told(work: Callable[[Directory], Awaitable[object]]) -> int:
            before = self.publisher.times_changed(user_id)
            async with self.storage.directory() as directory:
                await work(directory)
                assert self.publisher.times_changed(user_id) == before
            return self.publisher.times_changed(user_id) - before

        async def leave(directory: Directory) -> None:
            session.revoked_at = LATER
            await directory.sessions.save(session)

        async def rename(directory: Directory) -> None:
            user = await directory.users.get(user_id)
            user.alter({"is_active": False}, at=LATER)
            await directory.users.save(user)

        session = await sign_in(account, user_id)
        for work in (
            leave, rename, lambda there: there.users.end_tokens(user_id),
            lambda there: there.sessions.revoke_others(user_id, None, at=LATER),
            lambda there: there.sessions.revoke_in(account.id, user_id, at=LATER),
        ):  # fmt: skip
            await sign_in(account, user_id)
            assert await told(work) >= 1


async def sign_in(account: Tenant, user_id: UserId) -> Session:
    """Commit a sign-in that expires soon."""
    async with account.storage.directory() as directory:
        return await directory.sessions.add(
            user_id, account.id, refresh_hash=uuid4().bytes, expires_at=SOON
        )


async def add_ticket(session: Session, account: Tenant, digest: bytes) -> None:
    """Commit a ticket that expires soon."""
    async with account.storage.directory() as directory:
        await directory.sessions.add_ticket(digest, session.id, account.id, expires_at=SOON)


async def token_version(account: Tenant, user_id: UserId) -> int:
    """Return what a user's tokens must say."""
    async with account.storage.directory() as directory:
        return (await directory.users.secret_of(user_id)).token_version


async def standing(account: Tenant, session: Session, *, at: datetime) -> Standing:
    """Return the standing of a sign-in in its account."""
    (found,) = await account.storage.standings([(session.id, account.id)], at=at)
    assert found is not None
    return found
