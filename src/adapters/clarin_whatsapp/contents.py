"""What a message of WhatsApp's protocol says, in our words.

Only the shapes of the generated types are used, and not the library: it must not be loaded by
whoever reads this. Whatever is set, nothing here raises.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from clarin_core.domain.ids import ID_MAX
from clarin_core.domain.inbound import (
    EditSeen,
    Inbound,
    MediaOffer,
    MessageSeen,
    Peer,
    ReactionSeen,
    RevokeSeen,
    VoteSeen,
)
from clarin_core.domain.jid import Identity
from clarin_core.domain.media import MediaType
from clarin_core.domain.messages import BODY_MAX, Card, Location, MessageKind, Poll, Quoted
from clarin_core.errors import Invalid

if TYPE_CHECKING:
    from google.protobuf.message import Message as Proto

Fields = dict[str, Any]

_REVOKE, _EDIT = 0, 14
_LAST_S = 253_402_300_799  # The end of the year 9999.
_WRAPPINGS = {"FutureProofMessage", "DeviceSentMessage"}
_NOISE = {
    "encReactionMessage",
    "fastRatchetKeySenderKeyDistributionMessage",
    "keepInChatMessage",
    "messageContextInfo",
    "pinInChatMessage",
    "protocolMessage",
    "senderKeyDistributionMessage",
}
_HEAVY = ("JPEGThumbnail", "pngThumbnail", "contextInfo", "waveform", "streamingSidecar")


class Envelope(Struct, frozen=True, kw_only=True):
    """What is known of a message whatever it says."""

    chat: Peer
    sender: Peer
    sender_name: str | None = None
    wa_message_id: str
    is_from_me: bool
    at: datetime
    is_history: bool = False


def contents(
    message: "Proto", envelope: Envelope, chosen: Sequence[bytes] | None = None
) -> Inbound | None:
    """Return what a message says, None for noise; `chosen` is what a vote hides, if known."""
    message = unwrapped(message)
    if message.HasField("protocolMessage"):
        return _change(message.protocolMessage, envelope)
    if message.HasField("reactionMessage"):
        return _reaction(message.reactionMessage, envelope)
    if message.HasField("pollUpdateMessage"):
        return _vote(message.pollUpdateMessage, envelope, chosen)
    fields = _fields(message)
    return None if fields is None else said(envelope, fields)


def said(envelope: Envelope, fields: Fields) -> MessageSeen:
    """Return a message that says `fields`."""
    mine = envelope.is_from_me
    return MessageSeen(
        chat=envelope.chat,
        wa_message_id=envelope.wa_message_id,
        is_from_me=mine,
        sender=None if mine else envelope.sender,
        sender_name=None if mine else envelope.sender_name,
        sent_at=envelope.at,
        is_history=envelope.is_history,
        **fields,
    )


def unwrapped(message: "Proto") -> "Proto":
    """Return the message within the envelopes of vanishing, single-view and edited ones."""
    while inner := _inner(message):
        message = inner
    return message


def moment(seconds: float) -> datetime:
    """Return a time, whatever the number."""
    return datetime.fromtimestamp(min(max(seconds, 0), _LAST_S), UTC)


def text(value: str) -> str | None:
    """Return a text as it can be kept, None for an empty one."""
    return value.replace("\0", "")[:BODY_MAX] or None


def identity(address: str) -> Identity | None:
    """Return who is meant by an address, None for nobody whom we know."""
    try:
        return Identity.of_jid(address)
    except Invalid:
        return None


def _inner(message: "Proto") -> "Proto | None":
    for field, value in message.ListFields():
        is_wrapping = field.message_type is not None and field.message_type.name in _WRAPPINGS
        if is_wrapping and value.HasField("message"):
            return value.message
    return None


def _change(change: "Proto", envelope: Envelope) -> Inbound | None:
    """Read an edit or a revocation.

    A kind that is newer than the library looks as if none were set, and none reads as the first:
    so a revocation must say that it is one.
    """
    target = text(change.key.ID)
    if target is None or not change.HasField("type"):
        return None
    if change.type == _REVOKE:
        return RevokeSeen(
            chat=envelope.chat,
            wa_message_id=target,
            is_from_me=envelope.is_from_me,
            at=envelope.at,
        )
    if change.type != _EDIT:
        return None
    return EditSeen(
        chat=envelope.chat,
        wa_message_id=target,
        is_from_me=envelope.is_from_me,
        body=_body(change.editedMessage),
        at=_at(change.timestampMS, envelope),
    )


def _reaction(reaction: "Proto", envelope: Envelope) -> Inbound | None:
    target = text(reaction.key.ID)
    if target is None:
        return None
    return ReactionSeen(
        chat=envelope.chat,
        wa_message_id=target,
        sender=envelope.sender,
        emoji=text(reaction.text) or "",
        at=_at(reaction.senderTimestampMS, envelope),
    )


def _vote(vote: "Proto", envelope: Envelope, chosen: Sequence[bytes] | None) -> Inbound | None:
    target = text(vote.pollCreationMessageKey.ID)
    if target is None or chosen is None:
        return None
    return VoteSeen(
        chat=envelope.chat,
        wa_message_id=target,
        voter=envelope.sender,
        options=[digest.hex() for digest in chosen],
        at=_at(vote.senderTimestampMS, envelope),
    )


def _at(milliseconds: int, envelope: Envelope) -> datetime:
    """Return the sender's own time, which is finer, if there is one."""
    return moment(milliseconds / 1000) if milliseconds > 0 else envelope.at


