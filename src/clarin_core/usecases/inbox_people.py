"""Who is who on the other side: identities, the contacts that have them, and their chats.

A person may be known by a phone and by a linked id. As soon as WhatsApp says that both are one,
the phone is the *main* identity: chats and contacts of the two become one (CT4, CT7).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from clarin_core.domain.chats import Chat, ChatDraft
from clarin_core.domain.contacts import Contact, ContactDraft, ContactIdentity, ContactMerge
from clarin_core.domain.events import ContactCreated, ContactUpdated, Event
from clarin_core.domain.ids import ChatId, ContactId, DeviceId
from clarin_core.domain.inbound import Peer
from clarin_core.domain.inbox_events import (
    ChatOpened,
    ChatUnited,
    ChatUpdated,
)
from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.phone import normalize_phone
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.contacts import merge_contacts
from clarin_core.usecases.inbox_news import changes_of

SOURCE = "whatsapp"


@dataclass(frozen=True, slots=True)
class People:
    """Those of whom some events tell; `rows` has what is kept of them."""

    tx: Transaction
    at: datetime
    rows: dict[Identity, ContactIdentity]

    @classmethod
    async def meet(cls, tx: Transaction, peers: Collection[Peer], *, at: datetime) -> "People":
        """Look up the peers, and link what WhatsApp says to be one."""
        names = {identity for peer in peers for identity in _identities(peer)}
        people = cls(tx, at, await tx.contacts.identities(names, at=at))
        mains = {people.main(Peer(identity=name)) for name in people.rows} - people.rows.keys()
        people.rows.update(await tx.contacts.identities(mains, at=at))
        for peer in peers:
            await people._link(peer)
        return people

    def main(self, peer: Peer) -> Identity:
        """Return the identity by which a peer is addressed."""
        row = self.rows.get(peer.identity)
        if row is None or row.alias is None:
            return peer.identity
        return Identity(IdentityKind.PHONE, row.alias)

    async def contacts(self, names: Mapping[Identity, str | None]) -> dict[Identity, Contact]:
        """Return the live contact of each main identity, found or made (CT2).

        `names` has what people call themselves; it fills only what is empty.
        """
        known = await self._known(names.keys())
        strangers = [identity for identity in names if identity not in known]
        drafts = [
            ContactDraft(phone=identity.phone, push_name=names[identity], source=SOURCE)
            for identity in strangers
        ]
        claimed = await self.tx.contacts.claim(drafts, at=self.at) if drafts else []
        if born := [contact for contact, is_new in claimed if is_new]:
            self.tx.emit(ContactCreated(contacts=born))
        found = {
            identity: contact for identity, (contact, _) in zip(strangers, claimed, strict=True)
        }
        await self._keep({identity: contact.id for identity, contact in found.items()})
        everybody = known | found
        await self._fill(everybody, names)
        return everybody

    async def names(self, identities: Iterable[Identity]) -> dict[Identity, str]:
        """Return what people see of the live contacts of some identities."""
        owners = {i: row.contact_id for i in identities if (row := self.rows.get(i))}
        known = {contact_id for contact_id in owners.values() if contact_id is not None}
        names = await self.tx.contacts.names(known) if known else {}
        return {i: names[owner] for i, owner in owners.items() if owner in names}

    async def _known(self, identities: Iterable[Identity]) -> dict[Identity, Contact]:
        ids = {
            i: row.contact_id for i in identities if (row := self.rows.get(i)) and row.contact_id
        }
        live = await self._live(set(ids.values()))
        return {i: live[contact_id] for i, contact_id in ids.items() if contact_id in live}

    async def _live(self, ids: Collection[ContactId]) -> dict[ContactId, Contact]:
        found = await self.tx.contacts.get_many(ids) if ids else []
        return {contact.id: contact for contact in found if contact.deleted_at is None}

    async def _keep(self, owners: Mapping[Identity, ContactId]) -> None:
        """Note whose identities these are, linked ids of the same people included."""
        rows = [ContactIdentity(identity=i, contact_id=owner) for i, owner in owners.items()]
        for identity, row in self.rows.items():
            owner = owners.get(self.main(Peer(identity=identity)))
            if identity not in owners and owner is not None:
                rows.append(ContactIdentity(identity=identity, contact_id=owner, alias=row.alias))
        if rows:
            await self.tx.contacts.put_identities(rows)
            self.rows.update({row.identity: row for row in rows})

    async def _fill(
        self, people: Mapping[Identity, Contact], names: Mapping[Identity, str | None]
    ) -> None:
        changed = [
            contact
            for identity, contact in people.items()
            if contact.fill({"push_name": names[identity]}, at=self.at)
        ]
        if changed:
            await self.tx.contacts.save(changed)
            self.tx.emit(ContactUpdated(contacts=changed, changed=["push_name"]))

    async def _link(self, peer: Peer) -> None:
        """Take a linked id and a phone for one person; what was linked before stays so."""
        pair = {identity.kind: identity for identity in _identities(peer)}
        lid, phone = pair.get(IdentityKind.LID), pair.get(IdentityKind.PHONE)
        if lid is None or phone is None:
            return
        known = self.rows.get(lid)
        if known is not None and known.alias is not None:
            return
        mine = known.contact_id if known else None
        theirs = self.rows[phone].contact_id if phone in self.rows else None
        owner = await self._one_contact(mine, theirs, phone)
        rows = [ContactIdentity(identity=lid, contact_id=owner, alias=phone.value)]
        rows.append(ContactIdentity(identity=phone, contact_id=owner))
        await self.tx.contacts.put_identities(rows)
        self.rows.update({row.identity: row for row in rows})
        await self._one_chat(lid, phone)

    async def _one_contact(
        self, mine: ContactId | None, theirs: ContactId | None, phone: Identity
    ) -> ContactId | None:
        """Return the contact of both; the older one stays when there are two (CT4).

        One that was deleted is nobody's any more.
        """
        live = await self._live([one for one in (mine, theirs) if one is not None])
        mine, theirs = (one if one in live else None for one in (mine, theirs))
        if mine is None or mine == theirs:
            return theirs
        theirs = theirs or await self._owner(phone, mine)
        if theirs == mine:
            return mine
        keep, gone = sorted((mine, theirs))
        merge = ContactMerge(keep_id=keep, merge_ids=frozenset([gone]))
        await merge_contacts(self.tx, merge, at=self.at)
        return keep

    async def _owner(self, phone: Identity, contact_id: ContactId) -> ContactId:
        """Return who has the phone; if it is nobody's, the contact gets it."""
        (contact,) = await self.tx.contacts.get_many([contact_id])
        if contact.phone is not None or not contact.alter({"phone": phone.phone}, at=self.at):
            return contact_id
        try:
            await self.tx.contacts.save([contact])
        except Conflict as taken:
            return contact_id if taken.id is None else ContactId(taken.id)
        self.tx.emit(ContactUpdated(contacts=[contact], changed=["phone"]))
        return contact_id

    async def _one_chat(self, lid: Identity, phone: Identity) -> None:
        """Address chats of the linked id by phone, united with those that were there (CT7)."""
        chats = await self.tx.chats.of_identities([lid, phone])
        by_phone = {chat.device_id: chat for chat in chats if chat.identity == phone}
        for chat in chats:
            if chat.identity != lid:
                continue
            if survivor := by_phone.get(chat.device_id):
                await unite(self.tx, survivor, chat, at=self.at)
            else:
                chat.alter({"identity": phone}, at=self.at)
                await self.tx.chats.save([chat])
                self.tx.emit(ChatUpdated(chats=[chat], changed=["identity"]))


