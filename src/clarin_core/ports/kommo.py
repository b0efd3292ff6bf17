"""What is kept of a mirror of Kommo, and who may write it."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Protocol

from clarin_core.domain.ids import AccountId, ContactId, KommoId, LeadId
from clarin_core.domain.kommo import (
    ContactRecord,
    KnownContact,
    KnownLead,
    KommoDictionaries,
    KommoLease,
    KommoLink,
    LeadRecord,
)
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.remote import RemoteKind


class KommoStore(Protocol):
    """One account's connection and mirror, inside a transaction; the laws of `stores` hold."""

    async def get(self) -> KommoLink:
        """Return the connection, locked; raises NotConfigured."""
        ...

    async def hold(self, token: int) -> KommoLink:
        """Return the connection for whoever has its lease, locked.

        Raises NotConfigured, and Conflict `lease_lost` unless `token` is that of the last lease:
        then nothing may be written to the mirror any more. Who would take the lease over waits
        until the end.
        """
        ...

    async def add(self, link: KommoLink, sealed: bytes) -> None:
        """Store the account's first connection with its sealed credentials."""
        ...

    async def save(self, link: KommoLink) -> None:
        """Store a changed connection; raises NotConfigured."""
        ...

    async def sealed(self) -> bytes:
        """Return the sealed credentials, locked with the connection; raises NotConfigured."""
        ...

    async def reseal(self, sealed: bytes) -> None:
        """Store other credentials; raises NotConfigured."""
        ...

    async def dictionaries(self) -> KommoDictionaries:
        """Return what Kommo's words mean; all is empty before they are put."""
        ...

    async def put_dictionaries(self, said: KommoDictionaries) -> None:
        """Store what Kommo's words mean; raises NotConfigured."""
        ...

    async def leads(self, kommo_ids: Collection[KommoId]) -> list[KnownLead]:
        """Return what is kept of some leads, those that are gone included, by Kommo's id."""
        ...

    async def leads_with(self, contact_ids: Collection[KommoId]) -> list[KnownLead]:
        """Return the leads that have one of these contacts and are not gone, by Kommo's id."""
        ...

    async def contacts(
        self, kommo_ids: Collection[KommoId], phones: Collection[PhoneNumber]
    ) -> list[KnownContact]:
        """Return what is kept of some contacts and of all that have to do with them, by id.

        Those that claim one of the phones, that share a contact here with one of them, or whose
        live contact here has one of the phones; those that are gone included.
        """
        ...

    async def people(self, kommo_ids: Collection[KommoId]) -> dict[KommoId, ContactId]:
        """Return the contacts here of those contacts that are not gone."""
        ...

    async def put_leads(self, records: Sequence[LeadRecord]) -> None:
        """Keep what Kommo says of leads, which are there from now on.

        Raises NotFound for a lead of another account.
        """
        ...

    async def put_contacts(self, records: Sequence[ContactRecord]) -> None:
        """Keep what Kommo says of contacts, which are there from now on.

        Raises NotFound for a contact of another account.
        """
        ...

    async def bury(self, kind: RemoteKind, kommo_ids: Collection[KommoId]) -> None:
        """Remember that leads or contacts are gone there."""
        ...

    async def between(
        self, kind: RemoteKind, after: KommoId, upto: KommoId | None
    ) -> list[KommoId]:
        """Return the ids after one and up to another that are not gone, in order."""
        ...

    async def mirrored_leads(self, lead_ids: Collection[LeadId]) -> set[LeadId]:
        """Return which of the leads are a mirror of one there."""
        ...

    async def mirrored_contacts(self, contact_ids: Collection[ContactId]) -> set[ContactId]:
        """Return which of the contacts are a mirror of one there."""
        ...

    async def repoint(self, others: Collection[ContactId], kept: ContactId) -> None:
        """Let the mirrors that some contacts are be another contact's, into which they merged."""
        ...

    async def forget_pipeline(self, kommo_id: KommoId) -> None:
        """Keep nothing any more of the leads in a pipeline there; those here stay."""
        ...

    async def forget_all(self) -> None:
        """Keep nothing any more of all leads and contacts; those here stay."""
        ...


class KommoLeases(Protocol):
    """Who keeps whose mirror; the laws of `DeviceLeases` hold for all methods."""

    async def wanted(self) -> list[AccountId]:
        """Return the accounts with a connected pipeline whose mirror nobody keeps, by id."""
        ...

    async def lease(self, account_id: AccountId, owner: str, ttl: timedelta) -> KommoLease | None:
        """Take a mirror; None when somebody has it, or when there is no connection."""
        ...

    async def renew(self, lease: KommoLease, ttl: timedelta) -> bool:
        """Let a lease last so long from now; False when it was lost or given up."""
        ...

    async def release(self, lease: KommoLease) -> None:
        """Give a mirror up, so that nothing is written under the lease any more."""
        ...
