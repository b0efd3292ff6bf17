"""What the outbox has for a device, one thing after the other, whatever dies in between.

Each step is committed before the next: taken (`begin`), done on WhatsApp, told (`done` and its
like). Whoever loses the lease in between tells nothing any more, and the next holder finds the
item at work (`recover`): what may be repeated is; of a message nobody knows, unless the adapter
delivers one id once.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from clarin_core.domain.chats import Chat
from clarin_core.domain.devices import Device, DeviceLease
from clarin_core.domain.ids import AccountId
from clarin_core.domain.inbox_events import (
    MessageEdited,
    MessageReceived,
    MessageRevoked,
    MessageSent,
    ReactionChanged,
)
from clarin_core.domain.jid import Identity
from clarin_core.domain.media import Media
from clarin_core.domain.messages import Mark, Message, MessageDraft, MessageStatus
from clarin_core.domain.outbox import OutboxItem, OutboxKind, may_repeat
from clarin_core.domain.replies import Reaction, Sender
from clarin_core.errors import NotFound
from clarin_core.ports.messaging import SentAs
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.device_sessions import holding
from clarin_core.usecases.inbox_news import files_of, save_status, show_again

_NOBODY_KNOWS = "nobody can say whether it was sent"
_TOO_LATE = "it waited for too long"


class Errand(Struct, frozen=True, kw_only=True):
    """Something to do on WhatsApp now; `message` is what it is about, `media` its file."""

    account_id: AccountId
    item: OutboxItem
    chat: Chat
    message: Message | None = None
    media: Media | None = None


@dataclass(frozen=True, slots=True)
class SendingUseCases:
    """The outbox, as the holder of a device's lease works through it.

    Every method raises Conflict `lease_lost` when somebody else has the device now.
    """

    storage: Storage
    clock: Clock

    async def begin(self, lease: DeviceLease, *, wa_message_id: str | None) -> Errand | None:
        """Return what the device does next, None when nothing is due.

        A message that has no name yet gets `wa_message_id`, and keeps it when it is repeated.
        """
        at = self.clock()
        async with holding(self.storage, lease) as (tx, device):
            due = await _next(tx, device, at=at)
            if due is None:
                return None
            item, chat, message = due
            item.begin(lease.token)
            await tx.outbox.save(item)
            media = None
            if item.kind is OutboxKind.SEND and message is not None:
                message.wa_message_id = message.wa_message_id or wa_message_id
                message.hand_over(at=at)
                await save_status(tx, chat, message)
                media = None if message.media_id is None else await tx.media.get(message.media_id)
        account_id = lease.key.account_id
        return Errand(account_id=account_id, item=item, chat=chat, message=message, media=media)

    async def done(self, lease: DeviceLease, item: OutboxItem, sent: SentAs | None) -> None:
        """Be done with an item; `sent` is how WhatsApp names a message."""

        async def end(matter: "_Matter") -> None:
            if sent is not None:
                await _settle(matter, sent)
            else:
                await _carry_out(matter, item)

        await self._end(lease, item, end)

    async def put_off(self, lease: DeviceLease, item: OutboxItem, reason: str) -> None:
        """Try later what surely did not reach the wire; the eighth time is the last."""
        at = self.clock()
        if not item.put_off(at):
            return await self.fail(lease, item, reason)
        async with holding(self.storage, lease) as (tx, device):
            await _wait_again(tx, device, item, at=at)
        return None

    async def fail(self, lease: DeviceLease, item: OutboxItem, reason: str) -> None:
        """Give up what WhatsApp refuses; the message says why."""
        await self._end(lease, item, _failing(item, reason))

    async def lose(self, lease: DeviceLease, item: OutboxItem) -> None:
        """Leave it to an echo, or to a person, to say what became of a message.

        Unless the account wants it to be sent once more all the same.
        """
        async with holding(self.storage, lease) as (tx, device):
            await _lose(tx, device, item, at=self.clock())

    async def recover(self, lease: DeviceLease, *, honours_ids: bool) -> None:
        """Settle what another holder of the device had begun and not ended."""
        at = self.clock()
        async with holding(self.storage, lease) as (tx, device):
            for item in await tx.outbox.at_work(lease.key.device_id):
                if item.kind is not OutboxKind.SEND or honours_ids:
                    item.token = None
                    await _wait_again(tx, device, item, at=at)
                else:
                    await _lose(tx, device, item, at=at)

    async def take_back(self, lease: DeviceLease) -> None:
        """Let wait what was begun and surely not done: its holder was not told that it began."""
        await self.recover(lease, honours_ids=True)

    async def _end(self, lease: DeviceLease, item: OutboxItem, ending: "_Ending") -> None:
        async with holding(self.storage, lease) as (tx, device):
            await _finish(tx, device, item, ending, at=self.clock())


@dataclass(frozen=True, slots=True)
class _Matter:
    """A message, and what surrounds it, while something becomes of it."""

    tx: Transaction
    device: Device
    chat: Chat
    message: Message
    at: datetime

    async def store(self) -> None:
        """Store the message, and let its chat show what it has now."""
        await self.tx.messages.save([self.message])
        await show_again(self.tx, self.chat, at=self.at)


_Ending = Callable[[_Matter], Awaitable[None]]


async def _next(
    tx: Transaction, device: Device, *, at: datetime
) -> tuple[OutboxItem, Chat, Message | None] | None:
    """Return what is due and still worth doing, and what it is about; the rest comes to nothing.

    The chat is locked before its message, as whoever hears something does.
    """
    while item := await tx.outbox.next(device.id, at=at):
        chats = await tx.chats.get_many([item.chat_id])
        if not chats:
            continue  # Just now it became one with another chat, where the item is found next.
        (chat,) = chats
        message = await _message(tx, item)
        if item.expires_at is not None and item.expires_at <= at:
            matter = None if message is None else _Matter(tx, device, chat, message, at)
            await _end(tx, item, matter, _failing(item, _TOO_LATE))
        elif item.kind is OutboxKind.SEND and not (message and message.is_waiting):
            await tx.outbox.remove(item)  # An echo of an earlier try came first.
        else:
            return item, chat, message
    return None


def _ending(status: MessageStatus, reason: str) -> _Ending:
    async def end(matter: _Matter) -> None:
        before = matter.message.version
        matter.message.end(status, reason, at=matter.at)
        if matter.message.version > before:
            await save_status(matter.tx, matter.chat, matter.message)

    return end


def _failing(item: OutboxItem, reason: str) -> _Ending:
    """Return how an item fails: an own message as such, another thing with a word about it."""
    if item.kind is OutboxKind.SEND:
        return _ending(MessageStatus.FAILED, reason)

    async def end(matter: _Matter) -> None:
        error = f"{item.kind.value}: {reason}"
        if item.kind is not OutboxKind.TYPING and matter.message.alter(
            {"error": error}, at=matter.at
        ):
            await save_status(matter.tx, matter.chat, matter.message)

    return end


async def _finish(
    tx: Transaction, device: Device, item: OutboxItem, ending: _Ending, *, at: datetime
) -> None:
    await _end(tx, item, await _matter(tx, device, item, at=at), ending)


async def _end(tx: Transaction, item: OutboxItem, matter: _Matter | None, ending: _Ending) -> None:
    """Let something become of an item's message, if there is one, and be done with the item."""
    if matter is not None:
        await ending(matter)
    await tx.outbox.remove(item)


