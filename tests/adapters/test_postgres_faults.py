"""What happens when connections die, callers raise, and what is named does not exist."""

import asyncio
import logging
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from clarin_core.domain.events import LeadCreated
from clarin_core.domain.ids import AccountId
from clarin_core.domain.leads import LeadQuery
from clarin_core.domain.tags import NewTag, TagOrigin, TagQuery
from clarin_core.errors import Conflict, Invalid, NotFound, Unavailable
from clarin_core.testing.publisher import RecordingPublisher
from clarin_core.testing.tenants import LATER, NOON, Tenant, draft
from clarin_postgres.connection import Line
from support.administered import END_ALL, Admin, someone_waits, tell

ABSENT = AccountId(2**62)


def test_a_read_is_tried_on_another_connection(database: str) -> None:
    """R29: all connections were cut; no reader notices."""

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()
        await asyncio.gather(*(account.views.lead(lead.id) for _ in range(8)))
        assert await admin.fetch(END_ALL, "clarin-reader")
        found = await asyncio.gather(*(account.views.lead(lead.id) for _ in range(8)))
        assert {view.id for view in found} == {lead.id}

    tell(database, story)


def test_a_read_that_is_cut_off_is_tried_again(database: str) -> None:
    """R29: its connection dies while the answer is on its way."""

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()
        async with admin.transaction():
            await admin.execute("lock table leads in access exclusive mode")
            reading = asyncio.create_task(account.views.lead(lead.id))
            await someone_waits(admin)
            await admin.fetch(END_ALL, "clarin-reader")
        assert (await reading).id == lead.id

    tell(database, story)


def test_a_server_that_became_a_standby_is_left(database: str) -> None:
    """Section 3: after a failover the old primary keeps its connections, and refuses to write."""
    name = urlsplit(database).path.removeprefix("/")

    async def story(account: Tenant, admin: Admin) -> None:
        await admin.execute(f"alter database {name} set default_transaction_read_only = on")
        await admin.fetch(END_ALL, "clarin-service")
        with suppress(Unavailable):  # The pool may not have heard of it yet.
            async with account.begin():
                pass
        async with account.begin():
            await admin.execute(f"alter database {name} reset default_transaction_read_only")
        with pytest.raises(Unavailable):
            await account.add_lead()
        await account.add_lead()

    tell(database, story)


def test_a_write_on_a_dead_connection_leaves_nothing(database: str) -> None:
    """R2, R29: it is Unavailable, not stored, and the next one works."""

    async def story(account: Tenant, admin: Admin) -> None:
        async def write() -> None:
            async with account.begin() as tx:
                await tx.leads.add([draft("Luz")], at=NOON)
                await admin.fetch(END_ALL, "clarin-service")
                await tx.leads.add([draft("Sol")], at=NOON)

        with pytest.raises(Unavailable):
            await write()
        await account.add_lead("Mar")
        page = await account.views.leads(LeadQuery())
        assert [lead.name for lead in page.data] == ["Mar"]

    tell(database, story)


def test_a_commit_on_a_dead_connection_is_unavailable(database: str) -> None:
    """R2: nobody is told that it counts."""
    publisher = RecordingPublisher()

    async def story(account: Tenant, admin: Admin) -> None:
        async def write() -> None:
            async with account.begin() as tx:
                await tx.leads.add([draft("Luz")], at=NOON)
                await admin.fetch(END_ALL, "clarin-service")

        with pytest.raises(Unavailable):
            await write()
        assert publisher.announced(account.id) == []
        assert (await account.views.stats()).leads == 0

    tell(database, story, publisher=publisher)


