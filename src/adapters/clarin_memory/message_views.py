"""Messages, as an account reads them."""

from msgspec import UNSET

from clarin_core.domain.chats import Chat
from clarin_core.domain.ids import ChatId, MessageId
from clarin_core.domain.media import Attachment, attachment_of
from clarin_core.domain.messages import SAID, Message, MessageQuery, MessageView
from clarin_core.domain.paging import Page
from clarin_core.domain.replies import PollResult, Reaction, results_of
from clarin_core.errors import NotFound
from clarin_memory.chat_views import live_chat
from clarin_memory.paging import Order, instant
from clarin_memory.reader import Reader
from clarin_memory.search import Needle
from clarin_memory.state import AccountTables
from clarin_memory.tables import copied

_NEWEST = Order[Message](lambda message: (-instant(message.sent_at), -message.id), (int, int))
_SHOWN = set(Message.__struct_fields__) - {"raw"}


class MessageViews(Reader):
    """What an account reads of its messages."""

    async def messages(self, chat_id: ChatId, query: MessageQuery) -> Page[MessageView]:
        """Return a page of a live chat's messages, newest first (CH5); raises NotFound."""
        tables = self._tables
        chat = live_chat(tables, chat_id)
        needle = None if query.search is UNSET else Needle(query.search)
        rows = (
            row
            for row in tables.messages.rows()
            if _is_shown(row, chat) and (needle is None or _says(row, needle))
        )
        return self._page(rows, _NEWEST, query, lambda message: _view(tables, message))

    async def message(self, message_id: MessageId) -> MessageView:
        """Return a message that its chat's list shows; raises NotFound."""
        tables = self._tables
        message = tables.messages.peek(message_id)
        chat = tables.chats.peek(message.chat_id) if message else None
        if message is None or chat is None or chat.deleted_at or not _is_shown(message, chat):
            raise NotFound("message", message_id)
        return _view(tables, message)


def _is_shown(message: Message, chat: Chat) -> bool:
    return message.chat_id == chat.id and not chat.hides(message.place)


def _says(message: Message, needle: Needle) -> bool:
    return message.revoked_at is None and needle.is_in(message.body)


def _view(tables: AccountTables, message: Message) -> MessageView:
    hidden = SAID if message.revoked_at else ()
    values = {name: getattr(message, name) for name in _SHOWN.difference(hidden)}
    shown = MessageView(**values, reactions=_reactions(tables, message))
    shown.media = _file(tables, shown)
    shown.results = _results(tables, shown)
    return copied(shown)


def _file(tables: AccountTables, message: Message) -> Attachment | None:
    media = None if message.media_id is None else tables.media.peek(message.media_id)
    return None if media is None else attachment_of(media)


def _reactions(tables: AccountTables, message: Message) -> list[Reaction]:
    own = (row for row in tables.reactions.rows() if row.emoji and _is_about(row.key, message))
    return sorted(own, key=lambda row: (row.at, row.sender.kind.value, row.sender.value))


def _results(tables: AccountTables, message: Message) -> list[PollResult]:
    if message.poll is None:
        return []
    votes = (vote for vote in tables.votes.rows() if _is_about(vote.key, message))
    return results_of(message.poll.options, votes)


def _is_about(key: tuple[ChatId, str, object], message: Message) -> bool:
    return key[:2] == (message.chat_id, message.wa_message_id)