async def live_chats(tx: Transaction, chat_ids: Collection[ChatId]) -> list[Chat]:
    """Return chats, locked, by id; raises NotFound when one is deleted or not there."""
    chats = [chat for chat in await tx.chats.get_many(chat_ids) if chat.deleted_at is None]
    if missing := set(chat_ids) - {chat.id for chat in chats}:
        raise NotFound("chat", min(missing))
    return chats


async def chat_with(
    tx: Transaction, device_id: DeviceId, phone: str, *, region: str, at: datetime
) -> Chat:
    """Return the live chat of a device with a phone, which is opened if there is none."""
    device = await tx.devices.get(device_id)
    peer = Peer(identity=Identity.of_phone(normalize_phone(phone, region)))
    people = await People.meet(tx, [peer], at=at)
    draft = ChatDraft(device_id=device.id, identity=peer.identity)
    ((chat, is_new),) = await tx.chats.claim([draft], at=at)
    if not is_new and chat.deleted_at is None:
        return chat
    values: dict[str, object] = {"deleted_at": None}
    if peer.identity.phone != device.phone:  # An own number is nobody's (CT11).
        contact = (await people.contacts({peer.identity: None}))[peer.identity]
        values |= {"contact_id": contact.id}
    if chat.alter(values, at=at):
        await tx.chats.save([chat])
    tx.emit(ChatOpened(chats=[chat]))
    return chat


async def unite(tx: Transaction, survivor: Chat, gone: Chat, *, at: datetime) -> None:
    """Let a chat have all that another one had; what was read in both counts as read (CT7)."""
    dropped = await tx.chats.unite(survivor.id, gone.id)
    reads = (survivor.read_up_to, gone.read_up_to)
    hidden = [place for place in (survivor.cleared_up_to, gone.cleared_up_to) if place is not None]
    survivor.alter(
        {
            "read_up_to": None if None in reads else min(filter(None, reads)),
            "cleared_up_to": max(hidden, default=None),
            "contact_id": survivor.contact_id or gone.contact_id,
        },
        at=at,
    )
    events = await _bring_in(tx, survivor, at=at)
    tally = (await tx.messages.tally([survivor]))[survivor.id]
    survivor.show(tally.latest, tally.unread, at=at)
    if gone.deleted_at is None and survivor.deleted_at is not None:
        survivor.restore(at)
    await tx.chats.save([survivor])
    tx.emit(ChatUnited(chat=survivor, gone=gone.id, dropped=dropped), *events)


async def _bring_in(tx: Transaction, chat: Chat, *, at: datetime) -> list[Event]:
    """Let happen to messages what was said of them in the other chat; return what is to be told."""
    marks = {mark.key: mark for mark in await tx.messages.take_ripe_marks(chat.id)}
    if not marks:
        return []
    messages = await tx.messages.by_wa(marks.keys())
    changed = {key: marks[key].bring_in(message, at=at) for key, message in messages.items()}
    for key, message in messages.items():
        if marks[key].is_read:
            chat.read(message.place, at=at)
    await tx.messages.save(list(messages.values()))
    touched = {
        kind: [messages[key] for key in messages if name in changed[key]]
        for kind, name in (("risen", "status"), ("edited", "edited_at"), ("revoked", "revoked_at"))
    }
    return await changes_of(tx, [chat], **touched)


def _identities(peer: Peer) -> list[Identity]:
    return [peer.identity] if peer.other is None else [peer.identity, peer.other]
