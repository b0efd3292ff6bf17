"""Runs of imports that are killed, doubled, or cannot go on."""

import asyncio
from typing import Any

import pytest

from clarin_core.domain.events import ImportFinished
from clarin_core.domain.imports import ImportState
from clarin_core.domain.pipelines import STAGES_MAX, Removal
from clarin_core.errors import Unavailable
from clarin_core.usecases.imports import ImportUseCases
from clarin_core.usecases.pipelines import PipelineUseCases
from support.importing import FILE, Fuse, Killed, MemoryOffice, open_office, table, tell

CLOCK_CALLS = 8  # Two for the pipelines, two for each of three batches: one of them commits.
SHORT = table({"name": "Ida"})


@pytest.mark.parametrize("killed_after", range(CLOCK_CALLS))
def test_a_killed_run_goes_on_where_it_was(killed_after: int) -> None:
    """R2, R6: whatever the moment, in a commit or between two, the end is the same."""

    async def story(*, is_killed: bool) -> tuple[object, ...]:
        here = await open_office(batch_rows=2)
        await here.upload(FILE)
        if is_killed:
            here.clock.set(Killed(), after=killed_after)
            with pytest.raises(Killed):
                await here.imports.run_pending()
            here.clock.set(None)
        assert await here.imports.run_pending()
        kinds = [type(event) for event in await here.events()]
        return await here.records(), await here.progress(), kinds

    assert asyncio.run(story(is_killed=True)) == asyncio.run(story(is_killed=False))


def test_nothing_is_left_to_kill_after_the_last_commit() -> None:
    """R2: the calls of the clock that the test above counts are all there are."""

    async def story(here: MemoryOffice) -> None:
        await here.upload(FILE)
        here.batch_rows = 2
        here.clock.set(Killed(), after=CLOCK_CALLS)
        assert await here.imports.run_pending()
        assert not await here.imports.run_pending()

    tell(story)


@pytest.mark.parametrize("overtaken_at", range(4))
@pytest.mark.parametrize("rows_at_once", [1, 2, 500])
def test_two_runners_do_the_work_of_one(overtaken_at: int, rows_at_once: int) -> None:
    """R18: a batch is done once, by whoever locks the import first."""

    async def story(here: MemoryOffice) -> None:
        await here.upload(FILE)
        other = ImportUseCases(here.storage, Fuse(), rows_at_once)
        here.storage.meddle(other.run_pending, after=overtaken_at)
        here.batch_rows = 2
        assert await here.imports.run_pending()
        assert await here.progress() == done
        assert await here.records() == made
        assert [type(event) for event in await here.events()].count(ImportFinished) == 1

    async def alone() -> tuple[list[Any], dict[str, Any]]:
        here = await open_office()
        await here.results(FILE)
        return await here.progress(), await here.records()

    done, made = asyncio.run(alone())
    tell(story)


def test_a_store_that_is_away_is_no_failure_of_the_import() -> None:
    """R29: the error passes, and the import goes on later."""

    async def story(here: MemoryOffice) -> None:
        await here.upload(FILE)
        here.clock.set(Unavailable("postgres"), after=3)
        with pytest.raises(Unavailable):
            await here.imports.run_pending()
        here.clock.set(None)
        assert [state for state, *_ in await here.progress()] == [ImportState.UPLOADED]
        assert await here.imports.run_pending()
        assert [state for state, *_ in await here.progress()] == [ImportState.DONE]

    tell(story)


def test_an_import_that_waits_keeps_no_other_account_waiting() -> None:
    """R29: what makes the store give up may be that import itself."""

    async def give_up() -> None:
        raise Unavailable("postgres")

    async def story(here: MemoryOffice) -> None:
        await here.upload(FILE)
        other = await here.tenant.stranger()
        job = await other.add_import(b"name\nLuz\n")
        here.storage.meddle(give_up, after=0)
        with pytest.raises(Unavailable):
            await here.imports.run_pending()
        assert (await other.views.import_job(job.id)).state is ImportState.DONE
        assert [state for state, *_ in await here.progress()] == [ImportState.UPLOADED]

    tell(story)


def test_an_import_that_cannot_go_on_fails_alone() -> None:
    """IM3: it says why, the others run, and its file may be uploaded again."""

    async def story(here: MemoryOffice) -> None:
        pipelines = PipelineUseCases(here.storage, here.clock)
        full = [{"name": "Luz", "pipeline": "Obras", "stage": f"{n}"} for n in range(STAGES_MAX)]
        await here.results(table(*full))
        content = table({"name": "Eva", "pipeline": "Obras", "stage": "una más"})
        broken, sound = await here.upload(content), await here.upload(SHORT)
        assert await here.imports.run_pending()
        broken, sound = await here.job(broken.id), await here.job(sound.id)
        assert (broken.state, broken.error) == (
            ImportState.FAILED, "a pipeline has at most 100 stages",
        )  # fmt: skip
        assert sound.state is ImportState.DONE
        ended = [event.job for event in await here.events() if isinstance(event, ImportFinished)]
        assert ended[1:] == [broken, sound]
        assert not await here.imports.run_pending()
        _, made = await here.pipelines()
        removal = Removal(move_to=here.tenant.stages[0])
        await pipelines.delete_stage(here.admin, made.id, made.stages[0].id, removal)
        await here.results(content)
        assert (await here.leads())[-1].stage_name == "una más"

    tell(story)


def test_a_bug_fails_its_import_and_is_not_hidden() -> None:
    """R23: users learn nothing of the error, whoever runs the imports learns all of it."""

    async def story(here: MemoryOffice) -> None:
        job, sound = await here.upload(FILE), await here.upload(SHORT)
        here.clock.set(ZeroDivisionError("secret"))
        with pytest.raises(ZeroDivisionError):
            await here.imports.run_pending()
        job = await here.job(job.id)
        assert (job.state, job.error) == (ImportState.FAILED, "internal error")
        assert await here.imports.run_pending()
        assert (await here.job(sound.id)).state is ImportState.DONE

    tell(story)


def test_what_another_runner_finished_does_not_fail() -> None:
    """R18: the last word on an import is its first end."""

    async def story(here: MemoryOffice) -> None:
        job = await here.upload(FILE)

        async def overtake() -> None:
            await ImportUseCases(here.storage, here.clock).run_pending()
            here.clock.set(ZeroDivisionError())

        here.storage.meddle(overtake, after=1)
        with pytest.raises(ZeroDivisionError):
            await here.imports.run_pending()
        assert (await here.job(job.id)).state is ImportState.DONE

    tell(story)


def test_a_stage_that_goes_during_a_run_ends_it() -> None:
    """TN2: no row is put where nothing is; the same file again makes what is missing."""
    content = table(*({"kommo_id": n, "name": "Luz", "pipeline": "Obras"} for n in (1, 2)))

    async def story(here: MemoryOffice) -> None:
        pipelines = PipelineUseCases(here.storage, here.clock)
        removal = Removal(move_to=here.tenant.stages[0])

        async def meddle() -> None:
            _, made = await here.pipelines()
            await pipelines.delete(here.admin, made.id, removal)

        here.batch_rows = 1
        job = await here.upload(content)
        here.storage.meddle(meddle, after=2)
        assert await here.imports.run_pending()
        job = await here.job(job.id)
        assert (job.state, job.rows_done) == (ImportState.FAILED, 1)
        assert job.error is not None
        assert job.error.startswith("stage ")
        await here.results(content)
        assert [lead.stage_name for lead in await here.leads()] == ["Nuevo", "Nuevo"]

    tell(story)
