"""What chats have to show, counted anew, and what of them is unread."""

from collections.abc import Collection

from clarin_core.domain.chats import Chat
from clarin_core.domain.ids import ChatId
from clarin_core.domain.messages import Message, Place
from clarin_core.ports.inbox import Tally
from clarin_postgres.columns import Columns
from clarin_postgres.message_columns import MESSAGE, fields
from clarin_postgres.paging import struct
from clarin_postgres.scope import Scope


def _read(chat: Chat) -> Place | None:
    """Return the place up to which nothing is unread."""
    return max(filter(None, (chat.read_up_to, chat.cleared_up_to)), default=None)


_CHATS = Columns(
    {
        "id": "bigint",
        "cleared_at": "timestamptz",
        "cleared_id": "bigint",
        "read_at": "timestamptz",
        "read_id": "bigint",
    },
    derived={
        "cleared_at": lambda chat: chat.cleared_up_to and chat.cleared_up_to.at,
        "cleared_id": lambda chat: chat.cleared_up_to and chat.cleared_up_to.id,
        "read_at": lambda chat: (place := _read(chat)) and place.at,
        "read_id": lambda chat: (place := _read(chat)) and place.id,
    },
)


def _after(name: str) -> str:
    return f"""(m.sent_at, m.id) > (
                coalesce(n.{name}_at, '-infinity'), coalesce(n.{name}_id, 0))"""


_TALLY = f"""-- messages.tally
    with {_CHATS.rows(2)}
    select n.id as tallied_id, u.unread, {MESSAGE} from n
    cross join lateral (
        select count(m.id) as unread from messages m
        where m.account_id = $1 and m.chat_id = n.id and m.direction = 'in'
            and m.revoked_at is null and {_after("read")}
    ) u
    left join lateral (
        select {MESSAGE} from messages m
        where m.account_id = $1 and m.chat_id = n.id and m.revoked_at is null
            and {_after("cleared")}
        order by m.sent_at desc, m.id desc limit 1
    ) m on true"""

_ENDS = """-- messages.ends
    select n.id, m.sent_at, m.id as message_id from unnest($2::bigint[]) as n(id)
    cross join lateral (
        select m.sent_at, m.id from messages m
        where m.account_id = $1 and m.chat_id = n.id
        order by m.sent_at desc, m.id desc limit 1
    ) m"""
_UNREAD = """-- messages.unread
    select m.wa_message_id from messages m
    where m.account_id = $1 and m.chat_id = $2 and m.direction = 'in' and m.revoked_at is null
        and (m.sent_at, m.id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4, 0))
        and (m.sent_at, m.id) <= ($5, $6)
        and m.wa_message_id is not null
    order by m.sent_at desc, m.id desc limit $7"""


async def tally(scope: Scope, chats: Collection[Chat]) -> dict[ChatId, Tally]:
    """Count anew what some chats have to show (CH6, CH7)."""
    rows = await scope.fetch(_TALLY, *_CHATS.arrays(chats))
    return {
        row["tallied_id"]: Tally(
            None if row["id"] is None else struct(row, Message, fields), row["unread"]
        )
        for row in rows
    }


async def ends(scope: Scope, chat_ids: Collection[ChatId]) -> dict[ChatId, Place]:
    """Return where the greatest message of each chat stands, revoked or not."""
    rows = await scope.fetch(_ENDS, list(chat_ids))
    return {row["id"]: Place(row["sent_at"], row["message_id"]) for row in rows}


async def unread(scope: Scope, chat: Chat, up_to: Place, *, limit: int) -> list[str]:
    """Return WhatsApp's ids of a chat's unread messages up to a place, the newest first."""
    read = _read(chat) or (None, None)
    rows = await scope.fetch(_UNREAD, chat.id, *read, *up_to, limit)
    return [row["wa_message_id"] for row in rows]
