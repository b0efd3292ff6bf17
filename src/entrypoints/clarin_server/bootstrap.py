"""The first start: an account to work in, and somebody who may."""

import base64
from dataclasses import dataclass

from clarin_core.domain.accounts import AccountQuery, NewAccount, NewUser
from clarin_core.domain.actor import Role
from clarin_core.errors import Conflict
from clarin_core.ports.small import Clock, PasswordHasher, Random
from clarin_core.ports.storage import Storage
from clarin_core.usecases.accounts import enrol, open_account
from clarin_server.settings import Settings

_SLUG = "first"  # The same for all processes: of two that begin at once, one is refused.
_PASSWORD_BYTES = 15
_GROUP = 6


@dataclass(frozen=True, slots=True)
class FirstStart:
    """Fills a storage that has no account yet."""

    storage: Storage
    clock: Clock
    hasher: PasswordHasher
    random: Random

    async def make_account(self, settings: Settings) -> str | None:
        """Open the first account with its administrator, unless there is an account.

        Returns the password if it was made here: nobody can read it ever again. Both are
        stored or neither is, and of several processes that start at once one does it.
        """
        if not await self._is_empty():
            return None
        password = settings.admin_password or _new_password(self.random)
        try:
            await self._store(settings, password)
        except Conflict:
            if await self._is_empty():
                raise
            return None
        return None if settings.admin_password else password

    async def _is_empty(self) -> bool:
        async with self.storage.directory() as directory:
            page = await directory.accounts.page(AccountQuery(limit=1))
        return not page.data

    async def _store(self, settings: Settings, password: str) -> None:
        password_hash = await self.hasher.hash(password)
        at = self.clock()
        async with self.storage.directory() as directory:
            new = NewAccount(name=settings.account_name, slug=_SLUG)
            account = await open_account(directory, new, at=at)
            admin = NewUser(
                username=settings.admin_user,
                email=settings.admin_email,
                password=password,
                is_super_admin=True,
                account_id=account.id,
                role=Role.ADMIN,
            )
            await enrol(directory, admin, password_hash, at=at)


def _new_password(random: Random) -> str:
    """Return 120 random bits as groups of letters and digits that are easily copied by hand."""
    letters = base64.b32encode(random(_PASSWORD_BYTES)).decode().lower()
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))
