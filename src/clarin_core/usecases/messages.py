"""What one can say, and do to what was said.

A message and what the device has to do about it are stored in one transaction, and answered at
once (CH12): whether WhatsApp takes it is heard later. So is what becomes of an edit, a deletion
or a reaction once WhatsApp has the message; one that still waits is changed here and now.

Whoever changes a message that may be about to be sent takes its device first, as whoever works
through the outbox does: so nobody begins to send it meanwhile.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from clarin_core.domain.actor import Actor
from clarin_core.domain.chats import Chat
from clarin_core.domain.command import ANY_VERSION, Precondition
from clarin_core.domain.devices import DeviceStatus
from clarin_core.domain.ids import MediaId, MessageId
from clarin_core.domain.inbox_events import (
    MessageQueued,
    MessageRevoked,
)
from clarin_core.domain.media import Attachment, MediaView, NewUrlFile, attachment_of
from clarin_core.domain.messages import (
    Message,
    MessageDraft,
    MessageKind,
    MessageStatus,
    MessageView,
    Poll,
    wrong_state,
)
from clarin_core.domain.outbox import WAITS_MAX, OutboxDraft, OutboxKind
from clarin_core.domain.sending import (
    TYPING_COUNTS,
    Forward,
    MessageChoice,
    MessageEdit,
    NewMessage,
    NewPoll,
    NewReaction,
    Typing,
    call_off,
    forward,
    is_on_whatsapp,
    kind_of,
    newborn,
    quote,
    require_own,
    require_text,
    reword,
    spoken,
)
from clarin_core.errors import Invalid
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.inbox_news import changes_of, save_status, show_again
from clarin_core.usecases.inbox_people import chat_with, live_chats

Fetch = Callable[[Actor, NewUrlFile], Awaitable[MediaView]]
"""Keeps a file of the web, committed on its own; raises Invalid `url`, and what an upload does."""


@dataclass(frozen=True, slots=True)
class MessageUseCases:
    """What one can do with messages. One method is one use case."""

    storage: Storage
    clock: Clock
    for_message: Fetch

    async def send(self, actor: Actor, new: NewMessage) -> MessageView:
        """Say something in a chat, or to a phone; it waits until the device sends it.

        With `queue` false it is refused unless the device is connected right now. A file that
        lies on the web is fetched first, while nothing is held.
        """
        media_id = new.media_id if new.media_url is UNSET else await self._fetch(actor, new)
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await _addressed(tx, actor, new, at=at)
            file = None
            if media_id is not UNSET:  # Locked: the purge may be about to take it away.
                file = attachment_of(await tx.media.get(media_id))
            draft = spoken(chat, actor.user_id, at=at)
            draft.body = None if new.body is UNSET else new.body
            draft.kind = kind_of(file, draft.body)
            draft.media_id = file.id if file else None
            if new.quoted_message_id is not UNSET:
                draft.quoted = quote(await tx.views.message(new.quoted_message_id), chat.id)
            await _require_devices(tx, [chat], new.queue)
            (message,) = await _queue(tx, [chat], [draft], file, at=at)
        return newborn(message, file)

    async def ask(self, actor: Actor, new: NewPoll) -> MessageView:
        """Ask a question with options, of which some may be chosen (CH17)."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await tx.chats.get(new.chat_id)
            draft = spoken(chat, actor.user_id, at=at)
            draft.kind, draft.body = MessageKind.POLL, new.question
            draft.poll = Poll(options=list(new.options), selectable=new.max_selections)
            await _require_devices(tx, [chat], new.queue)
            (message,) = await _queue(tx, [chat], [draft], None, at=at)
        return newborn(message, None)

    async def forward(self, actor: Actor, wanted: Forward) -> list[MessageView]:
        """Say a message again in other chats, all or none; the answer is in the order of chats."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            said = await tx.views.message(wanted.message_id)
            chats = await live_chats(tx, wanted.chat_ids)
            drafts = [forward(said, spoken(chat, actor.user_id, at=at)) for chat in chats]
            await _require_devices(tx, chats, wanted.queue)
            messages = await _queue(tx, chats, drafts, said.media, at=at)
        return [newborn(message, said.media) for message in messages]

    async def retry(
        self, actor: Actor, message_id: MessageId, seen: Precondition = ANY_VERSION
    ) -> MessageView:
        """Send what failed, or what nobody knows of, once more: it may then arrive twice."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat, message = await _held(tx, message_id)
            message.expect(seen.version)
            item = _sending(message, at)
            item.doubts = int(message.status is MessageStatus.UNKNOWN)
            message.queue_again(at=at)
            await tx.outbox.add([item], at=at)
            await save_status(tx, chat, message)
        return await self._view(actor, message_id)

    async def give_up(
        self, actor: Actor, message_id: MessageId, seen: Precondition = ANY_VERSION
    ) -> MessageView:
        """Take a message of which nobody knows for one that was not sent."""
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat, message = await _held(tx, message_id)
            message.expect(seen.version)
            if message.status is not MessageStatus.UNKNOWN:
                raise wrong_state(message)
            message.end(MessageStatus.FAILED, "given up", at=at)
            await save_status(tx, chat, message)
        return await self._view(actor, message_id)

    async def react(self, actor: Actor, new: NewReaction) -> MessageView:
        """Feel something about a message, or nothing any more; it shows when WhatsApp has it."""
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            message = await tx.views.message(new.message_id)
            await _order(tx, message, OutboxKind.REACT, text=new.emoji, at=self.clock())
        return message

    async def edit(self, actor: Actor, edit: MessageEdit) -> MessageView:
        """Let an own message say something else: at once while it waits, else when WhatsApp has it.

        One that is being sent, or of which nobody knows, stays as it is (`invalid_state`).
        """
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat, message = await _held(tx, edit.message_id)
            require_own(message)
            require_text(message)
            if is_on_whatsapp(message):
                await _order(tx, message, OutboxKind.EDIT, text=edit.body, at=at)
            else:
                await _reword(tx, chat, message, edit.body, at=at)
        return await self._view(actor, edit.message_id)

    async def revoke(self, actor: Actor, choice: MessageChoice) -> MessageView:
        """Take an own message back: it is never sent, or WhatsApp is asked to delete it.

        One that is being sent, or of which nobody knows, stays as it is (`invalid_state`).
        """
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat, message = await _held(tx, choice.message_id)
            require_own(message)
            if message.revoked_at is not None:
                pass  # There is nothing left to be done.
            elif is_on_whatsapp(message):
                await _order(tx, message, OutboxKind.REVOKE, at=at)
            else:
                await _call_off(tx, chat, message, at=at)
        return await self._view(actor, choice.message_id)

    async def type(self, actor: Actor, typing: Typing) -> None:
        """Show the other side that somebody types; worth nothing after ten seconds.

        Nor is it while the device is not connected: then nothing happens.
        """
        at = self.clock()
        async with self.storage.begin(actor.account_id, actor.origin) as tx:
            chat = await tx.views.chat(typing.chat_id)
            device = await tx.views.device(chat.device_id)
            item = OutboxDraft(
                kind=OutboxKind.TYPING,
                device_id=chat.device_id,
                chat_id=chat.id,
                text=typing.state.value,
                expires_at=at + TYPING_COUNTS,
            )
            if device.status is DeviceStatus.CONNECTED:
                await tx.outbox.add([item], at=at)

    async def _fetch(self, actor: Actor, new: NewMessage) -> MediaId:
        """Keep the file that a message has on the web, if there is whom to send it to."""
        assert new.media_url is not UNSET
        if new.chat_id is not UNSET:
            await self.storage.views(actor.account_id).chat(new.chat_id)
        try:
            wanted = NewUrlFile(url=new.media_url, media_type=new.media_type)
            return (await self.for_message(actor, wanted)).id
        except Invalid as error:
            field = "media_url" if error.field in ("url", "file") else error.field
            raise Invalid(field, error.reason) from error

    async def _view(self, actor: Actor, message_id: MessageId) -> MessageView:
        return await self.storage.views(actor.account_id).message(message_id)


