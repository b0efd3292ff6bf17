"""Quick replies."""

from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.ids import QuickReplyId
from clarin_core.domain.paging import Page
from clarin_core.domain.quick_replies import (
    NewQuickReply,
    QuickReply,
    QuickReplyQuery,
    shortcut_key,
)
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.inbox import QuickReplyStore
from clarin_memory.paging import Order
from clarin_memory.reader import Reader
from clarin_memory.search import Needle
from clarin_memory.state import Scope
from clarin_memory.tables import copied, rival

BY_SHORTCUT = Order[QuickReply](lambda reply: (_key(reply), reply.id), (str, int))


@dataclass(frozen=True, slots=True)
class MemoryQuickReplyStore(QuickReplyStore):
    """The quick replies of one account."""

    scope: Scope

    async def get(self, quick_reply_id: QuickReplyId) -> QuickReply:
        """Return a quick reply; raises NotFound."""
        reply = self.scope.tables.quick_replies.find(quick_reply_id)
        if reply is None:
            raise NotFound("quick reply", quick_reply_id)
        return reply

    async def add(self, new: NewQuickReply, *, at: datetime) -> QuickReply:
        """Store a quick reply; raises Conflict `shortcut_exists` with the id of the other."""
        reply = QuickReply(
            id=QuickReplyId(self.scope.ids.next("quick reply")),
            created_at=at,
            updated_at=at,
            version=1,
            **new.given(),
        )
        self._put(reply)
        return reply

    async def save(self, quick_reply: QuickReply) -> None:
        """Store a changed one; raises Conflict `shortcut_exists` with the id."""
        await self.get(quick_reply.id)
        self._put(quick_reply)

    async def remove(self, quick_reply_id: QuickReplyId) -> None:
        """Remove a quick reply."""
        self.scope.tables.quick_replies.drop(quick_reply_id)

    def _put(self, reply: QuickReply) -> None:
        if other := rival(self.scope.tables.quick_replies.rows(), [reply], _key):
            raise Conflict("shortcut_exists", "a quick reply has this shortcut", id=other.id)
        self.scope.tables.quick_replies.put(reply.id, reply)


class QuickReplyViews(Reader):
    """What an account reads of its quick replies."""

    async def quick_replies(self, query: QuickReplyQuery) -> Page[QuickReply]:
        """Return quick replies by shortcut without regard to case."""
        needle = None if query.search is UNSET else Needle(query.search)
        rows = self._tables.quick_replies.rows()
        found = (
            reply
            for reply in rows
            if needle is None or needle.is_in(reply.shortcut, reply.title, reply.body)
        )
        return self._page(found, BY_SHORTCUT, query, copied)


def _key(reply: QuickReply) -> str:
    return shortcut_key(reply.shortcut)
