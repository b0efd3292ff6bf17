"""The stores of one account's inbox, inside a transaction; the laws of `stores` hold for them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from clarin_core.domain.chats import Chat, ChatDraft
from clarin_core.domain.devices import Device, NewDevice
from clarin_core.domain.ids import ChatId, ContactId, DeviceId, MediaId, MessageId, QuickReplyId
from clarin_core.domain.jid import Identity
from clarin_core.domain.media import Attachment, Media, MediaDraft
from clarin_core.domain.messages import (
    Mark,
    Message,
    MessageDraft,
    Place,
)
from clarin_core.domain.outbox import OutboxDraft, OutboxItem
from clarin_core.domain.quick_replies import NewQuickReply, QuickReply
from clarin_core.domain.replies import (
    Reaction,
    Vote,
)

WaKey = tuple[ChatId, str]
"""What names a message to WhatsApp: its id is unique in its chat only."""


class Tally(NamedTuple):
    """What a chat has to show: its greatest message that was not revoked, and how many wait.

    The message is there to be looked at: it is not locked.
    """

    latest: Message | None
    unread: int


class DeviceStore(Protocol):
    """The devices of one account."""

    async def get(self, device_id: DeviceId) -> Device:
        """Return a device, locked; raises NotFound."""
        ...

    async def hold(self, device_id: DeviceId, token: int) -> Device:
        """Return a device for whoever has its lease, locked.

        Raises NotFound, and Conflict `lease_lost` unless `token` is that of the last lease: then
        nothing may be written in its name any more. Who would take the lease over waits until the
        end.
        """
        ...

    async def count(self) -> int:
        """Return how many devices there are; who counts them, too, waits until the end."""
        ...

    async def add(self, new: NewDevice, *, at: datetime) -> Device:
        """Store a new device."""
        ...

    async def save(self, device: Device) -> None:
        """Store a changed device.

        Raises Conflict `duplicate_device` with the id when another one has the same `jid`.
        """
        ...

    async def remove(self, device_id: DeviceId) -> None:
        """Remove a device; raises Conflict `has_chats` when it has any."""
        ...

    async def set_aside(
        self, device_id: DeviceId, heard: bytes, reason: str, *, at: datetime
    ) -> None:
        """Keep what a device heard and nobody could store; raises NotFound for the device."""
        ...

    async def take_aside(self, device_id: DeviceId, *, skip: int) -> bytes | None:
        """Remove and return the oldest thing that was set aside, after so many older ones."""
        ...


class ChatStore(Protocol):
    """The chats of one account."""

    async def get(self, chat_id: ChatId, *, deleted: bool = False) -> Chat:
        """Return a live chat (a deleted one when asked), locked; raises NotFound."""
        ...

    async def get_many(self, chat_ids: Collection[ChatId]) -> list[Chat]:
        """Return chats, deleted ones included, locked, by id; unknown ones are left out."""
        ...

    async def claim(self, drafts: Sequence[ChatDraft], *, at: datetime) -> list[tuple[Chat, bool]]:
        """Return each draft's chat, locked, in the order given, and whether it is new.

        A draft gets the chat of its device and identity, a deleted one, too, as it is; drafts
        of one device and identity get one chat (new for the first). Two transactions that claim
        one at the same time get one chat. Raises NotFound for a device or contact that is not
        there.
        """
        ...

    async def of_contacts(self, contact_ids: Collection[ContactId]) -> list[Chat]:
        """Return the chats of some contacts, deleted ones included, locked, by id."""
        ...

    async def of_identities(self, identities: Collection[Identity]) -> list[Chat]:
        """Return the chats of some identities on any device, like `of_contacts`."""
        ...

    async def save(self, chats: Sequence[Chat]) -> None:
        """Store changed chats that this transaction got.

        Raises Conflict `duplicate_chat` with the id when another one, a deleted one, too, has
        the device and identity; NotFound for a chat, or what it points to, that is not there.
        """
        ...

    async def unite(self, survivor: ChatId, gone: ChatId) -> list[MessageId]:
        """Give a chat all that another one has, tags included, and remove that one (CT7).

        Messages that both have by WhatsApp's id are dropped from the other, with what was still
        to be done for them, and leave a mark of what became of them; return those, by id.
        Of reactions and votes on one thing by one sender that stays which `react` and `vote`
        would keep; marks of one thing are joined.
        What the chats themselves say stays as it is: `tally` counts anew what is to be shown.
        Raises NotFound.
        """
        ...


class MessageStore(Protocol):
    """The messages of one account, and what was said of them."""

    async def get(self, message_id: MessageId) -> Message:
        """Return a message, locked; raises NotFound."""
        ...

    async def by_wa(self, keys: Collection[WaKey]) -> dict[WaKey, Message]:
        """Return the messages that WhatsApp names so, locked."""
        ...

    async def unsettled(self, chat_ids: Collection[ChatId]) -> list[Message]:
        """Return the messages that are sending or of unknown outcome, locked, by id."""
        ...

    async def add(self, drafts: Sequence[MessageDraft], *, at: datetime) -> list[Message | None]:
        """Store messages, and return them in the order given, ids in that order, too.

        None for one that the chat has by WhatsApp's id already, or that came twice: nothing was
        stored for it (CH4). Their chats are locked, so that two transactions which bring one
        message at the same time wait for each other. Raises NotFound for a chat, device or
        file that is not there.
        """
        ...

    async def save(self, messages: Sequence[Message]) -> None:
        """Store changed messages that this transaction got.

        Raises Conflict `duplicate_message` with the id when the chat has another one by
        WhatsApp's id; NotFound for a message, or what it points to, that is not there.
        """
        ...

    async def remove(self, message_ids: Collection[MessageId]) -> None:
        """Remove messages, and what was still to be done for them; what was said of them stays."""
        ...

    async def tally(self, chats: Collection[Chat]) -> dict[ChatId, Tally]:
        """Count anew what some chats have to show (CH6, CH7).

        Where they were read and cleared counts as the given chats say, stored yet or not.
        """
        ...

    async def ends(self, chat_ids: Collection[ChatId]) -> dict[ChatId, Place]:
        """Return where the greatest message of each chat stands, revoked or not.

        A chat without messages is left out.
        """
        ...

    async def unread(self, chat: Chat, up_to: Place, *, limit: int) -> list[str]:
        """Return WhatsApp's ids of a chat's unread messages up to a place, the newest first.

        At most `limit`. Where it was read and cleared counts as the given chat says, as in `tally`.
        """
        ...

    async def take_marks(self, keys: Collection[WaKey]) -> dict[WaKey, Mark]:
        """Remove and return what was said of messages before they came, as far as there is."""
        ...

    async def take_ripe_marks(self, chat_id: ChatId) -> list[Mark]:
        """Remove and return the marks of a chat whose message is there, by WhatsApp's id.

        There are some only after a union: one chat had the mark, the other one the message.
        """
        ...

    async def put_marks(self, marks: Collection[Mark], *, at: datetime) -> None:
        """Keep what was said of messages that are not there; replaces what was kept before.

        Of several for one message the last counts. Raises NotFound for a chat.
        """
        ...

    async def react(self, reactions: Sequence[Reaction]) -> list[Reaction]:
        """Keep reactions, and return those that changed something, in the order given (CH15).

        One for each message and sender: the later time wins, of equal times the greater emoji,
        whatever the order in which they come; also one that took a reaction back. Those that
        lose against another one of the same call change nothing. Raises NotFound for a chat.
        """
        ...

    async def vote(self, votes: Sequence[Vote]) -> list[Vote]:
        """Keep votes like reactions, of equal times the greater options."""
        ...

    async def votes(self, keys: Collection[WaKey]) -> list[Vote]:
        """Return the votes that count on some messages, those of one in the order of voters."""
        ...


class MediaStore(Protocol):
    """What is known of the files of one account."""

    async def get(self, media_id: MediaId) -> Media:
        """Return a file, locked; raises NotFound."""
        ...

    async def next(self, device_id: DeviceId, *, at: datetime) -> Media | None:
        """Return what a device fetches next, locked: what is due for the longest, then by id."""
        ...

    async def unused(self, media_ids: Collection[MediaId]) -> list[Media]:
        """Return those of some files that no message has, locked, by id.

        Who gives one of them to a message waits, or was waited for.
        """
        ...

    async def seen(self, media_ids: Collection[MediaId]) -> list[Attachment]:
        """Return some files as messages show them, by id; unknown ones are left out.

        They are there to be told of: they are not locked.
        """
        ...

    async def add(self, drafts: Sequence[MediaDraft], *, at: datetime) -> list[Media]:
        """Store files, and return them in the order given, ids in that order, too.

        They are due at once. Raises NotFound for a device that is not there.
        """
        ...

    async def save(self, media: Media) -> None:
        """Store a changed file; raises NotFound for it, or for a device, that is not there."""
        ...

    async def remove(self, media_id: MediaId) -> None:
        """Forget a file; one that is not there is forgotten.

        Raises Conflict `in_use` for one that a message has.
        """
        ...


class OutboxStore(Protocol):
    """What the devices of one account still have to do.

    Whoever takes from a device's outbox holds the device, and so needs no lock of an item.
    """

    async def add(self, drafts: Sequence[OutboxDraft], *, at: datetime) -> list[OutboxItem]:
        """Store things to do, and return them in the order given, ids in that order, too.

        They are due at once. Raises NotFound for a device, chat or message that is not there.
        """
        ...

    async def next(self, device_id: DeviceId, *, at: datetime) -> OutboxItem | None:
        """Return what a device does next: the oldest item that is due.

        An item that waits, or is at work, holds up the later ones of its chat and no others.
        """
        ...

    async def at_work(self, device_id: DeviceId) -> list[OutboxItem]:
        """Return what was begun and not ended, oldest first."""
        ...

    async def of_message(self, message_id: MessageId) -> list[OutboxItem]:
        """Return what is still to be done about a message, locked, oldest first."""
        ...

    async def save(self, item: OutboxItem) -> None:
        """Store how far an item is: its tries, doubts, token, and when it is due next.

        What it is about stays as it is there: only a union changes that. Raises NotFound.
        """
        ...

    async def remove(self, item: OutboxItem) -> None:
        """Be done with it; one that is not there is done with."""
        ...


class QuickReplyStore(Protocol):
    """The quick replies of one account."""

    async def get(self, quick_reply_id: QuickReplyId) -> QuickReply:
        """Return a quick reply, locked; raises NotFound."""
        ...

    async def add(self, new: NewQuickReply, *, at: datetime) -> QuickReply:
        """Store a quick reply; raises Conflict `shortcut_exists` with the id of the other."""
        ...

    async def save(self, quick_reply: QuickReply) -> None:
        """Store a changed one; raises Conflict `shortcut_exists` with the id."""
        ...

    async def remove(self, quick_reply_id: QuickReplyId) -> None:
        """Remove a quick reply."""
        ...
