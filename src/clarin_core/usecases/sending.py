"""What the outbox has for a device, one thing after the other, whatever dies in between.

Each step is committed before the next: taken (`begin`), done on WhatsApp, told (`sent` and its
like). Whoever loses the lease in between tells nothing any more, and the next holder finds the
item at work (`recover`): what may be repeated is; of a message nobody knows, unless the adapter
delivers one id once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct

from clarin_core.domain.actor import Cause, Origin
from clarin_core.domain.chats import Chat
from clarin_core.domain.devices import DeviceLease
from clarin_core.domain.inbox_events import MessageReceived, MessageSent, MessageStatusChanged
from clarin_core.domain.messages import Message, MessageDraft, MessageStatus
from clarin_core.domain.outbox import OutboxItem, OutboxKind
from clarin_core.ports.messaging import SentAs
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction

WHATSAPP = Origin(cause=Cause.WHATSAPP)
_NOBODY_KNOWS = "nobody can say whether it was sent"


class Errand(Struct, frozen=True, kw_only=True):
    """Something to do on WhatsApp now; `message` is what it is about."""

    item: OutboxItem
    chat: Chat
    message: Message | None = None


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
        async with self.storage.begin(lease.key.account_id, WHATSAPP) as tx:
            await tx.devices.hold(lease.key.device_id, lease.token)
            item = await _next(tx, lease, at=at)
            if item is None:
                return None
            (chat,) = await tx.chats.get_many([item.chat_id])
            message = None if item.message_id is None else await tx.messages.get(item.message_id)
            item.begin(lease.token)
            await tx.outbox.save(item)
            if item.kind is OutboxKind.SEND and message is not None:
                message.wa_message_id = message.wa_message_id or wa_message_id
                message.hand_over(at=at)
                await tx.messages.save([message])
                tx.emit(MessageStatusChanged(messages=[message]))
        return Errand(item=item, chat=chat, message=message)

    async def done(self, lease: DeviceLease, item: OutboxItem, sent: SentAs | None) -> None:
        """Be done with an item; `sent` is how WhatsApp names a message."""

        async def end(tx: Transaction, message: Message, at: datetime) -> None:
            if sent is not None:
                await _settle(tx, message, sent, at=at)

        await self._end(lease, item, end)

    async def put_off(self, lease: DeviceLease, item: OutboxItem, reason: str) -> None:
        """Try later what surely did not reach the wire; the eighth time is the last."""
        at = self.clock()
        if not item.put_off(at):
            return await self.fail(lease, item, reason)
        async with self.storage.begin(lease.key.account_id, WHATSAPP) as tx:
            await tx.devices.hold(lease.key.device_id, lease.token)
            await _wait_again(tx, item, at=at)
        return None

    async def fail(self, lease: DeviceLease, item: OutboxItem, reason: str) -> None:
        """Give up what WhatsApp refuses."""
        await self._end(lease, item, _ending(MessageStatus.FAILED, reason))

    async def lose(self, lease: DeviceLease, item: OutboxItem) -> None:
        """Leave it to an echo, or to a person, to say what became of it."""
        await self._end(lease, item, _ending(MessageStatus.UNKNOWN, _NOBODY_KNOWS))

    async def recover(self, lease: DeviceLease, *, honours_ids: bool) -> None:
        """Settle what another holder of the device had begun and not ended."""
        at = self.clock()
        async with self.storage.begin(lease.key.account_id, WHATSAPP) as tx:
            await tx.devices.hold(lease.key.device_id, lease.token)
            for item in await tx.outbox.at_work(lease.key.device_id):
                if item.kind is not OutboxKind.SEND or honours_ids:
                    item.token = None
                    await _wait_again(tx, item, at=at)
                else:
                    await _finish(tx, item, _ending(MessageStatus.UNKNOWN, _NOBODY_KNOWS), at)

    async def _end(self, lease: DeviceLease, item: OutboxItem, ending: "_Ending") -> None:
        async with self.storage.begin(lease.key.account_id, WHATSAPP) as tx:
            await tx.devices.hold(lease.key.device_id, lease.token)
            await _finish(tx, item, ending, self.clock())


async def _next(tx: Transaction, lease: DeviceLease, *, at: datetime) -> OutboxItem | None:
    """Return what is due and still worth doing."""
    while item := await tx.outbox.next(lease.key.device_id, at=at):
        if item.expires_at is None or item.expires_at > at:
            return item
        await tx.outbox.remove(item)
    return None


_Ending = Callable[[Transaction, Message, datetime], Awaitable[None]]


def _ending(status: MessageStatus, reason: str) -> _Ending:
    async def end(tx: Transaction, message: Message, at: datetime) -> None:
        before = message.version
        message.end(status, reason, at=at)
        if message.version > before:
            await tx.messages.save([message])
            tx.emit(MessageStatusChanged(messages=[message]))

    return end


async def _finish(tx: Transaction, item: OutboxItem, ending: _Ending, at: datetime) -> None:
    if item.kind is OutboxKind.SEND and item.message_id is not None:
        await ending(tx, await tx.messages.get(item.message_id), at)
    await tx.outbox.remove(item)


async def _wait_again(tx: Transaction, item: OutboxItem, *, at: datetime) -> None:
    await tx.outbox.save(item)
    if item.kind is OutboxKind.SEND and item.message_id is not None:
        message = await tx.messages.get(item.message_id)
        if message.status is MessageStatus.SENDING:
            message.alter({"status": MessageStatus.QUEUED}, at=at)
            await tx.messages.save([message])
            tx.emit(MessageStatusChanged(messages=[message]))


async def _settle(tx: Transaction, message: Message, sent: SentAs, *, at: datetime) -> None:
    """Give a message its name at WhatsApp, and what was said of that name before.

    An echo may have taken it for another one that said the same: that one is its own again.
    """
    key = message.chat_id, sent.wa_message_id
    if message.wa_message_id not in (None, sent.wa_message_id):
        await _give_back(tx, message, at=at)
    message.settle(sent.wa_message_id, sent.at, at=at)
    if mark := (await tx.messages.take_marks([key])).get(key):
        mark.bring_in(message, at=at)
    await tx.messages.save([message])
    tx.emit(MessageSent(message=message))


async def _give_back(tx: Transaction, message: Message, *, at: datetime) -> None:
    """Keep the message that the phone sent, for which ours was taken, as one of its own."""
    fields = {name: getattr(message, name) for name in MessageDraft.__struct_fields__}
    theirs = MessageDraft(**fields | {"actor": None})
    message.wa_message_id = None
    await tx.messages.save([message])
    (kept,) = await tx.messages.add([theirs], at=at)
    if kept is not None:
        tx.emit(MessageReceived(chats=[], messages=[kept]))
