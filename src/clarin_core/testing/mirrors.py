"""A mirror of Kommo to try a storage with: its rows, and what takes an id of theirs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.contacts import Contact
from clarin_core.domain.crm_diff import contacts_of, digest_of
from clarin_core.domain.ids import ContactId, KommoId, LeadId
from clarin_core.domain.kommo import ContactRecord, KommoDictionaries, KommoLink, LeadRecord
from clarin_core.domain.kommo_sync import Backfill, Sweep, SyncState, Walk
from clarin_core.domain.leads import Lead
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.remote import (
    RemoteContact,
    RemoteKind,
    RemoteLead,
    RemoteLink,
    RemotePipeline,
)
from clarin_core.ports.transaction import Transaction
from clarin_core.testing import strategies
from clarin_core.testing.tenants import NOON, Tenant

Ids = Mapping[str, Any]
Step = Callable[[Transaction, Any, Ids], Awaitable[Any]]
Many = Callable[[Transaction, Sequence[LeadId], Sequence[ContactId]], Awaitable[Any]]

LONG = timedelta(hours=1)
PIPELINE = KommoId(11)

MIRROR_LOOK_UPS: list[tuple[str, Step]] = [
    ("lead", lambda tx, id, _: tx.leads.look_up([id], [])),
    ("kommo", lambda tx, id, _: tx.leads.look_up([], [id])),
    ("contact", lambda tx, id, _: tx.contacts.look_up([id], [])),
    ("kommo", lambda tx, id, _: tx.pipelines.by_kommo([id])),
    ("mirrored", lambda tx, id, _: tx.kommo.leads([id])),
    ("mirrored", lambda tx, id, _: tx.kommo.leads_with([id])),
    ("mirrored", lambda tx, id, _: tx.kommo.contacts([id], [])),
    ("mirrored", lambda tx, id, _: tx.kommo.people([id])),
    ("mirrored", lambda tx, id, _: tx.kommo.between(RemoteKind.LEAD, id - 1, id)),
    ("lead", lambda tx, id, _: tx.kommo.mirrored_leads([id])),
    ("contact", lambda tx, id, _: tx.kommo.mirrored_contacts([id])),
]
"""Every look-up that leaves out what it does not know."""

MIRROR_LINKS: list[tuple[str, Step]] = [
    ("lead", lambda tx, id, _: tx.kommo.put_leads([record_of(id, 1)])),
    ("contact", lambda tx, id, _: tx.kommo.put_contacts([person_of(id, 1)])),
]
"""Every write that points to something else."""

MIRROR_SAVES: list[tuple[str, Step]] = [
    ("mirrored", lambda tx, id, _: tx.kommo.bury(RemoteKind.LEAD, [id])),
    ("mirrored", lambda tx, id, _: tx.kommo.bury(RemoteKind.CONTACT, [id])),
    ("kommo", lambda tx, id, _: tx.kommo.forget_pipeline(id)),
    ("contact", lambda tx, id, own: tx.kommo.repoint([id], own["contact"])),
]
"""Every change and removal by id."""

MIRROR_BATCHES: Mapping[str, Many] = {
    "known leads": lambda tx, leads, _: tx.kommo.leads(kommo_ids(leads)),
    "leads with contacts": lambda tx, leads, _: tx.kommo.leads_with(kommo_ids(leads)),
    "known contacts of Kommo": lambda tx, _, people: tx.kommo.contacts(kommo_ids(people), []),
    "people of Kommo": lambda tx, _, people: tx.kommo.people(kommo_ids(people)),
    "put leads": lambda tx, leads, _: tx.kommo.put_leads([record_of(one, one) for one in leads]),
    "put contacts": lambda tx, _, people: tx.kommo.put_contacts(
        [person_of(one, one) for one in people]
    ),
    "bury": lambda tx, leads, _: tx.kommo.bury(RemoteKind.LEAD, kommo_ids(leads)),
    "mirrored leads": lambda tx, leads, _: tx.kommo.mirrored_leads(leads),
    "mirrored contacts": lambda tx, _, people: tx.kommo.mirrored_contacts(people),
    "repoint": lambda tx, _, people: tx.kommo.repoint(people, people[0]),
}
"""Every operation that takes many rows."""


def states() -> st.SearchStrategy[SyncState]:
    """How far mirrors may be."""
    some = st.lists(strategies.kommo_ids(), max_size=3)
    kinds = st.lists(st.sampled_from(RemoteKind), max_size=2)
    walks = st.builds(
        Walk, upto=st.integers(0, 400), beyond=st.lists(st.integers(1, 400), max_size=3),
        ceiling=strategies.maybe(st.integers(1, 400)), rows=st.integers(0, 100_000),
    )  # fmt: skip
    backfills = st.builds(
        Backfill, since=strategies.instants(), start=strategies.maybe(strategies.instants()),
        contacts=strategies.maybe(walks), leads=walks, is_full=st.booleans(),
    )  # fmt: skip
    sweeps = st.builds(Sweep, kind=st.sampled_from(RemoteKind), missing=some)
    return st.builds(
        SyncState, backfill=strategies.maybe(backfills), sweep=strategies.maybe(sweeps),
        leads_upto=strategies.maybe(strategies.instants()), again_leads=some, sweeps_due=kinds,
        suspects=kinds, suspected_at=strategies.maybe(strategies.instants()),
    )  # fmt: skip


async def add_link(account: Tenant, *, connected: Sequence[KommoId] = ()) -> KommoLink:
    """Commit a connection."""
    link = KommoLink(
        subdomain="acme", remote_id=KommoId(1), name="Acme", currency="PEN",
        connected=list(connected), state=SyncState(), created_at=NOON, updated_at=NOON, version=1,
    )  # fmt: skip
    async with account.begin() as tx:
        await tx.kommo.add(link, b"\0sealed")
        assert await tx.kommo.sealed() == b"\0sealed"
    return link


async def furnish_mirror(account: Tenant, lead: Lead, contact: Contact) -> None:
    """Commit a connection that somebody keeps, and a record of every kind."""
    await add_link(account, connected=[PIPELINE])
    lease = await account.storage.kommo_leases.lease(account.id, "a", LONG)
    assert lease is not None
    async with account.begin() as tx:
        await tx.kommo.put_dictionaries(KommoDictionaries(pipelines=[pipeline(PIPELINE)]))
    await put_leads(account, record_of(lead.id, lead.id * 2, contacts=[contact.id * 2 + 1]))
    await put_contacts(account, person_of(contact.id, contact.id * 2 + 1))


async def put_leads(account: Tenant, *records: LeadRecord) -> None:
    """Commit what Kommo says of leads."""
    async with account.begin() as tx:
        await tx.kommo.put_leads(records)


async def put_contacts(account: Tenant, *records: ContactRecord) -> None:
    """Commit what Kommo says of contacts."""
    async with account.begin() as tx:
        await tx.kommo.put_contacts(records)


async def rename(account: Tenant, token: int, name: str) -> None:
    """Commit another name of a connection, as the keeper of its mirror."""
    async with account.begin() as tx:
        await tx.kommo.save(replace(await tx.kommo.hold(token), name=name))


def record_of(
    lead_id: LeadId, kommo_id: int, *, contacts: Sequence[int] = (), pipeline: int = PIPELINE
) -> LeadRecord:
    """Return what Kommo might say of a lead."""
    said = RemoteLead(
        id=KommoId(kommo_id), name="Luz", pipeline_id=KommoId(pipeline), stage_id=KommoId(142),
        created_at=NOON, updated_at=NOON,
        contacts=[RemoteLink(contact_id=KommoId(one)) for one in contacts],
    )  # fmt: skip
    return LeadRecord(
        lead_id=lead_id, digest=digest_of(said), said=said, contacts=contacts_of(said)
    )


def person_of(
    contact_id: ContactId, kommo_id: int, *, phone: PhoneNumber | None = None
) -> ContactRecord:
    """Return what Kommo might say of a contact."""
    said = RemoteContact(id=KommoId(kommo_id), name="Ana", created_at=NOON, updated_at=NOON)
    return ContactRecord(
        contact_id=contact_id, digest=digest_of(said), said=said, phone=phone, email=None
    )


def pipeline(kommo_id: int, *, position: int = 1) -> RemotePipeline:
    """Return a pipeline as Kommo might say it."""
    return RemotePipeline(id=KommoId(kommo_id), name=f"Ventas {kommo_id}", position=position)


def kommo_ids(ids: Sequence[int]) -> list[KommoId]:
    """Return numbers as ids of Kommo."""
    return [KommoId(one) for one in ids]
