"""The mirror of Kommo."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from clarin_core.domain.ids import ContactId, KommoId, LeadId
from clarin_core.domain.kommo import (
    ContactRecord,
    KnownContact,
    KnownLead,
    KommoCounts,
    KommoDictionaries,
    KommoLink,
    KommoPipeline,
    LeadRecord,
    NotConfigured,
    pipelines_shown,
)
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.remote import RemoteKind
from clarin_core.errors import Conflict, NotFound
from clarin_core.ports.kommo import KommoStore
from clarin_memory.reader import Reader
from clarin_memory.state import AccountTables, MirroredLead, Scope
from clarin_memory.tables import copied

_ONE = "link"
"""The key of what an account has once."""


@dataclass(frozen=True, slots=True)
class MemoryKommoStore(KommoStore):
    """One account's connection and mirror."""

    scope: Scope

    async def get(self) -> KommoLink:
        """Return the connection; raises NotConfigured."""
        return copied(_link(self.scope.tables))

    async def hold(self, token: int) -> KommoLink:
        """Return the connection; raises NotConfigured, Conflict `lease_lost`."""
        link = await self.get()
        lease = self.scope.shared.kommo_leases.peek(self.scope.account_id)
        if lease is None or lease.token != token:
            raise Conflict("lease_lost", "somebody else keeps the mirror")
        return link

    async def add(self, link: KommoLink, sealed: bytes) -> None:
        """Store the account's first connection with its sealed credentials."""
        self.scope.tables.kommo.put(_ONE, link)
        self.scope.tables.kommo_sealed.put(_ONE, sealed)

    async def save(self, link: KommoLink) -> None:
        """Store a changed connection; raises NotConfigured."""
        _link(self.scope.tables)
        self.scope.tables.kommo.put(_ONE, link)

    async def sealed(self) -> bytes:
        """Return the sealed credentials; raises NotConfigured."""
        sealed = self.scope.tables.kommo_sealed.peek(_ONE)
        if sealed is None:
            raise NotConfigured
        return sealed

    async def reseal(self, sealed: bytes) -> None:
        """Store other credentials; raises NotConfigured."""
        _link(self.scope.tables)
        self.scope.tables.kommo_sealed.put(_ONE, sealed)

    async def dictionaries(self) -> KommoDictionaries:
        """Return what Kommo's words mean."""
        return self.scope.tables.kommo_words.peek(_ONE) or KommoDictionaries()

    async def put_dictionaries(self, said: KommoDictionaries) -> None:
        """Store what Kommo's words mean; raises NotConfigured."""
        _link(self.scope.tables)
        self.scope.tables.kommo_words.put(_ONE, said)

    async def leads(self, kommo_ids: Collection[KommoId]) -> list[KnownLead]:
        """Return what is kept of some leads, by Kommo's id."""
        found = (self.scope.tables.kommo_leads.peek(key) for key in sorted(set(kommo_ids)))
        return [row.known for row in found if row is not None]

    async def leads_with(self, contact_ids: Collection[KommoId]) -> list[KnownLead]:
        """Return the leads that have one of these contacts and are not gone, by Kommo's id."""
        rows = (row.known for row in self.scope.tables.kommo_leads.rows())
        found = [row for row in rows if not row.is_gone and {*row.contacts} & {*contact_ids}]
        return sorted(found, key=lambda row: row.kommo_id)

    async def contacts(
        self, kommo_ids: Collection[KommoId], phones: Collection[PhoneNumber]
    ) -> list[KnownContact]:
        """Return what is kept of some contacts and of all that have to do with them, by id."""
        wanted, tables = set(phones), self.scope.tables
        rows = list(tables.kommo_contacts.rows())
        shared = {row.contact_id for row in rows if row.kommo_id in kommo_ids}
        for contact in tables.contacts.rows():
            if contact.phone in wanted and contact.deleted_at is None:
                shared.add(contact.id)
        found = [row for row in rows if row.contact_id in shared or row.phone in wanted]
        return sorted(found, key=lambda row: row.kommo_id)

    async def people(self, kommo_ids: Collection[KommoId]) -> dict[KommoId, ContactId]:
        """Return the contacts here of those contacts that are not gone."""
        found = (self.scope.tables.kommo_contacts.peek(key) for key in kommo_ids)
        return {row.kommo_id: row.contact_id for row in found if row and not row.is_gone}

    async def put_leads(self, records: Sequence[LeadRecord]) -> None:
        """Keep what Kommo says of leads; raises NotFound for a lead of another account."""
        for record in records:
            if record.lead_id not in self.scope.tables.leads:
                raise NotFound("lead", "of the link")
        for record in records:
            row = MirroredLead(_known_lead(record), record.said.pipeline_id)
            self.scope.tables.kommo_leads.put(record.said.id, row)

    async def put_contacts(self, records: Sequence[ContactRecord]) -> None:
        """Keep what Kommo says of contacts; raises NotFound for another account's contact."""
        for record in records:
            if record.contact_id not in self.scope.tables.contacts:
                raise NotFound("contact", "of the link")
        for record in records:
            self.scope.tables.kommo_contacts.put(record.said.id, _known_contact(record))

    async def bury(self, kind: RemoteKind, kommo_ids: Collection[KommoId]) -> None:
        """Remember that leads or contacts are gone there."""
        tables = self.scope.tables
        for key in kommo_ids:
            if kind is RemoteKind.CONTACT and (person := tables.kommo_contacts.peek(key)):
                tables.kommo_contacts.put(key, replace(person, is_gone=True))
            elif kind is RemoteKind.LEAD and (lead := tables.kommo_leads.peek(key)):
                buried = lead._replace(known=replace(lead.known, is_gone=True))
                tables.kommo_leads.put(key, buried)

    async def between(
        self, kind: RemoteKind, after: KommoId, upto: KommoId | None
    ) -> list[KommoId]:
        """Return the ids after one and up to another that are not gone, in order."""
        tables = self.scope.tables
        rows: list[KnownLead] | list[KnownContact]
        if kind is RemoteKind.LEAD:
            rows = [row.known for row in tables.kommo_leads.rows()]
        else:
            rows = list(tables.kommo_contacts.rows())
        live = sorted(row.kommo_id for row in rows if not row.is_gone)
        return [key for key in live if key > after and (upto is None or key <= upto)]

    async def mirrored_leads(self, lead_ids: Collection[LeadId]) -> set[LeadId]:
        """Return which of the leads are a mirror of one there."""
        rows = (row.known for row in self.scope.tables.kommo_leads.rows())
        return {row.lead_id for row in rows if row.lead_id in lead_ids and not row.is_gone}

    async def mirrored_contacts(self, contact_ids: Collection[ContactId]) -> set[ContactId]:
        """Return which of the contacts are a mirror of one there."""
        rows = self.scope.tables.kommo_contacts.rows()
        return {row.contact_id for row in rows if row.contact_id in contact_ids and not row.is_gone}

    async def repoint(self, others: Collection[ContactId], kept: ContactId) -> None:
        """Let the mirrors that some contacts are be another contact's."""
        for key, row in list(self.scope.tables.kommo_contacts.items()):
            if row.contact_id in others:
                self.scope.tables.kommo_contacts.put(key, replace(row, contact_id=kept))

    async def forget_pipeline(self, kommo_id: KommoId) -> None:
        """Keep nothing any more of the leads in a pipeline there."""
        for key, row in list(self.scope.tables.kommo_leads.items()):
            if row.pipeline_id == kommo_id:
                self.scope.tables.kommo_leads.drop(key)

    async def forget_all(self) -> None:
        """Keep nothing any more of all leads and contacts."""
        for key, _ in list(self.scope.tables.kommo_leads.items()):
            self.scope.tables.kommo_leads.drop(key)
        for key, _ in list(self.scope.tables.kommo_contacts.items()):
            self.scope.tables.kommo_contacts.drop(key)


