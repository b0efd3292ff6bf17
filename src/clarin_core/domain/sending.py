"""What people ask to be said, and what may still be done to what was said.

A message that waits is ours alone: it can be said otherwise, or not at all, as long as nobody
began to send it. Once WhatsApp has it, WhatsApp is asked. In between, nobody knows.
"""

from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import force_setattr

from clarin_core.domain.chats import Chat
from clarin_core.domain.command import Command, Phone
from clarin_core.domain.ids import ChatId, DeviceId, MediaId, MessageId, UserId
from clarin_core.domain.media import Attachment, FileUrl, MediaState, MediaType
from clarin_core.domain.messages import (
    Body,
    Direction,
    Message,
    MessageDraft,
    MessageKind,
    MessageStatus,
    MessageView,
    Quoted,
    wrong_state,
)
from clarin_core.domain.replies import PollResult
from clarin_core.domain.text import clean_text
from clarin_core.errors import Invalid

QUOTE_MAX = 1_000
TYPING_COUNTS = timedelta(seconds=10)
OPTIONS_MIN, OPTIONS_MAX = 2, 12

_OF_FILES = {
    MediaType.IMAGE: MessageKind.IMAGE,
    MediaType.VIDEO: MessageKind.VIDEO,
    MediaType.AUDIO: MessageKind.AUDIO,
    MediaType.DOCUMENT: MessageKind.DOCUMENT,
    MediaType.STICKER: MessageKind.STICKER,
}
_WITH_TEXT = (MessageKind.TEXT, MessageKind.IMAGE, MessageKind.VIDEO, MessageKind.DOCUMENT)
_NOBODYS_WORDS = (MessageKind.SYSTEM, MessageKind.UNKNOWN)
_WAITS = (MessageStatus.QUEUED, MessageStatus.FAILED)
_NOT_SURELY_SENT = (*_WAITS, MessageStatus.SENDING, MessageStatus.UNKNOWN)
_CONTENT = ("kind", "body", "media_id", "location", "cards", "poll")

OPTION_MAX = 100
Option = Annotated[str, Meta(min_length=1, max_length=OPTION_MAX)]
Emoji = Annotated[str, Meta(max_length=64)]


class NewMessage(Command, frozen=True, kw_only=True):
    """Something to say: in a chat, or to a phone from a device.

    A file is one that was uploaded (`media_id`), or one that is fetched from the web first
    (`media_url`, sent as `media_type` or as what it is). With `queue` false the message is refused
    where the device is not connected right now.
    """

    chat_id: ChatId | UnsetType = UNSET
    device_id: DeviceId | UnsetType = UNSET
    to: Phone | UnsetType = UNSET
    body: Body | UnsetType = UNSET
    media_id: MediaId | UnsetType = UNSET
    media_url: FileUrl | UnsetType = UNSET
    media_type: MediaType | UnsetType = UNSET
    quoted_message_id: MessageId | UnsetType = UNSET
    queue: bool = True

    def __post_init__(self) -> None:
        """Raise Invalid for a message to nobody, and for one that says nothing."""
        super().__post_init__()
        if self.chat_id is UNSET and (self.device_id is UNSET or self.to is UNSET):
            raise Invalid("chat_id", "or device_id and to are needed")
        if self.chat_id is not UNSET and not (self.device_id is UNSET and self.to is UNSET):
            raise Invalid("chat_id", "says both device and receiver, leave out device_id and to")
        self._check_file()
        if self.body is UNSET and self.media_id is UNSET and self.media_url is UNSET:
            raise Invalid("body", "or media_id or media_url is needed")

    @property
    def takes_long(self) -> bool:
        """Whether a file is to be fetched first."""
        return self.media_url is not UNSET

    def _check_file(self) -> None:
        if self.media_url is not UNSET and self.media_id is not UNSET:
            raise Invalid("media_url", "and media_id are two files, leave one out")
        if self.media_url is UNSET and self.media_type is not UNSET:
            raise Invalid("media_type", "says as what a media_url is sent")


def _kept_option(raw: str) -> str:
    return clean_text("options", raw, shortest=1, longest=OPTION_MAX, lines=False)


class NewPoll(Command, frozen=True, kw_only=True):
    """A question with options (CH17)."""

    chat_id: ChatId
    question: Annotated[str, Meta(min_length=1, max_length=255)]
    options: Annotated[list[Option], Meta(min_length=OPTIONS_MIN, max_length=OPTIONS_MAX)]
    max_selections: Annotated[int, Meta(ge=1, le=OPTIONS_MAX)] = 1
    queue: bool = True

    def __post_init__(self) -> None:
        """Put the options in their kept form; raises Invalid for what no poll can be."""
        super().__post_init__()
        force_setattr(self, "options", [*map(_kept_option, self.options)])
        if len(set(self.options)) < len(self.options):
            raise Invalid("options", "must differ")
        if self.max_selections > len(self.options):
            raise Invalid("max_selections", "is more than there are options")