def test_a_commit_that_nobody_answered_is_announced(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R10: it may have happened, so what was kept before it is doubtful from now on."""
    publisher = RecordingPublisher()
    right = Line.control

    async def control(line: Line, text: str) -> str:
        answer = await right(line, text)
        if text.endswith("commit"):
            raise Unavailable("the database")
        return answer

    async def story(account: Tenant, admin: Admin) -> None:
        monkeypatch.setattr(Line, "control", control)
        with pytest.raises(Unavailable):
            await account.emit(LeadCreated(leads=[]))
        (hint,) = publisher.news(account.id)
        assert (hint.seq, hint.appended) == (1, None)  # Nobody knows yet what the log has.

    tell(database, story, publisher=publisher)


def test_an_exhausted_pool_is_unavailable(database: str) -> None:
    """R29: who would have to wait for ever is told to come back."""

    async def story(account: Tenant, admin: Admin) -> None:
        full, done = asyncio.Barrier(9), asyncio.Event()

        async def hold() -> None:
            async with account.begin():
                await full.wait()
                await done.wait()

        holders = [asyncio.create_task(hold()) for _ in range(8)]
        await full.wait()
        with pytest.raises(Unavailable):
            async with account.begin():
                pass
        done.set()
        await asyncio.gather(*holders)
        await account.add_lead()

    tell(database, story)


def test_clients_that_hang_up_take_no_connection_along(database: str) -> None:
    """Section 2.12: rounds of cancelled work leave every connection usable."""

    async def story(account: Tenant, admin: Admin) -> None:
        lead = await account.add_lead()

        async def touch() -> None:
            async with account.begin() as tx:
                row = await tx.leads.get(lead.id)
                row.touch(LATER)
                await tx.leads.save([row])

        for _ in range(6):
            tasks = [asyncio.create_task(touch()) for _ in range(12)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await asyncio.gather(*(touch() for _ in range(12)))
        idle = "select count(*) from pg_stat_activity a where a.datname = current_database() "
        assert not await admin.fetchval(idle + "and a.state like 'idle in transaction%'")

    tell(database, story)


@pytest.mark.parametrize("error", [ConnectionError("mine"), TimeoutError(), OSError(), KeyError(1)])
def test_what_a_caller_raises_passes_unchanged(database: str, error: Exception) -> None:
    """Errors are translated where the driver raises them, never around a caller's block."""

    async def story(account: Tenant, admin: Admin) -> None:
        for opened in (account.begin(), account.storage.directory()):
            with pytest.raises(type(error)) as caught:
                async with opened:
                    raise error
            assert caught.value is error

    tell(database, story)


def test_a_conflict_does_not_spoil_the_transaction(database: str) -> None:
    """A caller may try a name, find it taken, and go on."""

    async def story(account: Tenant, admin: Admin) -> None:
        (taken,) = await account.add_tags("vip")
        async with account.begin() as tx:
            with pytest.raises(Conflict):
                await tx.tags.add(NewTag(name="VIP"), origin=TagOrigin.LOCAL, at=NOON)
            await tx.tags.add(NewTag(name="otro"), origin=TagOrigin.LOCAL, at=NOON)
        shown = (await account.views.tags(TagQuery())).data
        assert [tag.name for tag in shown] == ["otro", taken.name]

    tell(database, story)


def test_a_failed_statement_cannot_be_passed_over(database: str) -> None:
    """PostgreSQL would answer COMMIT with ROLLBACK, and a caller would believe in it."""

    async def story(account: Tenant, admin: Admin) -> None:
        async def write() -> None:
            async with account.begin() as tx:
                await tx.tags.add(NewTag(name="vip"), origin=TagOrigin.LOCAL, at=NOON)
                with pytest.raises(NotFound):
                    await tx.leads.add([draft(contact_id=ABSENT)], at=NOON)

        with pytest.raises(RuntimeError, match="not committed"):
            await write()
        assert (await account.views.stats()).tags == 0

    tell(database, story)


def test_a_value_that_cannot_be_stored_is_invalid(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """R23, R26: what slipped through the validation is no failure, and is in no log."""

    async def story(account: Tenant, admin: Admin) -> None:
        for hostile in ({"name": "canary\0"}, {"value": 2**70}, {"name": "canary" * 99}):
            with pytest.raises(Invalid):
                await account.add_leads(draft(**{"name": "Luz", **hostile}))

    with caplog.at_level(logging.DEBUG, "clarin_postgres"):
        tell(database, story)
    assert "leads.add was given a value that cannot be stored" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("is_guarded", [False, True])
def test_an_account_that_does_not_exist_is_not_found(database: str, is_guarded: bool) -> None:
    """R22: at the beginning, whatever would have been done in it."""

    async def story(account: Tenant, admin: Admin) -> None:
        nobody = Tenant(account.storage, ABSENT, account.pipeline)
        with pytest.raises(NotFound, match=f"account {ABSENT}"):
            async with nobody.begin():
                pass
        with pytest.raises(NotFound, match=f"account {ABSENT}"):
            await nobody.views.leads(LeadQuery())

    tell(database, story, guarded_reads=is_guarded)


def test_a_phone_is_read_in_the_region_of_the_account(database: str) -> None:
    """PH3: also right after the region has changed."""

    async def story(account: Tenant, admin: Admin) -> None:
        contact = await account.add_contact(phone="+56987654321")
        lead = await account.add_lead(contact_id=contact.id)
        assert await account.lead_ids(phone="987654321") == []
        async with account.begin() as tx:
            tenant = await tx.account.get()
            tenant.alter({"default_region": "CL"}, at=LATER)
            await tx.account.save(tenant)
        for _ in range(2):
            assert await account.lead_ids(phone="987654321") == [lead.id]

    tell(database, story)
