"""Chats, as an account reads them."""

from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.chats import LEADS_SHOWN_MAX, ChatDetail, ChatQuery, ChatView
from clarin_core.domain.ids import ChatId, DeviceId
from clarin_core.domain.leads import TagsMode
from clarin_core.domain.paging import Page
from clarin_core.errors import NotFound
from clarin_postgres.chats import CHAT, fields
from clarin_postgres.conditions import Conditions
from clarin_postgres.contact_views import live_contact
from clarin_postgres.contacts import DISPLAY_NAME
from clarin_postgres.lead_views import leads_of
from clarin_postgres.paging import Listing, Order, in_seconds, page_of, struct
from clarin_postgres.reader import Reader
from clarin_postgres.search import on_contact, phone_pattern, text_pattern
from clarin_postgres.tags import tags_beside

_INBOX = Order(("is_pinned", "active_at", "id"), (bool, datetime, int), descending=True)
_PLACE = "h.id, h.is_pinned, h.active_at"
_PHONE = "h.kind = 'phone_jid'"

_CUT = f"{CHAT}, h.active_at"
_SHOWN = f"""{in_seconds(_CUT)}, c.avatar_url, t.tags, t.tag_ids,
    coalesce({DISPLAY_NAME}, h.name, case when {_PHONE} then '+' || h.value else h.value end)
        as display_name"""
_JOINS = f"""left join contacts c on c.account_id = $1 and c.id = h.contact_id
    {tags_beside("chat_tags", "chat_id", "h.id")}"""
_LISTING = Listing("chats.page", "chats h", "h", cut=_CUT, shown=_SHOWN, joins=_JOINS, kept="chats")
_SEARCHED = Listing(
    "chats.search", "found f", "f", cut="f.id, f.is_pinned, f.active_at", shown=_SHOWN,
    joins=f"left join chats h on h.account_id = $1 and h.id = f.id {_JOINS}",
)  # fmt: skip
_TAGGED = {
    TagsMode.ANY: """h.id in (
        select x.chat_id from chat_tags x
        where x.account_id = $1 and x.tag_id = any({0}::bigint[]))""",
    TagsMode.ALL: """h.id in (
        select x.chat_id from chat_tags x
        where x.account_id = $1 and x.tag_id = any({0}::bigint[])
        group by x.chat_id having count(*) = cardinality({0}::bigint[]))""",
}

_VIEW = f"""-- chats.view
    select {_SHOWN}, o.contact, n.leads from chats h
    {_JOINS}
    left join lateral (
        select to_json(p) as contact from ({live_contact("h.contact_id")}) p
    ) o on true
    left join lateral (
        select coalesce(json_agg(to_json(p) order by p.created_at desc, p.id desc), '[]') as leads
        from ({leads_of("h.contact_id", LEADS_SHOWN_MAX)}) p
    ) n on true
    where h.account_id = $1 and h.id = $2 and h.deleted_at is null"""


class ChatViews(Reader):
    """What an account reads of its chats."""

    async def chat(self, chat_id: ChatId) -> ChatDetail:
        """Return a live chat with its contact and leads; raises NotFound."""
        rows = await self._fetch(_VIEW, chat_id)
        if not rows:
            raise NotFound("chat", chat_id)
        return struct(rows[0], ChatDetail, fields)

    async def chats(self, query: ChatQuery) -> Page[ChatView]:
        """Return a page of the inbox: pinned ones first, then by `active_at`."""
        listing, where = _LISTING, _conditions(query)
        if query.search is not UNSET:
            listing, where = _SEARCHED, _searched(query.search, where)
        text = listing.statement(
            query, _INBOX, where, account_id=self._account_id, know_totals=self._know_totals
        )
        rows = await self._fetch(text, *where.arguments)
        return page_of(rows, query, _INBOX, self._account_id, ChatView, fields=fields)


def _conditions(query: ChatQuery) -> Conditions:
    where = Conditions("h.account_id = $1", "h.deleted_at is null")
    where.add("h.is_archived" if query.archived else "not h.is_archived")
    if query.device_ids is not UNSET:
        _on_devices(sorted(query.device_ids), where)
    if query.unread_only:
        where.add("h.unread_count > 0")
    if query.assigned_to is not UNSET:
        where.add("h.assigned_to = {0}", query.assigned_to)
    if query.tag_ids is not UNSET:
        where.add(_TAGGED[query.tags_mode], sorted(query.tag_ids))
    return where


def _on_devices(device_ids: list[DeviceId], where: Conditions) -> None:
    """Demand one of some devices; a single one has an index in the list's order."""
    if len(device_ids) == 1:
        where.add("h.device_id = {0}", device_ids[0])
    else:
        where.add("h.device_id = any({0}::bigint[])", device_ids)


def _searched(text: str, where: Conditions) -> Conditions:
    """Return `where` as conditions on `found`: chats that hold a text, or whose contacts do.

    Each half is found by its own index, as with leads.
    """
    pattern, digits = where.bind(text_pattern(text)), phone_pattern(text)
    phone = digits and where.bind(digits)
    in_chat = f"h.search like {pattern} escape '\\'"
    if phone is not None:
        in_chat = f"({in_chat} or {_PHONE} and h.value like {phone})"
    return where.within(f"""
        select {_PLACE} from chats h where {where} and {in_chat}
        union
        select {_PLACE} from contacts c
        join chats h on h.account_id = c.account_id and h.contact_id = c.id
        where c.account_id = $1 and {on_contact(pattern, phone)} and {where}""")
