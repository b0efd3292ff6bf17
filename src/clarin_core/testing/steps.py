"""The steps of generated histories: each writes, keeps the model up, and says what happened.

A step that finds nothing to work on does nothing. None of them can conflict: conflicts have
laws of their own.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from hypothesis import strategies as st

from clarin_core.domain.contacts import Contact, ContactDraft
from clarin_core.domain.devices import Device, NewDevice
from clarin_core.domain.events import (
    ContactCreated,
    ContactDeleted,
    ContactRestored,
    ContactTagged,
    ContactUntagged,
    ContactUpdated,
    Event,
    LeadCreated,
    LeadDeleted,
    LeadMoved,
    LeadRestored,
    LeadTagged,
    LeadUntagged,
    LeadUpdated,
    State,
    TagCreated,
    TagDeleted,
    TagRenamed,
)
from clarin_core.domain.ids import ContactId, LeadId
from clarin_core.domain.inbox_events import (
    DeviceCreated,
    DeviceDeleted,
    DeviceUpdated,
    QuickReplyCreated,
    QuickReplyDeleted,
    QuickReplyUpdated,
)
from clarin_core.domain.leads import Lead
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.quick_replies import NewQuickReply, shortcut_key
from clarin_core.domain.tags import TagLink, TagOrigin, TagTarget, tag_key
from clarin_core.ports.transaction import Transaction
from clarin_core.testing.strategies import hours, tag_names
from clarin_core.testing.tenants import draft

_PHONES = [None, PhoneNumber("+51987654321"), PhoneNumber("+51987654322")]

Row = TypeVar("Row", Lead, Contact)
Key = TypeVar("Key", LeadId, ContactId)
AskedKey = TypeVar("AskedKey", contravariant=True)
StoredRow = TypeVar("StoredRow")


class Store(Protocol[AskedKey, StoredRow]):
    """A store whose rows live and can be deleted."""

    async def get(self, row_id: AskedKey, /, *, deleted: bool = False) -> StoredRow:
        """Return a row, locked."""
        ...

    async def save(self, rows: Sequence[StoredRow], /) -> None:
        """Store changed rows."""
        ...


class Seed(NamedTuple):
    """What a step is made of; the numbers choose among what is there."""

    one: int
    two: int
    text: str
    at: datetime


Step = Callable[[Transaction, State, Seed], Awaitable[list[Event]]]

seeds = st.builds(Seed, st.integers(0, 5), st.integers(0, 5), tag_names(), hours())


async def add_leads(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Add one or two leads."""
    leads = await tx.leads.add([draft(seed.text)] * (1 + seed.two % 2), at=seed.at)
    state.leads |= {lead.id: deepcopy(lead) for lead in leads}
    return [LeadCreated(leads=leads)]


