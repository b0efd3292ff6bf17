"""Laws of the mirror of Kommo."""

from datetime import timedelta

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.ids import ContactId, KommoId, LeadId
from clarin_core.domain.kommo import (
    KnownLead,
    KommoCounts,
    KommoDictionaries,
    KommoFault,
    KommoPipeline,
    NotConfigured,
    Trouble,
)
from clarin_core.domain.kommo_sync import SyncState
from clarin_core.domain.phone import PhoneNumber
from clarin_core.domain.pipelines import NewPipeline, NewStage
from clarin_core.domain.remote import RemoteKind, RemoteTag
from clarin_core.domain.tags import TagLink, TagOrigin, TagTarget
from clarin_core.testing import strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.mirrors import (
    PIPELINE,
    add_link,
    person_of,
    pipeline,
    put_contacts,
    put_leads,
    record_of,
    states,
)
from clarin_core.testing.tenants import LATER, NOON, Tenant

LEAD, CONTACT = RemoteKind.LEAD, RemoteKind.CONTACT
PHONE = PhoneNumber("+51987654321")


class KommoLaws(Contract):
    """What `KommoStore` and the views of the mirror promise."""

    @law(state=states(), connected=st.lists(strategies.kommo_ids(), max_size=3))
    async def test_a_connection_comes_back_as_it_was_saved(
        self, account: Tenant, state: SyncState, connected: list[KommoId]
    ) -> None:
        """With all that is known of how far the mirror is, and without its credentials."""
        link = await add_link(account)
        assert await account.views.kommo() == link
        fault = KommoFault(trouble=Trouble.BLOCKED, text="shut out", since=NOON, retry_at=LATER)
        saved = replace(link, state=state, connected=connected, fault=fault, last_ok_at=LATER)
        async with account.begin() as tx:
            assert await tx.kommo.get() == link
            await tx.kommo.save(saved)
            await tx.kommo.reseal(b"\0another")
        async with account.begin() as tx:
            assert await tx.kommo.get() == saved
            assert await tx.kommo.sealed() == b"\0another"
        assert await account.views.kommo() == saved

    @law()
    async def test_without_a_connection_there_is_nothing(self, account: Tenant) -> None:
        """Whatever another account has."""
        link = await add_link(await account.stranger(), connected=[PIPELINE])
        async with account.begin() as tx:
            for ask in (
                tx.kommo.get, tx.kommo.sealed, lambda: tx.kommo.hold(1),
                lambda: tx.kommo.save(link), lambda: tx.kommo.reseal(b"x"),
                lambda: tx.kommo.put_dictionaries(KommoDictionaries()),
            ):  # fmt: skip
                with pytest.raises(NotConfigured):
                    await ask()
            assert await tx.kommo.dictionaries() == KommoDictionaries()
        for look in (account.views.kommo, account.views.kommo_pipelines):
            with pytest.raises(NotConfigured):
                await look()
        assert await account.views.kommo_counts() == KommoCounts(leads=0, contacts=0)

    @law()
    async def test_pipelines_are_shown_with_their_mirrors(self, account: Tenant) -> None:
        """In Kommo's order; which are connected, and where they are here."""
        await add_link(account, connected=[KommoId(12)])
        assert await account.views.kommo_pipelines() == []
        mirror = await account.add_pipeline("Ventas", "Nuevo")
        said = [pipeline(12, position=2), pipeline(11, position=1)]
        words = KommoDictionaries(pipelines=said, lead_tags=[RemoteTag(id=KommoId(5), name="vip")])
        async with account.begin() as tx:
            one = await tx.pipelines.get(mirror.id)
            one.kommo_id = KommoId(12)
            await tx.pipelines.save(one)
            await tx.kommo.put_dictionaries(KommoDictionaries(pipelines=[pipeline(13)]))
            await tx.kommo.put_dictionaries(words)
            assert await tx.kommo.dictionaries() == words
            assert await tx.pipelines.by_kommo([KommoId(12), KommoId(11)]) == [one]
        assert await account.views.kommo_pipelines() == [
            KommoPipeline(kommo_id=KommoId(11), name="Ventas 11"),
            KommoPipeline(
                kommo_id=KommoId(12), name="Ventas 12", pipeline_id=mirror.id, is_connected=True
            ),
        ]

    @law()
    async def test_a_known_lead_is_what_was_said_last(self, account: Tenant) -> None:
        """By its id there, by its contacts, and by whether it is gone."""
        lead = await account.add_lead()
        await put_leads(account, record_of(lead.id, 1, contacts=[8, 9]))
        record = record_of(lead.id, 1, contacts=[9])
        await put_leads(account, record, record_of((await account.add_lead()).id, 2, contacts=[8]))
        known = KnownLead(
            kommo_id=KommoId(1), lead_id=lead.id, updated_at=NOON, digest=record.digest,
            contacts=[KommoId(9)], is_gone=False,
        )  # fmt: skip
        async with account.begin() as tx:
            assert await tx.kommo.leads([KommoId(1), KommoId(3)]) == [known]
            assert await tx.kommo.leads_with([KommoId(9)]) == [known]
            assert [one.kommo_id for one in await tx.kommo.leads_with([KommoId(8)])] == [2]
            await tx.kommo.bury(LEAD, [KommoId(1), KommoId(3)])
        async with account.begin() as tx:
            assert await tx.kommo.leads([KommoId(1)]) == [replace(known, is_gone=True)]
            assert await tx.kommo.leads_with([KommoId(9)]) == []
            await tx.kommo.put_leads([record])
            assert await tx.kommo.leads([KommoId(1)]) == [known]

    @law()
    async def test_a_contact_comes_with_all_that_have_to_do_with_it(self, account: Tenant) -> None:
        """Who shares its contact here, who claims its phone, and who has the phone here."""
        ana, eva = await account.add_contact(name="Ana"), await account.add_contact(name="Eva")
        sol = await account.add_contact(name="Sol", phone=PHONE)
        await put_contacts(
            account, person_of(ana.id, 1), person_of(ana.id, 2), person_of(eva.id, 3, phone=PHONE),
            person_of(sol.id, 4), person_of(eva.id, 5),
        )  # fmt: skip
        async with account.begin() as tx:
            found = await tx.kommo.contacts([KommoId(1)], [])
            assert [(one.kommo_id, one.contact_id) for one in found] == [(1, ana.id), (2, ana.id)]
            found = await tx.kommo.contacts([], [PHONE])
            assert [(one.kommo_id, one.phone) for one in found] == [(3, PHONE), (4, None)]
            assert await tx.kommo.contacts([], []) == []
            await tx.kommo.bury(CONTACT, [KommoId(3)])
            found = await tx.kommo.contacts([KommoId(3)], [])
            assert [(one.kommo_id, one.is_gone) for one in found] == [(3, True), (5, False)]
            people = await tx.kommo.people([KommoId(one) for one in (1, 3, 4, 6)])
            assert people == {1: ana.id, 4: sol.id}
        assert await account.views.kommo_counts() == KommoCounts(leads=0, contacts=4)

    @law(ids=st.sets(st.integers(1, 50), max_size=20), after=st.integers(1, 50))
    async def test_what_lies_between_two_ids_is_found(
        self, account: Tenant, ids: set[int], after: int
    ) -> None:
        """In order, without the first and with the last, and without those that are gone."""
        ids = {*ids, after, 30}
        lead, contact = await account.add_lead(), await account.add_contact(name="Ana")
        await put_leads(account, *(record_of(lead.id, one) for one in ids))
        await put_contacts(account, *(person_of(contact.id, one) for one in ids))
        gone = {one for one in ids if one % 3 == 0}
        async with account.begin() as tx:
            for kind in RemoteKind:
                await tx.kommo.bury(kind, [KommoId(one) for one in gone])
                found = await tx.kommo.between(kind, KommoId(after), KommoId(30))
                assert found == sorted(one for one in ids - gone if after < one <= 30)
                found = await tx.kommo.between(kind, KommoId(after), None)
                assert found == sorted(one for one in ids - gone if after < one)

    @law()
    async def test_a_mirror_is_known_by_its_own_id(self, account: Tenant) -> None:
        """Until what it mirrors is gone, or is mirrored no longer."""
        leads = [await account.add_lead() for _ in range(3)]
        ana, eva = await account.add_contact(name="Ana"), await account.add_contact(name="Eva")
        await put_leads(account, record_of(leads[0].id, 1), record_of(leads[1].id, 2, pipeline=12))
        await put_contacts(account, person_of(ana.id, 3))
        lead_ids, contact_ids = [one.id for one in leads], [ana.id, eva.id]
        async with account.begin() as tx:
            assert await tx.kommo.mirrored_leads(lead_ids) == {leads[0].id, leads[1].id}
            assert await tx.kommo.mirrored_contacts(contact_ids) == {ana.id}
            await tx.kommo.repoint([ana.id], eva.id)
            assert await tx.kommo.mirrored_contacts(contact_ids) == {eva.id}
            await tx.kommo.forget_pipeline(PIPELINE)
            assert await tx.kommo.mirrored_leads(lead_ids) == {leads[1].id}
            await tx.kommo.bury(LEAD, [KommoId(2)])
            assert await tx.kommo.mirrored_leads(lead_ids) == set()
            await tx.kommo.forget_all()
            assert await tx.kommo.contacts([KommoId(3)], []) == []
            assert await tx.kommo.leads([KommoId(2)]) == []

    @law()
    async def test_a_mirror_goes_with_what_it_is(self, account: Tenant) -> None:
        """A purged lead or contact leaves no record that would revive it."""
        lead, contact = await account.add_lead(), await account.add_contact(name="Ana")
        await put_leads(account, record_of(lead.id, 1))
        await put_contacts(account, person_of(contact.id, 2))
        long_ago = NOON - timedelta(days=9_000)
        await account.delete_lead(lead.id, at=long_ago)
        await account.delete_contact(contact, at=long_ago)
        await self.storage.purge(
            deleted_before=long_ago + timedelta(days=1), events_before=long_ago,
            answers_before=long_ago, marks_before=long_ago,
        )  # fmt: skip
        async with account.begin() as tx:
            assert await tx.kommo.leads([KommoId(1)]) == []
            assert await tx.kommo.contacts([KommoId(2)], []) == []

    @law()
    async def test_a_look_up_finds_hidden_leads_by_id_and_live_ones_by_kommo_s(
        self, account: Tenant
    ) -> None:
        """Each once, by id."""
        hidden = await account.add_lead(kommo_id=KommoId(1))
        await account.delete_lead(hidden.id)
        live = await account.add_lead(kommo_id=KommoId(1))
        other = await account.add_lead(kommo_id=KommoId(2))
        async with account.begin() as tx:
            found = await tx.leads.look_up([hidden.id, live.id, LeadId(2**62)], [KommoId(1)])
            assert [one.id for one in found] == [hidden.id, live.id]
            found = await tx.leads.look_up([], [KommoId(2), KommoId(3)])
            assert found == [other]

    @law()
    async def test_a_look_up_finds_hidden_contacts_by_id_and_live_ones_by_phone(
        self, account: Tenant
    ) -> None:
        """Each once, by id."""
        hidden = await account.add_contact(phone=PHONE)
        await account.delete_contact(hidden)
        live = await account.add_contact(phone=PHONE)
        async with account.begin() as tx:
            found = await tx.contacts.look_up([hidden.id, live.id, ContactId(2**62)], [PHONE])
            assert [one.id for one in found] == [hidden.id, live.id]
            assert await tx.contacts.look_up([], [PHONE]) == [live]

    @law()
    async def test_links_are_told_apart_by_who_set_them(self, account: Tenant) -> None:
        """TG5: a tag that is there already keeps who set it."""
        lead, (vip, cold) = await account.add_lead(), await account.add_tags("vip", "frío")
        local, ours = (TagLink(target_id=lead.id, tag_id=one.id) for one in (vip, cold))
        await account.link(TagTarget.LEAD, local)
        async with account.begin() as tx:
            linked = await tx.tags.link(TagTarget.LEAD, [local, ours], origin=TagOrigin.KOMMO)
            assert linked == [ours]
            for origin, found in ((TagOrigin.LOCAL, [local]), (TagOrigin.KOMMO, [ours])):
                assert await tx.tags.links(TagTarget.LEAD, [lead.id], origin=origin) == found
            assert await tx.tags.links(TagTarget.LEAD, [lead.id]) == sorted([local, ours])

    @law()
    async def test_pipelines_are_found_by_kommo_s_ids(self, account: Tenant) -> None:
        """With their stages, of which several pipelines may have the same ids there."""
        new = NewPipeline(name="Ventas", stages=(NewStage(name="Ganado"),))
        made = []
        async with account.begin() as tx:
            for key in (21, 22):
                one = await tx.pipelines.add(
                    replace(new, name=f"Ventas {key}"), is_default=False, at=NOON
                )
                one.kommo_id, one.stages[0].kommo_id = KommoId(key), KommoId(142)
                await tx.pipelines.save(one)
                made.append(one)
            assert await tx.pipelines.by_kommo([KommoId(22), KommoId(21), KommoId(7)]) == made
            assert await tx.pipelines.by_kommo([KommoId(7)]) == []
