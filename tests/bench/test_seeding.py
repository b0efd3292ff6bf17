"""What a benchmark seeds is what the product would have stored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from benchmarks.seeding import Shape, copied, seeded
from clarin_core.domain.chats import ChatQuery
from clarin_core.domain.contacts import ContactQuery
from clarin_core.domain.ids import AccountId, ContactId, LeadId
from clarin_core.domain.leads import LeadQuery
from clarin_core.domain.messages import MessageQuery
from clarin_embedded import EmbeddedPostgres
from clarin_postgres import PostgresStorage
from clarin_postgres.search import searched, searched_of_contact
from clarin_server.clock import now

SHAPE = Shape(accounts=3, contacts=90, leads=220, chats=60, messages=1500)
ACCOUNT = AccountId(2)

_CONTACTS = "select c.id, c.search from contacts c where c.account_id = $1"
_LEADS = "select l.id, l.search from leads l where l.account_id = $1"


@pytest.fixture(scope="module")
def seed(postgres: EmbeddedPostgres) -> str:
    """Return the name of a seeded database; it goes with the server."""
    return asyncio.run(seeded(postgres.dsn, SHAPE, lambda _: None))


@asynccontextmanager
async def opened(postgres: EmbeddedPostgres, seed: str) -> AsyncIterator[PostgresStorage]:
    async with copied(postgres.dsn, seed) as dsn, PostgresStorage(dsn, clock=now) as storage:
        yield storage


def test_the_first_of_fifty_accounts_has_a_good_fifth() -> None:
    """By Zipf's law; and together they have what was asked for, but for rounding."""
    shape = Shape()
    leads = [size[1] for size in shape.sizes()]
    assert leads[0] / shape.leads == pytest.approx(0.22, abs=0.005)
    assert leads[0] / leads[9] == pytest.approx(10, rel=0.01)
    assert sum(leads) == pytest.approx(shape.leads, rel=0.001)


def test_accounts_are_as_large_as_is_said(postgres: EmbeddedPostgres, seed: str) -> None:
    """Lists and their totals agree, and the log is at the end of all that."""

    async def try_it() -> None:
        async with opened(postgres, seed) as storage:
            for account, size in enumerate(SHAPE.sizes(), 1):
                views = storage.views(AccountId(account))
                leads = await views.leads(LeadQuery(limit=200))
                contacts = await views.contacts(ContactQuery(limit=200))
                chats = [
                    await views.chats(ChatQuery(limit=200, archived=archived))
                    for archived in (False, True)
                ]
                found = contacts.total, leads.total, sum(page.total or 0 for page in chats)
                assert found == size[:3]
                assert len(leads.data) == leads.total
                assert isinstance(leads.seq, int)
                assert leads.seq > sum(size)

    asyncio.run(try_it())


def test_chats_show_what_the_product_would_count(postgres: EmbeddedPostgres, seed: str) -> None:
    async def try_it() -> None:
        async with opened(postgres, seed) as storage:
            page = await storage.views(ACCOUNT).chats(ChatQuery(limit=200))
            async with storage.begin(ACCOUNT) as tx:
                chats = await tx.chats.get_many([chat.id for chat in page.data])
                tallies = await tx.messages.tally(chats)
        assert any(chat.unread_count for chat in chats)
        for chat in chats:
            latest, unread = tallies[chat.id]
            assert latest is not None
            assert chat.unread_count == unread
            assert (chat.last_message_id, chat.last_message_at) == (latest.id, latest.sent_at)
            assert chat.last_message == (latest.body or "")[:200]

    asyncio.run(try_it())


def test_messages_are_of_the_person_behind_the_chat(postgres: EmbeddedPostgres, seed: str) -> None:
    async def try_it() -> None:
        async with opened(postgres, seed) as storage:
            views = storage.views(ACCOUNT)
            (chat, *_) = (await views.chats(ChatQuery(limit=1))).data
            async with storage.begin(ACCOUNT) as tx:
                (stored,) = await tx.chats.get_many([chat.id])
            page = await views.messages(chat.id, MessageQuery(limit=200))
        assert page.total == len(page.data) > 0
        senders = {message.sender for message in page.data if message.sender}
        assert senders == {stored.identity}

    asyncio.run(try_it())


def test_what_is_searched_is_what_the_product_keeps(postgres: EmbeddedPostgres, seed: str) -> None:
    async def try_it() -> None:
        async with copied(postgres.dsn, seed) as dsn:
            kept = await _kept(dsn, _CONTACTS), await _kept(dsn, _LEADS)
            async with PostgresStorage(dsn, clock=now) as storage, storage.begin(ACCOUNT) as tx:
                contacts = await tx.contacts.get_many([ContactId(number) for number in kept[0]])
                leads = await tx.leads.get_many([LeadId(number) for number in kept[1]])
        assert kept[0] == {contact.id: searched_of_contact(contact) for contact in contacts}
        assert kept[1] == {lead.id: searched([lead.name]) for lead in leads}

    asyncio.run(try_it())


def test_a_seeded_database_is_found_again(postgres: EmbeddedPostgres, seed: str) -> None:
    """A second run says nothing of seeding; one of another size does."""
    said: list[str] = []
    assert asyncio.run(seeded(postgres.dsn, SHAPE, said.append)) == seed
    assert not said


async def _kept(dsn: str, query: str) -> dict[int, str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(query, ACCOUNT)
        return {row["id"]: row["search"] for row in rows}
    finally:
        await connection.close()
