"""Two chats that turned out to be one (CT7)."""

from msgspec.structs import replace

from clarin_core.domain.ids import ChatId, MessageId
from clarin_core.domain.messages import Message
from clarin_core.domain.replies import ByWhom, Reply
from clarin_core.domain.tags import TagTarget
from clarin_memory.marks import drop_mark, marked_at, put_mark
from clarin_memory.messages import drop_messages, wa_key
from clarin_memory.replies import keep
from clarin_memory.state import AccountTables
from clarin_memory.tables import Table


def unite(tables: AccountTables, survivor: ChatId, gone: ChatId) -> list[MessageId]:
    """Give a chat all that another one has; return the messages that both had, by id."""
    doubles = _unite_messages(tables, survivor, gone)
    _unite_replies(tables.reactions, survivor, gone)
    _unite_replies(tables.votes, survivor, gone)
    _unite_marks(tables, survivor, gone)
    _unite_doubles(tables, doubles)
    _unite_tags(tables, survivor, gone)
    for item in list(tables.outbox.rows()):
        if item.chat_id == gone:
            tables.outbox.put(item.id, replace(item, chat_id=survivor))
    tables.chats.drop(gone)
    return [double.id for double in doubles]


def _unite_messages(tables: AccountTables, survivor: ChatId, gone: ChatId) -> list[Message]:
    rows = list(tables.messages.rows())
    known = {wa_key(row) for row in rows if row.chat_id == survivor} - {None}
    moved = [replace(row, chat_id=survivor) for row in rows if row.chat_id == gone]
    doubles = sorted((row for row in moved if wa_key(row) in known), key=lambda row: row.id)
    for row in moved:
        tables.messages.put(row.id, row)
    drop_messages(tables, [double.id for double in doubles])
    return doubles


def _unite_doubles(tables: AccountTables, doubles: list[Message]) -> None:
    """Keep what became of them, so that it happens to those that stay."""
    for double in doubles:
        mark = double.mark
        if known := tables.marks.peek(mark.key):
            mark.join(known)
        put_mark(tables, mark, double.updated_at)


def _unite_replies(table: Table[ByWhom, Reply], survivor: ChatId, gone: ChatId) -> None:
    moved = [reply for reply in table.rows() if reply.chat_id == gone]
    for reply in moved:
        table.drop(reply.key)
    keep(table, [replace(reply, chat_id=survivor) for reply in moved])


def _unite_marks(tables: AccountTables, survivor: ChatId, gone: ChatId) -> None:
    for mark in [mark for mark in tables.marks.rows() if mark.chat_id == gone]:
        joined, at = replace(mark, chat_id=survivor), marked_at(tables, mark.key)
        if known := tables.marks.peek(joined.key):
            joined.join(known)
        drop_mark(tables, mark.key)
        put_mark(tables, joined, at)


def _unite_tags(tables: AccountTables, survivor: ChatId, gone: ChatId) -> None:
    theirs, own = [tables.tagged.peek((TagTarget.CHAT, one)) or {} for one in (gone, survivor)]
    tables.tagged.put((TagTarget.CHAT, survivor), theirs | own)
    tables.tagged.drop((TagTarget.CHAT, gone))
