"""Mirrors are kept in the background: by one process each, until it stops or loses the lease."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from clarin_core.domain.kommo import KommoPhase
from clarin_core.errors import Unavailable
from clarin_core.ports.crm import CrmUnreachable
from clarin_core.usecases.mirror.mirror import KommoMirror
from clarin_memory import RemoteBook
from clarin_security import AesGcmBox, system_random
from clarin_server import mirrors
from clarin_server.jobs import working
from clarin_server.metrics import Metrics
from clarin_server.mirrors import Mirrors, keeping_mirrors
from support.mirroring import LEAD
from support.serving import House, serving
from support.shelf import Shelf

PATIENCE_S = 20
CREDENTIALS = {"subdomain": "acme", "token": "un-token"}


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "PASS_EVERY_S", 0.01)
    monkeypatch.setattr(mirrors, "_RENEW_EVERY_S", 0.01)


@asynccontextmanager
async def mirrored() -> AsyncIterator[tuple[House, RemoteBook]]:
    """Serve an account that mirrors a pipeline, as soon as somebody keeps it."""
    async with serving() as house:
        shelf = house.services.kommo.crm
        assert isinstance(shelf, Shelf)
        await house.ana.put("/api/kommo/credentials", **CREDENTIALS)
        (pipeline,) = await house.ana.get("/api/kommo/pipelines")
        await house.ana.post(f"/api/kommo/pipelines/{pipeline['kommo_id']}/connect")
        yield house, shelf.book("acme")


def tell(story: Callable[[House, RemoteBook], Awaitable[None]]) -> None:
    async def told() -> None:
        async with asyncio.timeout(PATIENCE_S), mirrored() as (house, book):
            await story(house, book)

    asyncio.run(told())


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Return as soon as something is so."""
    while not await is_so():
        await asyncio.sleep(0.005)


def has_lead(house: House, name: str) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        return bool((await house.ana.get("/api/leads", search=name))["total"])

    return is_so


def is_live(house: House) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        status = await house.ana.get("/api/kommo/status")
        return bool(status["phase"] == KommoPhase.LIVE.value and "last_ok_at" in status)

    return is_so


def is_taken(mirrors: Mirrors) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        return await mirrors.look()

    return is_so


def mirrors_of(house: House, owner: str) -> Mirrors:
    return Mirrors(house.services, house.metrics, owner, chance=lambda: 0.0)


def test_a_change_there_is_on_a_socket_here() -> None:
    """The issue: within one poll; with what brought it about."""

    async def story(house: House, book: RemoteBook) -> None:
        key = book.add_lead(name="Luz")
        async with working(house.services, house.metrics), house.ana.socket() as socket:
            await until(has_lead(house, "Luz"))
            book.change(LEAD, key, name="Mar")
            while True:
                frame = json.loads(await socket.recv())
                lead = frame["data"].get("lead") or {}
                if frame["event"] == "lead_update" and lead.get("name") == "Mar":
                    break
            assert frame["data"]["cause"] == "kommo"
            assert frame["data"]["changed"] == ["name"]
        text = (await house.http.get("/metrics")).text
        assert "clarin_kommo_pass_seconds_count" in text
        assert "clarin_kommo_last_success_timestamp_seconds" in text

    tell(story)


def test_progress_is_on_a_socket_too() -> None:
    """Section 9: sync_update."""

    async def story(house: House, book: RemoteBook) -> None:
        async with house.ana.socket() as socket, working(house.services, house.metrics):
            phases = list[str]()
            while "live" not in phases:
                frame = json.loads(await socket.recv())
                if frame["event"] == "sync_update":
                    phases.append(frame["data"]["phase"])
        assert phases[0] == "backfill"
        assert (await house.ana.get("/api/kommo/sync/status"))["phase"] == "live"

    tell(story)


def test_of_two_processes_one_keeps_a_mirror_and_the_other_takes_over() -> None:
    """One owner; one that stops in order lets the other go on at once."""

    async def story(house: House, book: RemoteBook) -> None:
        one, other = mirrors_of(house, "one"), mirrors_of(house, "other")
        assert await one.look()
        await until(is_live(house))
        assert not await other.look()
        await one.stop()
        book.add_lead(name="Nueva")
        assert await other.look()
        await until(has_lead(house, "Nueva"))
        await other.stop()

    tell(story)


def test_who_loses_the_lease_stops() -> None:
    """2.7: whatever it is at."""

    async def story(house: House, _: RemoteBook) -> None:
        one = mirrors_of(house, "one")
        await one.look()
        await until(is_live(house))
        (task,) = one._kept.values()
        leases = house.services.storage.kommo_leases
        account_id = house.ana.account_id
        lease = None
        while lease is None:  # As if the process had slept beyond its lease.
            kept = house.services.storage._inner._shared.kommo_leases  # type: ignore[attr-defined]  # The memory behind the cache.
            kept.drop(account_id)
            lease = await leases.lease(account_id, "other", timedelta(hours=1))
        await asyncio.wait([task])
        assert not await one.look()
        assert await leases.renew(lease, timedelta(hours=1))

    tell(story)


