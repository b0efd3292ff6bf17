"""Chats: one device's talk with one identity.

A chat is what its messages make of it: the preview is the greatest message (CH6), unread are the
inbound ones after the place up to which somebody has read (CH7). Both are kept with the chat,
because the inbox lists thousands, and are right whatever the order in which messages came.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from clarin_core.domain.command import Change, Command, Name, Phone
from clarin_core.domain.contacts import ContactView
from clarin_core.domain.entity import Perishable
from clarin_core.domain.ids import ChatId, ContactId, DeviceId, MessageId, TagId, UserId
from clarin_core.domain.jid import Identity
from clarin_core.domain.leads import LeadView, TagsMode
from clarin_core.domain.messages import Body, Message, Place, newest
from clarin_core.domain.paging import PageQuery, SearchText

DeviceIds = Annotated[frozenset[DeviceId], Meta(min_length=1, max_length=100)]
ChatTagIds = Annotated[frozenset[TagId], Meta(min_length=1, max_length=100)]

LEADS_SHOWN_MAX = 50
_NOTHING = {"last_message": None, "last_message_at": None, "last_message_id": None}


class ChatDraft(Struct, kw_only=True, omit_defaults=True):
    """Who talks to whom; unique by device and identity."""

    device_id: DeviceId
    identity: Identity
    contact_id: ContactId | None = None
    name: str | None = None


class Chat(ChatDraft, Perishable, kw_only=True, omit_defaults=True):
    """The entity.

    `cleared_up_to` hides what was there when the chat was deleted; a chat of which only receipts
    were heard is deleted from the beginning.
    """

    id: ChatId
    created_at: datetime
    updated_at: datetime
    version: int
    last_message: str | None = None
    last_message_at: datetime | None = None
    last_message_id: MessageId | None = None
    unread_count: int = 0
    read_up_to: Place | None = None
    cleared_up_to: Place | None = None
    is_archived: bool = False
    is_pinned: bool = False
    assigned_to: UserId | None = None
    deleted_at: datetime | None = None

    @property
    def active_at(self) -> datetime:
        """When something was last said, or it was opened: its place in the inbox."""
        return self.last_message_at or self.created_at

    @property
    def last_place(self) -> Place | None:
        """Where its preview stands."""
        if self.last_message_at is None or self.last_message_id is None:
            return None
        return Place(self.last_message_at, self.last_message_id)

    def take(self, messages: Sequence[Message], *, at: datetime) -> tuple[str, ...]:
        """Let some new messages count: they are unread, they show, they revive it (CH18)."""
        fresh = [message for message in messages if not self.hides(message.place)]
        values: dict[str, object] = {}
        if unread := sum(map(self.is_unread, fresh)):
            values |= {"unread_count": self.unread_count + unread}
        if fresh and self.deleted_at is not None:
            values |= {"deleted_at": None}
        return self.alter(values | self._shown(newest(fresh)), at=at)

    def is_unread(self, message: Message) -> bool:
        """Whether a message counts as unread."""
        is_after = self.read_up_to is None or message.place > self.read_up_to
        return message.counts_as_unread and is_after

    def hides(self, place: Place) -> bool:
        """Whether a message there was deleted with the chat."""
        return self.cleared_up_to is not None and place <= self.cleared_up_to

    def read(self, up_to: Place, *, at: datetime) -> bool:
        """Have been read up to a place, and say whether that is news; `show` counts anew."""
        if self.read_up_to is not None and up_to <= self.read_up_to:
            return False
        return bool(self.alter({"read_up_to": up_to}, at=at))

    def show(self, latest: Message | None, unread: int, *, at: datetime) -> tuple[str, ...]:
        """Show this message, the greatest there is now, and so many unread ones."""
        shown = _NOTHING if latest is None else _preview(latest)
        return self.alter(shown | {"unread_count": unread}, at=at)

    def clear(self, end: Place | None, *, at: datetime) -> None:
        """Be deleted, and come back like a new one: with nothing up to `end`, its last message."""
        hidden = max(filter(None, (end, self.cleared_up_to)), default=None)
        read = max(filter(None, (end, self.read_up_to)), default=None)
        values = {"cleared_up_to": hidden, "read_up_to": read, "unread_count": 0}
        place = {"deleted_at": at, "is_pinned": False, "is_archived": False}
        self.alter(values | _NOTHING | place, at=at)

    def _shown(self, latest: Message | None) -> dict[str, object]:
        if latest is None or (self.last_place is not None and latest.place < self.last_place):
            return {}
        return _preview(latest)


class ChatView(Chat, kw_only=True, omit_defaults=True):
    """A chat as it is read: with what people see of its contact, and its tags by name.

    `display_name` is the contact's (CT3), else the chat's own name, else whom it is with.
    """

    display_name: str | None = None
    avatar_url: str | None = None
    tags: list[str]
    tag_ids: list[TagId]


class ChatDetail(ChatView, kw_only=True, omit_defaults=True):
    """A chat by itself: also with its live contact, and with that one's newest live leads.

    All of them, should there be more than `LEADS_SHOWN_MAX`, are in the list of leads.
    """

    contact: ContactView | None = None
    leads: list[LeadView]


class NewChat(Command, frozen=True, kw_only=True):
    """A chat to be opened, or found, with a phone."""

    device_id: DeviceId
    phone: Phone
    initial_message: Body | UnsetType = UNSET


class ChatChange(Change, frozen=True, kw_only=True):
    """A partial update of a chat."""

    name: Name | UnsetType | None = UNSET
    is_archived: bool | UnsetType = UNSET
    is_pinned: bool | UnsetType = UNSET
    assigned_to: UserId | UnsetType | None = UNSET


class ChatRead(Command, frozen=True, kw_only=True):
    """Up to which message somebody has read, by default all."""

    up_to_message_id: MessageId | UnsetType = UNSET


class ChatQuery(PageQuery, frozen=True, kw_only=True):
    """The inbox: pinned ones first, then by their last message, newest first.

    A chat without messages counts as old as itself. `archived` shows only archived ones, and a
    search looks at a chat's name and phone, and at its contact as the list of contacts does.
    """

    device_ids: DeviceIds | UnsetType = UNSET
    tag_ids: ChatTagIds | UnsetType = UNSET
    tags_mode: TagsMode = TagsMode.ANY
    unread_only: bool = False
    archived: bool = False
    assigned_to: UserId | UnsetType = UNSET
    search: SearchText | UnsetType = UNSET


class ChatIds(Command, frozen=True, kw_only=True):
    """Some chats; doubles count once."""

    ids: Annotated[frozenset[ChatId], Meta(min_length=1, max_length=500)]


def jids_of(chats: Iterable[Chat]) -> dict[ChatId, str]:
    """Return the addresses of some chats."""
    return {chat.id: chat.identity.jid for chat in chats}


def _preview(message: Message) -> dict[str, object]:
    return {
        "last_message": message.preview,
        "last_message_at": message.sent_at,
        "last_message_id": message.id,
    }