async def _matter(
    tx: Transaction, device: Device, item: OutboxItem, *, at: datetime
) -> _Matter | None:
    """Return an item's message and its chat, None when a union took it away.

    A union may also have brought it to another chat since the item was begun.
    """
    chats = {chat.id: chat for chat in await tx.chats.get_many([item.chat_id])}
    message = await _message(tx, item)
    if message is None:
        return None
    if message.chat_id not in chats:
        chats |= {chat.id: chat for chat in await tx.chats.get_many([message.chat_id])}
    return _Matter(tx, device, chats[message.chat_id], message, at)


async def _message(tx: Transaction, item: OutboxItem) -> Message | None:
    try:
        return None if item.message_id is None else await tx.messages.get(item.message_id)
    except NotFound:
        return None


async def _lose(tx: Transaction, device: Device, item: OutboxItem, *, at: datetime) -> None:
    policy = (await tx.views.account()).resend_unknown
    if may_repeat(item, policy, is_campaign=False):
        again = replace(item)  # The item stays as it is for whoever has to ask once more.
        again.repeat(at)
        await _wait_again(tx, device, again, at=at)
    else:
        await _finish(tx, device, item, _ending(MessageStatus.UNKNOWN, _NOBODY_KNOWS), at=at)


async def _wait_again(tx: Transaction, device: Device, item: OutboxItem, *, at: datetime) -> None:
    if item.kind is OutboxKind.SEND:
        matter = await _matter(tx, device, item, at=at)
        if matter is not None and matter.message.status is MessageStatus.SENDING:
            matter.message.alter({"status": MessageStatus.QUEUED}, at=at)
            await save_status(tx, matter.chat, matter.message)
    with suppress(NotFound):  # A union takes doubles away, and what was to be done about them.
        await tx.outbox.save(item)


