"""What was said of messages before they came."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from msgspec import convert

from clarin_core.domain.ids import ChatId
from clarin_core.domain.messages import Mark
from clarin_core.ports.inbox import WaKey
from clarin_postgres.columns import Columns
from clarin_postgres.scope import Scope

_SAID = tuple(name for name in Mark.__struct_fields__ if name not in ("chat_id", "wa_message_id"))


def _said(mark: Mark) -> dict[str, Any]:
    return {name: getattr(mark, name) for name in _SAID}


MARKS = Columns(
    {"chat_id": "bigint", "wa_message_id": "text", "mark": "json"}, derived={"mark": _said}
)

_TAKE = """-- marks.take
    with held as (
        select x.chat_id, x.wa_message_id
        from unnest($2::bigint[], $3::text[]) as k(chat_id, wa_message_id)
        join message_marks x on x.chat_id = k.chat_id and x.wa_message_id = k.wa_message_id
        where x.account_id = $1
        order by x.chat_id, x.wa_message_id for update of x
    )
    delete from message_marks x using held
    where x.account_id = $1 and x.chat_id = held.chat_id and x.wa_message_id = held.wa_message_id
    returning x.chat_id, x.wa_message_id, x.mark"""
_TAKE_RIPE = """-- marks.take_ripe
    delete from message_marks x using messages m
    where x.account_id = $1 and x.chat_id = $2
        and m.account_id = $1 and m.chat_id = $2 and m.wa_message_id = x.wa_message_id
    returning x.chat_id, x.wa_message_id, x.mark"""
_PUT = f"""-- marks.put
    with {MARKS.rows(3)}
    insert into message_marks as x (account_id, {MARKS.names}, created_at)
    select $1, {MARKS.values}, $2 from n order by n.chat_id, n.wa_message_id
    on conflict (account_id, chat_id, wa_message_id) do update set
        mark = excluded.mark, created_at = excluded.created_at"""


async def take_marks(scope: Scope, keys: Collection[WaKey]) -> dict[WaKey, Mark]:
    """Remove and return marks."""
    return {
        (row["chat_id"], row["wa_message_id"]): mark_of(
            row["chat_id"], row["wa_message_id"], row["mark"]
        )
        for row in await scope.fetch(_TAKE, *keys_of(keys))
    }


async def take_ripe_marks(scope: Scope, chat_id: ChatId) -> list[Mark]:
    """Remove and return the marks of a chat whose message is there, by WhatsApp's id."""
    rows = await scope.fetch(_TAKE_RIPE, chat_id)
    marks = [mark_of(row["chat_id"], row["wa_message_id"], row["mark"]) for row in rows]
    return sorted(marks, key=lambda mark: mark.wa_message_id)


async def put_marks(scope: Scope, marks: Collection[Mark], *, at: datetime) -> None:
    """Keep marks; of several for one message the last."""
    kept = {(mark.chat_id, mark.wa_message_id): mark for mark in marks}
    if kept:
        await scope.fetch(_PUT, at, *MARKS.arrays(kept.values()))


def mark_of(chat_id: ChatId, wa_message_id: str, said: dict[str, Any]) -> Mark:
    """Return a mark of what a row says."""
    return convert({**said, "chat_id": chat_id, "wa_message_id": wa_message_id}, Mark)


def keys_of(keys: Collection[WaKey]) -> tuple[list[int], list[str]]:
    """Return keys as the two arrays in which they travel."""
    return [chat_id for chat_id, _ in keys], [wa_message_id for _, wa_message_id in keys]
