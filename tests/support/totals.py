"""Whether the totals that PostgreSQL keeps are those of the rows."""

import asyncpg

from clarin_core.domain.chats import ChatQuery
from clarin_core.domain.contacts import ContactQuery
from clarin_core.domain.leads import LeadQuery
from clarin_core.ports.views import Views

_COUNTED = """
    select s.account_id, array[s.leads, s.contacts, s.chats] as kept, array[
        (select count(*) from leads l
            where l.account_id = s.account_id and l.deleted_at is null),
        (select count(*) from contacts c
            where c.account_id = s.account_id and c.deleted_at is null),
        (select count(*) from chats h
            where h.account_id = s.account_id and h.deleted_at is null and not h.is_archived)
    ] as real
    from account_stream s"""
SET_TOTALS = """
    update account_stream s set
        leads = (select count(*) from leads l
            where l.account_id = s.account_id and l.deleted_at is null),
        contacts = (select count(*) from contacts c
            where c.account_id = s.account_id and c.deleted_at is null),
        chats = (select count(*) from chats h
            where h.account_id = s.account_id and h.deleted_at is null and not h.is_archived)"""
"""What whoever writes rows past the storage has to run afterwards."""


async def wrong_totals(address: str) -> list[dict[str, object]]:
    """Return the accounts of a database whose totals are wrong, with the real ones."""
    connection = await asyncpg.connect(address)
    try:
        rows = await connection.fetch(_COUNTED)
    finally:
        await connection.close()
    return [dict(row) for row in rows if row["kept"] != row["real"]]


async def totals(views: Views) -> tuple[object, object, object]:
    """Return how many leads, contacts and chats an account's whole lists say to have."""
    leads = await views.leads(LeadQuery(limit=1))
    contacts = await views.contacts(ContactQuery(limit=1))
    chats = await views.chats(ChatQuery(limit=1))
    return leads.total, contacts.total, chats.total