async def _settle(matter: _Matter, sent: SentAs) -> None:
    """Give a message its name at WhatsApp, and what was said of that name before."""
    tx, message, at = matter.tx, matter.message, matter.at
    key = message.chat_id, sent.wa_message_id
    if message.wa_message_id not in (None, sent.wa_message_id):
        await _give_back(matter)
    taken = None
    if message.wa_message_id is None:
        taken = (await tx.messages.by_wa([key])).get(key)
    mark = (await tx.messages.take_marks([key])).get(key)
    if taken is not None and taken.actor is not None:
        mark, taken = await _take_from(matter, taken), None
    if taken is not None:
        message.rise(MessageStatus.SENT, at=at)  # Its echo said something else, and stays.
    else:
        message.settle(sent.wa_message_id, sent.at, at=at)
    if mark:
        mark.bring_in(message, at=at)
    await matter.store()
    file = next(iter(await files_of(tx, [message])), None)
    tx.emit(MessageSent(message=message, file=file))


async def _take_from(matter: _Matter, other: Message) -> Mark:
    """Leave another one of ours in doubt again, for which the echo of this one was taken.

    Return what was said of it, which was said of this one.
    """
    mark = other.mark
    other.disown(MessageStatus.UNKNOWN, at=matter.at)
    await save_status(matter.tx, matter.chat, other)
    return mark


async def _give_back(matter: _Matter) -> None:
    """Keep the message that the phone sent, for which ours was taken, as one of its own."""
    tx, message = matter.tx, matter.message
    fields = {name: getattr(message, name) for name in MessageDraft.__struct_fields__}
    theirs = MessageDraft(**fields | {"actor": None})
    message.disown(MessageStatus.SENDING, at=matter.at)
    await tx.messages.save([message])
    (kept,) = await tx.messages.add([theirs], at=matter.at)
    if kept is not None:
        tx.emit(MessageReceived(chats=[], messages=[kept], files=await files_of(tx, [kept])))


async def _carry_out(matter: _Matter, item: OutboxItem) -> None:
    """Let happen here what the device did there: nobody tells it what it did itself."""
    tx, message, at = matter.tx, matter.message, matter.at
    match item.kind:
        case OutboxKind.EDIT if message.edit(item.text, at, at=at):
            await matter.store()
            tx.emit(MessageEdited(messages=[message], files=await files_of(tx, [message])))
        case OutboxKind.REVOKE if message.revoke(at, at=at):
            await matter.store()
            tx.emit(MessageRevoked(messages=[message]))
        case OutboxKind.REACT if matter.device.phone is not None:
            ours = Identity.of_phone(matter.device.phone)
            reaction = Reaction(
                chat_id=message.chat_id,
                wa_message_id=message.wa_message_id or "",
                sender=ours,
                emoji=item.text or "",
                at=at,
            )
            if changed := await tx.messages.react([reaction]):
                senders = [Sender(identity=ours, is_from_me=True)]
                tx.emit(ReactionChanged(reactions=changed, senders=senders))
        case _:
            pass
