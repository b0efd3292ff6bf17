"""What happened in the inbox: to devices, chats and messages."""

from clarin_core.domain.chats import Chat
from clarin_core.domain.devices import Device, PairingCode
from clarin_core.domain.event_base import DomainEvent
from clarin_core.domain.ids import ChatId, DeviceId, MessageId, QuickReplyId
from clarin_core.domain.media import Media
from clarin_core.domain.messages import Message, Reaction, Vote
from clarin_core.domain.quick_replies import QuickReply
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


class MessageQueued(DomainEvent, frozen=True, kw_only=True, tag="message.queued"):
    """A message that waits to be sent, and its chat after."""

    chat: Chat
    message: Message


class MessageSent(DomainEvent, frozen=True, kw_only=True, tag="message.sent"):
    """A message that WhatsApp has."""

    message: Message


class MessageStatusChanged(DomainEvent, frozen=True, kw_only=True, tag="message.status_changed"):
    """Messages that came further, or came to nothing."""

    messages: list[Message]


class MessageEdited(DomainEvent, frozen=True, kw_only=True, tag="message.edited"):
    """Messages that say something else."""

    messages: list[Message]


class MessageRevoked(DomainEvent, frozen=True, kw_only=True, tag="message.revoked"):
    """Messages that were taken back."""

    messages: list[Message]


class ReactionChanged(DomainEvent, frozen=True, kw_only=True, tag="reaction.changed"):
    """Reactions as they are now; an empty emoji took one back."""

    reactions: list[Reaction]


class PollVoted(DomainEvent, frozen=True, kw_only=True, tag="poll.voted"):
    """Votes as they are now."""

    votes: list[Vote]


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
    DeviceCreated | DeviceUpdated | DeviceDeleted | DeviceCodeShown
    | ChatOpened | ChatUpdated | ChatDeleted | ChatTagged | ChatUntagged | ChatUnited
    | MessageReceived | MessageQueued | MessageSent | MessageStatusChanged
    | MessageEdited | MessageRevoked | ReactionChanged | PollVoted | MediaChanged
    | QuickReplyCreated | QuickReplyUpdated | QuickReplyDeleted
)  # fmt: skip
