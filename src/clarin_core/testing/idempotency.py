"""Laws of answers that are given again: one request, one effect, whoever repeats it and when."""

import asyncio

import pytest
from msgspec.structs import replace

from clarin_core.domain.events import TagDeleted
from clarin_core.domain.idempotency import (
    IdempotencyKey,
    Repeatable,
    StoredAnswer,
    repeatable,
)
from clarin_core.domain.ids import AccountId, TagId
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.directory import Directory
from clarin_core.ports.transaction import Transaction
from clarin_core.testing import strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.tenants import LATER, NOON, OnPurposeError, Tenant, doomed

REPEATS = 8
DONE = StoredAnswer(status=201, body=b'{"id":1}', version=1)


class IdempotencyLaws(Contract):
    """What `IdempotencyStore` promises."""

    @law(answer=strategies.stored_answers(), request=strategies.repeatables())
    async def test_a_repeat_gets_the_first_answer(
        self, account: Tenant, answer: StoredAnswer, request: Repeatable
    ) -> None:
        """R16: byte for byte, as often as it is asked for."""
        async with account.begin() as tx:
            assert await tx.idempotency.claim(request, at=NOON) is None
            await tx.idempotency.keep(request, answer)
        for _ in range(2):
            async with account.begin() as tx:
                assert await tx.idempotency.claim(request, at=LATER) == answer

    @law()
    async def test_a_key_stands_for_one_request(self, account: Tenant) -> None:
        """CH13: another one is refused, which spoils nothing; other keys and routes are free."""
        request = a_request("uno")
        await answer_first(account, request)
        async with account.begin() as tx:
            with pytest.raises(Conflict) as caught:
                await tx.idempotency.claim(replace(request, request_hash=bytes(32)), at=LATER)
            assert caught.value.code == "idempotency_conflict"
            assert await tx.idempotency.claim(request, at=LATER) == DONE
            for other in (replace(request, route="POST /tags"), replace(request, key=bytes(32))):
                assert await tx.idempotency.claim(other, at=LATER) is None

    @law()
    async def test_an_undone_claim_never_was(self, account: Tenant) -> None:
        """R16: a request that failed may be sent again, and differently."""
        request = a_request("uno")
        async with doomed(account.begin()) as tx:
            await answer_in(tx, request)
        async with account.begin() as tx:
            other = replace(request, request_hash=bytes(32))
            assert await tx.idempotency.claim(other, at=LATER) is None

    @law()
    async def test_a_claim_without_an_answer_never_was(self, account: Tenant) -> None:
        """R16: there is nothing to repeat, whatever was committed."""
        request = a_request("uno")
        async with account.begin() as tx:
            await tx.idempotency.claim(request, at=NOON)
        other = replace(request, request_hash=bytes(32))
        await answer_first(account, other)
        async with account.begin() as tx:
            assert await tx.idempotency.claim(other, at=LATER) == DONE

    @law()
    async def test_accounts_may_use_the_same_key(self, account: Tenant) -> None:
        """R22: they do not wait for each other, nor get each other's answers."""
        request, other = a_request("uno"), await account.stranger()
        async with account.begin() as tx:
            await answer_in(tx, request)
            theirs = replace(request, request_hash=bytes(32))
            await answer_first(other, theirs, replace(DONE, version=2))
        async with account.begin() as tx:
            assert await tx.idempotency.claim(request, at=LATER) == DONE

    @law()
    async def test_simultaneous_repeats_have_one_effect(self, account: Tenant) -> None:
        """R16: one is at work, the others wait for it and get its answer."""
        request = a_request("uno")

        async def repeat() -> StoredAnswer | None:
            async with account.begin() as tx:
                return await act_once(tx, request)

        answers = await asyncio.gather(*(repeat() for _ in range(REPEATS)))
        assert sorted(answers, key=bool) == [None, *[DONE] * (REPEATS - 1)]
        assert len(await account.events()) == 1

    @law()
    async def test_who_waited_for_a_failure_acts(self, account: Tenant) -> None:
        """R16: of those that wait for a request that fails, one does it."""
        request, failures = a_request("uno"), iter([OnPurposeError()])

        async def repeat() -> StoredAnswer | None:
            async with account.begin() as tx:
                known = await act_once(tx, request)
                for failure in failures:
                    raise failure
                return known

        told = await asyncio.gather(*(repeat() for _ in range(3)), return_exceptions=True)
        assert sorted(type(one).__name__ for one in told) == [
            "NoneType", "OnPurposeError", "StoredAnswer",
        ]  # fmt: skip
        assert len(await account.events()) == 1

    @law()
    async def test_an_answer_may_be_kept_from_above_accounts(self, account: Tenant) -> None:
        """R16: whoever works in another account claims in the own one; it is the same answer."""
        request, other = a_request("uno"), await account.stranger()
        async with doomed(self.storage.directory()) as directory:
            await answer_above(directory, account.id, other.id, request)
        async with self.storage.directory() as directory:
            await answer_above(directory, account.id, other.id, request)
        async with account.begin() as tx:
            assert await tx.idempotency.claim(request, at=LATER) == DONE
        async with self.storage.directory() as directory:
            answers = await directory.idempotency(account.id)
            assert await answers.claim(request, at=LATER) == DONE
        assert len(await other.events()) == 1

    @law()
    async def test_an_unknown_account_has_no_answers(self, account: Tenant) -> None:
        """R22: nothing is claimed in its name."""

        async def claim() -> None:
            async with self.storage.directory() as directory:
                answers = await directory.idempotency(AccountId(2**62))
                await answers.claim(a_request("uno"), at=NOON)

        with pytest.raises(NotFound):
            await claim()


def a_request(key: str) -> Repeatable:
    """Return a request with a key."""
    return repeatable("POST /leads", IdempotencyKey(key), b"{}")


async def answer_first(account: Tenant, request: Repeatable, answer: StoredAnswer = DONE) -> None:
    """Commit the answer of a new request."""
    async with account.begin() as tx:
        await answer_in(tx, request, answer)


async def answer_in(tx: Transaction, request: Repeatable, answer: StoredAnswer = DONE) -> None:
    """Answer a new request."""
    assert await tx.idempotency.claim(request, at=NOON) is None
    await tx.idempotency.keep(request, answer)


async def act_once(tx: Transaction, request: Repeatable) -> StoredAnswer | None:
    """Return the stored answer; without one act, and keep an answer."""
    known = await tx.idempotency.claim(request, at=NOON)
    if known is None:
        tx.emit(TagDeleted(tag_id=TagId(1)))
        await asyncio.sleep(0)  # Where a store that does not wait would let another one claim.
        await tx.idempotency.keep(request, DONE)
    return known


async def answer_above(
    directory: Directory, mine: AccountId, theirs: AccountId, request: Repeatable
) -> None:
    """Answer a new request of one account by work in another one."""
    answers = await directory.idempotency(mine)
    assert await answers.claim(request, at=NOON) is None
    (await directory.enter(theirs)).emit(TagDeleted(tag_id=TagId(1)))
    await answers.keep(request, DONE)
