"""Faults of a mirror to plant in the memory storage, each of which some law must find."""

from collections.abc import Collection, Sequence

from clarin_core.domain.contacts import Contact
from clarin_core.domain.ids import AccountId, ContactId, KommoId, LeadId
from clarin_core.domain.kommo import KnownContact, KommoLease, KommoLink, LeadRecord
from clarin_core.domain.leads import Lead
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.remote import RemoteKind
from clarin_core.domain.tags import TagLink, TagOrigin, TagTarget
from clarin_memory import contacts, kommo, kommo_leases, leads, purge, tags
from clarin_memory.state import MirroredLead
from support.faults import Fault, Patch


def every_keeper_may_write(patch: Patch) -> None:
    async def hold(self: kommo.MemoryKommoStore, token: int) -> KommoLink:
        return await self.get()

    patch.setattr(kommo.MemoryKommoStore, "hold", hold)


def every_mirror_is_free(patch: Patch) -> None:
    patch.setattr(kommo_leases.MemoryKommoLeases, "_is_free", lambda self, account_id: True)


def a_mirror_is_kept_for_ever(patch: Patch) -> None:
    async def release(self: kommo_leases.MemoryKommoLeases, lease: KommoLease) -> None:
        pass

    patch.setattr(kommo_leases.MemoryKommoLeases, "release", release)


def every_connection_is_wanted(patch: Patch) -> None:
    async def wanted(self: kommo_leases.MemoryKommoLeases) -> list[AccountId]:
        return [key for key, _ in self.shared.spaces.items() if self._is_free(key)]

    patch.setattr(kommo_leases.MemoryKommoLeases, "wanted", wanted)


def nobody_is_gone(patch: Patch) -> None:
    async def bury(
        self: kommo.MemoryKommoStore, kind: RemoteKind, kommo_ids: Collection[KommoId]
    ) -> None:
        pass

    patch.setattr(kommo.MemoryKommoStore, "bury", bury)


def who_shares_is_not_found(patch: Patch) -> None:
    async def wrong(
        self: kommo.MemoryKommoStore,
        kommo_ids: Collection[KommoId],
        phones: Collection[PhoneNumber],
    ) -> list[KnownContact]:
        rows = self.scope.tables.kommo_contacts.rows()
        return [row for row in rows if row.kommo_id in kommo_ids or row.phone in phones]

    patch.setattr(kommo.MemoryKommoStore, "contacts", wrong)


def what_lies_between_begins_with_the_first(patch: Patch) -> None:
    right = kommo.MemoryKommoStore.between

    async def wrong(
        self: kommo.MemoryKommoStore, kind: RemoteKind, after: KommoId, upto: KommoId | None
    ) -> list[KommoId]:
        return await right(self, kind, KommoId(after - 1), upto)

    patch.setattr(kommo.MemoryKommoStore, "between", wrong)


def a_purge_leaves_mirrors(patch: Patch) -> None:
    patch.setattr(purge, "_forget_mirrors", lambda tables: None)


def foreign_leads_can_be_mirrored(patch: Patch) -> None:
    async def wrong(self: kommo.MemoryKommoStore, records: Sequence[LeadRecord]) -> None:
        for record in records:
            row = MirroredLead(kommo._known_lead(record), record.said.pipeline_id)
            self.scope.tables.kommo_leads.put(record.said.id, row)

    patch.setattr(kommo.MemoryKommoStore, "put_leads", wrong)


def all_mirrors_are_forgotten_with_a_pipeline(patch: Patch) -> None:
    async def wrong(self: kommo.MemoryKommoStore, kommo_id: KommoId) -> None:
        await self.forget_all()

    patch.setattr(kommo.MemoryKommoStore, "forget_pipeline", wrong)


def who_set_a_link_does_not_count(patch: Patch) -> None:
    right = tags.MemoryTagStore.links

    async def wrong(
        self: tags.MemoryTagStore,
        target: TagTarget,
        target_ids: Collection[int],
        *,
        origin: TagOrigin | None = None,
    ) -> list[TagLink]:
        return await right(self, target, target_ids)

    patch.setattr(tags.MemoryTagStore, "links", wrong)


def hidden_leads_are_not_looked_up(patch: Patch) -> None:
    right = leads.MemoryLeadStore.look_up

    async def wrong(
        self: leads.MemoryLeadStore, lead_ids: Collection[LeadId], kommo_ids: Collection[KommoId]
    ) -> list[Lead]:
        found = await right(self, lead_ids, kommo_ids)
        return [lead for lead in found if lead.deleted_at is None]

    patch.setattr(leads.MemoryLeadStore, "look_up", wrong)


def hidden_contacts_hold_their_phone(patch: Patch) -> None:
    async def wrong(
        self: contacts.MemoryContactStore,
        contact_ids: Collection[ContactId],
        phones: Collection[PhoneNumber],
    ) -> list[Contact]:
        rows = self.scope.tables.contacts.rows()
        held = {row.id for row in rows if row.phone in phones}
        return await self.get_many({*contact_ids, *held})

    patch.setattr(contacts.MemoryContactStore, "look_up", wrong)


CAUGHT: list[tuple[Fault, str]] = [
    (every_keeper_may_write, "the_late_write_of_a_paused_keeper_is_refused"),
    (every_mirror_is_free, "a_mirror_has_one_keeper_at_a_time"),
    (a_mirror_is_kept_for_ever, "a_mirror_is_wanted_where_a_pipeline_is_connected"),
    (every_connection_is_wanted, "a_mirror_is_wanted_where_a_pipeline_is_connected"),
    (nobody_is_gone, "a_known_lead_is_what_was_said_last"),
    (who_shares_is_not_found, "a_contact_comes_with_all_that_have_to_do_with_it"),
    (what_lies_between_begins_with_the_first, "what_lies_between_two_ids_is_found"),
    (a_purge_leaves_mirrors, "a_mirror_goes_with_what_it_is"),
    (foreign_leads_can_be_mirrored, "a_link_to_a_foreign_id_is_refused"),
    (all_mirrors_are_forgotten_with_a_pipeline, "a_mirror_is_known_by_its_own_id"),
    (who_set_a_link_does_not_count, "links_are_told_apart_by_who_set_them"),
    (
        hidden_leads_are_not_looked_up,
        "a_look_up_finds_hidden_leads_by_id_and_live_ones_by_kommo_s",
    ),
    (
        hidden_contacts_hold_their_phone,
        "a_look_up_finds_hidden_contacts_by_id_and_live_ones_by_phone",
    ),
]
"""Each with the law that finds it."""
