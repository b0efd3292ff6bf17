"""What is asked of a device, in the library's words, and what its errors mean."""

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from neonize.aioze.client import NewAClient
from neonize.exc import DownloadError, NeonizeError, UploadError
from neonize.proto import Neonize_pb2 as N
from neonize.proto.waCommon.WACommon_pb2 import MessageKey
from neonize.proto.waE2E import WAWebProtobufsE2E_pb2 as E
from neonize.utils.enum import ChatPresence, ChatPresenceMedia, Presence, ReceiptType
from neonize.utils.enum import MediaType as Kind

from clarin_core.domain.inbound import Activity
from clarin_core.domain.jid import Identity, Jid
from clarin_core.domain.media import MediaType
from clarin_core.domain.messages import Poll
from clarin_core.domain.phone import digits
from clarin_core.ports.messaging import Outgoing, SentAs
from clarin_whatsapp import frames
from clarin_whatsapp.frames import Failure, Result
from clarin_whatsapp.translate import people

C = TypeVar("C", bound=frames.Call)

_BEFORE_THE_WIRE = ("client is nil", "contain a device jid", "websocket not connected", "usync")
_FINAL = ("server returned error", "can't send", "unknown server", "no lid found")
_GONE = ("status code 403", "status code 404", "status code 410")

_SECRET_BYTES = 32
_FILES = {
    MediaType.IMAGE: ("imageMessage", Kind.MediaImage),
    MediaType.VIDEO: ("videoMessage", Kind.MediaVideo),
    MediaType.AUDIO: ("audioMessage", Kind.MediaAudio),
    MediaType.DOCUMENT: ("documentMessage", Kind.MediaDocument),
    MediaType.STICKER: ("stickerMessage", Kind.MediaImage),
}
_TYPING = {
    Activity.COMPOSING: ChatPresence.CHAT_PRESENCE_COMPOSING,
    Activity.PAUSED: ChatPresence.CHAT_PRESENCE_PAUSED,
}


async def do(client: NewAClient, call: frames.Call) -> Result:
    """Do what is asked; raises NeonizeError."""
    return await _CALLS[type(call)](client, call)


def failure(error: NeonizeError) -> Failure:
    """Return what an error of the library means; what nobody knows is in doubt."""
    text = str(error).lower()
    if isinstance(error, DownloadError):
        return Failure.REFUSED if any(word in text for word in _GONE) else Failure.NOT_SENT
    if isinstance(error, UploadError) or any(word in text for word in _BEFORE_THE_WIRE):
        return Failure.NOT_SENT
    return Failure.REFUSED if any(word in text for word in _FINAL) else Failure.UNKNOWN


def address(text: str) -> N.JID:
    """Return an address as the library has it."""
    jid = Jid.parse(text)
    return N.JID(
        User=jid.user,
        Device=jid.device,
        Server=jid.server.value,
        RawAgent=0,
        Integrator=0,
        IsEmpty=False,
    )


async def composed(client: NewAClient, message: Outgoing) -> E.Message:
    """Return a message as it is sent; a file is uploaded first."""
    context = _context(message)
    if message.media is not None and message.media_type is not None:
        return await _file(client, message, message.media_type, context)
    if message.location is not None:
        place = message.location
        return E.Message(
            locationMessage=E.LocationMessage(
                degreesLatitude=place.latitude,
                degreesLongitude=place.longitude,
                name=place.name,
                contextInfo=context,
            )
        )
    if message.cards:
        return _cards(message, context)
    if message.poll is not None:
        return _poll(message.body or "", message.poll, context)
    return _text(message.body or "", context)


def _text(body: str, context: E.ContextInfo | None) -> E.Message:
    if context is None:
        return E.Message(conversation=body)
    return E.Message(extendedTextMessage=E.ExtendedTextMessage(text=body, contextInfo=context))


async def _file(
    client: NewAClient, message: Outgoing, type_: MediaType, context: E.ContextInfo | None
) -> E.Message:
    field, kind = _FILES[type_]
    uploaded = await client.upload(message.media, kind)
    made = E.Message()
    part = getattr(made, field)
    labels = {"caption": message.body, "fileName": message.filename, "contextInfo": context}
    known = part.DESCRIPTOR.fields_by_name
    part.MergeFrom(
        type(part)(
            URL=uploaded.url,
            directPath=uploaded.DirectPath,
            mediaKey=uploaded.MediaKey,
            fileEncSHA256=uploaded.FileEncSHA256,
            fileSHA256=uploaded.FileSHA256,
            fileLength=uploaded.FileLength,
            mimetype=message.mimetype,
            **{name: value for name, value in labels.items() if name in known},
        )
    )
    return made


