"""Messages, as an account reads them."""

from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.ids import ChatId, MessageId
from clarin_core.domain.messages import MessageQuery, MessageView
from clarin_core.domain.paging import Page
from clarin_core.errors import NotFound
from clarin_postgres.conditions import Conditions
from clarin_postgres.media import SHOWN as SHOWN_MEDIA
from clarin_postgres.message_columns import ROW, SHOWN_ROW, fields
from clarin_postgres.paging import Listing, Order, in_seconds, page_of, struct
from clarin_postgres.reader import Reader
from clarin_postgres.search import text_pattern

_NEWEST = Order(("sent_at", "id"), (datetime, int), descending=True)
_REACTIONS = """(
        select json_agg(json_build_object(
            'chat_id', r.chat_id, 'wa_message_id', r.wa_message_id, 'emoji', r.emoji, 'at', r.at,
            'sender', json_build_object('kind', r.sender_kind, 'value', r.sender_value)
        ) order by r.at, r.sender_kind, r.sender_value)
        from reactions r
        where r.account_id = $1 and r.chat_id = m.chat_id and r.wa_message_id = m.wa_message_id
            and r.emoji <> ''
    )"""
_RESULTS = """case when m.details -> 'poll' is not null then (
        select json_agg(json_build_object('option', o.option, 'votes', (
            select count(v.voter_value) from poll_votes v
            where v.account_id = $1 and v.chat_id = m.chat_id
                and v.wa_message_id = m.wa_message_id
                and encode(sha256(convert_to(o.option, 'UTF8')), 'hex') = any(v.options)
        )) order by o.place)
        from json_array_elements_text(m.details -> 'poll' -> 'options')
            with ordinality as o(option, place)
    ) end"""
_SHOWN = f"""{in_seconds(ROW)}, {_RESULTS} as results,
    case when f.id is not null then {SHOWN_MEDIA} end as media"""
_JOINS = "left join media f on f.account_id = $1 and f.id = m.media_id"
# Most chats have no reaction, and one look for all of a page tells it.
_LISTING = Listing(
    "messages.page", "messages m", "m", cut=SHOWN_ROW, joins=_JOINS, keyed_by=1,
    shown=f"""{_SHOWN}, case when exists (
        select from reactions r where r.account_id = $1 and r.chat_id = $2
    ) then {_REACTIONS} end as reactions""",
)  # fmt: skip
_AFTER_CLEARED = """(m.sent_at, m.id) > (
    coalesce((
        select h.cleared_up_to_at from chats h where h.account_id = $1 and h.id = {0}
    ), '-infinity'), coalesce((
        select h.cleared_up_to_id from chats h where h.account_id = $1 and h.id = {0}
    ), 0))"""

_VIEW = f"""-- messages.view
    select {_SHOWN}, {_REACTIONS} as reactions from (
        select {SHOWN_ROW} from messages m
        join chats h on h.account_id = m.account_id and h.id = m.chat_id
        where m.account_id = $1 and m.id = $2 and h.deleted_at is null and (
            h.cleared_up_to_id is null
            or (m.sent_at, m.id) > (h.cleared_up_to_at, h.cleared_up_to_id))
    ) m
    {_JOINS}"""


class MessageViews(Reader):
    """What an account reads of its messages."""

    async def messages(self, chat_id: ChatId, query: MessageQuery) -> Page[MessageView]:
        """Return a page of a live chat's messages, newest first (CH5); raises NotFound."""
        where = Conditions("m.account_id = $1")
        chat = where.bind(chat_id)
        where.add(f"m.chat_id = {chat}")
        where.add(_AFTER_CLEARED.format(chat))
        if query.search is not UNSET:
            where.add("m.revoked_at is null")
            where.add("m.search like {0} escape '\\'", text_pattern(query.search))
        told = f"""exists (
            select from chats x
            where x.account_id = $1 and x.id = {chat} and x.deleted_at is null) as is_known, """
        text = _LISTING.statement(query, _NEWEST, where, account_id=self._account_id, told=told)
        rows = await self._fetch(text, *where.arguments)
        if rows and not rows[0]["is_known"]:
            raise NotFound("chat", chat_id)
        return page_of(rows, query, _NEWEST, self._account_id, MessageView, fields=fields)

    async def message(self, message_id: MessageId) -> MessageView:
        """Return a message that its chat's list shows; raises NotFound."""
        rows = await self._fetch(_VIEW, message_id)
        if not rows:
            raise NotFound("message", message_id)
        return struct(rows[0], MessageView, fields)