def _fields(message: "Proto") -> Fields | None:
    """Return what a message says, None when it says nothing; what nobody knows is kept raw."""
    names = [field.name for field, _ in message.ListFields() if field.name not in _NOISE]
    for name in names:
        if name in _READERS:
            return _READERS[name](message, name)
    raw = {"kind": MessageKind.UNKNOWN, "raw": message.SerializePartialToString()}
    return raw if names else None


def _conversation(message: "Proto", _: str) -> Fields | None:
    body = text(message.conversation)
    return {"kind": MessageKind.TEXT, "body": body} if body else None


def _extended(message: "Proto", name: str) -> Fields | None:
    part = getattr(message, name)
    body = text(part.text)
    return {"kind": MessageKind.TEXT, "body": body, "quoted": _quoted(part)} if body else None


def _media(type_: MediaType) -> Callable[["Proto", str], Fields]:
    def read(message: "Proto", name: str) -> Fields:
        part = getattr(message, name)
        return {
            "kind": MessageKind(type_.value),
            "body": text(getattr(part, "caption", "")),
            "quoted": _quoted(part),
            "media": MediaOffer(
                type=type_,
                mimetype=text(part.mimetype) or "application/octet-stream",
                filename=_filename(part),
                size=part.fileLength if 0 < part.fileLength <= ID_MAX else None,
                source=_source(message, name),
            ),
        }

    return read


def _filename(part: "Proto") -> str | None:
    return text(getattr(part, "fileName", "") or getattr(part, "title", ""))


def _source(message: "Proto", name: str) -> bytes:
    """Return as much of a message as is needed to fetch its file."""
    slim = type(message)()
    part = getattr(slim, name)
    part.CopyFrom(getattr(message, name))
    for field in _HEAVY:
        if field in part.DESCRIPTOR.fields_by_name:
            part.ClearField(field)
    source: bytes = slim.SerializePartialToString()
    return source


def _place(message: "Proto", name: str) -> Fields:
    part = getattr(message, name)
    latitude, longitude = part.degreesLatitude, part.degreesLongitude
    location = Location(
        latitude=latitude, longitude=longitude, name=text(getattr(part, "name", ""))
    )
    return {
        "kind": MessageKind.LOCATION,
        "body": text(getattr(part, "caption", "")),
        "quoted": _quoted(part),
        "location": location if isfinite(latitude) and isfinite(longitude) else None,
    }


def _card(message: "Proto", name: str) -> Fields:
    return _cards([getattr(message, name)], getattr(message, name))


def _many_cards(message: "Proto", name: str) -> Fields:
    part = getattr(message, name)
    return _cards(part.contacts, part)


def _cards(contacts: "Sequence[Proto]", part: "Proto") -> Fields:
    cards = [
        Card(name=text(one.displayName) or "", vcard=text(one.vcard) or "") for one in contacts
    ]
    return {"kind": MessageKind.CONTACT, "quoted": _quoted(part), "cards": cards}


def _poll(message: "Proto", name: str) -> Fields:
    part = getattr(message, name)
    options = [text(option.optionName) or "" for option in part.options]
    return {
        "kind": MessageKind.POLL,
        "body": text(part.name),
        "quoted": _quoted(part),
        "poll": Poll(options=options, selectable=part.selectableOptionsCount),
    }


def _quoted(part: "Proto") -> Quoted | None:
    context = part.contextInfo
    name = text(context.stanzaID)
    if name is None:
        return None
    sender = identity(context.participant)
    return Quoted(wa_message_id=name, body=_body(context.quotedMessage), sender=sender)


def _body(message: "Proto") -> str | None:
    fields: Fields = _fields(unwrapped(message)) or {}
    return fields.get("body")


_READERS: dict[str, Callable[["Proto", str], Fields | None]] = {
    "conversation": _conversation,
    "extendedTextMessage": _extended,
    "imageMessage": _media(MediaType.IMAGE),
    "videoMessage": _media(MediaType.VIDEO),
    "ptvMessage": _media(MediaType.VIDEO),
    "audioMessage": _media(MediaType.AUDIO),
    "documentMessage": _media(MediaType.DOCUMENT),
    "stickerMessage": _media(MediaType.STICKER),
    "locationMessage": _place,
    "liveLocationMessage": _place,
    "contactMessage": _card,
    "contactsArrayMessage": _many_cards,
} | {f"pollCreationMessage{version}": _poll for version in ("", "V2", "V3", "V5", "V6")}
