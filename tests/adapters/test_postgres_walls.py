"""The walls between accounts, each tried with the others taken away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from clarin_core.domain.contacts import Contact
from clarin_core.domain.events import TagDeleted
from clarin_core.domain.ids import AccountId, TagId
from clarin_core.domain.imports import RowOutcome, RowResult
from clarin_core.domain.leads import StageMove
from clarin_core.domain.messages import Mark
from clarin_core.domain.replies import Reaction, Vote
from clarin_core.domain.tags import Tag, TagTarget
from clarin_core.testing.idempotency import a_request, answer_in
from clarin_core.testing.inbox import inbox_of, somebody
from clarin_core.testing.mirrors import furnish_mirror
from clarin_core.testing.tenants import NOON, Tenant, draft, lid, links_of, settle
from clarin_postgres import PostgresSetupError, PostgresStorage
from clarin_postgres.connection import Meter, Pool
from clarin_postgres.reader import begin_in
from clarin_postgres.roles import DIRECTORY, READER, ROLES, WRITER, check_role
from support.catalogue import look, rows, tenant_tables

STRANGERS = "select count(*) from {} r where r.account_id <> $1"
LINKS = {
    "kommo_leads_lead": ("kommo_leads", "lead_id", "leads"),
    "kommo_contacts_contact": ("kommo_contacts", "contact_id", "contacts"),
    "leads_contact": ("leads", "contact_id", "contacts"),
    "leads_pipeline": ("leads", "pipeline_id", "pipelines"),
    "stages_pipeline": ("stages", "pipeline_id", "pipelines"),
    "lead_tags_lead": ("lead_tags", "lead_id", "leads"),
    "lead_tags_tag": ("lead_tags", "tag_id", "tags"),
    "contact_tags_contact": ("contact_tags", "contact_id", "contacts"),
    "contact_tags_tag": ("contact_tags", "tag_id", "tags"),
    "stage_moves_lead": ("stage_moves", "lead_id", "leads"),
    "import_outcomes_import": ("import_outcomes", "import_id", "imports"),
    "contact_identities_contact": ("contact_identities", "contact_id", "contacts"),
    "device_leases_device": ("device_leases", "device_id", "devices"),
    "import_files_import": ("import_files", "import_id", "imports"),
    "chats_device": ("chats", "device_id", "devices"),
    "chats_contact": ("chats", "contact_id", "contacts"),
    "chat_tags_chat": ("chat_tags", "chat_id", "chats"),
    "chat_tags_tag": ("chat_tags", "tag_id", "tags"),
    "messages_chat": ("messages", "chat_id", "chats"),
    "messages_device": ("messages", "device_id", "devices"),
    "messages_media": ("messages", "media_id", "media"),
    "media_device": ("media", "device_id", "devices"),
    "message_marks_chat": ("message_marks", "chat_id", "chats"),
    "reactions_chat": ("reactions", "chat_id", "chats"),
    "poll_votes_chat": ("poll_votes", "chat_id", "chats"),
    "outbox_device": ("outbox", "device_id", "devices"),
    "outbox_chat": ("outbox", "chat_id", "chats"),
    "outbox_message": ("outbox", "message_id", "messages"),
}
"""Links by name: a table, a column of it, and the table that it points into."""


@pytest.fixture(scope="module")
def accounts(database: str) -> tuple[AccountId, AccountId]:
    """Return two accounts that have a row in every table of theirs."""

    async def furnished() -> tuple[AccountId, AccountId]:
        async with PostgresStorage(database, clock=lambda: NOON) as storage:
            first, second = await settle(storage), await settle(storage)
            await furnish(first)
            await furnish(second)
            return first.id, second.id

    return asyncio.run(furnished())


async def furnish_inbox(account: Tenant, contact: Contact, tags: list[Tag]) -> None:
    """Commit a row of every kind that an inbox has."""
    inbox, who = await inbox_of(account), somebody(1)
    chat = await inbox.open_one(contact_id=contact.id)
    media_id = await inbox.add_media()
    (message,) = await inbox.say(inbox.said(chat, media_id=media_id))
    await inbox.order(inbox.to_do(chat, message_id=message.id))
    await account.link(TagTarget.CHAT, *links_of([chat.id], tags))
    mark = Mark(chat_id=chat.id, wa_message_id="A")
    reaction = Reaction(chat_id=chat.id, wa_message_id="A", sender=who, emoji="👍", at=NOON)
    vote = Vote(chat_id=chat.id, wa_message_id="A", voter=who, options=["sí"], at=NOON)
    async with account.begin() as tx:
        await tx.messages.put_marks([mark], at=NOON)
        await tx.messages.react([reaction])
        await tx.messages.vote([vote])


async def furnish(account: Tenant) -> None:
    """Commit a row of every kind."""
    place = {"pipeline_id": account.pipeline.id, "stage_id": account.stages[0]}
    contact = await account.add_contact(name="Ana", phone="+51987654321")
    await account.identify(contact, lid("1"))
    (lead,) = await account.add_leads(draft(contact_id=contact.id, **place))
    tags = await account.add_tags("vip")
    await account.link(TagTarget.LEAD, *links_of([lead.id], tags))
    await account.link(TagTarget.CONTACT, *links_of([contact.id], tags))
    await furnish_inbox(account, contact, tags)
    await account.hire(is_default=True)
    await account.add_quick_reply("hola")
    device = await account.add_device()
    await account.storage.leases.lease(account.key_of(device), "a", timedelta(hours=1))
    await furnish_mirror(account, lead, contact)
    job = await account.add_import()
    async with account.begin() as tx:
        await tx.devices.set_aside(device.id, b"?", "not understood", at=NOON)
        await tx.leads.log_moves([StageMove(lead_id=lead.id, to_stage=account.stages[0], at=NOON)])
        await tx.imports.save(job, [RowOutcome(row=1, result=RowResult.CREATED)])
        await answer_in(tx, a_request("uno"))
        tx.emit(TagDeleted(tag_id=TagId(1)))


@asynccontextmanager
async def working_as(
    role: str, address: str, account_id: int | None
) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """Yield a connection in a role, and in an account, whose changes are undone."""
    connection = await asyncpg.connect(address, server_settings={"role": role})
    transaction = connection.transaction()
    await transaction.start()
    if account_id is not None:
        await connection.execute("select set_config('app.account_id', $1, true)", str(account_id))
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


def refused(address: str, role: str, statement: str, *, account_id: int | None = None) -> bool:
    """Return whether PostgreSQL forbids a statement."""

    async def story() -> bool:
        async with working_as(role, address, account_id) as connection:
            try:
                await connection.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                return True
            return False

    return asyncio.run(story())


@pytest.mark.parametrize("name", LINKS)
def test_a_link_cannot_cross_accounts(
    database: str, accounts: tuple[AccountId, AccountId], name: str
) -> None:
    """TN2: the key refuses it even to a superuser, who is under no policy."""
    table, column, target = LINKS[name]
    stranger = f"(select min(x.id) from {target} x where x.account_id = $2)"
    one = f"(select max(x.ctid) from {table} x where x.account_id = $1)"
    crossing = f"update {table} r set {column} = {stranger} where r.ctid = {one}"
    with pytest.raises(asyncpg.ForeignKeyViolationError, match=name):
        look(database, lambda connection: connection.execute(crossing, *accounts))


def test_a_statement_that_forgot_its_account_sees_its_own_rows_only(
    database: str, accounts: tuple[AccountId, AccountId]
) -> None:
    """R22: the fourth wall holds when the second is forgotten, in every table."""

    tables = tenant_tables(database)

    async def seen(role: str, account_id: int | None) -> list[int]:
        async with working_as(role, database, account_id) as connection:
            return [
                await connection.fetchval(STRANGERS.format(table), accounts[0]) for table in tables
            ]

    assert all(asyncio.run(seen("clarin", None)))
    assert not any(asyncio.run(seen(WRITER, accounts[0])))
    assert not any(asyncio.run(seen(WRITER, None)))


def test_a_change_that_forgot_its_account_changes_its_own_rows_only(
    database: str, accounts: tuple[AccountId, AccountId]
) -> None:
    """R22: what cannot be seen cannot be changed, removed or linked to."""

    async def story() -> None:
        async with working_as(WRITER, database, accounts[0]) as connection:
            changed = await connection.fetch("update leads set name = 'x' returning account_id")
            removed = await connection.fetch("delete from tags returning account_id")
        assert {row["account_id"] for row in (*changed, *removed)} == {accounts[0]}

    asyncio.run(story())


def test_a_row_cannot_be_put_into_another_account(
    database: str, accounts: tuple[AccountId, AccountId]
) -> None:
    """R22: neither as a new one nor by changing its account."""
    mine, theirs = accounts
    new = f"""insert into memberships (account_id, user_id, role)
        select {theirs}, m.user_id, 'admin' from memberships m"""
    moved = f"update tags set account_id = {theirs}"
    for statement in (new, moved):
        assert refused(database, WRITER, statement, account_id=mine)


def test_an_account_sees_its_own_people_only(
    database: str, accounts: tuple[AccountId, AccountId]
) -> None:
    """R22: users are above accounts; the others' do not show."""

    async def story() -> None:
        async with working_as(WRITER, database, accounts[0]) as connection:
            people = await connection.fetch("select u.id from users u")
            members = await connection.fetch("select m.user_id from memberships m")
        assert {row["id"] for row in people} == {row["user_id"] for row in members}

    asyncio.run(story())