async def change_lead(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Give a lead another name and value."""
    values = {"name": seed.text, "value": seed.two}
    leads = await _edit(
        tx.leads, state.leads, seed, lambda lead: lead.alter(values, at=seed.at), deleted=False
    )
    return [LeadUpdated(leads=leads, changed=sorted(values))]


async def move_lead(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Put a lead into a stage (LD4)."""
    pipeline, moves = await tx.pipelines.default(), []
    stage = pipeline.stages[seed.two]
    leads = await _edit(
        tx.leads, state.leads, seed,
        lambda lead: moves.append(lead.move(pipeline, stage, by=None, at=seed.at)), deleted=False,
    )  # fmt: skip
    real = [move for move in moves if move is not None]
    await tx.leads.log_moves(real)
    return [LeadMoved(leads=leads, moves=real)]


async def delete_lead(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Hide a lead."""
    leads = await _edit(
        tx.leads, state.leads, seed, lambda lead: lead.delete(seed.at), deleted=False
    )
    return [LeadDeleted(leads=leads)]


async def restore_lead(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Show a lead again."""
    leads = await _edit(
        tx.leads, state.leads, seed, lambda lead: lead.restore(seed.at), deleted=True
    )
    return [LeadRestored(lead=lead) for lead in leads]


async def claim_contact(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Find a contact by phone or make one (CT2)."""
    wanted = ContactDraft(name=seed.text, phone=_PHONES[seed.one % len(_PHONES)])
    ((contact, is_new),) = await tx.contacts.claim([wanted], at=seed.at)
    known = {one.phone: one.id for one in _live(state.contacts).values()}
    assert is_new is (contact.phone is None or contact.phone not in known)
    assert is_new or known[contact.phone] == contact.id
    state.contacts.setdefault(contact.id, deepcopy(contact))
    return [ContactCreated(contacts=[contact])] * is_new


async def change_contact(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Give a contact another name."""
    contacts = await _edit(
        tx.contacts, state.contacts, seed,
        lambda contact: contact.alter({"name": seed.text}, at=seed.at), deleted=False,
    )  # fmt: skip
    return [ContactUpdated(contacts=contacts, changed=["name"])]


async def delete_contact(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Hide a contact."""
    contacts = await _edit(
        tx.contacts, state.contacts, seed, lambda contact: contact.delete(seed.at), deleted=False
    )
    return [ContactDeleted(contacts=contacts)]


async def restore_contact(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Show a contact again whose phone nobody took (SD2)."""
    taken = {one.phone for one in _live(state.contacts).values()} - {None}
    free = {id: one for id, one in state.contacts.items() if one.phone not in taken}
    contacts = await _edit(
        tx.contacts, free, seed, lambda contact: contact.restore(seed.at), deleted=True
    )
    state.contacts |= free
    return [ContactRestored(contact=contact) for contact in contacts]


async def claim_tag(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Find a tag by name or make one."""
    ((tag, is_new),) = await tx.tags.claim([seed.text], origin=TagOrigin.LOCAL, at=seed.at)
    assert is_new is (tag_key(seed.text) not in _keys(state))
    state.tags.setdefault(tag.id, deepcopy(tag))
    return [TagCreated(tags=[tag])] * is_new


async def rename_tag(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Give a tag a name that no other has (TG3)."""
    key, events = tag_key(seed.text), list[Event]()
    free = [one.id for one in state.tags.values() if _keys(state).get(key, one.id) == one.id]
    for tag_id in _chosen(free, seed.one):
        tag = await tx.tags.get(tag_id)
        tag.alter({"name": seed.text}, at=seed.at)
        await tx.tags.save(tag)
        state.tags[tag_id] = deepcopy(tag)
        events.append(TagRenamed(tag=tag))
    return events


async def remove_tag(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Take a tag away, with its links (TG3)."""
    events: list[Event] = []
    for tag_id in _chosen(state.tags, seed.one):
        await tx.tags.remove(tag_id)
        del state.tags[tag_id]
        for links in (state.lead_tags, state.contact_tags):
            links -= {link for link in links if link.tag_id == tag_id}
        events.append(TagDeleted(tag_id=tag_id))
    return events


async def tag_all(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Put a tag on all live leads and contacts (TG1)."""
    leads, contacts = _links(state.leads, state, seed), _links(state.contacts, state, seed)
    on_leads = await tx.tags.link(TagTarget.LEAD, leads, origin=TagOrigin.LOCAL)
    on_contacts = await tx.tags.link(TagTarget.CONTACT, contacts, origin=TagOrigin.LOCAL)
    assert on_leads == sorted(set(leads) - state.lead_tags)
    assert on_contacts == sorted(set(contacts) - state.contact_tags)
    state.lead_tags |= set(leads)
    state.contact_tags |= set(contacts)
    return [LeadTagged(links=on_leads), ContactTagged(links=on_contacts)]


async def untag_all(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Take a tag off all live leads and contacts (TG2)."""
    leads, contacts = _links(state.leads, state, seed), _links(state.contacts, state, seed)
    off_leads = await tx.tags.unlink(TagTarget.LEAD, leads)
    off_contacts = await tx.tags.unlink(TagTarget.CONTACT, contacts)
    assert off_leads == sorted(set(leads) & state.lead_tags)
    assert off_contacts == sorted(set(contacts) & state.contact_tags)
    state.lead_tags -= set(leads)
    state.contact_tags -= set(contacts)
    return [LeadUntagged(links=off_leads), ContactUntagged(links=off_contacts)]


async def add_quick_reply(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Add a quick reply, unless its shortcut is taken."""
    replies = state.inbox.quick_replies
    new = NewQuickReply(shortcut=f"hola{seed.one}", title="Saludo", body=seed.text)
    if any(shortcut_key(one.shortcut) == shortcut_key(new.shortcut) for one in replies.values()):
        return []
    reply = await tx.quick_replies.add(new, at=seed.at)
    replies[reply.id] = deepcopy(reply)
    return [QuickReplyCreated(quick_reply=reply)]


async def change_quick_reply(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Let a quick reply say something else."""
    replies, events = state.inbox.quick_replies, list[Event]()
    for reply_id in _chosen(replies, seed.one):
        reply = await tx.quick_replies.get(reply_id)
        reply.alter({"body": seed.text}, at=seed.at)
        await tx.quick_replies.save(reply)
        replies[reply_id] = deepcopy(reply)
        events.append(QuickReplyUpdated(quick_reply=reply))
    return events


async def remove_quick_reply(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Take a quick reply away."""
    events: list[Event] = []
    for reply_id in _chosen(state.inbox.quick_replies, seed.one):
        await tx.quick_replies.remove(reply_id)
        del state.inbox.quick_replies[reply_id]
        events.append(QuickReplyDeleted(quick_reply_id=reply_id))
    return events


async def add_device(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Add a device."""
    device = await tx.devices.add(NewDevice(name=seed.text), at=seed.at)
    state.inbox.devices[device.id] = deepcopy(device)
    return [DeviceCreated(device=device)]


async def turn_device(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Want a device connected, or not."""
    turn, events = (Device.connect, Device.disconnect)[seed.two % 2], list[Event]()
    for device_id in _chosen(state.inbox.devices, seed.one):
        device = await tx.devices.get(device_id)
        changed = turn(device, seed.at)
        await tx.devices.save(device)
        state.inbox.devices[device_id] = deepcopy(device)
        events.append(DeviceUpdated(device=device, changed=list(changed)))
    return events


async def remove_device(tx: Transaction, state: State, seed: Seed) -> list[Event]:
    """Take a device away."""
    events: list[Event] = []
    for device_id in _chosen(state.inbox.devices, seed.one):
        await tx.devices.remove(device_id)
        del state.inbox.devices[device_id]
        events.append(DeviceDeleted(device_id=device_id))
    return events


STEPS: tuple[Step, ...] = (
    add_leads, change_lead, move_lead, delete_lead, restore_lead, claim_contact, change_contact,
    delete_contact, restore_contact, claim_tag, rename_tag, remove_tag, tag_all, untag_all,
    add_quick_reply, change_quick_reply, remove_quick_reply,
    add_device, turn_device, remove_device,
)  # fmt: skip


async def _edit(
    store: Store[Key, Row],
    rows: dict[Key, Row],
    seed: Seed,
    change: Callable[[Row], object],
    *,
    deleted: bool,
) -> list[Row]:
    """Change one live or deleted row; return it in a list, which is empty if there is none."""
    fitting = [row_id for row_id, row in rows.items() if (row.deleted_at is not None) is deleted]
    changed: list[Row] = []
    for row_id in _chosen(fitting, seed.one):
        row = await store.get(row_id, deleted=deleted)
        change(row)
        await store.save([row])
        rows[row_id] = deepcopy(row)
        changed.append(row)
    return changed


def _chosen(ids: Collection[Any], number: int) -> list[Any]:
    """Return one of the ids, or nothing if there is none."""
    return [sorted(ids)[number % len(ids)]] if ids else []


def _live(rows: Mapping[Any, Row]) -> dict[Any, Row]:
    return {row_id: row for row_id, row in rows.items() if row.deleted_at is None}


def _keys(state: State) -> dict[str, int]:
    return {tag_key(tag.name): tag.id for tag in state.tags.values()}


def _links(rows: Mapping[Any, Row], state: State, seed: Seed) -> list[TagLink]:
    tags = _chosen(state.tags, seed.one)
    return [TagLink(target_id=one, tag_id=tag_id) for one in _live(rows) for tag_id in tags]
