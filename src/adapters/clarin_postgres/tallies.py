"""What chats have to show, counted anew."""

from collections.abc import Collection

from clarin_core.domain.chats import Chat
from clarin_core.domain.ids import ChatId
from clarin_core.domain.messages import Message, Place
from clarin_core.ports.inbox import Tally
from clarin_postgres.columns import Columns
from clarin_postgres.message_columns import MESSAGE, ROW
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
        select {ROW}, m.raw from messages m
        where m.account_id = $1 and m.chat_id = n.id and m.revoked_at is null
            and {_after("cleared")}
        order by m.sent_at desc, m.id desc limit 1
    ) m on true"""


async def tally(scope: Scope, chats: Collection[Chat]) -> dict[ChatId, Tally]:
    """Count anew what some chats have to show (CH6, CH7)."""
    rows = await scope.fetch(_TALLY, *_CHATS.arrays(chats))
    return {
        row["tallied_id"]: Tally(None if row["id"] is None else struct(row, Message), row["unread"])
        for row in rows
    }
