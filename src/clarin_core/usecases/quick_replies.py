"""What one can do with quick replies."""

from dataclasses import dataclass

from clarin_core.domain.actor import Actor
from clarin_core.domain.command import ANY_VERSION, Precondition
from clarin_core.domain.ids import QuickReplyId
from clarin_core.domain.inbox_events import (
    QuickReplyCreated,
    QuickReplyDeleted,
    QuickReplyUpdated,
)
from clarin_core.domain.quick_replies import NewQuickReply, QuickReply, QuickReplyChange
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage


@dataclass(frozen=True, slots=True)
class QuickReplyUseCases:
    """What one can do with quick replies. One method is one use case."""

    storage: Storage
    clock: Clock

    async def create(self, actor: Actor, new: NewQuickReply) -> QuickReply:
        """Make a quick reply; its shortcut must be new, ignoring case."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            reply = await tx.quick_replies.add(new, at=self.clock())
            tx.emit(QuickReplyCreated(quick_reply=reply))
        return reply

    async def update(
        self, actor: Actor, quick_reply_id: QuickReplyId, change: QuickReplyChange
    ) -> QuickReply:
        """Change what a quick reply says, or how it is found."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            reply = await tx.quick_replies.get(quick_reply_id)
            reply.expect(change.version)
            if reply.alter(change.values(), at=self.clock()):
                await tx.quick_replies.save(reply)
                tx.emit(QuickReplyUpdated(quick_reply=reply))
        return reply

    async def delete(
        self, actor: Actor, quick_reply_id: QuickReplyId, seen: Precondition = ANY_VERSION
    ) -> None:
        """Remove a quick reply."""
        actor.require_admin()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            (await tx.quick_replies.get(quick_reply_id)).expect(seen.version)
            await tx.quick_replies.remove(quick_reply_id)
            tx.emit(QuickReplyDeleted(quick_reply_id=quick_reply_id))
