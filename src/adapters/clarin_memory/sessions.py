"""Sign-ins and single-use tickets."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from msgspec import structs

from clarin_core.domain.accounts import Session
from clarin_core.domain.ids import AccountId, SessionId, UserId
from clarin_core.errors import NotFound
from clarin_core.ports.directory import Sessions
from clarin_memory.accounts import account_row
from clarin_memory.members import user_row
from clarin_memory.state import Ids, SharedTables, Ticket


@dataclass(frozen=True, slots=True)
class MemorySessions(Sessions):
    """All sign-ins."""

    shared: SharedTables
    ids: Ids

    async def add(
        self, user_id: UserId, account_id: AccountId, *, refresh_hash: bytes, expires_at: datetime
    ) -> Session:
        """Begin a sign-in; raises NotFound for an unknown user or account."""
        session = Session(
            id=SessionId(self.ids.next("session")),
            user_id=user_id,
            account_id=account_id,
            refresh_hash=refresh_hash,
            expires_at=expires_at,
        )
        self._put(session)
        return session

    async def get(self, session_id: SessionId) -> Session:
        """Return a sign-in; raises NotFound."""
        session = self.shared.sessions.find(session_id)
        if session is None:
            raise NotFound("session", session_id)
        return session

    async def save(self, session: Session) -> None:
        """Store a changed sign-in: another account, another token, its end."""
        await self.get(session.id)
        self._put(session)

    async def revoke_others(self, user_id: UserId, keep: SessionId | None, *, at: datetime) -> None:
        """End a user's sign-ins but one."""
        self._revoke(lambda one: one.user_id == user_id and one.id != keep, at)

    async def revoke_in(self, account_id: AccountId, user_id: UserId, *, at: datetime) -> None:
        """End a user's sign-ins that are in one account."""
        self._revoke(lambda one: (one.account_id, one.user_id) == (account_id, user_id), at)

    async def add_ticket(
        self, digest: bytes, session_id: SessionId, account_id: AccountId, *, expires_at: datetime
    ) -> None:
        """Keep a single-use ticket."""
        await self.get(session_id)
        self.shared.tickets.put(digest, Ticket(session_id, account_id, expires_at))

    async def take_ticket(self, digest: bytes, *, at: datetime) -> tuple[SessionId, AccountId]:
        """Use up a ticket that is not expired; raises NotFound."""
        ticket = self.shared.tickets.peek(digest)
        if ticket is None or ticket.expires_at <= at:
            raise NotFound("ticket", digest.hex())
        self.shared.tickets.drop(digest)
        return ticket.session_id, ticket.account_id

    def _revoke(self, is_meant: Callable[[Session], bool], at: datetime) -> None:
        for session in list(self.shared.sessions.rows()):
            if session.revoked_at is None and is_meant(session):
                self._put(structs.replace(session, revoked_at=at))

    def _put(self, session: Session) -> None:
        user_row(self.shared, session.user_id)
        account_row(self.shared, session.account_id)
        self.shared.sessions.put(session.id, session)
