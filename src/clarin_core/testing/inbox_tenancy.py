"""What of an inbox takes an id; the laws of isolation hold for all of it.

`Ids` are those of one thing of every kind in an account.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from msgspec.structs import replace

from clarin_core.domain.chats import ChatQuery
from clarin_core.domain.ids import ChatId, MediaId, MessageId
from clarin_core.domain.messages import (
    Mark,
    MessageQuery,
    MessageStatus,
    Place,
)
from clarin_core.domain.replies import Reaction, Vote
from clarin_core.domain.tags import TagTarget
from clarin_core.ports.transaction import Transaction
from clarin_core.ports.views import Views
from clarin_core.testing.inbox import PHOTO, inbox_of, somebody
from clarin_core.testing.tenants import LATER, NOON, Tenant

Ids = Mapping[str, Any]
Look = Callable[[Views, Any], Awaitable[Any]]
Step = Callable[[Transaction, Any, Ids], Awaitable[Any]]

INBOX_VIEWS: list[tuple[str, Look]] = [
    ("chat", lambda views, id: views.chat(id)),
    ("chat", lambda views, id: views.messages(id, MessageQuery())),
    ("chat", lambda views, id: views.tags_of(TagTarget.CHAT, id)),
    ("message", lambda views, id: views.message(id)),
    ("media", lambda views, id: views.media(id)),
    ("media key", lambda views, key: views.media_by_key(str(key))),
]

INBOX_FILTERS: list[tuple[str, Look]] = [
    ("device", lambda views, id: views.chats(ChatQuery(device_ids=frozenset({id})))),
    ("tag", lambda views, id: views.chats(ChatQuery(tag_ids=frozenset({id})))),
    ("member", lambda views, id: views.chats(ChatQuery(assigned_to=id))),
]

INBOX_GETTERS: list[tuple[str, Step]] = [
    ("chat", lambda tx, id, _: tx.chats.get(id)),
    ("deleted chat", lambda tx, id, _: tx.chats.get(id, deleted=True)),
    ("message", lambda tx, id, _: tx.messages.get(id)),
    ("media", lambda tx, id, _: tx.media.get(id)),
]

INBOX_LOOK_UPS: list[tuple[str, Step]] = [
    ("chat", lambda tx, id, _: tx.chats.get_many([id])),
    ("contact", lambda tx, id, _: tx.chats.of_contacts([id])),
    ("chat", lambda tx, id, _: tx.messages.by_wa([(id, "A")])),
    ("chat", lambda tx, id, _: tx.messages.unsettled([id])),
    ("chat", lambda tx, id, _: tx.messages.take_marks([(id, "B")])),
    ("chat", lambda tx, id, _: tx.messages.take_ripe_marks(id)),
    ("chat", lambda tx, id, own: _tally(tx, own["chat"], id)),
    ("chat", lambda tx, id, _: tx.messages.ends([id])),
    ("chat", lambda tx, id, _: tx.messages.votes([(id, "A")])),
    ("chat", lambda tx, id, own: _unread(tx, own["chat"], id)),
    ("device", lambda tx, id, _: tx.outbox.next(id, at=LATER)),
    ("device", lambda tx, id, _: tx.outbox.at_work(id)),
    ("device", lambda tx, id, _: tx.media.next(id, at=LATER)),
    ("media", lambda tx, id, _: tx.media.unused([id])),
    ("message", lambda tx, id, _: tx.outbox.of_message(id)),
    ("media", lambda tx, id, _: tx.media.seen([id])),
]

INBOX_LINKS: list[tuple[str, Step]] = [
    ("device", lambda tx, id, own: _claim(tx, own, device_id=id)),
    ("contact", lambda tx, id, own: _claim(tx, own, contact_id=id)),
    ("device", lambda tx, id, own: _save_chat(tx, own, device_id=id)),
    ("contact", lambda tx, id, own: _save_chat(tx, own, contact_id=id)),
    ("chat", lambda tx, id, own: tx.chats.unite(own["chat"], id)),
    ("chat", lambda tx, id, own: tx.chats.unite(id, own["chat"])),
    ("chat", lambda tx, id, own: _add(tx, own, chat_id=id)),
    ("device", lambda tx, id, own: _add(tx, own, device_id=id)),
    ("media", lambda tx, id, own: _add(tx, own, media_id=id)),
    ("chat", lambda tx, id, own: _save_message(tx, own, chat_id=id)),
    ("device", lambda tx, id, own: _save_message(tx, own, device_id=id)),
    ("media", lambda tx, id, own: _save_message(tx, own, media_id=id)),
    ("chat", lambda tx, id, _: tx.messages.put_marks([_mark(id)], at=NOON)),
    ("chat", lambda tx, id, _: tx.messages.react([_reaction(id)])),
    ("chat", lambda tx, id, _: tx.messages.vote([_vote(id)])),
    ("device", lambda tx, id, _: tx.media.add([replace(PHOTO, key="b", device_id=id)], at=NOON)),
    ("device", lambda tx, id, own: _save_media(tx, own["media"], device_id=id)),
    ("device", lambda tx, id, own: _order(tx, own, device_id=id)),
    ("chat", lambda tx, id, own: _order(tx, own, chat_id=id)),
    ("message", lambda tx, id, own: _order(tx, own, message_id=id)),
]

INBOX_SAVES: list[tuple[str, Step]] = [
    ("chat", lambda tx, id, own: _save_chat(tx, own, id=id, name="ajeno")),
    ("message", lambda tx, id, own: _save_message(tx, own, id=id, body="ajeno")),
    ("message", lambda tx, id, _: tx.messages.remove([id])),
    ("media", lambda tx, id, own: _save_media(tx, own["media"], id=id, filename="ajeno")),
    ("media", lambda tx, id, _: tx.media.remove(id)),
    ("errand", lambda tx, id, own: tx.outbox.save(replace(own["an errand"], id=id))),
    ("errand", lambda tx, id, own: tx.outbox.remove(replace(own["an errand"], id=id))),
]


async def furnish_inbox(account: Tenant, contact_id: int) -> dict[str, Any]:
    """Commit one thing of every kind and return their ids by kind."""
    inbox = await inbox_of(account)
    chat, hidden = await inbox.open(somebody(1), somebody(2), contact_id=contact_id)
    draft = inbox.said(chat, wa_message_id="A", status=MessageStatus.UNKNOWN)
    (message,) = await inbox.say(draft)
    (errand,) = await inbox.order(inbox.to_do(chat, message_id=message.id))
    async with account.begin() as tx:
        await tx.messages.put_marks([_mark(chat.id)], at=NOON)
        await tx.messages.react([_reaction(chat.id)])
        await tx.messages.vote([_vote(chat.id)])
    await inbox.delete(hidden)
    key = uuid4().hex
    return {
        "device": inbox.device_id, "chat": chat.id, "deleted chat": hidden.id,
        "message": message.id, "errand": errand.id,
        "media": await inbox.add_media(replace(PHOTO, key=key)), "media key": key,
        "an errand": errand, "an inbox": inbox, "a chat": chat,
    }  # fmt: skip


async def _tally(tx: Transaction, own: ChatId, id: int) -> object:
    tallies = await tx.messages.tally([replace(await tx.chats.get(own), id=id)])
    return list(tallies.values())


async def _unread(tx: Transaction, own: ChatId, id: int) -> list[str]:
    chat = replace(await tx.chats.get(own), id=id)
    return await tx.messages.unread(chat, Place(LATER, MessageId(2**62)), limit=10)


async def _claim(tx: Transaction, own: Ids, **fields: object) -> None:
    await tx.chats.claim([replace(own["an inbox"].with_(somebody(3)), **fields)], at=NOON)


async def _save_chat(tx: Transaction, own: Ids, **fields: object) -> None:
    await tx.chats.save([replace(await tx.chats.get(own["chat"]), **fields)])


async def _add(tx: Transaction, own: Ids, **fields: object) -> None:
    await tx.messages.add([replace(own["an inbox"].said(own["a chat"]), **fields)], at=NOON)


async def _save_message(tx: Transaction, own: Ids, **fields: object) -> None:
    await tx.messages.save([replace(await tx.messages.get(own["message"]), **fields)])


async def _order(tx: Transaction, own: Ids, **fields: object) -> None:
    await tx.outbox.add([replace(own["an inbox"].to_do(own["a chat"]), **fields)], at=NOON)


async def _save_media(tx: Transaction, own: MediaId, **fields: object) -> None:
    await tx.media.save(replace(await tx.media.get(own), **fields))


def _mark(chat_id: int) -> Mark:
    return Mark(chat_id=ChatId(chat_id), wa_message_id="B", is_read=True)


def _reaction(chat_id: int) -> Reaction:
    return Reaction(
        chat_id=ChatId(chat_id), wa_message_id="A", sender=somebody(1), emoji="👍", at=NOON
    )


def _vote(chat_id: int) -> Vote:
    return Vote(chat_id=ChatId(chat_id), wa_message_id="A", voter=somebody(1), options=[], at=NOON)
