"""Users: who signs in, and where they work."""

from dataclasses import dataclass

from msgspec import UNSET, structs

from clarin_core.domain.accounts import Membership, Secret, User, UserQuery, UserView
from clarin_core.domain.ids import UserId
from clarin_core.domain.paging import Page
from clarin_core.errors import Conflict
from clarin_core.ports.directory import Users
from clarin_memory.accounts import account_row
from clarin_memory.members import membership_of, user_row
from clarin_memory.paging import BY_ID, page_of
from clarin_memory.search import Needle
from clarin_memory.state import Ids, SharedTables
from clarin_memory.tables import copied


@dataclass(frozen=True, slots=True)
class MemoryUsers(Users):
    """All users; names and e-mail addresses are unique together, ignoring case.

    A user name may not be another's address either: a login names one user or none.
    """

    shared: SharedTables
    ids: Ids

    async def add(self, user: User, *, password_hash: str) -> User:
        """Store a user and return it with its id; raises Conflict `conflict`."""
        kept = structs.replace(user, id=UserId(self.ids.next("user")))
        self._put(Secret(user=kept, password_hash=password_hash, token_version=1))
        return kept

    async def get(self, user_id: UserId) -> User:
        """Return a user; raises NotFound."""
        return (await self.secret_of(user_id)).user

    async def secret(self, login: str) -> Secret | None:
        """Return the user with this user name or e-mail address, None if there is none."""
        wanted = login.casefold()
        found = (secret for secret in self.shared.users.rows() if wanted in _logins(secret.user))
        return copied(next(found, None))

    async def secret_of(self, user_id: UserId) -> Secret:
        """Return a user's secret; raises NotFound."""
        return copied(user_row(self.shared, user_id))

    async def save(self, user: User) -> None:
        """Store a changed user; raises Conflict `conflict` for an address that is taken."""
        secret = await self.secret_of(user.id)
        secret.user = user
        self._put(secret)

    async def set_password(self, user_id: UserId, password_hash: str) -> None:
        """Store a password hash."""
        secret = await self.secret_of(user_id)
        secret.password_hash = password_hash
        self._put(secret)

    async def end_tokens(self, user_id: UserId) -> int:
        """Raise the user's token version, which ends every token of older ones; return it."""
        secret = await self.secret_of(user_id)
        secret.token_version += 1
        self._put(secret)
        return secret.token_version

    async def page(self, query: UserQuery) -> Page[User]:
        """Return users by id."""
        needle = None if query.search is UNSET else Needle(query.search)
        users = (secret.user for secret in self.shared.users.rows())
        found = (
            user
            for user in users
            if query.is_active in (UNSET, user.is_active)
            and (needle is None or needle.is_in(user.username, user.display_name))
        )
        return page_of(found, BY_ID, query, 0, copied)

    async def memberships(self, user_id: UserId) -> list[Membership]:
        """Return the user's places in active accounts with their names, the default first."""
        return _places(self.shared, user_id)

    def _put(self, secret: Secret) -> None:
        wanted = _logins(secret.user)
        for other in self.shared.users.rows():
            if other.user.id != secret.user.id and wanted & _logins(other.user):
                raise Conflict("conflict", "the user name or the e-mail address is taken")
        self.shared.users.put(secret.user.id, secret)


def user_view(shared: SharedTables, user_id: UserId) -> UserView:
    """Return a user and where the user works; raises NotFound."""
    user = user_row(shared, user_id).user
    return UserView(**structs.asdict(user), accounts=_places(shared, user_id))


def _places(shared: SharedTables, user_id: UserId) -> list[Membership]:
    places = []
    for (account_id, member_id), role in shared.roles.items():
        account = account_row(shared, account_id)
        if member_id == user_id and account.is_active:
            place = membership_of(shared, account_id, user_id, role)
            place.account_name = account.name
            places.append(place)
    return sorted(places, key=lambda place: (not place.is_default, place.account_id))


def _logins(user: User) -> set[str]:
    return {user.username.casefold(), user.email.casefold()}
