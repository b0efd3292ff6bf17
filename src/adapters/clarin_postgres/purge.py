"""What a purge takes away, from all accounts at once.

Each statement is a transaction of its own, and none of them holds what a writer waits for: a
log is declared trimmed first and loses its rows then.
"""

from datetime import datetime

from clarin_postgres.connection import Line

_PATIENCE_S = 600
_BEGIN = f"-- begin\nbegin; set local statement_timeout = '{_PATIENCE_S}s'"

# Tags and moves go along. A contact stays as long as a lead shows it.
_LEADS = """-- storage.purge_leads
    delete from leads l where l.deleted_at < $1"""
_CONTACTS = """-- storage.purge_contacts
    delete from contacts c where c.deleted_at < $1 and not exists (
        select from leads l where l.account_id = c.account_id and l.contact_id = c.id)"""
_SESSIONS = """-- storage.purge_sessions
    delete from sessions s where coalesce(s.revoked_at, s.expires_at) < $1"""
_TICKETS = """-- storage.purge_tickets
    delete from tickets t where t.expires_at < $1"""
_TRIM = """-- storage.trim
    update account_stream s set trimmed_to = old.last_seq
    from (
        select o.account_id, greatest(o.last_seq - $2, coalesce((
            select e.seq - 1 from event_log e
            where e.account_id = o.account_id and e.seq > o.trimmed_to and e.at >= $1
            order by e.seq limit 1
        ), o.last_seq)) as last_seq
        from account_stream o where o.trimmed_to < o.last_seq
    ) old
    where s.account_id = old.account_id and s.trimmed_to < old.last_seq"""
_EVENTS = """-- storage.purge_events
    delete from event_log e using account_stream s
    where s.account_id = e.account_id and e.seq <= s.trimmed_to"""


async def purge(
    line: Line, deleted_before: datetime, events_before: datetime, events_kept_max: int
) -> None:
    """Remove what was deleted or ended, and trim the logs, before these times."""
    for text in (_LEADS, _CONTACTS, _SESSIONS, _TICKETS):
        await _run(line, text, deleted_before)
    await _run(line, _TRIM, events_before, events_kept_max)
    await _run(line, _EVENTS)


async def _run(line: Line, text: str, *arguments: object) -> None:
    """Run a statement with more patience than a request has."""
    async with line.transaction(_BEGIN):
        await line.fetch(text, *arguments, timeout_s=_PATIENCE_S)