async def say(tx: Transaction, actor: Actor, chat: Chat, body: str, *, at: datetime) -> Message:
    """Queue a text in a chat, whether its device is connected or not."""
    draft = spoken(chat, actor.user_id, at=at)
    draft.body = body
    (message,) = await _queue(tx, [chat], [draft], None, at=at)
    return message


async def _addressed(tx: Transaction, actor: Actor, new: NewMessage, *, at: datetime) -> Chat:
    if new.chat_id is not UNSET:
        return await tx.chats.get(new.chat_id)
    assert new.device_id is not UNSET
    assert new.to is not UNSET
    try:
        return await chat_with(tx, new.device_id, new.to, region=actor.region, at=at)
    except Invalid as error:
        raise Invalid("to", error.reason, code=error.code) from error


async def _held(tx: Transaction, message_id: MessageId) -> tuple[Chat, Message]:
    """Return a message that people see, and its chat, after their device."""
    seen = await tx.views.message(message_id)
    await tx.devices.get(seen.device_id)
    chat = await tx.chats.get(seen.chat_id)
    return chat, await tx.messages.get(message_id)


async def _require_devices(tx: Transaction, chats: Sequence[Chat], may_wait: bool) -> None:
    """Raise Conflict `device_not_connected` unless all may wait; a look is enough for that."""
    if not may_wait:
        for device_id in sorted({chat.device_id for chat in chats}):
            (await tx.views.device(device_id)).require_connected()