@pytest.mark.parametrize("role", [WRITER, READER])
@pytest.mark.parametrize(
    "statement",
    [
        "select password_hash from users",
        "select token_version from users",
        "select key from user_logins",
        "select refresh_hash from sessions",
        "select digest from tickets",
        "delete from leads",
        "delete from contacts",
        "delete from event_log",
        "update event_log set payload = ''",
        "update stage_moves set to_stage = 1",
        "delete from idempotency",
        "delete from accounts",
        "truncate leads",
        "drop table leads",
        "alter table leads disable row level security",
        "drop policy own_account on leads",
    ],
)
def test_what_no_use_case_does_is_forbidden(database: str, role: str, statement: str) -> None:
    """R22, R26: the history is only appended to, secrets are read by the directory alone."""
    assert refused(database, role, statement)


def test_a_reader_sees_no_answers(database: str) -> None:
    """R22, R26: only who gives them again has a right on them."""
    assert refused(database, READER, "select body from idempotency")


def test_a_reader_sees_no_credentials(database: str) -> None:
    """R22, R26, KS11: not even sealed ones; the rest of a connection it does."""
    assert not refused(database, READER, "select subdomain from kommo_links")
    for role in (READER, DIRECTORY):
        assert refused(database, role, "select sealed from kommo_links")


