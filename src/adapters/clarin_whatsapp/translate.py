"""What the events of the library mean, in our words.

Pure functions of the generated types; the library itself is not loaded here. Whatever comes,
nothing raises: what means nothing to us is an empty list.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from clarin_core.domain.inbound import Activity, Inbound, Peer, PeerSeen, Presence, ReceiptSeen
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.messages import MessageKind, MessageStatus
from clarin_core.domain.phone import phone_from_jid
from clarin_core.errors import Invalid
from clarin_core.ports.messaging import CodeShown, Heard, Paired, SessionStep, Step
from clarin_whatsapp.contents import Envelope, contents, identity, moment, said, text

if TYPE_CHECKING:
    from google.protobuf.message import Message as Proto

_FIRST_CODE, _LATER_CODES = timedelta(seconds=60), timedelta(seconds=20)
_BAN_MAX_S = 10 * 365 * 86_400

_STATUSES = {
    "DELIVERED": MessageStatus.DELIVERED,
    "READ": MessageStatus.READ,
    "READ_SELF": MessageStatus.READ,
    "PLAYED": MessageStatus.PLAYED,
    "PLAYED_SELF": MessageStatus.PLAYED,
}
_ACTIVITIES = {"COMPOSING": Activity.COMPOSING, "PAUSED": Activity.PAUSED}
_SAID_AT_LOGIN = {
    "timeout": SessionStep(step=Step.PAIRING_ENDED, reason="no phone scanned a code"),
    "err-client-outdated": SessionStep(step=Step.OUTDATED, reason="the library is too old"),
}


def translate(event: "Proto", chosen: Sequence[bytes] | None = None) -> list[Heard]:
    """Return what an event means, in order; `chosen` is what a vote hides, if known."""
    if event.DESCRIPTOR.name == "Message":
        return list(_message(event, chosen))
    meaning = _MEANINGS.get(event.DESCRIPTOR.name)
    return [] if meaning is None else list(meaning(event))


def code_shown(code: bytes, *, is_first: bool, now: datetime) -> CodeShown:
    """Return a code as it is shown; the first one counts longer."""
    time = _FIRST_CODE if is_first else _LATER_CODES
    return CodeShown(code=code.decode(errors="replace"), is_qr=True, expires_at=now + time)


def logged_in(status: str) -> SessionStep | None:
    """Return the end of a pairing that failed, by what the library says of it."""
    if status == "success":
        return None
    failed = SessionStep(step=Step.PAIRING_ENDED, reason="the pairing failed")
    return _SAID_AT_LOGIN.get(status, failed)


def _message(event: "Proto", chosen: Sequence[bytes] | None) -> Iterator[Heard]:
    envelope = _envelope(event.Info)
    meant = envelope and contents(event.Message, envelope, chosen)
    if meant:
        yield meant


def _undecryptable(event: "Proto") -> Iterator[Heard]:
    """Keep a place for what could not be read, unless it is one of the things not shown."""
    envelope = _envelope(event.Info)
    if envelope and not _name(event, "DecryptFailMode").endswith("HIDE"):
        yield said(envelope, {"kind": MessageKind.UNKNOWN, "is_placeholder": True})


def _envelope(info: "Proto") -> Envelope | None:
    chat, name = _chat(info.MessageSource), text(info.ID)
    if chat is None or name is None:
        return None
    return Envelope(
        chat=chat,
        sender=_sender(info.MessageSource) or chat,
        sender_name=text(info.Pushname),
        wa_message_id=name,
        is_from_me=info.MessageSource.IsFromMe,
        at=moment(info.Timestamp / 1000),
    )


def _chat(source: "Proto") -> Peer | None:
    """Return whose chat it is; of two persons' one also the other address of that person."""
    known = identity(_address(source.Chat))
    if known is None:
        return None
    if known.kind is IdentityKind.GROUP:
        return Peer(identity=known)
    return _peer(known, source.RecipientAlt if source.IsFromMe else source.SenderAlt)


def _sender(source: "Proto") -> Peer | None:
    known = identity(_address(source.Sender))
    return _peer(known, source.SenderAlt) if known else None


def _peer(known: Identity, other: "Proto") -> Peer:
    alternative = identity(_address(other))
    return Peer(identity=known, other=None if alternative == known else alternative)


def _address(jid: "Proto") -> str:
    """Return an address without the device; empty ones are there as well, and are nobody's."""
    return f"{jid.User}@{jid.Server}"


def _receipt(event: "Proto") -> Iterator[Heard]:
    source, type_ = event.MessageSource, _name(event, "Type")
    is_own = source.IsFromMe or type_.endswith("_SELF")
    chat, status = _chat(source), _STATUSES.get(type_)
    names = [name for one in event.MessageIDs if (name := text(one))]
    if chat and status and names and not (is_own and status is MessageStatus.DELIVERED):
        yield ReceiptSeen(
            chat=chat,
            wa_message_ids=names,
            status=status,
            is_own=is_own,
            at=moment(event.Timestamp),
        )


def _typing(event: "Proto") -> Iterator[Heard]:
    chat, activity = _chat(event.MessageSource), _ACTIVITIES.get(_name(event, "State"))
    if chat and activity and not event.MessageSource.IsFromMe:
        yield Presence(chat=chat, activity=activity)


