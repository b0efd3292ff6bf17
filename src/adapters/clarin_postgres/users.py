"""Users: who signs in, and where they work."""

from dataclasses import dataclass

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from clarin_core.domain.accounts import Membership, Secret, User, UserQuery, UserView
from clarin_core.domain.ids import UserId
from clarin_core.domain.paging import Page
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.directory import Users
from clarin_postgres.conditions import Conditions
from clarin_postgres.connection import Row
from clarin_postgres.paging import (
    ABOVE_ACCOUNTS,
    BY_ID,
    NO_ACCOUNT,
    Listing,
    page_of,
    struct,
    structs,
)
from clarin_postgres.scope import Statements
from clarin_postgres.search import searched, text_pattern

_USER = (
    "u.id, u.username, u.email, u.display_name, u.is_active, u.is_super_admin, "
    "u.created_at, u.updated_at, u.version"
)
_SECRET = f"{_USER}, u.password_hash, u.token_version"
_LISTING = Listing("users.page", "users u", "u", cut=_USER, shown=_USER, beside=ABOVE_ACCOUNTS)

_ADD = """-- users.add
    with rival as (select k.user_id from user_logins k where k.key = any($9)),
    born as (
        insert into users as u (username, email, display_name, is_active, is_super_admin,
            created_at, updated_at, version, password_hash, search)
        select $1, $2, $3, $4, $5, $6, $7, $8, $10, $11 where not exists (select from rival)
        returning u.id
    ),
    logins as (
        insert into user_logins (key, user_id) select k, born.id from born, unnest($9::text[]) as k
    )
    select born.id from born"""
_SAVE = """-- users.save
    with rival as (select k.user_id from user_logins k where k.key = any($9) and k.user_id <> $10),
    saved as (
        update users u set username = $1, email = $2, display_name = $3, is_active = $4,
            is_super_admin = $5, created_at = $6, updated_at = $7, version = $8, search = $11
        where u.id = $10 and not exists (select from rival)
        returning u.id
    ),
    gone as (
        delete from user_logins k using saved where k.user_id = saved.id and k.key <> all($9)
    ),
    new as (
        insert into user_logins (key, user_id)
        select k, saved.id from saved, unnest($9::text[]) as k
        where not exists (select from user_logins o where o.key = k)
    )
    select exists (select from rival) as is_taken, (select saved.id from saved) as id"""
_BY_LOGIN = f"""-- users.secret
    select {_SECRET} from users u join user_logins k on k.user_id = u.id where k.key = $1"""
_GET = f"""-- users.get
    select {_SECRET} from users u where u.id = $1 for no key update"""
_REHASH = """-- users.set_password
    update users u set password_hash = $2 where u.id = $1 returning u.id"""
_END_TOKENS = """-- users.end_tokens
    update users u set token_version = u.token_version + 1 where u.id = $1
    returning u.token_version"""
_PLACES = """
    select m.account_id, m.user_id, m.role, a.name as account_name,
        d.user_id is not null as is_default
    from memberships m
    join accounts a on a.id = m.account_id
    left join default_accounts d on d.account_id = m.account_id and d.user_id = m.user_id
    where m.user_id = $1 and a.is_active
    order by d.user_id is null, m.account_id"""
_MEMBERSHIPS = f"-- users.memberships{_PLACES}"
VIEW = f"""-- storage.user
    select {_USER}, p.account_id, p.user_id, p.role, p.account_name, p.is_default
    from users u left join ({_PLACES}) p on true
    where u.id = $1
    order by p.is_default desc, p.account_id"""


@dataclass(frozen=True, slots=True)
class PostgresUsers(Users):
    """All users; names and e-mail addresses are unique together, ignoring case.

    A user name may not be another's address either: a login names one user or none.
    """

    line: Statements
    changed: set[UserId]

    async def add(self, user: User, *, password_hash: str) -> User:
        """Store a user and return it with its id; raises Conflict `conflict`."""
        row = await self.line.first(
            _ADD, *_columns(user), _logins(user), password_hash, _searched(user)
        )
        if row is None:
            raise _taken()
        return replace(user, id=UserId(row["id"]))

    async def get(self, user_id: UserId) -> User:
        """Return a user, locked; raises NotFound."""
        return struct(await self._row(_GET, user_id), User)

    async def secret(self, login: str) -> Secret | None:
        """Return the user with this user name or e-mail address, None if there is none."""
        if "\0" in login:  # The one character that no stored text has.
            return None
        row = await self.line.first(_BY_LOGIN, login.casefold())
        return None if row is None else _secret(row)

    async def secret_of(self, user_id: UserId) -> Secret:
        """Return a user's secret, locked; raises NotFound."""
        return _secret(await self._row(_GET, user_id))

    async def save(self, user: User) -> None:
        """Store a changed user; raises Conflict `conflict` for an address that is taken."""
        row = await self.line.first(_SAVE, *_columns(user), _logins(user), user.id, _searched(user))
        if row is None or row["is_taken"]:
            raise _taken()
        if row["id"] is None:
            raise NotFound("user", user.id)
        self.changed.add(user.id)

    async def set_password(self, user_id: UserId, password_hash: str) -> None:
        """Store a password hash; raises NotFound."""
        await self._row(_REHASH, user_id, password_hash)

    async def end_tokens(self, user_id: UserId) -> int:
        """Raise the user's token version, which ends every token of older ones; return it."""
        self.changed.add(user_id)
        return int((await self._row(_END_TOKENS, user_id))["token_version"])

    async def page(self, query: UserQuery) -> Page[User]:
        """Return users by id."""
        where = Conditions("true", first=1)
        if query.search is not UNSET:
            where.add("u.search like {0} escape '\\'", text_pattern(query.search))
        if query.is_active is not UNSET:
            where.add("u.is_active" if query.is_active else "not u.is_active")
        text = _LISTING.statement(query, BY_ID, where, account_id=NO_ACCOUNT)
        rows = await self.line.fetch(text, *where.arguments)
        return page_of(rows, query, BY_ID, NO_ACCOUNT, User)

    async def memberships(self, user_id: UserId) -> list[Membership]:
        """Return the user's places in active accounts with their names, the default first."""
        return structs(await self.line.fetch(_MEMBERSHIPS, user_id), Membership)

    async def _row(self, text: str, user_id: UserId, *arguments: object) -> Row:
        row = await self.line.first(text, user_id, *arguments)
        if row is None:
            raise NotFound("user", user_id)
        return row


def user_view(rows: list[Row], user_id: UserId) -> UserView:
    """Return a user of one row for each place; raises NotFound."""
    if not rows:
        raise NotFound("user", user_id)
    places = structs([row for row in rows if row["account_id"] is not None], Membership)
    return msgspec.convert({**rows[0], "accounts": places}, UserView)


def _columns(user: User) -> list[object]:
    return [
        user.username, user.email, user.display_name, user.is_active, user.is_super_admin,
        user.created_at, user.updated_at, user.version,
    ]  # fmt: skip


def _logins(user: User) -> list[str]:
    return sorted({user.username.casefold(), user.email.casefold()})


def _searched(user: User) -> str:
    return searched([user.username, user.display_name])


def _secret(row: Row) -> Secret:
    return Secret(
        user=struct(row, User),
        password_hash=row["password_hash"],
        token_version=row["token_version"],
    )


def _taken() -> Conflict:
    return Conflict("conflict", "the user name or the e-mail address is taken")