@pytest.mark.parametrize("table", ["leads", "contacts", "tags", "account_stream", "event_log"])
def test_a_reader_changes_nothing(database: str, table: str) -> None:
    """R22: the role that is under no policy can only read."""
    assert not refused(database, READER, f"select account_id from {table}")
    assert refused(database, READER, f"update {table} set account_id = 1")
    assert refused(database, READER, f"insert into {table} (account_id) values (1)")
    assert refused(database, READER, f"select account_id from {table} for update")


def test_an_account_lasts_as_long_as_its_transaction(
    database: str, accounts: tuple[AccountId, AccountId]
) -> None:
    """Nothing of a session outlives a transaction, so that giving it back needs no reset."""
    state = """-- test.state
        select coalesce(current_setting('app.account_id', true), '') as account,
            current_user::text as role, (select count(*) from pg_locks k
                where k.pid = pg_backend_pid() and k.locktype <> 'virtualxid'
                    and k.relation is distinct from 'pg_locks'::regclass
                    and k.locktype <> 'relation') as locks,
            (select count(*) from pg_listening_channels()) as channels"""

    async def story() -> None:
        pool = Pool(database, WRITER, size=1, meter=Meter())
        await pool.open()
        async with pool.line() as line:
            before = await line.first(state)
            async with line.transaction(begin_in(accounts[0])):
                inside = await line.first(state)
        with pytest.raises(ZeroDivisionError):
            async with pool.line() as line, line.transaction(begin_in(accounts[0])):
                raise ZeroDivisionError
        async with pool.line() as line:
            after = await line.first(state)
        await pool.close()
        assert inside is not None
        assert inside["account"] == str(accounts[0])
        assert before == after

    asyncio.run(story())


@pytest.mark.parametrize("role", ROLES)
def test_the_roles_hold(database: str, role: str) -> None:
    """R27: none is a superuser, passes the policies, or owns a table."""
    asyncio.run(checked(database, role))


def test_a_role_that_no_wall_holds_is_refused(database: str) -> None:
    """R27: a superuser, one that passes the policies, and an owner of tables."""
    name = f"free_{uuid4().hex}"
    rows(database, f"create role {name} bypassrls")
    try:
        for role in ("clarin", name):
            with pytest.raises(PostgresSetupError, match="superuser"):
                asyncio.run(checked(database, role))
        rows(database, f"alter role {name} nobypassrls")
        asyncio.run(checked(database, name))
        rows(database, "create table owned ()")
        rows(database, f"alter table owned owner to {name}")
        with pytest.raises(PostgresSetupError, match="owns tables"):
            asyncio.run(checked(database, name))
    finally:
        rows(database, "drop table if exists owned")
        rows(database, f"drop role {name}")


async def checked(address: str, role: str) -> None:
    """Check a role as the storage does when it opens."""
    pool = Pool(address, role, size=1, meter=Meter())
    await pool.open()
    try:
        async with pool.line() as line:
            await check_role(line)
    finally:
        await pool.close()
