"""What a purge takes away, from all accounts at once, and sets right.

Each statement is a transaction of its own, and none of them holds for long what a writer waits
for: where logs are to begin is found out first, declared then, and the rows go last. Totals are
looked at without a lock, in one snapshot; only an account that has a wrong one is held up, for
as long as it takes to count its rows.
"""

from datetime import datetime

from clarin_core.domain.ids import AccountId
from clarin_postgres.connection import Line, Row
from clarin_postgres.totals import LISTED, whole

_PATIENCE_S = 600
_BEGIN = f"-- begin\nbegin; set local statement_timeout = '{_PATIENCE_S}s'"

# Messages, and all that was said of them, go along.
_CHATS = """-- storage.purge_chats
    delete from chats h where h.deleted_at < $1"""
# Tags and moves go along. A contact stays as long as a lead or a chat shows it.
_LEADS = """-- storage.purge_leads
    delete from leads l where l.deleted_at < $1"""
_CONTACTS = """-- storage.purge_contacts
    delete from contacts c where c.deleted_at < $1 and not exists (
        select from leads l where l.account_id = c.account_id and l.contact_id = c.id
    ) and not exists (
        select from chats h where h.account_id = c.account_id and h.contact_id = c.id)"""
_SESSIONS = """-- storage.purge_sessions
    delete from sessions s where coalesce(s.revoked_at, s.expires_at) < $1"""
_TICKETS = """-- storage.purge_tickets
    delete from tickets t where t.expires_at < $1"""
_ANSWERS = """-- storage.purge_answers
    delete from idempotency i where i.created_at < $1"""
_MARKS = """-- storage.purge_marks
    delete from message_marks x where x.created_at < $1"""
_OUTDATED = """-- storage.outdated
    select o.account_id, o.seq from (
        select s.account_id, s.trimmed_to, greatest(s.last_seq - $2, coalesce((
            select e.seq - 1 from event_log e
            where e.account_id = s.account_id and e.seq > s.trimmed_to and e.at >= $1
            order by e.seq limit 1
        ), s.last_seq)) as seq
        from account_stream s where s.trimmed_to < s.last_seq
    ) o
    where o.seq > o.trimmed_to"""
_TRIM = """-- storage.trim
    update account_stream s set trimmed_to = o.seq
    from unnest($1::bigint[], $2::bigint[]) as o(account_id, seq)
    where s.account_id = o.account_id and s.trimmed_to < o.seq"""
_EVENTS = """-- storage.purge_events
    delete from event_log e using account_stream s
    where s.account_id = e.account_id and e.seq <= s.trimmed_to"""
_COUNTED = "".join(
    f"""
    left join (
        select r.account_id, count(*) as total from {table} r
        where {LISTED[table].format("r")} group by r.account_id
    ) {table} on {table}.account_id = s.account_id"""
    for table in LISTED
)
_MISCOUNTED = f"""-- storage.miscounted
    select s.account_id from account_stream s{_COUNTED}
    where {" or ".join(f"s.{table} <> coalesce({table}.total, 0)" for table in LISTED)}
    order by s.account_id"""
# Whoever has changed the totals since, and is not seen, has this lock.
_HOLD = """-- storage.hold_totals
    select s.account_id from account_stream s where s.account_id = $1 for no key update"""
_RECOUNT = f"""-- storage.recount
    update account_stream s set {
    ", ".join(
        f"{table} = (select count(*) from {table} r where {whole(table, 'r')})" for table in LISTED
    )
} where s.account_id = $1"""


async def purge(
    line: Line,
    *,
    deleted_before: datetime,
    events_before: datetime,
    answers_before: datetime,
    marks_before: datetime,
    events_kept_max: int,
) -> None:
    """Remove what was deleted, ended or answered, and trim the logs, before these times."""
    for text in (_CHATS, _LEADS, _CONTACTS, _SESSIONS, _TICKETS):
        await run_patiently(line, text, deleted_before)
    await run_patiently(line, _ANSWERS, answers_before)
    await run_patiently(line, _MARKS, marks_before)
    outdated = await run_patiently(line, _OUTDATED, events_before, events_kept_max)
    accounts, seqs = [row["account_id"] for row in outdated], [row["seq"] for row in outdated]
    await run_patiently(line, _TRIM, accounts, seqs)
    await run_patiently(line, _EVENTS)
    for row in await run_patiently(line, _MISCOUNTED):
        await _recount(line, row["account_id"])


async def run_patiently(line: Line, text: str, *arguments: object) -> list[Row]:
    """Run a statement over all accounts, with more patience than a request has."""
    async with line.transaction(_BEGIN):
        return await line.fetch(text, *arguments, timeout_s=_PATIENCE_S)


async def _recount(line: Line, account_id: AccountId) -> None:
    """Count what an account has, while none of its transactions can end."""
    async with line.transaction(_BEGIN):
        await line.fetch(_HOLD, account_id)
        await line.fetch(_RECOUNT, account_id, timeout_s=_PATIENCE_S)
