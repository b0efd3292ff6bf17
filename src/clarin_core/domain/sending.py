"""What people ask to be said: commands that become messages and things to do."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from clarin_core.domain.command import Command, Phone
from clarin_core.domain.ids import ChatId, DeviceId, MediaId, MessageId
from clarin_core.domain.messages import Body
from clarin_core.errors import Invalid

OPTIONS_MIN, OPTIONS_MAX = 2, 12

Option = Annotated[str, Meta(min_length=1, max_length=100)]
Emoji = Annotated[str, Meta(max_length=64)]


class NewMessage(Command, frozen=True, kw_only=True):
    """Something to say: in a chat, or to a phone from a device.

    With `queue` false it is refused where the device is not connected right now.
    """

    chat_id: ChatId | UnsetType = UNSET
    device_id: DeviceId | UnsetType = UNSET
    to: Phone | UnsetType = UNSET
    body: Body | UnsetType = UNSET
    media_id: MediaId | UnsetType = UNSET
    quoted_message_id: MessageId | UnsetType = UNSET
    queue: bool = True

    def __post_init__(self) -> None:
        """Raise Invalid for a message to nobody, and for one that says nothing."""
        super().__post_init__()
        if self.chat_id is UNSET and (self.device_id is UNSET or self.to is UNSET):
            raise Invalid("chat_id", "or device_id and to are needed")
        if self.chat_id is not UNSET and not (self.device_id is UNSET and self.to is UNSET):
            raise Invalid("chat_id", "says both device and receiver, leave out device_id and to")
        if self.body is UNSET and self.media_id is UNSET:
            raise Invalid("body", "or media_id is needed")


class NewPoll(Command, frozen=True, kw_only=True):
    """A question with options (CH17)."""

    chat_id: ChatId
    question: Annotated[str, Meta(min_length=1, max_length=255)]
    options: Annotated[list[Option], Meta(min_length=OPTIONS_MIN, max_length=OPTIONS_MAX)]
    max_selections: Annotated[int, Meta(ge=1, le=OPTIONS_MAX)] = 1
    queue: bool = True

    def __post_init__(self) -> None:
        """Raise Invalid for options that are alike, and for more choices than options."""
        super().__post_init__()
        if len({option.strip() for option in self.options}) < len(self.options):
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


class Typing(Command, frozen=True, kw_only=True):
    """That somebody types in a chat, or stopped to."""

    chat_id: ChatId
    is_typing: bool = True
