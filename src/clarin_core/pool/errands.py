"""What an item of the outbox is to the session that does it."""

from clarin_core.domain.inbound import Activity
from clarin_core.domain.messages import Direction, Message
from clarin_core.domain.outbox import OutboxKind
from clarin_core.ports.blobs import BlobStore
from clarin_core.ports.messaging import Outgoing, Refused, SentAs, Session
from clarin_core.usecases.sending import Errand


async def carry_out(session: Session, errand: Errand, blobs: BlobStore) -> SentAs | None:
    """Do an errand; return how WhatsApp names a message that was sent.

    Raises what `Session` does, NotFound for a file whose bytes are gone, and Unavailable when
    they cannot be read now: then nothing was sent.
    """
    item, to = errand.item, errand.chat.identity
    match item.kind:
        case OutboxKind.READ:
            await session.mark_read(to, item.wa_message_ids)
        case OutboxKind.TYPING:
            await session.type(to, Activity(item.text))
        case _:
            if errand.message is None:
                raise Refused("the message is gone")
            return await _about(session, errand, errand.message, blobs)
    return None


async def _about(
    session: Session, errand: Errand, message: Message, blobs: BlobStore
) -> SentAs | None:
    item, to = errand.item, errand.chat.identity
    if item.kind is OutboxKind.SEND:
        return await session.send(await _outgoing(errand, message, blobs))
    name = item.wa_message_ids[0]
    match item.kind:
        case OutboxKind.EDIT:
            await session.edit(to, name, item.text or "")
        case OutboxKind.REVOKE:
            await session.revoke(to, name)
        case _:
            is_own = message.direction is Direction.OUT
            await session.react(to, name, item.text or "", is_own=is_own)
    return None


async def _outgoing(errand: Errand, message: Message, blobs: BlobStore) -> Outgoing:
    media = errand.media
    content = None
    if media is not None:
        account_id = errand.account_id
        content = b"".join([piece async for piece in blobs.read(account_id, media.key)])
    return Outgoing(
        to=errand.chat.identity,
        wa_message_id=message.wa_message_id,
        body=message.body,
        quoted=message.quoted,
        media=content,
        media_type=media.type if media else None,
        mimetype=media.mimetype if media else None,
        filename=media.filename if media else None,
        location=message.location,
        cards=message.cards,
        poll=message.poll,
    )
