"""The answers that requests got, to be given again."""

from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.idempotency import Repeatable, StoredAnswer
from clarin_core.domain.ids import AccountId
from clarin_core.errors import AlreadyRunning, Contention
from clarin_core.ports.stores import IdempotencyStore
from clarin_postgres.connection import Row
from clarin_postgres.paging import struct
from clarin_postgres.scope import Statements

# Who claims what another transaction has claimed waits for its end, here; a row that has an
# answer then is locked and left as it is.
_CLAIM = """-- idempotency.claim
    insert into idempotency as i (account_id, route, key, request_hash, created_at)
    values ($1, $2, $3, $4, $5)
    on conflict (account_id, route, key) do update
        set request_hash = excluded.request_hash, created_at = excluded.created_at
        where i.status is null
    returning i.route"""
_FIND = """-- idempotency.find
    select i.request_hash, i.status, i.body, i.version from idempotency i
    where i.account_id = $1 and i.route = $2 and i.key = $3"""
_KEEP = """-- idempotency.keep
    update idempotency i set status = $4, body = $5, version = $6
    where i.account_id = $1 and i.route = $2 and i.key = $3"""


@dataclass(frozen=True, slots=True)
class PostgresIdempotencyStore(IdempotencyStore):
    """The answers of one account, whichever one a transaction above accounts is in."""

    account_id: AccountId
    line: Statements

    async def claim(self, request: Repeatable, *, at: datetime) -> StoredAnswer | None:
        """Return the request's answer, or None if it is new; raises Conflict."""
        try:
            claimed = await self._fetch(_CLAIM, request, request.request_hash, at)
        except Contention as error:
            raise AlreadyRunning("the first request with this key") from error
        if claimed:
            return None
        (row,) = await self._fetch(_FIND, request)
        request.expect(row["request_hash"])
        return struct(row, StoredAnswer)

    async def keep(self, request: Repeatable, answer: StoredAnswer) -> None:
        """Store the answer of a request that this transaction has claimed."""
        await self._fetch(_KEEP, request, answer.status, answer.body, answer.version)

    async def _fetch(self, text: str, request: Repeatable, *arguments: object) -> list[Row]:
        return await self.line.fetch(text, self.account_id, request.route, request.key, *arguments)
