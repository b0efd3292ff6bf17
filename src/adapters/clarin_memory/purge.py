"""What a purge takes away."""

from datetime import datetime

from msgspec.structs import replace

from clarin_core.domain.entity import Perishable
from clarin_core.domain.tags import TagTarget
from clarin_memory.marks import drop_mark
from clarin_memory.messages import drop_messages
from clarin_memory.state import AccountTables, SharedTables


def purge_account(tables: AccountTables, before: datetime) -> None:
    """Remove chats, leads and contacts that were deleted before a time, with all that is theirs.

    A contact stays as long as a lead or a chat shows it.
    """
    _forget_chats(tables, before)
    gone = {lead.id for lead in tables.leads.rows() if _was_deleted(lead, before)}
    for lead_id in gone:
        tables.leads.drop(lead_id)
        tables.tagged.drop((TagTarget.LEAD, lead_id))
    for key in [key for key, move in tables.moves.items() if move.lead_id in gone]:
        tables.moves.drop(key)
    shown = {lead.contact_id for lead in tables.leads.rows()}
    shown |= {chat.contact_id for chat in tables.chats.rows()}
    for contact in list(tables.contacts.rows()):
        if _was_deleted(contact, before) and contact.id not in shown:
            tables.contacts.drop(contact.id)
            tables.tagged.drop((TagTarget.CONTACT, contact.id))
    _forget_contacts(tables)
    _forget_mirrors(tables)


def purge_answers(tables: AccountTables, before: datetime) -> None:
    """Remove the answers of requests that came before a time."""
    for key, claim in list(tables.claims.items()):
        if claim.at < before:
            tables.claims.drop(key)


def purge_marks(tables: AccountTables, before: datetime) -> None:
    """Remove what was said before a time of messages that did not come."""
    for key, at in list(tables.marked_at.items()):
        if at < before:
            drop_mark(tables, key)


def purge_sign_ins(shared: SharedTables, before: datetime) -> None:
    """Remove the sign-ins that ended, and the tickets that expired, before a time."""
    for session in list(shared.sessions.rows()):
        if (session.revoked_at or session.expires_at) < before:
            shared.sessions.drop(session.id)
    for digest, ticket in list(shared.tickets.items()):
        if ticket.expires_at < before:
            shared.tickets.drop(digest)


def _forget_chats(tables: AccountTables, before: datetime) -> None:
    gone = {chat.id for chat in tables.chats.rows() if _was_deleted(chat, before)}
    for chat_id in gone:
        tables.chats.drop(chat_id)
        tables.tagged.drop((TagTarget.CHAT, chat_id))
    drop_messages(tables, {row.id for row in tables.messages.rows() if row.chat_id in gone})
    for item in [item for item in tables.outbox.rows() if item.chat_id in gone]:
        tables.outbox.drop(item.id)
    for mark in [mark for mark in tables.marks.rows() if mark.chat_id in gone]:
        drop_mark(tables, mark.key)
    for table in (tables.reactions, tables.votes):
        for reply in [reply for reply in table.rows() if reply.chat_id in gone]:
            table.drop(reply.key)


def _forget_contacts(tables: AccountTables) -> None:
    """Remove what points to contacts that are gone."""
    for contact in list(tables.contacts.rows()):
        if contact.merged_into is not None and contact.merged_into not in tables.contacts:
            tables.contacts.put(contact.id, replace(contact, merged_into=None))
    for identity, row in list(tables.identities.items()):
        if row.contact_id is not None and row.contact_id not in tables.contacts:
            tables.identities.drop(identity)


def _forget_mirrors(tables: AccountTables) -> None:
    """Remove what is kept of leads and contacts that are gone."""
    for kommo_id, mirrored in list(tables.kommo_leads.items()):
        if mirrored.known.lead_id not in tables.leads:
            tables.kommo_leads.drop(kommo_id)
    for kommo_id, person in list(tables.kommo_contacts.items()):
        if person.contact_id not in tables.contacts:
            tables.kommo_contacts.drop(kommo_id)


def _was_deleted(row: Perishable, before: datetime) -> bool:
    return row.deleted_at is not None and row.deleted_at < before
