"""What a device hears becomes rows, unread counts, previews, contacts, leads and events.

Some events are one transaction. Hearing them again, in any order, alone or with others, changes
nothing more: a message is there or not (CH4), and whatever is said of one obeys rules that do
not care about order (`domain.inbox`). So whoever delivers may repeat everything after a crash.
What is said in groups is nobody's affair (CH2).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from clarin_core.domain.chats import Chat, ChatDraft
from clarin_core.domain.contacts import Contact
from clarin_core.domain.devices import Device, DeviceLease
from clarin_core.domain.ids import ChatId, MessageId
from clarin_core.domain.inbound import (
    EditSeen,
    Inbound,
    MessageSeen,
    Peer,
    ReactionSeen,
    ReceiptSeen,
    RevokeSeen,
    VoteSeen,
)
from clarin_core.domain.inbox import Key, Talk
from clarin_core.domain.inbox_events import (
    ChatDeleted,
    ChatOpened,
    ChatUpdated,
    MessageReceived,
    MessageSent,
)
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.media import KEY_BYTES, Attachment, MediaDraft, new_key
from clarin_core.domain.messages import Message
from clarin_core.ports.small import Clock, Random
from clarin_core.ports.storage import Storage
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.device_sessions import holding
from clarin_core.usecases.inbox_leads import open_leads
from clarin_core.usecases.inbox_news import changes_of, files_of
from clarin_core.usecases.inbox_people import People
from clarin_core.usecases.inbox_replies import store_replies

REASON_MAX = 1_000


@dataclass(frozen=True, slots=True)
class InboxUseCases:
    """What happens to an account because of what one of its devices hears."""

    storage: Storage
    clock: Clock
    random: Random

    async def receive(self, lease: DeviceLease, heard: Sequence[Inbound]) -> None:
        """Let all of it happen, or nothing.

        Raises Conflict `lease_lost` when somebody else has the device now.
        """
        async with holding(self.storage, lease) as (tx, device):
            await self._store(tx, device, heard)

    async def set_aside(self, lease: DeviceLease, heard: Inbound, reason: str) -> None:
        """Keep what cannot be stored for `receive_aside`: nothing that was heard is dropped."""
        kept = msgspec.msgpack.encode(heard)
        async with holding(self.storage, lease) as (tx, device):
            await tx.devices.set_aside(device.id, kept, reason[:REASON_MAX], at=self.clock())

    async def receive_aside(self, lease: DeviceLease, *, skip: int) -> bool:
        """Let happen what was set aside, but for so many older things; False for nothing.

        Raises what `receive` does, and then it stays where it is.
        """
        async with holding(self.storage, lease) as (tx, device):
            kept = await tx.devices.take_aside(device.id, skip=skip)
            if kept is not None:
                await self._store(tx, device, [msgspec.msgpack.decode(kept, type=Inbound)])
        return kept is not None

    async def _store(self, tx: Transaction, device: Device, told: Sequence[Inbound]) -> None:
        at = self.clock()
        heard = [event for event in told if event.chat.identity.kind is not IdentityKind.GROUP]
        people = await People.meet(tx, _peers(heard), at=at)
        talk, opened = await _talk(tx, device, people, heard, at=at)
        await self._insert(tx, talk, heard)
        for event in heard:
            talk.apply(event)
        await _store_messages(tx, talk)
        contacts = await _know(people, device, talk, heard)
        await _store_chats(tx, talk, opened, contacts)
        await store_replies(tx, talk, people)
        await open_leads(tx, _first_words(talk, heard, contacts), at=at)

    async def _insert(self, tx: Transaction, talk: Talk, heard: Sequence[Inbound]) -> None:
        """Store the messages that are new, and what is known of their files."""
        new = talk.new(heard)
        offers = {key: event.media for key, event in new.items() if event.media is not None}
        drafts = [
            MediaDraft(
                key=new_key(self.random(KEY_BYTES)),
                type=offer.type,
                mimetype=offer.mimetype,
                filename=offer.filename,
                size=offer.size,
                source=offer.source,
                device_id=talk.device_id,
            )
            for offer in offers.values()
        ]
        files = await tx.media.add(drafts, at=talk.at) if drafts else []
        media = {key: file.id for key, file in zip(offers, files, strict=True)}
        if talk.disowned:
            await tx.messages.save(talk.disowned)  # What comes has their names.
        messages = [talk.draft(event) for event in new.values()]
        for key, message in zip(new, messages, strict=True):
            message.media_id = media.get(key)
        stored = await tx.messages.add(messages, at=talk.at) if messages else []
        for key, added in zip(new, stored, strict=True):
            if added is not None:
                talk.insert(key, added)


async def _talk(
    tx: Transaction, device: Device, people: People, heard: Sequence[Inbound], *, at: datetime
) -> tuple[Talk, set[ChatId]]:
    """Look up, and lock, all that the events name; return it with the chats that are new."""
    mains = sorted({people.main(event.chat) for event in heard if _wa_ids(event)})
    drafts = [ChatDraft(device_id=device.id, identity=main) for main in mains]
    claimed = await tx.chats.claim(drafts, at=at) if drafts else []
    chats = {chat.identity: chat for chat, _ in claimed}
    opened = {chat.id for chat, is_new in claimed if is_new}
    for chat, is_new in claimed:
        if is_new:
            chat.deleted_at = at  # Until it has a message.
    named = [
        (event, (chats[people.main(event.chat)].id, wa_id))
        for event in heard
        for wa_id in _wa_ids(event)
    ]
    keys: set[Key] = {key for _, key in named}
    messages = await tx.messages.by_wa(keys) if keys else {}
    unknown = keys - messages.keys()
    marks = await tx.messages.take_marks(unknown) if unknown else {}
    own = {key[0] for event, key in named if key not in messages and _may_settle(event)}
    unsettled = await tx.messages.unsettled(own) if own else []
    return Talk(device.id, people.main, at, chats, messages, marks, unsettled), opened


async def _store_messages(tx: Transaction, talk: Talk) -> None:
    """Store what became of messages, and announce it but for the new ones."""
    if talk.marks:
        await tx.messages.put_marks(talk.marks.values(), at=talk.at)
    fresh = {message.id for message in talk.fresh.values()}
    touched = {m.id: m for m in talk.fresh.values() if m.version > 1}
    touched |= talk.settled | talk.risen | talk.edited | talk.revoked
    if touched:
        await tx.messages.save([touched[key] for key in sorted(touched)])
    await _tell_changes(tx, talk, fresh)


async def _tell_changes(tx: Transaction, talk: Talk, fresh: set[MessageId]) -> None:
    files = {file.id: file for file in await files_of(tx, talk.settled.values())}
    for message in talk.settled.values():
        file = files.get(message.media_id) if message.media_id else None
        tx.emit(MessageSent(message=message, file=file))
    changed = {"risen": talk.risen, "edited": talk.edited, "revoked": talk.revoked}
    known = {
        kind: [message for key, message in sorted(found.items()) if key not in fresh]
        for kind, found in changed.items()
    }
    tx.emit(*await changes_of(tx, talk.chats.values(), **known))


async def _know(
    people: People, device: Device, talk: Talk, heard: Sequence[Inbound]
) -> dict[Identity, Contact]:
    """Return the contacts of all chats with new messages; an own number is nobody's (CT11)."""
    spoken = {message.chat_id for message in talk.fresh.values()}
    names: dict[Identity, str | None] = {
        identity: None
        for identity, chat in talk.chats.items()
        if chat.id in spoken and identity.phone != (device.phone or "")
    }
    for event in heard:
        main = people.main(event.chat)
        if main in names and isinstance(event, MessageSeen) and not event.is_from_me:
            names[main] = event.sender_name or names[main]
    return await people.contacts(names) if names else {}


