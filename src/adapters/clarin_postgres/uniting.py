"""Two chats that turned out to be one (CT7)."""

from msgspec.structs import replace

from clarin_core.domain.ids import ChatId, MessageId
from clarin_core.domain.messages import Mark, Message
from clarin_postgres.connection import Row
from clarin_postgres.marks import MARKS, mark_of, put_marks, take_marks
from clarin_postgres.message_columns import MESSAGE, fields
from clarin_postgres.paging import structs
from clarin_postgres.replies import counted
from clarin_postgres.scope import Scope
from clarin_postgres.totals import loss

PORTION = 20_000
"""How many messages go to another chat in one statement."""

# `$2` is the chat that stays, `$3` the other one. What is not given on goes with that one.
_DOUBLES = f"""-- chats.doubles
    select {MESSAGE} from messages m
    join messages k on k.account_id = m.account_id and k.chat_id = $2
        and k.wa_message_id = m.wa_message_id
    where m.account_id = $1 and m.chat_id = $3 order by m.id"""
_DROP = """-- chats.unite_drop
    delete from messages m where m.account_id = $1 and m.id = any($2)"""
_MESSAGES = """-- chats.unite_messages
    with portion as (
        select m.id from messages m
        where m.account_id = $1 and m.chat_id = $3
        order by m.sent_at desc, m.id desc limit $4
    ),
    moved as (
        update messages m set chat_id = $2 from portion
        where m.account_id = $1 and m.id = portion.id
        returning m.id
    )
    select count(moved.id) as count from moved"""
_REST = f"""-- chats.unite_rest
    with todo as (
        update outbox o set chat_id = $2 where o.account_id = $1 and o.chat_id = $3
    ),
    tagged as (
        insert into chat_tags as x (account_id, chat_id, tag_id, origin)
        select $1, $2, t.tag_id, t.origin from chat_tags t
        where t.account_id = $1 and t.chat_id = $3
        on conflict do nothing
    ),
    reacted as (
        insert into reactions as x (
            account_id, chat_id, wa_message_id, sender_kind, sender_value, emoji, at)
        select $1, $2, r.wa_message_id, r.sender_kind, r.sender_value, r.emoji, r.at
        from reactions r where r.account_id = $1 and r.chat_id = $3
        {counted("sender", "emoji")}
    )
    insert into poll_votes as x (
        account_id, chat_id, wa_message_id, voter_kind, voter_value, options, at)
    select $1, $2, v.wa_message_id, v.voter_kind, v.voter_value, v.options, v.at
    from poll_votes v where v.account_id = $1 and v.chat_id = $3
    {counted("voter", "options")}"""
_PAIRS = """-- chats.unite_pairs
    select g.chat_id, g.wa_message_id, g.mark, x.mark as other from message_marks g
    join message_marks x on x.account_id = g.account_id and x.chat_id = $2
        and x.wa_message_id = g.wa_message_id
    where g.account_id = $1 and g.chat_id = $3"""
_MARKS = f"""-- chats.unite_marks
    with {MARKS.rows(4)},
    joined as (
        update message_marks x set mark = n.mark from n
        where x.account_id = $1 and x.chat_id = $2 and x.wa_message_id = n.wa_message_id
    )
    update message_marks x set chat_id = $2
    where x.account_id = $1 and x.chat_id = $3
        and x.wa_message_id not in (select n.wa_message_id from n)"""
_REMOVE = f"""-- chats.unite_remove
    delete from chats h where h.account_id = $1 and h.id = $2
    returning {loss("chats", "h")} as loss"""


async def unite(scope: Scope, survivor: ChatId, gone: ChatId) -> list[MessageId]:
    """Give a chat all that another one has; return the messages that both had, by id."""
    doubles = structs(await scope.fetch(_DOUBLES, survivor, gone), Message, fields)
    dropped = [double.id for double in doubles]
    await scope.fetch(_DROP, dropped)
    while (await scope.one(_MESSAGES, survivor, gone, PORTION))["count"] == PORTION:
        pass  # A statement may take four seconds only, whatever has been said in all the years.
    await scope.fetch(_REST, survivor, gone)
    pairs = await scope.fetch(_PAIRS, survivor, gone)
    await scope.fetch(_MARKS, survivor, gone, *MARKS.arrays(map(_joined, pairs)))
    await _unite_doubles(scope, survivor, doubles)
    scope.gains.chats -= (await scope.one(_REMOVE, gone))["loss"]
    return dropped


async def _unite_doubles(scope: Scope, survivor: ChatId, doubles: list[Message]) -> None:
    """Keep what became of them, so that it happens to those that stay."""
    if not doubles:
        return
    marks = [replace(double, chat_id=survivor).mark for double in doubles]
    known = await take_marks(scope, [mark.key for mark in marks])
    for mark in marks:
        if mark.key in known:
            mark.join(known[mark.key])
    await put_marks(scope, marks, at=max(double.updated_at for double in doubles))


def _joined(row: Row) -> Mark:
    mark = mark_of(row["chat_id"], row["wa_message_id"], row["mark"])
    mark.join(mark_of(row["chat_id"], row["wa_message_id"], row["other"]))
    return mark
