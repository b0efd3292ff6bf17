"""`clarin kommo`: whom it acts for, what it shows, and that it fills a mirror or says why not."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from clarin_core.domain.accounts import NewAccount
from clarin_core.domain.kommo import (
    KommoCredentials,
    KommoFault,
    KommoPhase,
    KommoProgress,
    KommoStatus,
    StreamProgress,
    Trouble,
)
from clarin_core.ports.crm import CrmUnauthorized, CrmUnreachable
from clarin_core.ports.storage import Storage
from clarin_core.usecases.accounts import open_account
from clarin_memory import MemoryStorage
from clarin_server import kommo, mirrors, options
from clarin_server.cli import main
from clarin_server.errors import CannotStart
from clarin_server.jobs import working
from support.commands import clarin
from support.kommo.hours import RealHours
from support.kommo.server import Kommo
from support.kommo.stage import new_account
from support.service import in_data
from support.service import serving as serving_alone
from support.serving import House, now, serving
from support.shelf import Shelf

PATIENCE_S = 20
ACME = KommoCredentials(subdomain="acme", token="un-token")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "PASS_EVERY_S", 0.01)


def tell(story: Callable[[House, Shelf], Awaitable[None]]) -> None:
    async def told() -> None:
        async with asyncio.timeout(PATIENCE_S), serving() as house:
            shelf = house.services.kommo.crm
            assert isinstance(shelf, Shelf)
            await story(house, shelf)

    asyncio.run(told())


def drawn(*shown: RenderableType) -> str:
    """Return what people see."""
    console = Console(width=100)
    with console.capture() as seen:
        console.print(*shown)
    return seen.get()


async def connected(house: House, shelf: Shelf) -> list[int]:
    """Connect the only pipeline of an account of Kommo; return the ids of its pipelines."""
    services = house.services
    ana = await kommo.operator_of(services.storage, house.ana.account_id)
    shelf.book("acme").add_pipeline("Postventa", "Nuevo")
    shown = await kommo.connect(services, ana, ACME, [])
    (first, _) = [one.kommo_id for one in shown]
    await kommo.connect(services, ana, ACME, [first])
    return [one.kommo_id for one in shown]


async def another_account(storage: Storage) -> int:
    async with storage.directory() as directory:
        return (await open_account(directory, NewAccount(name="Sol"), at=now())).id


def test_one_who_does_not_say_for_whom_is_asked() -> None:
    async def story(house: House, _: Shelf) -> None:
        with pytest.raises(CannotStart, match=r"--account with one of .*Luz.*Mar"):
            await kommo.operator_of(house.services.storage, None)
        third = await another_account(house.services.storage)
        assert (await kommo.operator_of(house.services.storage, third)).account_id == third

    tell(story)


def test_the_only_account_need_not_be_named() -> None:
    async def told() -> None:
        storage = MemoryStorage(clock=now)
        alone = await another_account(storage)
        assert (await kommo.operator_of(storage, None)).account_id == alone

    asyncio.run(told())


def test_connecting_shows_what_is_mirrored() -> None:
    async def story(house: House, shelf: Shelf) -> None:
        first, second = await connected(house, shelf)
        ana = await kommo.operator_of(house.services.storage, house.ana.account_id)
        shown = drawn(kommo.pipelines_table(await house.services.kommo.pipelines(ana)))
        lines = [line.split() for line in shown.splitlines()]
        assert [str(first), "Ventas", "5", "yes"] in lines
        assert [str(second), "Postventa", "4", "no"] in lines

    tell(story)


def test_a_sync_fills_the_mirror_and_shows_how_far_it_is() -> None:
    async def story(house: House, shelf: Shelf) -> None:
        await connected(house, shelf)
        for number in range(7):
            shelf.book("acme").add_lead(name=f"Luz {number}")
        ana = await kommo.operator_of(house.services.storage, house.ana.account_id)
        seen = list[KommoProgress]()
        report = await kommo.sync(house.services, ana, seen.append)
        assert (report.leads, seen[-1].phase) == (7, KommoPhase.LIVE)
        assert (await house.ana.get("/api/leads", search="Luz"))["total"] == 7
        lease = house.services.storage.kommo_leases
        assert await lease.wanted() == [house.ana.account_id]  # It was given up.

    tell(story)


def test_a_sync_of_what_is_live_reads_everything_again() -> None:
    async def story(house: House, shelf: Shelf) -> None:
        await connected(house, shelf)
        ana = await kommo.operator_of(house.services.storage, house.ana.account_id)
        await kommo.sync(house.services, ana, lambda _: None)
        seen = list[KommoProgress]()
        await kommo.sync(house.services, ana, seen.append)
        assert seen[0].phase is KommoPhase.BACKFILL
        assert seen[-1].phase is KommoPhase.LIVE

    tell(story)


def test_a_sync_beside_a_service_shows_what_that_does() -> None:
    """One owner: it does not read the same twice, and leaves the mirror to its keeper."""

    async def story(house: House, shelf: Shelf) -> None:
        await connected(house, shelf)
        shelf.book("acme").add_lead(name="Luz")
        ana = await kommo.operator_of(house.services.storage, house.ana.account_id)
        leases = house.services.storage.kommo_leases
        async with working(house.services, house.metrics):
            while await leases.wanted():
                await asyncio.sleep(0.005)
            report = await kommo.sync(house.services, ana, lambda _: None)
            assert report.leads == 1
            assert await leases.wanted() == []

    tell(story)


def test_a_sync_keeps_no_mirror_but_the_one_that_was_asked_for() -> None:
    async def story(house: House, shelf: Shelf) -> None:
        await connected(house, shelf)
        carla = await kommo.operator_of(house.services.storage, house.carla.account_id)
        other = KommoCredentials(subdomain="otra", token="otro-token")
        (pipeline,) = await kommo.connect(house.services, carla, other, [])
        await kommo.connect(house.services, carla, other, [pipeline.kommo_id])
        await kommo.sync(house.services, carla, lambda _: None)
        ana = await kommo.operator_of(house.services.storage, house.ana.account_id)
        assert (await house.services.kommo.sync_status(ana)).phase is KommoPhase.BACKFILL

    tell(story)


def test_a_sync_that_needs_a_person_says_so() -> None:
    async def story(house: House, shelf: Shelf) -> None:
        await connected(house, shelf)
        ana = await kommo.operator_of(house.services.storage, house.ana.account_id)
        shelf.failures.append(CrmUnauthorized())
        with pytest.raises(CannotStart, match="Kommo cannot be read"):
            await kommo.sync(house.services, ana, lambda _: None)

    tell(story)


def test_a_sync_waits_for_what_passes() -> None:
    async def story(house: House, shelf: Shelf) -> None:
        await connected(house, shelf)
        ana = await kommo.operator_of(house.services.storage, house.ana.account_id)
        shelf.failures.append(CrmUnreachable(retry_after_s=0))
        seen = list[KommoProgress]()
        await kommo.sync(house.services, ana, seen.append)
        assert seen[-1].phase is KommoPhase.LIVE

    tell(story)


def test_a_status_says_what_is_wrong_and_what_to_do() -> None:
    fault = KommoFault(trouble=Trouble.UNREACHABLE, text="no answer", since=LONG_AGO)
    status = KommoStatus(is_configured=True, name="Acme", subdomain="acme", fault=fault)
    assert "no answer" in drawn(kommo.status_table(status))
    assert "never read yet" in drawn(kommo.status_table(status))
    unset = drawn(kommo.status_table(KommoStatus(is_configured=False)))
    assert "clarin kommo connect" in unset


def test_bars_show_counts_rate_and_what_holds_it_up() -> None:
    async def told() -> str:
        console = Console(width=100, force_terminal=True, force_interactive=False)
        with console.capture() as seen:
            async with kommo.sync_bar(console) as bar:
                bar.show(at_work)
                console.print(bar.progress)
                bar.show(held_up)
                console.print(bar.progress)
        return seen.get()

    at_work = KommoProgress(
        phase=KommoPhase.BACKFILL,
        contacts=StreamProgress(done=500, total=15_000),
        leads=StreamProgress(done=250),
        rate=412.4,
        left_s=21,
    )
    fault = KommoFault(trouble=Trouble.UNREACHABLE, text="no answer", since=LONG_AGO)
    held_up = KommoProgress(phase=KommoPhase.BACKFILL, leads=StreamProgress(done=1), fault=fault)
    seen = asyncio.run(told())
    for told_of in ("500/15000", "250/?", "412 rows/s, 21 s left", "no answer"):
        assert told_of in seen


def test_there_is_no_other_process_s_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "set_up_logging", lambda _: None)
    done = CliRunner().invoke(main, ["kommo", "status"], env={"CLARIN_STORAGE": "memory"})
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "clarin: Storage in memory is in one process: no other sees it.\n"


def test_a_token_is_no_option() -> None:
    """Everybody on the machine reads command lines."""
    told = CliRunner().invoke(main, ["kommo", "connect", "--help"], env={"NO_COLOR": "1"}).output
    assert "KOMMO_TOKEN" in told
    assert "--token" not in told


def test_from_a_first_start_to_a_mirror_that_is_filled(home: Path) -> None:
    """As people type it, beside a service: the token is nowhere in what they see."""

    async def told() -> None:
        account = new_account(RealHours())
        book = account.book
        pipeline = book.add_pipeline("Ventas", "Nuevo")
        for number in range(3):
            book.add_contact(name=f"Sol {number}")
        book.add_lead(name="Luz")
        async with Kommo(account.hours, account) as there:
            settings = {"CLARIN_DATA_DIR": f"{home}/data", "KOMMO_API_URL": there.url}

            async def typed(*words: str) -> str:
                done = await asyncio.to_thread(clarin, "kommo", *words, **settings)
                assert done.returncode == 0, done.stderr
                assert "canary" not in done.stdout + done.stderr
                return done.stdout + done.stderr

            with serving_alone(*in_data(home), KOMMO_API_URL=there.url) as service:
                service.wait_until_ready()
                service.keep_reading()
                settings["KOMMO_TOKEN"] = "long-lived-canary"
                shown = await typed("connect", "acme", "--pipeline", str(pipeline.id))
                assert f"{pipeline.id} Ventas" in " ".join(shown.split())
                del settings["KOMMO_TOKEN"]
                shown = " ".join((await typed("sync")).split())
                assert "contacts" in shown
                assert " 3/3 " in shown
                assert " 1/1" in shown
                assert "live, read " in await typed("status")
                assert await asyncio.to_thread(service.end) == 0
            assert "canary" not in service.said

    asyncio.run(told())