async def _store_chats(
    tx: Transaction, talk: Talk, opened: set[ChatId], contacts: dict[Identity, Contact]
) -> None:
    """Let chats show what they have now, and announce them with their new messages."""
    fresh = defaultdict[ChatId, list[Message]](list)
    for message in talk.fresh.values():
        fresh[message.chat_id].append(message)
    for identity, chat in talk.chats.items():
        if contact := contacts.get(identity):
            chat.alter({"contact_id": contact.id}, at=talk.at)
        chat.take(fresh[chat.id], at=talk.at)
    await _recount(tx, talk)
    altered = {chat.id for chat in talk.changed} | opened
    changed = [chat for chat in talk.chats.values() if chat.id in altered]
    if changed:
        await tx.chats.save(changed)
    files = await files_of(tx, talk.fresh.values())
    _announce(tx, talk, opened, changed, files)


async def _recount(tx: Transaction, talk: Talk) -> None:
    again = [chat for chat in talk.chats.values() if chat.id in talk.recount]
    if not again:
        return
    tallies = await tx.messages.tally(again)
    for chat in again:
        chat.show(tallies[chat.id].latest, tallies[chat.id].unread, at=talk.at)


def _announce(
    tx: Transaction,
    talk: Talk,
    opened: set[ChatId],
    changed: list[Chat],
    files: list[Attachment],
) -> None:
    fresh = {message.chat_id for message in talk.fresh.values()}
    spoken = [chat for chat in changed if chat.id in fresh]
    silent = [chat for chat in changed if chat.id not in fresh]
    if born := [chat for chat in spoken if chat.id in opened]:
        tx.emit(ChatOpened(chats=born))
    if hidden := [chat for chat in silent if chat.id in opened]:
        tx.emit(ChatDeleted(chats=hidden))
    if messages := sorted(talk.fresh.values(), key=lambda message: message.id):
        tx.emit(MessageReceived(chats=spoken, messages=messages, files=files))
    if others := [chat for chat in silent if chat.id not in opened]:
        tx.emit(ChatUpdated(chats=others, changed=["last_message", "read_up_to", "unread_count"]))


def _first_words(
    talk: Talk, heard: Sequence[Inbound], contacts: dict[Identity, Contact]
) -> list[Contact]:
    """Return those who wrote to us just now, which is no history."""
    found = dict[int, Contact]()
    for event in heard:
        if isinstance(event, MessageSeen) and not (event.is_from_me or event.is_history):
            contact = contacts.get(talk.main(event.chat))
            if contact is not None and talk.key(event, event.wa_message_id) in talk.fresh:
                found[contact.id] = contact
    return list(found.values())


def _may_settle(event: Inbound) -> bool:
    """Say whether it may be about a message of which nobody knows whether it was sent."""
    match event:
        case MessageSeen():
            return event.is_from_me
        case ReceiptSeen():
            return not event.is_own
        case _:
            return False


def _peers(heard: Iterable[Inbound]) -> set[Peer]:
    found = set[Peer]()
    for event in heard:
        found.add(event.chat)
        match event:
            case MessageSeen(sender=Peer() as sender) | ReactionSeen(sender=sender):
                found.add(sender)
            case VoteSeen():
                found.add(event.voter)
            case _:
                pass
    return found


def _wa_ids(event: Inbound) -> Sequence[str]:
    match event:
        case ReceiptSeen():
            return event.wa_message_ids
        case MessageSeen() | EditSeen() | RevokeSeen() | ReactionSeen() | VoteSeen():
            return (event.wa_message_id,)
        case _:
            return ()
