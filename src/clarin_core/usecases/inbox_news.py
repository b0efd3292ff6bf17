"""What is told of messages: events with all that a screen needs to show them."""

from collections.abc import Collection, Sequence

from clarin_core.domain.chats import Chat
from clarin_core.domain.events import Event
from clarin_core.domain.inbox_events import MessageEdited, MessageRevoked, status_changed
from clarin_core.domain.media import Attachment
from clarin_core.domain.messages import Message
from clarin_core.ports.transaction import Transaction


async def files_of(tx: Transaction, messages: Collection[Message]) -> list[Attachment]:
    """Return the files of some messages, in one statement if there are any."""
    ids = {message.media_id for message in messages if message.media_id is not None}
    return await tx.media.seen(ids) if ids else []


async def changes_of(
    tx: Transaction,
    chats: Collection[Chat],
    *,
    risen: Sequence[Message] = (),
    edited: Sequence[Message] = (),
    revoked: Sequence[Message] = (),
) -> list[Event]:
    """Return what is to be told of messages of some chats that are not as they were."""
    events: list[Event] = []
    if risen:
        events.append(status_changed(risen, chats))
    if edited:
        events.append(MessageEdited(messages=list(edited), files=await files_of(tx, edited)))
    if revoked:
        events.append(MessageRevoked(messages=list(revoked)))
    return events
