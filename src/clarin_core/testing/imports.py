"""Laws of the import store: a file once, byte for byte, and an outcome for each row."""

import pytest
from hypothesis import strategies as st
from msgspec.structs import asdict

from clarin_core.domain.imports import (
    ImportCounts,
    ImportDraft,
    ImportKind,
    ImportState,
    OutcomeQuery,
    RowOutcome,
    RowResult,
)
from clarin_core.errors import Conflict
from clarin_core.testing import strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.tenants import LATER, NOON, Tenant

CSV = b"name\nLuz\n"


class ImportLaws(Contract):
    """What `ImportStore` promises."""

    @law(draft=strategies.import_drafts(), content=st.binary(max_size=3000))
    async def test_an_upload_is_kept_byte_for_byte(
        self, account: Tenant, draft: ImportDraft, content: bytes
    ) -> None:
        """IM1: any encoding survives; the job starts with nothing done."""
        async with account.begin() as tx:
            job = await tx.imports.add(draft, content, at=NOON)
        assert asdict(draft).items() <= asdict(job).items()
        started = (ImportState.UPLOADED, 0, ImportCounts(), None)
        assert (job.state, job.rows_done, job.counts, job.error) == started
        assert await account.views.import_job(job.id) == job
        assert await account.views.import_content(job.id) == content
        async with account.begin() as tx:
            assert await tx.imports.get(job.id) == job
            assert await tx.imports.content(job.id) == content

    @law()
    async def test_a_file_is_imported_once(self, account: Tenant) -> None:
        """Section 3.4: the same file as the same kind conflicts with the id of its import."""
        job = await account.add_import(CSV)
        with pytest.raises(Conflict) as caught:
            await account.add_import(CSV, filename="otro.csv")
        assert (caught.value.code, caught.value.id) == ("already_imported", job.id)
        await account.add_import(CSV, kind=ImportKind.CONTACTS)
        await account.add_import(CSV, overwrite=True)
        await (await account.stranger()).add_import(CSV)

    @law()
    async def test_a_failed_import_can_be_repeated(self, account: Tenant) -> None:
        """Section 3.4: unique while not failed."""
        job = await account.add_import(CSV)
        job.alter({"state": ImportState.FAILED, "error": "unreadable"}, at=LATER)
        async with account.begin() as tx:
            await tx.imports.get(job.id)
            await tx.imports.save(job, [])
        again = await account.add_import(CSV)
        assert again.id != job.id
        assert await account.views.import_job(job.id) == job

    @law(outcomes=strategies.row_outcomes(), size=st.integers(1, 4))
    async def test_outcomes_add_up_batch_by_batch(
        self, account: Tenant, outcomes: list[RowOutcome], size: int
    ) -> None:
        """IM3: every row has its outcome, in the file's order, alone by result too."""
        job = await account.add_import(CSV)
        for first in range(0, len(outcomes), size):
            batch = outcomes[first : first + size]
            job.counts.add(batch)
            job.alter({"rows_done": first + len(batch), "state": ImportState.RUNNING}, at=LATER)
            async with account.begin() as tx:
                await tx.imports.get(job.id)
                await tx.imports.save(job, batch)
        assert await account.views.import_job(job.id) == job
        shown = await account.views.import_outcomes(job.id, OutcomeQuery())
        assert (shown.data, shown.total) == (outcomes, len(outcomes))
        for result in RowResult:
            some = await account.views.import_outcomes(job.id, OutcomeQuery(result=result))
            assert some.data == [outcome for outcome in outcomes if outcome.result is result]

    @law()
    async def test_an_outcome_names_what_became_of_the_row(self, account: Tenant) -> None:
        """IM3: the lead, the contact, or why there is none."""
        job, lead = await account.add_import(CSV), await account.add_lead()
        contact = await account.add_contact(name="Ana")
        outcomes = [
            RowOutcome(row=1, result=RowResult.CREATED, lead_id=lead.id, contact_id=contact.id),
            RowOutcome(row=2, result=RowResult.INVALID, code="invalid_phone", field="phone"),
        ]
        async with account.begin() as tx:
            await tx.imports.save(await tx.imports.get(job.id), outcomes)
        assert (await account.views.import_outcomes(job.id, OutcomeQuery())).data == outcomes

    @law()
    async def test_pending_imports_are_those_not_at_their_end(self, account: Tenant) -> None:
        """R18: whoever takes over work finds it, oldest first, in every account."""
        other = await account.stranger()
        jobs = [await account.add_import(b"%d" % number) for number in range(4)]
        theirs = await other.add_import(CSV)
        states = [
            ImportState.RUNNING, ImportState.DONE, ImportState.FAILED, ImportState.UPLOADED,
        ]  # fmt: skip
        async with account.begin() as tx:
            for job, state in zip(jobs, states, strict=True):
                job.alter({"state": state}, at=LATER)
                await tx.imports.save(job, [])
        ours = (account.id, other.id)
        pending = [one for one in await self.storage.pending_imports() if one[0] in ours]
        assert pending == [
            (account.id, jobs[0].id), (account.id, jobs[3].id), (other.id, theirs.id),
        ]  # fmt: skip
