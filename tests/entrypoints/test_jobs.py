"""Background work goes on: after failures, at hints, until it is cancelled."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from clarin_core.domain.accounts import NewAccount
from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.chats import ChatDraft
from clarin_core.domain.devices import NewDevice
from clarin_core.domain.events import EventQuery
from clarin_core.domain.ids import UserId
from clarin_core.domain.imports import ImportOptions, ImportState
from clarin_core.domain.leads import NewLead
from clarin_core.domain.media import NewFile
from clarin_core.domain.messages import Mark
from clarin_core.errors import NotFound, TooOld, Unavailable
from clarin_core.testing.blobs import given_in, whole
from clarin_core.testing.idempotency import DONE, a_request
from clarin_core.testing.tenants import lid
from clarin_core.usecases.accounts import open_account
from clarin_core.usecases.imports import ImportUseCases
from clarin_server.container import Container
from clarin_server.jobs import Job, keep_doing, retry_delay_s, working
from clarin_server.metrics import Metrics
from clarin_server.runtime import running
from clarin_server.services import Services
from clarin_server.settings import Settings

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
FOR_EVER_S = 1e6


class Watch:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


def counted(metrics: Metrics, name: str, outcome: str) -> float:
    line = f'clarin_jobs_total{{job="{name}",outcome="{outcome}"}} '
    found = [each for each in metrics.text().decode().splitlines() if each.startswith(line)]
    return float(found[0].removeprefix(line)) if found else 0.0


def tell(story: Callable[[Services, Actor, Watch], Awaitable[None]]) -> None:
    """Run a story over memory, with an account and an administrator."""

    async def run() -> None:
        watch = Watch()
        container = Container(
            settings=Settings(),
            storage_url="memory",
            signing_secret=b"a secret of the tests..." * 2,
        )
        container.clock.override(watch)
        async with running(container) as services:
            async with services.storage.directory() as directory:
                account = await open_account(directory, NewAccount(name="Luz"), at=NOON)
            ana = Actor(account_id=account.id, user_id=UserId(1), role=Role.ADMIN)
            await story(services, ana, watch)

    asyncio.run(run())


async def run_until(done: asyncio.Event, job: Job, metrics: Metrics) -> None:
    """Keep doing a job, without delays after failures, until it says that it is done."""
    task = asyncio.create_task(keep_doing(job, metrics, chance=lambda: 0.0))
    await done.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("error", [Unavailable("postgres"), ZeroDivisionError("a bug")])
def test_a_job_that_fails_is_logged_counted_and_goes_on(error: Exception) -> None:
    async def story() -> Metrics:
        metrics, done = Metrics(), asyncio.Event()
        outcomes: Iterator[Exception | bool] = iter([error, True, error, False])

        async def run() -> bool:
            outcome = next(outcomes, None)
            if outcome is None:
                done.set()
                return True
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        await run_until(done, Job("test", run, pause_s=0.0), metrics)
        return metrics

    with capture_logs() as lines:
        metrics = asyncio.run(story())
    assert [(line["event"], line["job"], line["attempt"]) for line in lines] == [
        ("job failed", "test", 1),
        ("job failed", "test", 1),
    ]
    assert counted(metrics, "test", "failed") == 2
    assert counted(metrics, "test", "idle") == 1
    assert counted(metrics, "test", "worked") >= 1


def test_each_hint_ends_one_rest() -> None:
    async def story() -> list[bool]:
        done, hinted = asyncio.Event(), list[bool]()

        async def run() -> bool:
            hinted.append(job.hint.is_set())
            (done if len(hinted) == 3 else job.hint).set()
            return False

        job = Job("test", run, pause_s=FOR_EVER_S)
        await run_until(done, job, Metrics())
        return hinted

    assert asyncio.run(story()) == [False, False, False]


def test_work_that_hangs_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def hang(_: ImportUseCases) -> bool:
        begun.set()
        await asyncio.Event().wait()
        return True

    async def story(services: Services, ana: Actor, watch: Watch) -> None:
        async with asyncio.timeout(20):
            async with working(services, Metrics()):
                await begun.wait()

    monkeypatch.setattr(ImportUseCases, "run_pending", hang)

    tell(story)


def test_an_upload_is_imported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is woken by the upload's own event, not by the next look."""
    monkeypatch.setattr("clarin_server.jobs._POLL_S", FOR_EVER_S)

    async def story(services: Services, ana: Actor, watch: Watch) -> None:
        metrics = Metrics()
        news = asyncio.Event()
        with services.publisher.heard_by(lambda _: news.set()):
            async with working(services, metrics):
                while not counted(metrics, "import.run", "idle"):
                    await asyncio.sleep(0)
                csv = b"Nombre,Telefono\nLuz Huam\xc3\xa1n,+51987654321\n"
                job = await services.imports.upload(ana, ImportOptions(), csv)
                while (await services.storage.views(ana.account_id).import_job(job.id)).is_pending:
                    news.clear()
                    await news.wait()
        done = await services.storage.views(ana.account_id).import_job(job.id)
        assert (done.state, done.counts.created) == (ImportState.DONE, 1)

    tell(story)


