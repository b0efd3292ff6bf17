"""Background work: imports run, mirrors follow, what is old is purged, the loop is watched."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from clarin_core.errors import ClarinError
from clarin_server.metrics import Metrics
from clarin_server.mirrors import keeping_mirrors
from clarin_server.services import Services
from clarin_server.settings import (
    ANSWERS_KEPT_HOURS,
    DELETED_KEPT_DAYS,
    EVENTS_KEPT_DAYS,
    MARKS_KEPT_DAYS,
    UNUSED_FILES_KEPT_HOURS,
)

_POLL_S = 1.0
_DAY_S = 86_400.0
_RETRY_S_MAX = 60.0
_DOUBLINGS_MAX = 10
_HINTS_GATHERED_S = 0.1  # A busy account must not cost a look at the queue for each change.

_log = structlog.get_logger(component="WORK")


@dataclass(frozen=True, slots=True)
class Job:
    """Work that is looked for again and again.

    `run` returns whether it did something, and so may find more at once; if not, the next look
    is after `pause_s` seconds, or when `hint` is set. It may be cancelled at any await.
    """

    name: str
    run: Callable[[], Awaitable[bool]]
    pause_s: float
    hint: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def working(services: Services, metrics: Metrics) -> AsyncIterator[None]:
    """Do the background work while inside; on the way out it is cancelled, and nothing is lost.

    What was not committed is not there, and the next start does it.
    """
    imports = Job("import.run", services.imports.run_pending, _POLL_S)
    purge = Job("purge", lambda: _purge(services), _DAY_S)
    files = Job("media.purge", lambda: _purge_files(services), _DAY_S)
    async with AsyncExitStack() as stack:
        mirrors = await stack.enter_async_context(keeping_mirrors(services, metrics))
        kommo = Job("kommo.poll", mirrors.look, _POLL_S)
        stack.enter_context(services.publisher.heard_by(lambda _: imports.hint.set()))
        jobs = (imports, kommo, purge, files)
        tasks = [asyncio.create_task(keep_doing(job, metrics)) for job in jobs]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def keep_doing(
    job: Job, metrics: Metrics, *, chance: Callable[[], float] = random.random
) -> None:
    """Run a job for ever: log what fails, wait longer each time, go on."""
    failures = 0
    while True:
        try:
            worked = await job.run()
        except Exception as error:
            failures += 1
            metrics.job(job.name, "failed")
            _log_failure(job, failures, error)
            await asyncio.sleep(retry_delay_s(failures, chance=chance()))
        else:
            failures = 0
            metrics.job(job.name, "worked" if worked else "idle")
            await (asyncio.sleep(0) if worked else _rest(job))


def retry_delay_s(failures: int, *, chance: float) -> float:
    """Return how long to wait after some failures in a row, in seconds: at most a minute.

    Full jitter: uniform between 0 and the doubled delay, with `chance` in [0, 1).
    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    return chance * min(_RETRY_S_MAX, 2.0 ** min(failures - 1, _DOUBLINGS_MAX))


async def _rest(job: Job) -> None:
    try:
        async with asyncio.timeout(job.pause_s):
            await job.hint.wait()
        await asyncio.sleep(_HINTS_GATHERED_S)
    except TimeoutError:
        pass
    job.hint.clear()


def _log_failure(job: Job, failures: int, error: Exception) -> None:
    if isinstance(error, ClarinError):
        _log.warning("job failed", job=job.name, attempt=failures, reason=str(error))
    else:
        _log.error("job failed", job=job.name, attempt=failures, exc_info=error)


async def _purge(services: Services) -> bool:
    at = services.clock()
    await services.storage.purge(
        deleted_before=at - timedelta(days=DELETED_KEPT_DAYS),
        events_before=at - timedelta(days=EVENTS_KEPT_DAYS),
        answers_before=at - timedelta(hours=ANSWERS_KEPT_HOURS),
        marks_before=at - timedelta(days=MARKS_KEPT_DAYS),
    )
    return False


async def _purge_files(services: Services) -> bool:
    kept = timedelta(hours=UNUSED_FILES_KEPT_HOURS)
    await services.media_purge.run(before=services.clock() - kept)
    return False
