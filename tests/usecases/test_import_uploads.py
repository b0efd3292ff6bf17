"""Files before and after their import: preview, upload, rejects."""

from pathlib import Path

import pytest

from clarin_core.domain.actor import Actor
from clarin_core.domain.ids import ImportId, UserId
from clarin_core.domain.imports import ImportKind, ImportOptions, ImportState, RowResult
from clarin_core.errors import Conflict, Forbidden, Invalid, NotFound
from support.importing import FILE, OTHER_PHONE, Office, table, tell

SAMPLES = Path(__file__).parent.parent / "data" / "imports"
C, X = RowResult.CREATED, RowResult.INVALID


def test_a_preview_shows_a_file_and_writes_nothing() -> None:
    """IM3: encoding, separator, columns, counts, the first rows and the first rejects."""

    async def story(here: Office) -> None:
        before = await here.tenant.picture()
        content = (SAMPLES / "kommo-cp1252-semicolon.csv").read_bytes()
        preview = await here.imports.preview(here.admin, ImportOptions(), content)
        assert (preview.encoding, preview.separator) == ("windows-1252", ";")
        assert preview.columns["phone"][0] == "Teléfono celular (contacto)"
        assert "Responsable" in preview.ignored
        assert (preview.valid, preview.invalid) == (51, 9)
        assert (len(preview.rows), len(preview.rejects)) == (20, 9)
        assert preview.rows[0].kommo_id == 9_000_000
        assert {reject.code for reject in preview.rejects} <= {"invalid_phone", "validation_failed"}
        assert await here.tenant.picture() == before

    tell(story)


def test_only_administrators_import() -> None:
    """Section 7: an agent is refused before a file is looked at."""

    async def story(here: Office) -> None:
        agent = Actor(account_id=here.tenant.id, user_id=UserId(8))
        for attempt in (
            here.imports.preview(agent, ImportOptions(), b""),
            here.imports.upload(agent, ImportOptions(), FILE),
            here.imports.rejects(agent, ImportId(1)),
        ):
            with pytest.raises(Forbidden):
                await attempt
        assert not await here.imports.run_pending()

    tell(story)


def test_a_file_that_cannot_be_read_is_refused_at_once() -> None:
    """IM3: nothing is kept of it."""

    async def story(here: Office) -> None:
        with pytest.raises(Invalid):
            await here.upload(b"no,column,of,ours\n1,2,3,4\n")
        assert await here.progress() == []

    tell(story)


def test_the_same_file_is_imported_once() -> None:
    """IM3: the conflict names the import that had it; to overwrite is another matter (IM4)."""

    async def story(here: Office) -> None:
        job = await here.upload(FILE)
        with pytest.raises(Conflict) as conflict:
            await here.upload(FILE)
        assert (conflict.value.code, conflict.value.id) == ("already_imported", job.id)
        await here.upload(FILE, overwrite=True)
        await here.upload(FILE, kind=ImportKind.CONTACTS)

    tell(story)


def test_rejects_can_be_mended_and_uploaded() -> None:
    """IM3: they come with their cells and the reason; only of rows that were reached."""

    async def story(here: Office) -> None:
        job = await here.upload(FILE)
        assert b"12" not in await here.imports.rejects(here.admin, job.id)
        await here.imports.run_pending()
        rejects = await here.imports.rejects(here.admin, job.id)
        assert await here.results(rejects) == [X]
        assert await here.results(rejects.replace(b",12,", OTHER_PHONE.join(",,").encode())) == [C]
        (refused,) = [row for row in await here.outcomes(job.id) if row.result is X]
        assert (refused.row, refused.code, refused.field) == (3, "invalid_phone", "phone")
        with pytest.raises(NotFound):
            await here.imports.rejects(here.admin, ImportId(99))

    tell(story)


def test_an_empty_file_is_done_at_once() -> None:
    """IM3: a header alone is a file of no rows."""

    async def story(here: Office) -> None:
        assert await here.results(table()) == []
        ((state, *_),) = await here.progress()
        assert state is ImportState.DONE

    tell(story)