def _cards(message: Outgoing, context: E.ContextInfo | None) -> E.Message:
    cards = [E.ContactMessage(displayName=card.name, vcard=card.vcard) for card in message.cards]
    if len(cards) > 1:
        many = E.ContactsArrayMessage(contacts=cards, contextInfo=context)
        return E.Message(contactsArrayMessage=many)
    cards[0].MergeFrom(E.ContactMessage(contextInfo=context))
    return E.Message(contactMessage=cards[0])


def _poll(question: str, poll: Poll, context: E.ContextInfo | None) -> E.Message:
    """Return a poll with the secret by which votes are hidden from the server."""
    options = [E.PollCreationMessage.Option(optionName=option) for option in poll.options]
    return E.Message(
        pollCreationMessage=E.PollCreationMessage(
            name=question,
            options=options,
            selectableOptionsCount=poll.selectable,
            contextInfo=context,
        ),
        messageContextInfo=E.MessageContextInfo(messageSecret=os.urandom(_SECRET_BYTES)),
    )


def _context(message: Outgoing) -> E.ContextInfo | None:
    quoted = message.quoted
    if quoted is None:
        return None
    return E.ContextInfo(
        stanzaID=quoted.wa_message_id,
        participant=(quoted.sender or message.to).jid,
        quotedMessage=E.Message(conversation=quoted.body or ""),
    )


def _key(to: Identity, name: str, *, is_own: bool) -> MessageKey:
    return MessageKey(remoteJID=to.jid, fromMe=is_own, ID=name)


async def _send(client: NewAClient, call: frames.Send) -> Result:
    sent = await client.send_message(
        address(call.message.to.jid), await composed(client, call.message)
    )
    return SentAs(wa_message_id=sent.ID, at=datetime.fromtimestamp(sent.Timestamp, UTC))


async def _edit(client: NewAClient, call: frames.Edit) -> Result:
    said = E.Message(conversation=call.body)
    await client.edit_message(address(call.to.jid), call.wa_message_id, said)
    return None


async def _revoke(client: NewAClient, call: frames.Revoke) -> Result:
    key = _key(call.to, call.wa_message_id, is_own=True)
    change = E.ProtocolMessage(type=E.ProtocolMessage.REVOKE, key=key)
    await client.send_message(address(call.to.jid), E.Message(protocolMessage=change))
    return None


async def _react(client: NewAClient, call: frames.React) -> Result:
    reaction = E.ReactionMessage(
        key=_key(call.to, call.wa_message_id, is_own=call.is_own),
        text=call.emoji,
        senderTimestampMS=int(datetime.now(UTC).timestamp() * 1000),
    )
    await client.send_message(address(call.to.jid), E.Message(reactionMessage=reaction))
    return None


async def _mark_read(client: NewAClient, call: frames.MarkRead) -> Result:
    chat = address(call.to.jid)
    await client.mark_read(*call.wa_message_ids, chat=chat, sender=chat, receipt=ReceiptType.READ)
    return None


async def _type(client: NewAClient, call: frames.Type) -> Result:
    state = _TYPING.get(call.activity)
    if state is None:
        is_here = call.activity is Activity.AVAILABLE
        await client.send_presence(Presence.AVAILABLE if is_here else Presence.UNAVAILABLE)
    else:
        media = ChatPresenceMedia.CHAT_PRESENCE_MEDIA_TEXT
        await client.send_chat_presence(address(call.to.jid), state, media)
    return None


async def _fetch(client: NewAClient, call: frames.Fetch) -> Result:
    return bytes(await client.download_any(E.Message.FromString(call.source)))


async def _contacts(client: NewAClient, _: frames.Contacts) -> Result:
    return list(people(await client.contact.get_all_contacts()))


async def _pair_code(client: NewAClient, call: frames.PairCode) -> Result:
    code: str = await client.PairPhone(digits(call.phone), True)
    return code.encode()


async def _log_out(client: NewAClient, _: frames.LogOut) -> Result:
    await client.logout()
    return None


_CALLS: dict[type, Callable[..., Awaitable[Result]]] = {
    frames.Send: _send,
    frames.Edit: _edit,
    frames.Revoke: _revoke,
    frames.React: _react,
    frames.MarkRead: _mark_read,
    frames.Type: _type,
    frames.Fetch: _fetch,
    frames.Contacts: _contacts,
    frames.PairCode: _pair_code,
    frames.LogOut: _log_out,
}