def test_what_is_old_is_purged_and_what_is_young_stays() -> None:
    """SD1: thirty days; R4: events for seven."""

    async def story(services: Services, ana: Actor, watch: Watch) -> None:
        old, young = [await services.leads.create(ana, NewLead(name=name)) for name in "ab"]
        await services.leads.delete(ana, old.id)
        watch.at += timedelta(days=25)
        await services.leads.delete(ana, young.id)
        watch.at += timedelta(days=5, seconds=1)
        metrics = Metrics()
        async with working(services, metrics):
            while not counted(metrics, "purge", "idle"):
                await asyncio.sleep(0)
        with pytest.raises(NotFound):
            await services.leads.restore(ana, old.id)
        assert (await services.leads.restore(ana, young.id)).name == "b"
        with pytest.raises(TooOld):
            await services.storage.views(ana.account_id).events(EventQuery(after=0))

    tell(story)


def test_a_file_that_nobody_sends_goes_after_a_day() -> None:
    """CH16: its bytes and its row; one that is young stays."""

    async def story(services: Services, ana: Actor, watch: Watch) -> None:
        files = []
        for _ in range(2):
            files.append(await services.media.upload(ana, NewFile(), given_in(b"hola")))
            watch.at += timedelta(seconds=2)
        watch.at += timedelta(hours=24, seconds=-3)
        metrics = Metrics()
        async with working(services, metrics):
            while not counted(metrics, "media.purge", "idle"):
                await asyncio.sleep(0)
        old, young = files
        with pytest.raises(NotFound):
            await services.media.file(ana.account_id, old.key)
        with pytest.raises(NotFound):
            await whole(services.media.blobs, old.key, ana.account_id)
        assert await services.media.file(ana.account_id, young.key) == young
        assert await whole(services.media.blobs, young.key, ana.account_id) == b"hola"

    tell(story)


def test_answers_are_given_again_for_a_day() -> None:
    """R16: what came more than 24 hours ago may be asked for anew."""

    async def story(services: Services, ana: Actor, watch: Watch) -> None:
        old, young = a_request("vieja"), a_request("nueva")
        for request in (old, young):
            async with services.storage.begin(ana.account_id) as tx:
                await tx.idempotency.claim(request, at=watch.at)
                await tx.idempotency.keep(request, DONE)
            watch.at += timedelta(seconds=2)
        watch.at += timedelta(hours=24, seconds=-3)
        metrics = Metrics()
        async with working(services, metrics):
            while not counted(metrics, "purge", "idle"):
                await asyncio.sleep(0)
        async with services.storage.begin(ana.account_id) as tx:
            assert await tx.idempotency.claim(old, at=watch.at) is None
            assert await tx.idempotency.claim(young, at=watch.at) == DONE

    tell(story)


def test_marks_are_kept_for_a_week() -> None:
    """CH8: what was said of a message that did not come; the message may be late by that."""

    async def story(services: Services, ana: Actor, watch: Watch) -> None:
        async with services.storage.begin(ana.account_id) as tx:
            device = await tx.devices.add(NewDevice(name="Ventas"), at=watch.at)
            draft = ChatDraft(device_id=device.id, identity=lid("1"))
            ((chat, _),) = await tx.chats.claim([draft], at=watch.at)
            old, young = (Mark(chat_id=chat.id, wa_message_id=name) for name in "AB")
            await tx.messages.put_marks([old], at=watch.at)
            await tx.messages.put_marks([young], at=watch.at + timedelta(seconds=2))
        watch.at += timedelta(days=7, seconds=1)
        metrics = Metrics()
        async with working(services, metrics):
            while not counted(metrics, "purge", "idle"):
                await asyncio.sleep(0)
        async with services.storage.begin(ana.account_id) as tx:
            assert await tx.messages.take_marks([old.key, young.key]) == {young.key: young}

    tell(story)


@given(st.integers(1, 10**12), st.floats(0, 1, exclude_max=True))
def test_waiting_after_failures_has_an_end(failures: int, chance: float) -> None:
    assert 0 <= retry_delay_s(failures, chance=chance) < 60
    assert retry_delay_s(failures, chance=chance) <= retry_delay_s(failures + 1, chance=chance)