class KommoViews(Reader):
    """What an account reads of its mirror."""

    async def kommo(self) -> KommoLink:
        """Return the connection to Kommo; raises NotConfigured."""
        return copied(_link(self._tables))

    async def kommo_counts(self) -> KommoCounts:
        """Return how many rows the mirror of Kommo has."""
        leads = (row.known for row in self._tables.kommo_leads.rows())
        return KommoCounts(
            leads=sum(not row.is_gone for row in leads),
            contacts=sum(not row.is_gone for row in self._tables.kommo_contacts.rows()),
        )

    async def kommo_pipelines(self) -> list[KommoPipeline]:
        """Return Kommo's pipelines in their order, as it said last; raises NotConfigured."""
        link = _link(self._tables)
        words = self._tables.kommo_words.peek(_ONE) or KommoDictionaries()
        rows = self._tables.pipelines.rows()
        mirrors = {row.kommo_id: row.id for row in rows if row.kommo_id is not None}
        return pipelines_shown(words.pipelines, link.connected, mirrors)


def _link(tables: AccountTables) -> KommoLink:
    link = tables.kommo.peek(_ONE)
    if link is None:
        raise NotConfigured
    return link


def _known_lead(record: LeadRecord) -> KnownLead:
    return KnownLead(
        kommo_id=record.said.id,
        lead_id=record.lead_id,
        updated_at=record.said.updated_at,
        digest=record.digest,
        contacts=list(record.contacts),
        is_gone=False,
    )


def _known_contact(record: ContactRecord) -> KnownContact:
    return KnownContact(
        kommo_id=record.said.id,
        contact_id=record.contact_id,
        updated_at=record.said.updated_at,
        digest=record.digest,
        phone=record.phone,
        email=record.email,
        is_gone=False,
    )
