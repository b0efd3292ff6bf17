"""Who signs in: a storage with two accounts, a clock in hand, and the use cases at the gate."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from clarin_core.domain.accounts import Account, NewAccount, NewMembership, NewUser, User
from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.ids import AccountId, UserId
from clarin_core.domain.sign_in import Credentials, RefreshToken, SignedIn
from clarin_core.testing.tenants import NOON
from clarin_core.testing.watch import Watch
from clarin_core.usecases.accounts import AccountUseCases, enrol, open_account
from clarin_core.usecases.members import MemberUseCases
from clarin_core.usecases.sign_in import ACCESS_LIFE, SignInUseCases
from clarin_memory import MemoryLimiter, MemoryStorage
from clarin_security import Argon2Hasher, JwtIssuer, system_random

PASSWORD = "una clave larga"
OTHER_PASSWORD = "otra clave larga"
ADDRESS = "192.0.2.7"


@dataclass
class Gate:
    """Two accounts, and those who run the service and work in both."""

    storage: MemoryStorage
    clock: Watch
    accounts: AccountUseCases
    members: MemberUseCases
    sign_in: SignInUseCases
    here: Account
    there: Account
    root: Actor
    _names: int = field(default=0)

    async def user(
        self, *, password: str = PASSWORD, role: Role = Role.AGENT, **known: Any
    ) -> User:
        """Return a new user who works in the first account, unless told otherwise."""
        self._names += 1
        usual = {"username": f"user{self._names}", "email": f"user{self._names}@x.pe"}
        place = {"account_id": self.here.id, "role": role}
        new = NewUser(password=password, **{**usual, **place, **known})
        return await self.accounts.create_user(self.root, new)

    async def join(self, user: User, account: Account, **known: Any) -> None:
        """Let a user work in an account too."""
        new = NewMembership(account_id=account.id, **known)
        await self.accounts.put_membership(self.root, user.id, new)

    async def enter(self, user: User, password: str = PASSWORD) -> SignedIn:
        """Sign a user in."""
        return await self.enter_as(user.username, password)

    async def enter_as(self, username: str, password: str = PASSWORD) -> SignedIn:
        """Sign the user of a name in."""
        credentials = Credentials(username=username, password=password)
        return await self.sign_in.login(credentials, address=ADDRESS)

    async def actor(self, told: SignedIn) -> Actor:
        """Return who holds an access token."""
        return (await self.sign_in.authenticate(told.token))[0]

    async def refresh(self, text: str) -> SignedIn:
        """Exchange a refresh token."""
        return await self.sign_in.refresh(RefreshToken(refresh_token=text))

    async def seq(self, account_id: AccountId) -> int:
        """Return how many events an account has."""
        return (await self.storage.views(account_id).position()).seq


@asynccontextmanager
async def gate() -> AsyncIterator[Gate]:
    """Open the gate; the user of `root` exists and administers all."""
    clock = Watch()
    storage = MemoryStorage(clock=clock)
    async with Argon2Hasher(memory_kib=64, passes=1) as hasher:
        hashed = await hasher.hash(PASSWORD)
        async with storage.directory() as directory:
            here = await open_account(directory, NewAccount(name="Luz"), at=NOON)
            there = await open_account(directory, NewAccount(name="Mar"), at=NOON)
            new = NewUser(
                username="root",
                email="root@x.pe",
                password=PASSWORD,
                is_super_admin=True,
                account_id=here.id,
            )
            root = await enrol(directory, new, hashed, at=NOON)
        tokens = JwtIssuer(b"a secret of the tests, long enough", life=ACCESS_LIFE)
        yield Gate(
            storage,
            clock,
            AccountUseCases(storage, clock, hasher),
            MemberUseCases(storage, clock, hasher),
            SignInUseCases(storage, clock, system_random, hasher, tokens, MemoryLimiter(clock)),
            here,
            there,
            Actor(account_id=here.id, user_id=UserId(root.id), is_super_admin=True),
        )
