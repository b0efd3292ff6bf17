"""The contract of a CRM that is read: all is told, as it is, and absence means something."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.ids import ID_MAX, KommoId
from clarin_core.domain.pipelines import StageKind
from clarin_core.domain.remote import (
    HintKind,
    RemoteKind,
    RemoteLink,
    RemoteTag,
)
from clarin_core.errors import Invalid
from clarin_core.ports.crm import CrmList, CrmSync, CrmUnauthorized
from clarin_core.testing import strategies
from clarin_core.testing.crm_stage import (
    CrmLaws,
    CrmStage,
    all_contacts,
    all_leads,
    all_of,
    some_contact,
    some_lead,
)

LEAD, CONTACT = RemoteKind.LEAD, RemoteKind.CONTACT
TYPED = ("+51 987 654 321", "01 444 0000", "987.654.321", "no tiene", "0051987", "'999")
BAD_SUBDOMAINS = ("", "a.b", "acme/", "evil.example#", "acme:80", "a@b", "Ñ", "x" * 64, "acme\n")


class CrmContract(CrmLaws):
    """What a CRM's adapter must keep; extend it, and say in `open` how to open yours.

    It needs the other side, too: a simulation, or an account of the test's.
    """

    settings = settings(
        deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow]
    )

    def test_leads_come_as_they_are(self) -> None:
        """With their tags, all their contacts and which is the main one, and what is filled in."""

        @self.settings
        @given(name=strategies.texts(255, shortest=0), number=st.integers(0, 3), price=_prices())
        def example(name: str, number: int, price: Decimal | None) -> None:
            async def story(stage: CrmStage, crm: CrmSync) -> None:
                lead = some_lead(stage, name=name, number=number, price=price)
                assert (await crm.leads(CrmList())).items == [lead]
                assert (await crm.leads(CrmList(since=lead.updated_at))).items == [lead]
                assert (await crm.leads_by_id([lead.id])).items == [lead]

            self.tell(story)

        example()

    def test_contacts_come_as_they_are(self) -> None:
        """Each phone and e-mail as it was typed, in order, and what it is for."""

        @self.settings
        @given(
            name=strategies.texts(255, shortest=0),
            phones=st.lists(st.sampled_from(TYPED), max_size=3),
        )
        def example(name: str, phones: list[str]) -> None:
            async def story(stage: CrmStage, crm: CrmSync) -> None:
                contact = some_contact(stage, name, phones)
                assert (await crm.contacts(CrmList())).items == [contact]
                assert (await crm.contacts(CrmList(since=contact.updated_at))).items == [contact]
                assert (await crm.contacts_by_id([contact.id])).items == [contact]

            self.tell(story)

        example()

    def test_what_was_removed_is_absent(self) -> None:
        """The last tag, the last contact, the last phone: nothing is kept of what was."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            lead = some_lead(stage, name="Luz", number=2, price=Decimal(7))
            contact = some_contact(stage, "Luz", list(TYPED))
            gone: dict[str, Any] = {"tags": [], "fields": [], "responsible_id": None}
            stage.other_side.change(LEAD, lead.id, price=None, contacts=[], **gone)
            stage.other_side.change(CONTACT, contact.id, phones=[], emails=[], **gone)
            (bare,) = (await crm.leads_by_id([lead.id])).items
            assert bare == replace(lead, price=None, contacts=[], tags=[], fields=[], **nobody())
            (mute,) = (await crm.contacts_by_id([contact.id])).items
            assert mute == replace(contact, phones=[], emails=[], tags=[], fields=[], **nobody())

        self.tell(story)

    def test_a_list_by_id_is_whole(self) -> None:
        """More than two pages of it, in order; a page behind the end is empty."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            leads = [stage.other_side.add_lead() for _ in range(stage.page_max * 2 + 1)]
            people = [stage.other_side.add_contact() for _ in range(stage.page_max)]
            for id in leads[::3]:
                stage.other_side.change(LEAD, id, name="changed")
            assert await all_leads(crm) == sorted(leads)
            assert await all_contacts(crm) == sorted(people)
            assert (await crm.leads(CrmList(page=4))).is_empty
            assert not (await crm.leads(CrmList(page=4))).has_next

        self.tell(story)

    def test_a_list_since_then_misses_nothing_of_that_second(self) -> None:
        """In the order of the updates, and with all of the second that it begins in."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            moments = [stage_add(stage) for _ in range(6)]
            for id, at in moments:
                found = await all_leads(crm, at)
                wanted = [known for known, moment in moments if moment >= at]
                assert found[-len(wanted) :] == wanted
                assert id in found
            later = moments[-1][1].replace(year=2100)
            assert (await crm.leads(CrmList(since=later))).is_empty

        self.tell(story)

    def test_more_may_share_a_second_than_fit_on_a_page(self) -> None:
        """Then pages go through that second, and show each of them."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            old = stage.other_side.add_contact()
            stage.forward(10)
            ids = [stage.other_side.add_contact() for _ in range(stage.page_max + 3)]
            found = await all_contacts(crm, stage.other_side.now())
            assert set(ids) == set(found) - {old}
            assert len(found) == len(set(found))

        self.tell(story)

    def test_a_change_moves_a_lead_to_the_end(self) -> None:
        """So whoever reads on by time meets it again."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            (first, at), (second, _) = stage_add(stage), stage_add(stage)
            stage.forward(5)
            stage.other_side.change(LEAD, first, name="changed")
            assert (await all_leads(crm, at))[-2:] == [second, first]

        self.tell(story)

    def test_by_ids_those_come_that_there_are(self) -> None:
        """Not what was deleted, not what never was, and nothing for nothing."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            here, gone = stage.other_side.add_lead(), stage.other_side.add_lead()
            person = stage.other_side.add_contact()
            stage.other_side.add_lead()
            stage.other_side.delete(LEAD, gone)
            found = await crm.leads_by_id([here, gone, KommoId(ID_MAX)])
            assert [lead.id for lead in found.items] == [here]
            assert [one.id for one in (await crm.contacts_by_id([person])).items] == [person]
            assert (await crm.contacts_by_id([here])).is_empty
            assert (await crm.leads_by_id([])).is_empty

        self.tell(story)

    def test_what_is_deleted_lies_in_the_bin(self) -> None:
        """Latest first; it is restored as it was, and of what is purged nothing tells."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            ids = [stage_add(stage)[0] for _ in range(3)]
            stage.other_side.delete(LEAD, ids[1])
            stage.forward(5)
            stage.other_side.delete(LEAD, ids[0])
            assert await binned(crm, LEAD) == [ids[0], ids[1]]
            assert await binned(crm, CONTACT) == []
            assert await all_leads(crm) == [ids[2]]
            stage.other_side.restore(LEAD, ids[0])
            stage.other_side.purge(LEAD, ids[1])
            assert await binned(crm, LEAD) == []
            assert await all_leads(crm) == [ids[0], ids[2]]

        self.tell(story)

    def test_who_was_merged_is_gone(self) -> None:
        """From the lists and from the bin; whoever stays has the leads."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            keep, gone = (stage.other_side.add_contact(name=name) for name in ("Luz", "Lux"))
            links = [RemoteLink(contact_id=gone, is_main=True)]
            lead = stage.other_side.add_lead(contacts=links)
            stage.other_side.merge(CONTACT, keep, gone)
            assert await all_contacts(crm) == [keep]
            assert await binned(crm, CONTACT) == []
            (found,) = (await crm.leads_by_id([lead])).items
            assert found.contacts == [RemoteLink(contact_id=keep, is_main=True)]

        self.tell(story)

    def test_hints_tell_what_lists_do_not(self) -> None:
        """What was deleted, restored, merged, and whose tags changed, since then."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            lead, before = stage_add(stage)
            keep, gone = (stage.other_side.add_contact() for _ in range(2))
            stage.other_side.delete(CONTACT, gone)
            stage.forward(60)
            start = stage.other_side.now()
            tag = stage.other_side.add_tag(LEAD, "VIP")
            stage.other_side.change(LEAD, lead, is_quiet=True, tags=[tag])
            stage.other_side.delete(LEAD, lead)
            stage.other_side.restore(LEAD, lead)
            stage.other_side.restore(CONTACT, gone)
            stage.other_side.merge(CONTACT, keep, gone)
            told = {
                (HintKind.CHANGED, LEAD, lead),
                (HintKind.DELETED, LEAD, lead),
                (HintKind.RESTORED, LEAD, lead),
                (HintKind.RESTORED, CONTACT, gone),
                (HintKind.MERGED, CONTACT, keep),
            }
            assert await hinted(crm, start) == told
            assert (HintKind.DELETED, CONTACT, gone) in await hinted(crm, before)

        self.tell(story)

    def test_pipelines_come_whole_and_in_order(self) -> None:
        """Won and lost are known as such, and where leads arrive that nobody accepted."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            added = [stage.other_side.add_pipeline(name, "Uno", "Dos") for name in "ABC"]
            found = (await crm.pipelines()).items
            assert found == added
            kinds = [one.kind for one in found[0].stages]
            assert kinds == [StageKind.OPEN] * 3 + [StageKind.WON, StageKind.LOST]
            assert [one.is_incoming for one in found[0].stages] == [True] + [False] * 4

        self.tell(story)

    def test_words_come_whole(self) -> None:
        """Users, tags and fields; those of leads are not those of contacts."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            users = [stage.other_side.add_user(f"V{at}") for at in range(stage.page_max + 1)]
            tags = [stage.other_side.add_tag(LEAD, f"T{at}") for at in range(stage.page_max + 1)]
            field = stage.other_side.add_field(CONTACT, "Ciudad")
            assert [one.id for one in await all_of(crm.users)] == users
            assert await all_of(lambda page: crm.tags(LEAD, page)) == tags
            assert await all_of(lambda page: crm.tags(CONTACT, page)) == []
            assert await all_of(lambda page: crm.fields(CONTACT, page)) == [field]
            assert await all_of(lambda page: crm.fields(LEAD, page)) == []

        self.tell(story)

    def test_the_account_is_the_one_that_was_asked_for(self) -> None:
        """And lists by time are honoured there."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            stage.other_side.add_lead()
            assert (await crm.account()).subdomain == stage.connection.subdomain
            assert await crm.filters_work()

        self.tell(story)

    def test_pages_tell_the_other_sides_time(self) -> None:
        """It is the one that counts for whoever reads on by time."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            stage_add(stage)
            assert (await crm.leads(CrmList())).at == stage.other_side.now()

        self.tell(story)

    def test_what_counts_no_more_is_unauthorized(self) -> None:
        """No list is empty because of it."""

        async def story(stage: CrmStage, crm: CrmSync) -> None:
            stage_add(stage)
            stage.revoke()
            with pytest.raises(CrmUnauthorized):
                await crm.leads(CrmList())
            with pytest.raises(CrmUnauthorized):
                await crm.hints(stage.other_side.now())

        self.tell(story)

    @pytest.mark.parametrize("subdomain", BAD_SUBDOMAINS, ids=repr)
    def test_a_subdomain_is_a_name_and_nothing_else(self, subdomain: str) -> None:
        """What could lead elsewhere is refused before anything is asked."""

        async def story(stage: CrmStage, _: CrmSync) -> None:
            with pytest.raises(Invalid):
                async with stage.crm.connect(replace(stage.connection, subdomain=subdomain)):
                    pass

        self.tell(story)


def _prices() -> st.SearchStrategy[Decimal | None]:
    cents = st.integers(0, 10**11).map(lambda cents: Decimal(cents) / 100)
    return st.none() | st.just(Decimal(0)) | cents


def nobody() -> dict[str, None]:
    """Return that nobody is responsible."""
    return {"responsible_id": None}


def stage_add(stage: CrmStage) -> tuple[KommoId, datetime]:
    """Let some time pass and add a lead; return its id and when that was."""
    stage.forward(3)
    return stage.other_side.add_lead(tags=list[RemoteTag]()), stage.other_side.now()


async def binned(crm: CrmSync, kind: RemoteKind) -> list[KommoId]:
    """Return the ids in the recycle bin."""
    return [one.id for one in await all_of(lambda page: crm.deleted(kind, page))]


async def hinted(crm: CrmSync, since: datetime) -> set[tuple[HintKind, RemoteKind, KommoId]]:
    """Return what happened since then, a second more being possible."""
    told = await all_of(lambda page: crm.hints(since, page))
    return {(hint.what, hint.kind, hint.entity_id) for hint in told if hint.at >= since}