def test_other_credentials_are_taken_up() -> None:
    async def story(house: House, book: RemoteBook) -> None:
        async with keeping_mirrors(house.services, house.metrics) as kept:
            await kept.look()
            await until(is_live(house))
            await house.ana.put("/api/kommo/credentials", **CREDENTIALS)
            book.add_lead(name="Después")
            await until(has_lead(house, "Después"))
            assert not await kept.look()

    tell(story)


def test_what_kommo_does_wrong_ends_nothing() -> None:
    """R21: it is waited for, shown and counted."""

    async def story(house: House, book: RemoteBook) -> None:
        shelf = house.services.kommo.crm
        assert isinstance(shelf, Shelf)

        async def is_faulty() -> bool:
            return "fault" in await house.ana.get("/api/kommo/status")

        async with keeping_mirrors(house.services, house.metrics) as kept:
            await kept.look()
            await until(is_live(house))
            shelf.failures += [CrmUnreachable(retry_after_s=0)] * 10_000  # Until it was seen.
            await until(is_faulty)
            shelf.failures.clear()
            book.add_lead(name="Después")
            await until(has_lead(house, "Después"))
            assert not await is_faulty()

    tell(story)


@pytest.mark.parametrize(
    ("error", "level", "trouble"),
    [(Unavailable("postgresql"), "warning", "storage"), (ZeroDivisionError(), "error", "internal")],
)
def test_what_fails_here_is_logged_and_tried_again_later(
    error: Exception, level: str, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug must not end the mirror, nor keep the processor busy."""

    async def broken(_: KommoMirror) -> bool:
        raise error

    async def story(house: House, _: RemoteBook) -> None:
        kept = mirrors_of(house, "one")
        with monkeypatch.context() as patch, capture_logs() as lines:
            patch.setattr(KommoMirror, "go_on", broken)
            await kept.look()
            await asyncio.wait(kept._kept.values())
            assert not await kept.look()  # It rests.
        (line,) = [one for one in lines if one["event"] == "mirror stopped"]
        assert (line["log_level"], line["account_id"]) == (level, house.ana.account_id)
        counted = f'clarin_kommo_failures_total{{trouble="{trouble}"}} 1.0'
        assert counted in house.metrics.text().decode()
        monkeypatch.setattr(mirrors, "monotonic", lambda: 1e9)
        assert await kept.look()
        monkeypatch.undo()
        await until(is_live(house))
        await kept.stop()

    tell(story)


def test_credentials_that_nobody_can_read_are_a_fault_that_people_see() -> None:
    """KS11: the secret is another one, say; with the old one it goes on."""

    async def story(house: House, book: RemoteBook) -> None:
        right = house.services.mirrors
        wrong = replace(
            right, box=AesGcmBox(b"another secret, as long as the first", system_random)
        )
        lost = Mirrors(replace(house.services, mirrors=wrong), house.metrics, "one")
        with capture_logs() as lines:
            await lost.look()
            await asyncio.wait(lost._kept.values())
            assert not await lost.look()  # It rests.
        (line,) = [one for one in lines if one["event"] == "mirror stopped"]
        assert line["log_level"] == "warning"
        status = await house.ana.get("/api/kommo/status")
        assert status["fault"]["trouble"] == "unauthorized"
        assert "enter them again" in status["fault"]["text"]
        with_it = Mirrors(house.services, house.metrics, "other")
        await until(is_taken(with_it))
        await house.ana.put("/api/kommo/credentials", **CREDENTIALS)
        await until(is_live(house))
        await with_it.stop()
        assert "fault" not in await house.ana.get("/api/kommo/status")

    tell(story)


def test_what_is_heard_is_counted() -> None:
    metrics = Metrics()
    for what, count in (("requests", 3), ("lead", 5), ("lead", 0), ("rejected", 1)):
        metrics.kommo_heard(what, count)
    metrics.kommo_heard("failed blocked", 1)
    metrics.kommo_mirrors(2)
    text = metrics.text().decode()
    for line in (
        "clarin_kommo_requests_total 3.0",
        'clarin_kommo_rows_total{what="lead"} 5.0',
        'clarin_kommo_rows_total{what="rejected"} 1.0',
        'clarin_kommo_failures_total{trouble="blocked"} 1.0',
        "clarin_kommo_mirrors 2.0",
    ):
        assert line in text
