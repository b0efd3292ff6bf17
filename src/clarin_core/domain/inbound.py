"""What WhatsApp tells of a device's talk, in our words: what a messaging adapter translates to.

The adapter keeps nothing and decides nothing. It names people by the addresses that came with
the event: `Peer.identity` is the one used, `Peer.other` the same person's other one, if told.
"""

from datetime import datetime
from enum import Enum

from msgspec import Struct

from clarin_core.domain.jid import Identity
from clarin_core.domain.media import MediaType
from clarin_core.domain.messages import (
    Card,
    Location,
    MessageKind,
    MessageStatus,
    Poll,
    Quoted,
)


class Peer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody on the other side."""

    identity: Identity
    other: Identity | None = None


class _Inbound(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    chat: Peer


class MediaOffer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that can be fetched; `source` is the adapter's own note of how."""

    type: MediaType
    mimetype: str
    filename: str | None = None
    size: int | None = None
    source: bytes


class MessageSeen(_Inbound, frozen=True, kw_only=True, tag="message"):
    """A message, from the other side or from the account's own phone; also one from history.

    `raw` is kept of what nobody understands. A placeholder, of what could not be decrypted, is
    replaced by the copy that comes later.
    """

    wa_message_id: str
    is_from_me: bool
    sender: Peer | None = None
    sender_name: str | None = None
    kind: MessageKind
    body: str | None = None
    quoted: Quoted | None = None
    media: MediaOffer | None = None
    location: Location | None = None
    cards: list[Card] = []
    poll: Poll | None = None
    sent_at: datetime
    is_placeholder: bool = False
    is_history: bool = False
    raw: bytes | None = None


class ReceiptSeen(_Inbound, frozen=True, kw_only=True, tag="receipt"):
    """How far some messages have come; `is_own` when the account itself read them elsewhere."""

    wa_message_ids: list[str]
    status: MessageStatus
    is_own: bool = False
    at: datetime


class EditSeen(_Inbound, frozen=True, kw_only=True, tag="edit"):
    """A message that says something else now, if whoever says so is its author."""

    wa_message_id: str
    is_from_me: bool = False
    body: str | None = None
    at: datetime


class RevokeSeen(_Inbound, frozen=True, kw_only=True, tag="revoke"):
    """A message that was taken back, if it was by its author."""

    wa_message_id: str
    is_from_me: bool = False
    at: datetime


class ReactionSeen(_Inbound, frozen=True, kw_only=True, tag="reaction"):
    """What somebody feels; an empty `emoji` takes it back."""

    wa_message_id: str
    sender: Peer
    emoji: str
    at: datetime


class VoteSeen(_Inbound, frozen=True, kw_only=True, tag="vote"):
    """What somebody chose in a poll; `options` are named as `messages.option_digest` does."""

    wa_message_id: str
    voter: Peer
    options: list[str]
    at: datetime


class PeerSeen(_Inbound, frozen=True, kw_only=True, tag="peer"):
    """What the device's address book says of somebody, or that two addresses are one person's."""

    name: str | None = None
    push_name: str | None = None


Inbound = MessageSeen | ReceiptSeen | EditSeen | RevokeSeen | ReactionSeen | VoteSeen | PeerSeen


class Activity(Enum):
    """What somebody is doing right now."""

    COMPOSING = "composing"
    PAUSED = "paused"
    AVAILABLE = "available"
    UNAVAILABLE = "unavailable"


class Presence(Struct, frozen=True, kw_only=True, tag_field="type", tag="presence"):
    """A passing thing: never kept, never repeated."""

    chat: Peer
    activity: Activity
    last_seen_at: datetime | None = None
