"""Messages: what was said in a chat, in which order, and what became of it since.

WhatsApp tells things twice, late, and in any order. So whatever it says of a message that is
there already is merged by a rule that does not care about order: a status rises, the latest edit
wins, a revocation stays. What it says of a message that is not there yet is kept as a `Mark`,
which obeys the same rules, and is brought in when the message comes.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from clarin_core.domain.entity import Living
from clarin_core.domain.ids import ChatId, DeviceId, MediaId, MessageId, UserId
from clarin_core.domain.jid import Identity
from clarin_core.domain.media import Attachment
from clarin_core.domain.paging import PageQuery, SearchText
from clarin_core.domain.replies import PollResult, Reaction
from clarin_core.errors import Conflict

BODY_MAX = 65_536
PREVIEW_MAX = 200
AHEAD_MAX = timedelta(minutes=5)
_EDITS_KEPT = 20

Body = Annotated[str, Meta(min_length=1, max_length=BODY_MAX, extra={"lines": True})]


class Direction(Enum):
    """Who spoke: the other side, or the account (from here or from the phone)."""

    IN = "in"
    OUT = "out"


class MessageKind(Enum):
    """What a message is made of."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACT = "contact"
    POLL = "poll"
    SYSTEM = "system"
    UNKNOWN = "unknown"


class MessageStatus(Enum):
    """How far a message has come.

    An inbound one is `received` and stays so. An outbound one waits (`queued`), is handed over
    (`sending`) and then rises from `sent` to `played`. It ends as `failed` when it surely never
    left, and as `unknown` when nobody can say: an echo, a receipt or a person settles that.
    """

    RECEIVED = "received"
    QUEUED = "queued"
    SENDING = "sending"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    PLAYED = "played"


_RISING = (
    MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.PLAYED,
)  # fmt: skip
UNSETTLED = (MessageStatus.SENDING, MessageStatus.UNKNOWN)
_REPEATABLE = (MessageStatus.FAILED, MessageStatus.UNKNOWN)


class Place(NamedTuple):
    """Where a message stands in its chat (CH5): the sender's time, then the order of arrival."""

    at: datetime
    id: MessageId


class Quoted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message answers, as it was then."""

    wa_message_id: str
    body: str | None = None
    sender: Identity | None = None


class Location(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place on earth, in degrees."""

    latitude: float
    longitude: float
    name: str | None = None


