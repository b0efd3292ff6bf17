"""Chats, as an account reads them."""

from collections.abc import Callable, Iterator

from msgspec import UNSET

from clarin_core.domain.chats import LEADS_SHOWN_MAX, Chat, ChatDetail, ChatQuery, ChatView
from clarin_core.domain.contacts import Contact
from clarin_core.domain.ids import ChatId
from clarin_core.domain.leads import Lead
from clarin_core.domain.paging import Page
from clarin_core.domain.tags import TagTarget
from clarin_core.errors import NotFound
from clarin_memory.contacts import contact_view, mentions
from clarin_memory.lead_filter import TAG_TESTS
from clarin_memory.leads import lead_view
from clarin_memory.paging import NEWEST, Order, instant
from clarin_memory.reader import Reader
from clarin_memory.search import Needle
from clarin_memory.state import AccountTables
from clarin_memory.tags import tag_ids_on, tags_on

_INBOX = Order[Chat](
    lambda chat: (not chat.is_pinned, -instant(chat.active_at), -chat.id), (bool, int, int)
)


class ChatViews(Reader):
    """What an account reads of its chats."""

    async def chat(self, chat_id: ChatId) -> ChatDetail:
        """Return a live chat with its contact and leads; raises NotFound."""
        return _detail(self._tables, live_chat(self._tables, chat_id))

    async def chats(self, query: ChatQuery) -> Page[ChatView]:
        """Return a page of the inbox: pinned ones first, then by `active_at`."""
        tables = self._tables
        tests = list(_tests(query, tables))
        rows = (row for row in tables.chats.rows() if all(test(row) for test in tests))
        return self._page(rows, _INBOX, query, lambda chat: _view(tables, chat))


def live_chat(tables: AccountTables, chat_id: ChatId) -> Chat:
    """Return a live chat, the row itself; raises NotFound."""
    chat = tables.chats.peek(chat_id)
    if chat is None or chat.deleted_at is not None:
        raise NotFound("chat", chat_id)
    return chat


def _tests(query: ChatQuery, tables: AccountTables) -> Iterator[Callable[[Chat], bool]]:
    yield lambda chat: chat.deleted_at is None and chat.is_archived is query.archived
    if query.device_ids is not UNSET:
        devices = query.device_ids
        yield lambda chat: chat.device_id in devices
    if query.unread_only:
        yield lambda chat: chat.unread_count > 0
    if query.assigned_to is not UNSET:
        yield lambda chat: chat.assigned_to == query.assigned_to
    if query.tag_ids is not UNSET:
        has_tags, wanted = TAG_TESTS[query.tags_mode], query.tag_ids
        yield lambda chat: has_tags(wanted, tag_ids_on(tables, TagTarget.CHAT, chat.id))
    if query.search is not UNSET:
        needle = Needle(query.search)
        yield lambda chat: _mentions(chat, _contact(tables, chat), needle)


def _mentions(chat: Chat, contact: Contact | None, needle: Needle) -> bool:
    own = needle.is_in(chat.name) or needle.is_in_phone(chat.identity.phone)
    return own or (contact is not None and mentions(contact, needle))


def _contact(tables: AccountTables, chat: Chat) -> Contact | None:
    return None if chat.contact_id is None else tables.contacts.peek(chat.contact_id)


def _detail(tables: AccountTables, chat: Chat) -> ChatDetail:
    view, contact = _view(tables, chat), _contact(tables, chat)
    live = contact is not None and contact.deleted_at is None
    leads = sorted((lead for lead in tables.leads.rows() if _is_of(lead, chat)), key=NEWEST.key)
    return ChatDetail(
        **{name: getattr(view, name) for name in ChatView.__struct_fields__},
        contact=contact_view(tables, contact) if contact and live else None,
        leads=[lead_view(tables, lead) for lead in leads[:LEADS_SHOWN_MAX]],
    )


def _is_of(lead: Lead, chat: Chat) -> bool:
    is_known = chat.contact_id is not None and chat.contact_id == lead.contact_id
    return is_known and lead.deleted_at is None


def _view(tables: AccountTables, chat: Chat) -> ChatView:
    contact, tags = _contact(tables, chat), tags_on(tables, TagTarget.CHAT, chat.id)
    seen = contact.display_name if contact else None
    values = {name: getattr(chat, name) for name in Chat.__struct_fields__}
    return ChatView(
        **values,
        display_name=seen or chat.name or chat.identity.phone or chat.identity.value,
        avatar_url=contact.avatar_url if contact else None,
        tags=[tag.name for tag in tags],
        tag_ids=[tag.id for tag in tags],
    )