def _presence(event: "Proto") -> Iterator[Heard]:
    known = identity(_address(event.From))
    if known:
        yield Presence(
            chat=Peer(identity=known),
            activity=Activity.UNAVAILABLE if event.Unavailable else Activity.AVAILABLE,
            last_seen_at=moment(event.LastSeen) if event.LastSeen > 0 else None,
        )


def _paired(event: "Proto") -> Iterator[Heard]:
    device = f":{event.ID.Device}" if event.ID.Device else ""
    try:
        phone = phone_from_jid(_address(event.ID))
    except Invalid:
        phone = None
    if phone is None or _name(event, "Status") != "SUCCESS":
        yield SessionStep(step=Step.PAIRING_ENDED, reason="the pairing failed")
    else:
        yield Paired(jid=f"{event.ID.User}{device}@{event.ID.Server}", phone=phone)


def _ban(event: "Proto") -> Iterator[Heard]:
    time = timedelta(seconds=min(max(event.Expire, 0), _BAN_MAX_S))
    yield SessionStep(step=Step.BANNED, reason=_words(event, "Code"), restricted_for=time)


def _logged_out(event: "Proto") -> Iterator[Heard]:
    yield SessionStep(step=Step.LOGGED_OUT, reason=_words(event, "Reason"))


def _failed(event: "Proto") -> Iterator[Heard]:
    yield SessionStep(step=Step.DISCONNECTED, reason=f"refused: {_words(event, 'Reason')}")


def _step(step: Step, reason: str | None = None) -> "Callable[[Proto], Iterable[Heard]]":
    return lambda _: [SessionStep(step=step, reason=reason)]


def _history(event: "Proto") -> Iterator[Heard]:
    """Read what a device is told of the past: who has which addresses and names, and messages."""
    for pair in event.Data.phoneNumberToLidMappings:
        yield from _seen_peer(pair.lidJID, pair.pnJID)
    for named in event.Data.pushnames:
        yield from _seen_peer(named.ID, push_name=text(named.pushname))
    for talk in event.Data.conversations:
        chat = _past_chat(talk)
        if chat:
            yield from _past_name(talk, chat)
            yield from (meant for one in talk.messages if (meant := _past(one.message, chat)))


def _seen_peer(
    address: str, other: str = "", *, push_name: str | None = None
) -> Iterator[PeerSeen]:
    known, alternative = identity(address), identity(other)
    if known and (alternative or push_name):
        yield PeerSeen(chat=Peer(identity=known, other=alternative), push_name=push_name)


def people(contacts: "Iterable[Proto]") -> Iterator[PeerSeen]:
    """Return those of an address book that have a name, be it one that they gave themselves."""
    for one in contacts:
        known = identity(_address(one.JID))
        name = text(one.Info.FullName) or text(one.Info.FirstName) or text(one.Info.BusinessName)
        push_name = text(one.Info.PushName)
        if known and (name or push_name):
            yield PeerSeen(chat=Peer(identity=known), name=name, push_name=push_name)


def _past_chat(talk: "Proto") -> Peer | None:
    known = identity(talk.ID)
    if known is None:
        return None
    if known.kind is IdentityKind.GROUP:
        return Peer(identity=known)
    is_lid = known.kind is IdentityKind.LID
    other = identity(talk.pnJID if is_lid else talk.lidJID)
    return Peer(identity=known, other=other)


def _past_name(talk: "Proto", chat: Peer) -> Iterator[PeerSeen]:
    name = text(talk.displayName) or text(talk.name)
    if name:
        yield PeerSeen(chat=chat, name=name)


def _past(message: "Proto", chat: Peer) -> Inbound | None:
    name = text(message.key.ID)
    if name is None:
        return None
    author = identity(message.participant or message.key.participant)
    envelope = Envelope(
        chat=chat,
        sender=Peer(identity=author) if author else chat,
        sender_name=text(message.pushName),
        wa_message_id=name,
        is_from_me=message.key.fromMe,
        at=moment(message.messageTimestamp),
        is_history=True,
    )
    return contents(message.message, envelope)


def _name(event: "Proto", field: str) -> str:
    """Return the name of an enumerated value."""
    values = event.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    return str(values[getattr(event, field)].name)


def _words(event: "Proto", field: str) -> str:
    return _name(event, field).lower().replace("_", " ")


_MEANINGS: "dict[str, Callable[[Proto], Iterable[Heard]]]" = {
    "ChatPresence": _typing,
    "ClientOutdated": _step(Step.OUTDATED, "the library is too old"),
    "ConnectFailure": _failed,
    "Connected": _step(Step.CONNECTED),
    "Disconnected": _step(Step.DISCONNECTED, "the connection was lost"),
    "HistorySync": _history,
    "LoggedOut": _logged_out,
    "PairStatus": _paired,
    "Presence": _presence,
    "Receipt": _receipt,
    "StreamReplaced": _step(Step.REPLACED, "another session opened the device"),
    "TemporaryBan": _ban,
    "UndecryptableMessage": _undecryptable,
}

MEANT = ("Message", *_MEANINGS)
"""The events that mean something, by the names of their types."""