class Card(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody's address card."""

    name: str
    vcard: str


class Poll(Struct, frozen=True, kw_only=True):
    """A question with options, of which so many may be chosen."""

    options: list[str]
    selectable: int


class PastBody(Struct, frozen=True, kw_only=True):
    """What a message said until an edit."""

    body: str | None
    until: datetime


class MessageDraft(Struct, kw_only=True, omit_defaults=True):
    """What a message says, and where it belongs."""

    chat_id: ChatId
    device_id: DeviceId
    wa_message_id: str | None = None
    direction: Direction
    sender: Identity | None = None
    sender_name: str | None = None
    kind: MessageKind
    body: str | None = None
    quoted: Quoted | None = None
    media_id: MediaId | None = None
    location: Location | None = None
    cards: list[Card] = []
    poll: Poll | None = None
    status: MessageStatus
    sent_at: datetime
    edited_at: datetime | None = None
    edits: list[PastBody] = []
    revoked_at: datetime | None = None
    error: str | None = None
    actor: UserId | None = None
    is_guess: bool = False
    raw: bytes | None = None

    @property
    def is_from_me(self) -> bool:
        """Whether the account itself says it."""
        return self.direction is Direction.OUT

    @property
    def counts_as_unread(self) -> bool:
        """Whether it is one that somebody should read (CH7)."""
        return self.direction is Direction.IN and self.revoked_at is None

    @property
    def preview(self) -> str:
        """One line of it."""
        line = " ".join((self.body or "").split())
        return (line or f"[{self.kind.value}]")[:PREVIEW_MAX]

    def says_the_same(self, other: "MessageDraft") -> bool:
        """Whether both say the same in the same chat."""
        fields = ("chat_id", "direction", "kind", "body", "poll", "location", "cards")
        return all(getattr(self, field) == getattr(other, field) for field in fields)


class Message(MessageDraft, Living, kw_only=True, omit_defaults=True):
    """The entity; `id` also tells in which order messages arrived."""

    id: MessageId
    created_at: datetime
    updated_at: datetime
    version: int

    @property
    def place(self) -> Place:
        """Where it stands in its chat."""
        return Place(self.sent_at, self.id)

    @property
    def mark(self) -> "Mark":
        """What became of it, as it is said of a copy in another chat; it needs WhatsApp's id."""
        return Mark(
            chat_id=self.chat_id,
            wa_message_id=self.wa_message_id or "",
            status=self.status if self.status in _RISING else None,
            body=self.body if self.edited_at else None,
            edited_at=self.edited_at,
            revoked_at=self.revoked_at,
            is_from_me=self.is_from_me,
        )

    def rise(self, status: MessageStatus, *, at: datetime) -> tuple[str, ...]:
        """Take a receipt; a lower status than the present one changes nothing (CH8)."""
        if self.direction is Direction.IN or _rank(status) <= _rank(self.status):
            return ()
        return self.alter({"status": status, "error": None}, at=at)

    def edit(self, body: str | None, edited_at: datetime, *, at: datetime) -> tuple[str, ...]:
        """Say something else, unless a later edit did (CH10); kept of a revoked one, too."""
        if self.edited_at is not None and edited_at <= self.edited_at:
            return ()
        past = PastBody(body=self.body, until=edited_at)
        edits = [*self.edits, past][-_EDITS_KEPT:]
        return self.alter({"body": body, "edited_at": edited_at, "edits": edits}, at=at)

    def revoke(self, revoked_at: datetime, *, at: datetime) -> tuple[str, ...]:
        """Take it back; the earliest time counts."""
        if self.revoked_at is not None and self.revoked_at <= revoked_at:
            return ()
        return self.alter({"revoked_at": revoked_at}, at=at)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits to be sent."""
        return self.status is MessageStatus.QUEUED

    def hand_over(self, *, at: datetime) -> None:
        """Be on the way to the wire; raises Conflict unless it waits."""
        if self.status is not MessageStatus.QUEUED:
            raise wrong_state(self)
        self.alter({"status": MessageStatus.SENDING, "error": None}, at=at)

    def settle(self, wa_message_id: str, sent_at: datetime, *, at: datetime) -> tuple[str, ...]:
        """Be known to WhatsApp by this id."""
        values: dict[str, object] = {"wa_message_id": wa_message_id, "sent_at": sent_at}
        values |= {"error": None, "is_guess": False}
        rises = _rank(self.status) < _rank(MessageStatus.SENT)
        return self.alter(values | ({"status": MessageStatus.SENT} if rises else {}), at=at)

    def guess(self, wa_message_id: str, *, at: datetime) -> tuple[str, ...]:
        """Be known to WhatsApp by this id as far as one can tell; an echo confirms it."""
        changed = self.settle(wa_message_id, self.sent_at, at=at)
        return (*changed, *self.alter({"is_guess": True}, at=at))

    def disown(self, status: MessageStatus, *, at: datetime) -> None:
        """Be as before it was taken for another message; whatever was said was said of that."""
        body = self.edits[0].body if self.edits else self.body
        own = {"wa_message_id": None, "status": status, "is_guess": False}
        said: dict[str, object] = {"body": body, "edits": [], "edited_at": None, "revoked_at": None}
        self.alter(own | said, at=at)

    def end(self, status: MessageStatus, error: str, *, at: datetime) -> None:
        """Fail, or be of unknown outcome; what was seen to arrive stays so."""
        if _rank(self.status) < _rank(MessageStatus.SENT):
            self.alter({"status": status, "error": error}, at=at)

    def queue_again(self, *, at: datetime) -> None:
        """Wait to be sent once more; raises Conflict unless it failed or is unknown."""
        if self.status not in _REPEATABLE or self.revoked_at is not None:
            raise wrong_state(self)
        self.alter({"status": MessageStatus.QUEUED, "error": None}, at=at)


class Mark(Struct, kw_only=True, omit_defaults=True):
    """What WhatsApp said of a message that is not there yet; kept for a week.

    Only its author changes a message or takes it back, and who that is will be seen. Until then
    the account's own word stands against what the other side says (`is_from_me`).
    """

    chat_id: ChatId
    wa_message_id: str
    status: MessageStatus | None = None
    body: str | None = None
    edited_at: datetime | None = None
    revoked_at: datetime | None = None
    is_from_me: bool = False
    is_read: bool = False

    @property
    def key(self) -> tuple[ChatId, str]:
        """What there is one mark for."""
        return self.chat_id, self.wa_message_id

    def rise(self, status: MessageStatus) -> None:
        """Take a receipt."""
        if self.status is None or _rank(status) > _rank(self.status):
            self.status = status

    def edit(self, body: str | None, edited_at: datetime, *, is_from_me: bool) -> None:
        """Take an edit, unless a later one came first."""
        if self._listens(is_from_me) and (self.edited_at is None or edited_at > self.edited_at):
            self.body, self.edited_at = body, edited_at

    def revoke(self, revoked_at: datetime, *, is_from_me: bool) -> None:
        """Take a revocation; the earliest counts."""
        if self._listens(is_from_me):
            self.revoked_at = min(self.revoked_at or revoked_at, revoked_at)

    def _listens(self, is_from_me: bool) -> bool:
        if is_from_me and not self.is_from_me:
            self.is_from_me, self.body = True, None
            self.edited_at = self.revoked_at = None
        return is_from_me is self.is_from_me

    def join(self, other: "Mark") -> None:
        """Say what another one said, too."""
        if other.status is not None:
            self.rise(other.status)
        if other.edited_at is not None:
            self.edit(other.body, other.edited_at, is_from_me=other.is_from_me)
        if other.revoked_at is not None:
            self.revoke(other.revoked_at, is_from_me=other.is_from_me)
        self.is_read = self.is_read or other.is_read

    def bring_in(self, message: Message, *, at: datetime) -> tuple[str, ...]:
        """Let all of it happen to the message, and return which fields changed."""
        changed: tuple[str, ...] = ()
        if self.status is not None:
            changed += message.rise(self.status, at=at)
        if self.is_from_me is not message.is_from_me:
            return changed
        if self.edited_at is not None:
            changed += message.edit(self.body, self.edited_at, at=at)
        if self.revoked_at is not None:
            changed += message.revoke(self.revoked_at, at=at)
        return changed


SAID = ("body", "quoted", "media_id", "location", "cards", "poll", "edits")
"""The fields of what a message says."""


class MessageView(Message, kw_only=True, omit_defaults=True):
    """A message as it is read: with its file, its reactions by time and, for a poll, its results.

    Of one that was revoked, neither `SAID` nor the file is shown (CH10); `raw` is shown of none.
    """

    media: Attachment | None = None
    reactions: list[Reaction] = []
    results: list[PollResult] = []


class MessageQuery(PageQuery, frozen=True, kw_only=True):
    """A chat's messages, newest first (CH5)."""

    search: SearchText | UnsetType = UNSET


def clamped(sent_at: datetime, *, now: datetime) -> datetime:
    """Return the sender's time, ours for one that is far ahead (CH5)."""
    return now if sent_at > now + AHEAD_MAX else sent_at


def wrong_state(message: Message) -> Conflict:
    """Return the refusal of what a message in its state does not allow."""
    state = message.status.value if message.revoked_at is None else "taken back"
    return Conflict("invalid_state", f"the message is {state}", id=message.id)


def newest(messages: Sequence[Message]) -> Message | None:
    """Return the greatest of the messages that were not revoked (CH6)."""
    shown = [message for message in messages if message.revoked_at is None]
    return max(shown, key=lambda message: message.place, default=None)


def _rank(status: MessageStatus) -> int:
    return _RISING.index(status) if status in _RISING else -1
