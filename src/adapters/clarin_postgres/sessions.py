"""Sign-ins and single-use tickets."""

from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.accounts import Session, Standing
from clarin_core.domain.ids import AccountId, SessionId, UserId
from clarin_core.errors import NotFound
from clarin_core.ports.directory import Sessions
from clarin_postgres.connection import Row
from clarin_postgres.paging import struct
from clarin_postgres.scope import Statements

_ADD = """-- sessions.add
    insert into sessions as s (user_id, account_id, refresh_hash, expires_at)
    values ($1, $2, $3, $4) returning s.id"""
_GET = """-- sessions.get
    select s.id, s.user_id, s.account_id, s.refresh_hash, s.expires_at, s.revoked_at
    from sessions s where s.id = $1 for no key update"""
_SAVE = """-- sessions.save
    update sessions s set user_id = $2, account_id = $3, refresh_hash = $4, expires_at = $5,
        revoked_at = $6
    where s.id = $1 returning s.id"""
_REVOKE_OTHERS = """-- sessions.revoke_others
    update sessions s set revoked_at = $3
    where s.user_id = $1 and s.id is distinct from $2 and s.revoked_at is null"""
_REVOKE_IN = """-- sessions.revoke_in
    update sessions s set revoked_at = $3
    where s.account_id = $1 and s.user_id = $2 and s.revoked_at is null"""
_ADD_TICKET = """-- sessions.add_ticket
    insert into tickets (digest, session_id, account_id, expires_at) values ($1, $2, $3, $4)"""
_TAKE_TICKET = """-- sessions.take_ticket
    delete from tickets t where t.digest = $1 and t.expires_at > $2
    returning t.session_id, t.account_id"""

STANDINGS = """-- storage.standings
    select k.place, s.user_id, a.id as account_id, m.role, u.is_active as user_is_active,
        a.is_active as account_is_active, u.is_super_admin, u.token_version,
        s.revoked_at is null and s.expires_at > $3 as session_is_live,
        a.default_region as region
    from unnest($1::bigint[], $2::bigint[]) with ordinality as k(session_id, account_id, place)
    join sessions s on s.id = k.session_id
    join users u on u.id = s.user_id
    join accounts a on a.id = k.account_id
    left join memberships m on m.account_id = a.id and m.user_id = u.id"""


@dataclass(frozen=True, slots=True)
class PostgresSessions(Sessions):
    """All sign-ins."""

    line: Statements
    changed: set[UserId]

    async def add(
        self, user_id: UserId, account_id: AccountId, *, refresh_hash: bytes, expires_at: datetime
    ) -> Session:
        """Begin a sign-in; raises NotFound for an unknown user or account."""
        (row,) = await self.line.fetch(_ADD, user_id, account_id, refresh_hash, expires_at)
        return Session(
            id=row["id"],
            user_id=user_id,
            account_id=account_id,
            refresh_hash=refresh_hash,
            expires_at=expires_at,
        )

    async def get(self, session_id: SessionId) -> Session:
        """Return a sign-in, locked; raises NotFound."""
        row = await self.line.first(_GET, session_id)
        if row is None:
            raise NotFound("session", session_id)
        return struct(row, Session)

    async def save(self, session: Session) -> None:
        """Store a changed sign-in: another account, another token, its end."""
        row = await self.line.first(
            _SAVE, session.id, session.user_id, session.account_id, session.refresh_hash,
            session.expires_at, session.revoked_at,
        )  # fmt: skip
        if row is None:
            raise NotFound("session", session.id)
        self.changed.add(session.user_id)

    async def revoke_others(self, user_id: UserId, keep: SessionId | None, *, at: datetime) -> None:
        """End a user's sign-ins but one."""
        await self.line.fetch(_REVOKE_OTHERS, user_id, keep, at)
        self.changed.add(user_id)

    async def revoke_in(self, account_id: AccountId, user_id: UserId, *, at: datetime) -> None:
        """End a user's sign-ins that are in one account."""
        await self.line.fetch(_REVOKE_IN, account_id, user_id, at)
        self.changed.add(user_id)

    async def add_ticket(
        self, digest: bytes, session_id: SessionId, account_id: AccountId, *, expires_at: datetime
    ) -> None:
        """Keep a single-use ticket; raises NotFound for an unknown sign-in."""
        await self.line.fetch(_ADD_TICKET, digest, session_id, account_id, expires_at)

    async def take_ticket(self, digest: bytes, *, at: datetime) -> tuple[SessionId, AccountId]:
        """Use up a ticket that is not expired; raises NotFound."""
        row = await self.line.first(_TAKE_TICKET, digest, at)
        if row is None:
            raise NotFound("ticket", digest.hex())
        return row["session_id"], row["account_id"]


def standings_of(rows: list[Row], count: int) -> list[Standing | None]:
    """Return what was found in the order in which it was asked for."""
    found = {row["place"]: struct(row, Standing) for row in rows}
    return [found.get(place) for place in range(1, count + 1)]