class Forward(Command, frozen=True, kw_only=True):
    """A message that is to be said again elsewhere."""

    message_id: MessageId
    chat_ids: Annotated[frozenset[ChatId], Meta(min_length=1, max_length=20)]
    queue: bool = True


class NewReaction(Command, frozen=True, kw_only=True):
    """What the account feels about a message; an empty `emoji` takes it back."""

    message_id: MessageId
    emoji: Emoji


class MessageEdit(Command, frozen=True, kw_only=True):
    """What an own message says from now on."""

    message_id: MessageId
    body: Body


class MessageChoice(Command, frozen=True, kw_only=True):
    """One message."""

    message_id: MessageId


class TypingState(Enum):
    """What somebody at the keyboard does."""

    COMPOSING = "composing"
    PAUSED = "paused"


class Typing(Command, frozen=True, kw_only=True):
    """That somebody types in a chat, or stopped to."""

    chat_id: ChatId
    state: TypingState = TypingState.COMPOSING


def spoken(chat: Chat, by: UserId, *, at: datetime) -> MessageDraft:
    """Return a message that somebody of the account says in a chat; what it says is to come."""
    return MessageDraft(
        chat_id=chat.id,
        device_id=chat.device_id,
        direction=Direction.OUT,
        kind=MessageKind.TEXT,
        status=MessageStatus.QUEUED,
        sent_at=at,
        actor=by,
    )


def kind_of(file: Attachment | None, body: str | None) -> MessageKind:
    """Return of what kind a message is; raises Invalid for what WhatsApp could not show."""
    if file is None:
        return MessageKind.TEXT
    require_stored(file, "media_id")
    kind = _OF_FILES[file.type]
    if body is not None and kind not in _WITH_TEXT:
        raise Invalid("body", f"cannot be said with a file of type {file.type.value}")
    return kind


def require_stored(file: Attachment, field: str) -> None:
    """Raise Invalid unless the file's bytes are here."""
    if file.state is not MediaState.STORED:
        raise Invalid(field, "has a file that is not here (yet)")


def quote(said: MessageView, chat_id: ChatId) -> Quoted:
    """Return what is answered, as it is kept (CH14); raises Invalid for what cannot be."""
    field = "quoted_message_id"
    if said.chat_id != chat_id:
        raise Invalid(field, "is a message of another chat")
    if said.wa_message_id is None or not is_on_whatsapp(said) or said.revoked_at is not None:
        raise Invalid(field, "is not a message that WhatsApp has")
    body = None if said.body is None else said.body[:QUOTE_MAX]
    return Quoted(wa_message_id=said.wa_message_id, body=body, sender=said.sender)


def forward(said: MessageView, draft: MessageDraft) -> MessageDraft:
    """Let `draft` say what was said elsewhere; raises Invalid for what nobody said, or unsaid.

    A poll begins anew: votes are about the message that they were given for.
    """
    field = "message_id"
    if said.kind in _NOBODYS_WORDS or said.revoked_at is not None:
        raise Invalid(field, "cannot be forwarded")
    if said.media is not None:
        require_stored(said.media, field)
    elif said.kind in _OF_FILES.values():
        raise Invalid(field, "has lost its file")
    for name in _CONTENT:
        setattr(draft, name, getattr(said, name))
    return draft


def is_on_whatsapp(message: Message) -> bool:
    """Return whether WhatsApp surely has it: only then can it be answered, or be changed there."""
    return message.wa_message_id is not None and message.status not in _NOT_SURELY_SENT


def require_own(message: Message) -> None:
    """Raise Invalid for what somebody else said."""
    if message.direction is not Direction.OUT:
        raise Invalid("message_id", "is not an own message")


def require_text(message: Message) -> None:
    """Raise Invalid for what has no text that could be another one."""
    if message.kind not in _WITH_TEXT:
        raise Invalid("message_id", f"has no text: its kind is {message.kind.value}")


def reword(message: Message, body: str, *, at: datetime) -> None:
    """Let it say something else, which nobody will know; raises Conflict if it may be sent."""
    if message.status not in _WAITS or message.revoked_at is not None:
        raise wrong_state(message)
    message.alter({"body": body}, at=at)


def call_off(message: Message, *, at: datetime) -> None:
    """Let it never be sent, and hide it; raises Conflict if it may be sent."""
    if message.status not in _WAITS:
        raise wrong_state(message)
    reason = message.error or "called off"
    failed = {"status": MessageStatus.FAILED, "error": reason}
    message.alter(failed | {"revoked_at": at}, at=at)


def newborn(message: Message, file: Attachment | None) -> MessageView:
    """Return how a message is read that nobody has answered yet."""
    values = {name: getattr(message, name) for name in Message.__struct_fields__}
    options = message.poll.options if message.poll else []
    results = [PollResult(option=option, votes=0) for option in options]
    return MessageView(**values, media=file, results=results)