async def _queue(
    tx: Transaction,
    chats: Sequence[Chat],
    drafts: Sequence[MessageDraft],
    file: Attachment | None,
    *,
    at: datetime,
) -> list[Message]:
    """Store a message in each chat, and what is to be done about it; all before it is read."""
    added = await tx.messages.add(drafts, at=at)
    messages = [message for message in added if message is not None]  # Without a name, all are new.
    for chat, message in zip(chats, messages, strict=True):
        chat.read(message.place, at=at)
    tallies = await tx.messages.tally(chats)
    for chat in chats:
        chat.show(tallies[chat.id].latest, tallies[chat.id].unread, at=at)
    await tx.chats.save(chats)
    await tx.outbox.add([_sending(message, at) for message in messages], at=at)
    for chat, message in zip(chats, messages, strict=True):
        tx.emit(MessageQueued(chat=chat, message=message, file=file))
    return messages


async def _order(
    tx: Transaction,
    message: Message,
    kind: OutboxKind,
    *,
    text: str | None = None,
    at: datetime,
) -> None:
    """Have something done about a message that WhatsApp has; raises Conflict for another one."""
    if message.wa_message_id is None or not is_on_whatsapp(message) or message.revoked_at:
        raise wrong_state(message)
    item = OutboxDraft(
        kind=kind,
        device_id=message.device_id,
        chat_id=message.chat_id,
        message_id=message.id,
        wa_message_ids=[message.wa_message_id],
        text=text,
    )
    await tx.outbox.add([item], at=at)


async def _reword(
    tx: Transaction, chat: Chat, message: Message, body: str, *, at: datetime
) -> None:
    before = message.version
    reword(message, body, at=at)
    if message.version > before:
        await tx.messages.save([message])
        tx.emit(*await changes_of(tx, [chat], edited=[message]))
        await show_again(tx, chat, at=at)


async def _call_off(tx: Transaction, chat: Chat, message: Message, *, at: datetime) -> None:
    call_off(message, at=at)
    for item in await tx.outbox.of_message(message.id):
        await tx.outbox.remove(item)
    await save_status(tx, chat, message)
    tx.emit(MessageRevoked(messages=[message]))
    await show_again(tx, chat, at=at)


def _sending(message: Message, at: datetime) -> OutboxDraft:
    return OutboxDraft(
        kind=OutboxKind.SEND,
        device_id=message.device_id,
        chat_id=message.chat_id,
        message_id=message.id,
        expires_at=at + WAITS_MAX,
    )
