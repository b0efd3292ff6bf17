"""What happened in the inbox: to devices, chats and messages.

Whoever tells what a message says tells of its file, too: `file` or `files`.
"""

from collections.abc import Iterable, Sequence

from msgspec import field

from clarin_core.domain.chats import Chat
from clarin_core.domain.devices import Device, PairingCode
from clarin_core.domain.event_base import DomainEvent
from clarin_core.domain.ids import ChatId, DeviceId, MessageId, QuickReplyId
from clarin_core.domain.media import Attachment, Media
from clarin_core.domain.messages import Message
from clarin_core.domain.quick_replies import QuickReply
from clarin_core.domain.replies import PollCount, Reaction, Sender, Vote
from clarin_core.domain.tags import TagLink


class DeviceCreated(DomainEvent, frozen=True, kw_only=True, tag="device.created"):
    """A new device."""

    device: Device


class DeviceUpdated(DomainEvent, frozen=True, kw_only=True, tag="device.updated"):
    """A device with other values; `changed` names fields, often the status."""

    device: Device
    changed: list[str]


class DeviceDeleted(DomainEvent, frozen=True, kw_only=True, tag="device.deleted"):
    """A device that is gone."""

    device_id: DeviceId


class DeviceCodeShown(DomainEvent, frozen=True, kw_only=True, tag="device.code_shown"):
    """A code that links a phone while it is fresh: for administrators only."""

    code: PairingCode


class ContactsSynced(DomainEvent, frozen=True, kw_only=True, tag="device.contacts_synced"):
    """The names of so many people in a device's phone are known now."""

    device_id: DeviceId
    count: int


class ChatOpened(DomainEvent, frozen=True, kw_only=True, tag="chat.opened"):
    """New chats."""

    chats: list[Chat]


class ChatUpdated(DomainEvent, frozen=True, kw_only=True, tag="chat.updated"):
    """Chats with other values."""

    chats: list[Chat]
    changed: list[str]


class ChatDeleted(DomainEvent, frozen=True, kw_only=True, tag="chat.deleted"):
    """Hidden chats."""

    chats: list[Chat]


class ChatTagged(DomainEvent, frozen=True, kw_only=True, tag="chat.tagged"):
    """Tags put on chats."""

    links: list[TagLink]


class ChatUntagged(DomainEvent, frozen=True, kw_only=True, tag="chat.untagged"):
    """Tags taken off chats."""

    links: list[TagLink]


class ChatUnited(DomainEvent, frozen=True, kw_only=True, tag="chat.united"):
    """A chat that has the messages of another one now, but for those that both had (CT7)."""

    chat: Chat
    gone: ChatId
    dropped: list[MessageId]


class MessageReceived(DomainEvent, frozen=True, kw_only=True, tag="message.received"):
    """New messages from WhatsApp, own ones from the phone included, and their chats after."""

    chats: list[Chat]
    messages: list[Message]
    files: list[Attachment] = field(default_factory=list)


class MessageQueued(DomainEvent, frozen=True, kw_only=True, tag="message.queued"):
    """A message that waits to be sent, and its chat after."""

    chat: Chat
    message: Message
    file: Attachment | None = None


class MessageSent(DomainEvent, frozen=True, kw_only=True, tag="message.sent"):
    """A message that WhatsApp has."""

    message: Message
    file: Attachment | None = None


class MessageStatusChanged(DomainEvent, frozen=True, kw_only=True, tag="message.status_changed"):
    """Messages that came further, or came to nothing; `jids` are the addresses of their chats."""

    messages: list[Message]
    jids: dict[ChatId, str] = field(default_factory=dict)


class MessageEdited(DomainEvent, frozen=True, kw_only=True, tag="message.edited"):
    """Messages that say something else."""

    messages: list[Message]
    files: list[Attachment] = field(default_factory=list)


class MessageRevoked(DomainEvent, frozen=True, kw_only=True, tag="message.revoked"):
    """Messages that were taken back."""

    messages: list[Message]


class ReactionChanged(DomainEvent, frozen=True, kw_only=True, tag="reaction.changed"):
    """Reactions as they are now; an empty emoji took one back. `senders` are who spoke."""

    reactions: list[Reaction]
    senders: list[Sender] = field(default_factory=list)


class PollVoted(DomainEvent, frozen=True, kw_only=True, tag="poll.voted"):
    """Votes as they are now, and what their polls add up to, as far as these are there."""

    votes: list[Vote]
    polls: list[PollCount] = field(default_factory=list)


class MediaChanged(DomainEvent, frozen=True, kw_only=True, tag="media.changed"):
    """A file that can be had now, or never will be."""

    media: Media


class QuickReplyCreated(DomainEvent, frozen=True, kw_only=True, tag="quick_reply.created"):
    """A new quick reply."""

    quick_reply: QuickReply


class QuickReplyUpdated(DomainEvent, frozen=True, kw_only=True, tag="quick_reply.updated"):
    """A quick reply with other values."""

    quick_reply: QuickReply


class QuickReplyDeleted(DomainEvent, frozen=True, kw_only=True, tag="quick_reply.deleted"):
    """A quick reply that is gone."""

    quick_reply_id: QuickReplyId


InboxEvent = (
    DeviceCreated | DeviceUpdated | DeviceDeleted | DeviceCodeShown | ContactsSynced
    | ChatOpened | ChatUpdated | ChatDeleted | ChatTagged | ChatUntagged | ChatUnited
    | MessageReceived | MessageQueued | MessageSent | MessageStatusChanged
    | MessageEdited | MessageRevoked | ReactionChanged | PollVoted | MediaChanged
    | QuickReplyCreated | QuickReplyUpdated | QuickReplyDeleted
)  # fmt: skip


def status_changed(messages: Sequence[Message], chats: Iterable[Chat]) -> MessageStatusChanged:
    """Return the event of messages that came further, or came to nothing, in some chats."""
    jids = {chat.id: chat.identity.jid for chat in chats}
    named = {one.chat_id: jids[one.chat_id] for one in messages if one.chat_id in jids}
    return MessageStatusChanged(messages=list(messages), jids=named)
