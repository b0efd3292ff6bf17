"""What one can say, and do to what was said.

A message and what the device has to do about it are stored in one transaction, and answered at
once (CH12): whether WhatsApp takes it is heard later.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import UNSET

from clarin_core.domain.actor import Actor
from clarin_core.domain.chats import Chat
from clarin_core.domain.ids import MessageId
from clarin_core.domain.inbox_events import MessageQueued, MessageStatusChanged
from clarin_core.domain.media import Media, MediaState, MediaType
from clarin_core.domain.messages import (
    QUOTE_MAX,
    Direction,
    Message,
    MessageDraft,
    MessageKind,
    MessageStatus,
    MessageView,
    Poll,
    Quoted,
)
from clarin_core.domain.outbox import OutboxDraft, OutboxKind
from clarin_core.domain.sending import (
    Forward,
    MessageChoice,
    MessageEdit,
    NewMessage,
    NewPoll,
    NewReaction,
    Typing,
)
from clarin_core.errors import Conflict, Invalid
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.chats import chat_with

TYPING_COUNTS = timedelta(seconds=10)
_KINDS = {
    MediaType.IMAGE: MessageKind.IMAGE,
    MediaType.VIDEO: MessageKind.VIDEO,
    MediaType.AUDIO: MessageKind.AUDIO,
    MediaType.DOCUMENT: MessageKind.DOCUMENT,
    MediaType.STICKER: MessageKind.STICKER,
}


@dataclass(frozen=True, slots=True)
class MessageUseCases:
    """What one can do with messages. One method is one use case."""

    storage: Storage
    clock: Clock

    async def send(self, actor: Actor, new: NewMessage) -> MessageView:
        """Say something in a chat, or to a phone."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await _addressed(tx, actor, new, at=at)
            media = None if new.media_id is UNSET else await tx.media.get(new.media_id)
            draft = _draft(actor, chat, at=at)
            draft.kind = _kind(media)
            draft.body = None if new.body is UNSET else new.body
            draft.media_id = media.id if media else None
            draft.quoted = await _quoted(tx, chat, new)
            message = await _queue(tx, chat, draft, needs_device=not new.queue, at=at)
        return await self._view(actor, message.id)

    async def ask(self, actor: Actor, new: NewPoll) -> MessageView:
        """Ask a question with options."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await tx.chats.get(new.chat_id)
            draft = _draft(actor, chat, at=at)
            draft.kind, draft.body = MessageKind.POLL, new.question
            draft.poll = Poll(options=list(new.options), selectable=new.max_selections)
            message = await _queue(tx, chat, draft, needs_device=not new.queue, at=at)
        return await self._view(actor, message.id)

    async def forward(self, actor: Actor, forward: Forward) -> list[MessageView]:
        """Say a message again in other chats."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            said = await tx.messages.get(forward.message_id)
            if said.revoked_at is not None or said.kind in (
                MessageKind.SYSTEM,
                MessageKind.UNKNOWN,
            ):
                raise Invalid("message_id", "cannot be forwarded")
            sent = []
            for chat_id in sorted(forward.chat_ids):
                chat = await tx.chats.get(chat_id)
                draft = _draft(actor, chat, at=at)
                for field in ("kind", "body", "media_id", "location", "cards", "poll"):
                    setattr(draft, field, getattr(said, field))
                needs_device = not forward.queue
                sent.append(await _queue(tx, chat, draft, needs_device=needs_device, at=at))
        return [await self._view(actor, message.id) for message in sent]

    async def retry(self, actor: Actor, message_id: MessageId) -> MessageView:
        """Send what failed, or what nobody knows of, once more: it may then arrive twice."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            message = await tx.messages.get(message_id)
            message.queue_again(at=at)
            await tx.messages.save([message])
            await tx.outbox.add([_sending(message)], at=at)
            tx.emit(MessageStatusChanged(messages=[message]))
        return await self._view(actor, message_id)

    async def give_up(self, actor: Actor, message_id: MessageId) -> MessageView:
        """Take a message of which nobody knows for one that was not sent."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            message = await tx.messages.get(message_id)
            if message.status is not MessageStatus.UNKNOWN:
                raise Conflict("invalid_state", f"the message is {message.status.value}")
            message.end(MessageStatus.FAILED, "given up", at=at)
            await tx.messages.save([message])
            tx.emit(MessageStatusChanged(messages=[message]))
        return await self._view(actor, message_id)

    async def react(self, actor: Actor, new: NewReaction) -> None:
        """Feel something about a message, or nothing any more."""
        await self._tell(actor, new.message_id, OutboxKind.REACT, text=new.emoji)

    async def edit(self, actor: Actor, edit: MessageEdit) -> None:
        """Let an own message say something else; it does so when WhatsApp has it."""
        await self._tell(actor, edit.message_id, OutboxKind.EDIT, text=edit.body, is_own=True)

    async def revoke(self, actor: Actor, choice: MessageChoice) -> None:
        """Take an own message back."""
        await self._tell(actor, choice.message_id, OutboxKind.REVOKE, is_own=True)

    async def type(self, actor: Actor, typing: Typing) -> None:
        """Show the other side that somebody types; worth nothing after ten seconds."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await tx.chats.get(typing.chat_id)
            item = OutboxDraft(
                kind=OutboxKind.TYPING,
                device_id=chat.device_id,
                chat_id=chat.id,
                text="composing" if typing.is_typing else "paused",
                expires_at=at + TYPING_COUNTS,
            )
            await tx.outbox.add([item], at=at)

    async def _tell(
        self,
        actor: Actor,
        message_id: MessageId,
        kind: OutboxKind,
        *,
        text: str | None = None,
        is_own: bool = False,
    ) -> None:
        """Have something done about a message that WhatsApp knows."""
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            message = await tx.messages.get(message_id)
            if message.wa_message_id is None or message.revoked_at is not None:
                raise Conflict("invalid_state", "WhatsApp does not have the message", id=message.id)
            if is_own and message.direction is not Direction.OUT:
                raise Invalid("message_id", "is not an own message")
            item = OutboxDraft(
                kind=kind,
                device_id=message.device_id,
                chat_id=message.chat_id,
                message_id=message.id,
                wa_message_ids=[message.wa_message_id],
                text=text,
            )
            await tx.outbox.add([item], at=self.clock())

    async def _view(self, actor: Actor, message_id: MessageId) -> MessageView:
        return await self.storage.views(actor.account_id).message(message_id)


async def _addressed(tx: Transaction, actor: Actor, new: NewMessage, *, at: datetime) -> Chat:
    if new.chat_id is not UNSET:
        return await tx.chats.get(new.chat_id)
    assert new.device_id is not UNSET
    assert new.to is not UNSET
    return await chat_with(tx, new.device_id, new.to, region=actor.region, at=at)


async def _quoted(tx: Transaction, chat: Chat, new: NewMessage) -> Quoted | None:
    """Return what is answered, as the store has it and not as the client says (CH14)."""
    if new.quoted_message_id is UNSET:
        return None
    said = await tx.messages.get(new.quoted_message_id)
    if said.chat_id != chat.id or said.wa_message_id is None:
        raise Invalid("quoted_message_id", "is not a message of this chat on WhatsApp")
    body = None if said.body is None else said.body[:QUOTE_MAX]
    return Quoted(wa_message_id=said.wa_message_id, body=body, sender=said.sender)


async def _queue(
    tx: Transaction, chat: Chat, draft: MessageDraft, *, needs_device: bool, at: datetime
) -> Message:
    """Store a message and what is to be done about it (CH12)."""
    if needs_device:
        (await tx.devices.get(chat.device_id)).require_connected()
    (message,) = await tx.messages.add([draft], at=at)
    assert message is not None, "a message without a name of WhatsApp's is always new"
    chat.read(message.place, at=at)
    chat.take([message], at=at)
    tally = (await tx.messages.tally([chat]))[chat.id]
    chat.show(tally.latest, tally.unread, at=at)
    await tx.chats.save([chat])
    await tx.outbox.add([_sending(message)], at=at)
    tx.emit(MessageQueued(chat=chat, message=message))
    return message


def _draft(actor: Actor, chat: Chat, *, at: datetime) -> MessageDraft:
    return MessageDraft(
        chat_id=chat.id,
        device_id=chat.device_id,
        direction=Direction.OUT,
        kind=MessageKind.TEXT,
        status=MessageStatus.QUEUED,
        sent_at=at,
        actor=actor.user_id,
    )


def _sending(message: Message) -> OutboxDraft:
    return OutboxDraft(
        kind=OutboxKind.SEND,
        device_id=message.device_id,
        chat_id=message.chat_id,
        message_id=message.id,
    )


def _kind(media: Media | None) -> MessageKind:
    if media is None:
        return MessageKind.TEXT
    if media.state is not MediaState.STORED:
        raise Invalid("media_id", "is not here (yet)")
    return _KINDS[media.type]
