"""Faults to plant in how the memory storage keeps the answers of requests."""

import dataclasses
from datetime import UTC, datetime

from clarin_core.domain.idempotency import Repeatable, StoredAnswer
from clarin_core.domain.ids import AccountId
from clarin_core.errors import AlreadyRunning
from clarin_core.ports.stores import IdempotencyStore
from clarin_memory import (
    directory,
    idempotency,
    purge,
    state,
    storage,
    tables,
    transaction,
)
from support.faults import Patch


def an_answer_is_not_kept(patch: Patch) -> None:
    async def keep(*args: object) -> None:
        pass

    patch.setattr(idempotency.MemoryIdempotencyStore, "keep", keep)


def a_key_stands_for_any_request(patch: Patch) -> None:
    patch.setattr(Repeatable, "expect", lambda self, request_hash: None)


def a_claim_lasts_without_an_answer(patch: Patch) -> None:
    right = idempotency.MemoryIdempotencyStore.claim

    async def claim(
        self: idempotency.MemoryIdempotencyStore, request: Repeatable, *, at: datetime
    ) -> StoredAnswer | None:
        known = self.scope.tables.claims.peek((request.route, request.key))
        if known is not None and known.answer is None:
            raise AlreadyRunning("the request")
        return await right(self, request, at=at)

    patch.setattr(idempotency.MemoryIdempotencyStore, "claim", claim)


def answers_are_everybodys(patch: Patch) -> None:
    own, claims = state.AccountTables, tables.Table[tuple[str, bytes], state.Claim]()

    def wrong(scope: state.Scope) -> IdempotencyStore:
        inner = own(claims=claims)
        return idempotency.MemoryIdempotencyStore(dataclasses.replace(scope, tables=inner))

    patch.setattr(transaction, "MemoryIdempotencyStore", wrong)


def answers_above_accounts_are_others(patch: Patch) -> None:
    right = directory.MemoryDirectory.idempotency

    async def wrong(self: directory.MemoryDirectory, account_id: AccountId) -> IdempotencyStore:
        store = await right(self, account_id)
        assert isinstance(store, idempotency.MemoryIdempotencyStore)
        others = dataclasses.replace(store.scope, tables=state.AccountTables())
        return idempotency.MemoryIdempotencyStore(others)

    patch.setattr(directory.MemoryDirectory, "idempotency", wrong)


def nobody_has_answers(patch: Patch) -> None:
    async def wrong(self: directory.MemoryDirectory, account_id: AccountId) -> IdempotencyStore:
        scope = state.Scope(account_id, state.Ids(), self._work.shared, state.AccountTables())
        return idempotency.MemoryIdempotencyStore(scope)

    patch.setattr(directory.MemoryDirectory, "idempotency", wrong)


def answers_last(patch: Patch) -> None:
    patch.setattr(storage, "purge_answers", lambda tables, before: None)


def a_purge_takes_every_answer(patch: Patch) -> None:
    right = purge.purge_answers
    end = datetime.max.replace(tzinfo=UTC)
    patch.setattr(storage, "purge_answers", lambda tables, before: right(tables, end))
