"""What the events of the inbox add up to: the half of `events.replay` that is about messages."""

from msgspec import Struct, field
from msgspec.structs import replace

from clarin_core.domain.chats import Chat
from clarin_core.domain.devices import Device
from clarin_core.domain.ids import ChatId, DeviceId, MediaId, MessageId, QuickReplyId
from clarin_core.domain.inbox_events import (
    ChatDeleted,
    ChatOpened,
    ChatTagged,
    ChatUnited,
    ChatUntagged,
    ChatUpdated,
    DeviceCreated,
    DeviceDeleted,
    DeviceUpdated,
    InboxEvent,
    MediaChanged,
    MessageEdited,
    MessageQueued,
    MessageReceived,
    MessageRevoked,
    MessageSent,
    MessageStatusChanged,
    PollVoted,
    QuickReplyCreated,
    QuickReplyDeleted,
    QuickReplyUpdated,
    ReactionChanged,
)
from clarin_core.domain.media import Media
from clarin_core.domain.messages import Message
from clarin_core.domain.quick_replies import QuickReply
from clarin_core.domain.replies import ByWhom, Reaction, Reply, Vote, counting
from clarin_core.domain.tags import TagLink


class InboxState(Struct, kw_only=True):
    """Devices, chats and messages of one account; deleted chats included."""

    devices: dict[DeviceId, Device] = field(default_factory=dict)
    chats: dict[ChatId, Chat] = field(default_factory=dict)
    chat_tags: set[TagLink] = field(default_factory=set)
    messages: dict[MessageId, Message] = field(default_factory=dict)
    reactions: dict[ByWhom, Reaction] = field(default_factory=dict)
    votes: dict[ByWhom, Vote] = field(default_factory=dict)
    media: dict[MediaId, Media] = field(default_factory=dict)
    quick_replies: dict[QuickReplyId, QuickReply] = field(default_factory=dict)

    def apply(self, event: InboxEvent) -> None:
        """Be as it is after an event."""
        match event:
            case DeviceCreated() | DeviceUpdated():
                self.devices[event.device.id] = event.device
            case DeviceDeleted():
                del self.devices[event.device_id]
            case QuickReplyCreated() | QuickReplyUpdated():
                self.quick_replies[event.quick_reply.id] = event.quick_reply
            case QuickReplyDeleted():
                del self.quick_replies[event.quick_reply_id]
            case _:
                self._apply_chat(event)

    def _apply_chat(self, event: InboxEvent) -> None:
        match event:
            case ChatOpened() | ChatUpdated() | ChatDeleted():
                self.chats |= {chat.id: chat for chat in event.chats}
            case ChatTagged():
                self.chat_tags |= set(event.links)
            case ChatUntagged():
                self.chat_tags -= set(event.links)
            case ChatUnited():
                self._unite(event)
            case _:
                self._apply_message(event)

    def _apply_message(self, event: InboxEvent) -> None:
        match event:
            case MessageReceived():
                self.chats |= {chat.id: chat for chat in event.chats}
                self._put(event.messages)
            case MessageQueued():
                self.chats[event.chat.id] = event.chat
                self._put([event.message])
            case MessageSent():
                self._put([event.message])
            case MessageStatusChanged() | MessageEdited() | MessageRevoked():
                self._put(event.messages)
            case _:
                self._apply_reply(event)

    def _apply_reply(self, event: InboxEvent) -> None:
        match event:
            case ReactionChanged():
                for reaction in event.reactions:
                    self._react(reaction)
            case PollVoted():
                for vote in event.votes:
                    self.votes[vote.chat_id, vote.wa_message_id, vote.voter] = vote
            case MediaChanged():
                self.media[event.media.id] = event.media

    def _put(self, messages: list[Message]) -> None:
        self.messages |= {message.id: message for message in messages}

    def _react(self, reaction: Reaction) -> None:
        key = reaction.chat_id, reaction.wa_message_id, reaction.sender
        if reaction.emoji:
            self.reactions[key] = reaction
        else:
            self.reactions.pop(key, None)

    def _unite(self, event: ChatUnited) -> None:
        for message_id in event.dropped:
            del self.messages[message_id]
        for key, message in self.messages.items():
            if message.chat_id == event.gone:
                self.messages[key] = replace(message, chat_id=event.chat.id)
        self.reactions = counting(_moved(event, one) for one in self.reactions.values())
        self.votes = counting(_moved(event, one) for one in self.votes.values())
        self.chat_tags = {
            replace(link, target_id=event.chat.id) if link.target_id == event.gone else link
            for link in self.chat_tags
        }
        del self.chats[event.gone]
        self.chats[event.chat.id] = event.chat


def _moved(event: ChatUnited, reply: Reply) -> Reply:
    return replace(reply, chat_id=event.chat.id) if reply.chat_id == event.gone else reply
