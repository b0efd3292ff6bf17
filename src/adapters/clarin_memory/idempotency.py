"""The answers that requests got, to be given again."""

from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.idempotency import Repeatable, StoredAnswer
from clarin_core.ports.stores import IdempotencyStore
from clarin_memory.state import Claim, Scope


@dataclass(frozen=True, slots=True)
class MemoryIdempotencyStore(IdempotencyStore):
    """The answers of one account. Who claims holds the account's lock, so nobody is at work."""

    scope: Scope

    async def claim(self, request: Repeatable, *, at: datetime) -> StoredAnswer | None:
        """Return the request's answer, or None if it is new; raises Conflict."""
        known = self.scope.tables.claims.peek((request.route, request.key))
        if known is None or known.answer is None:
            self._put(request, Claim(request.request_hash, at))
            return None
        request.expect(known.request_hash)
        return known.answer

    async def keep(self, request: Repeatable, answer: StoredAnswer) -> None:
        """Store the answer of a request that this transaction has claimed."""
        claim = self.scope.tables.claims.peek((request.route, request.key))
        assert claim is not None
        self._put(request, claim._replace(answer=answer))

    def _put(self, request: Repeatable, claim: Claim) -> None:
        self.scope.tables.claims.put((request.route, request.key), claim)
