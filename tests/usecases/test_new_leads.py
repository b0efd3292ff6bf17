"""New leads: who it is, where it begins, and what comes with it."""

from typing import Any

import pytest

from clarin_core.domain.contacts import NewContact
from clarin_core.domain.ids import ContactId, LeadId, TagId
from clarin_core.domain.leads import (
    LeadStatus,
    NewLead,
    StatusChange,
)
from clarin_core.domain.paging import PageQuery
from clarin_core.domain.pipelines import NewPipeline
from clarin_core.domain.tags import NewTag
from clarin_core.errors import Conflict, Forbidden, Invalid, NotFound
from support.desk import Desk, tell

PHONE = "987654321"


KEPT = "+51987654321"


@pytest.mark.parametrize("known", [{}, {"email": "a@b.pe"}, {"notes": "alguien"}, {"value": 3}])
def test_a_lead_needs_somebody(known: dict[str, Any]) -> None:
    """LD1: a name, a phone or a contact."""
    with pytest.raises(Invalid, match="name or phone or contact_id"):
        NewLead(**known)


def test_a_phone_is_not_required() -> None:
    """LD1: a name alone makes a lead without a contact."""

    async def story() -> None:
        desk = await Desk.open()
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz"))
        assert (lead.name, lead.phone, lead.contact_id) == ("Luz", None, None)
        assert await desk.names() == ["lead.created"]

    tell(story())


def test_a_new_lead_enters_the_first_stage_of_the_default_pipeline() -> None:
    """5.4: without a place the lead begins at the beginning, and its history says so."""

    async def story() -> None:
        desk = await Desk.open()
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz"))
        first = desk.tenant.pipeline.stages[0]
        assert (lead.pipeline_id, lead.stage_id) == (desk.tenant.pipeline.id, first.id)
        assert (lead.status, lead.version, lead.stage_name) == (LeadStatus.NEW, 1, first.name)
        (entry,) = await history(desk, lead.id)
        assert (entry.from_stage, entry.to_stage) == (None, first.id)
        assert entry.actor == desk.agent.user_id

    tell(story())


@pytest.mark.parametrize(
    ("place", "stage", "status"),
    [
        ({"stage": 2}, 2, LeadStatus.NEW),
        ({"stage": 4}, 4, LeadStatus.WON),
        ({"status": LeadStatus.QUALIFIED}, 0, LeadStatus.QUALIFIED),
        ({"status": LeadStatus.WON}, 4, LeadStatus.WON),
        ({"status": LeadStatus.LOST}, 5, LeadStatus.LOST),
        ({"stage": 1, "status": LeadStatus.PROPOSAL}, 1, LeadStatus.PROPOSAL),
    ],
)
def test_a_new_lead_enters_where_it_belongs(
    place: dict[str, Any], stage: int, status: LeadStatus
) -> None:
    """LD4, LD5, LD6: the stage decides the status, a won or lost status the stage."""

    async def story() -> None:
        desk = await Desk.open()
        stages = desk.tenant.stages
        named = {"stage_id": stages[place["stage"]]} if "stage" in place else {}
        new = NewLead(name="Luz", status=place.get("status"), **named)
        lead = await desk.leads.create(desk.agent, new)
        assert (lead.stage_id, lead.status) == (stages[stage], status)
        assert (lead.closed_at is not None) == (status in (LeadStatus.WON, LeadStatus.LOST))

    tell(story())


def test_a_stage_of_another_pipeline_is_no_place() -> None:
    """LD4: stage and pipeline belong together when both are named."""

    async def story() -> None:
        desk = await Desk.open()
        other = await desk.pipelines.create(desk.admin, NewPipeline(name="Otro"))
        here = desk.tenant.pipeline
        new = NewLead(name="Luz", pipeline_id=here.id, stage_id=other.stages[0].id)
        with pytest.raises(Invalid, match="stage_id"):
            await desk.leads.create(desk.agent, new)
        lead = await desk.leads.create(desk.agent, NewLead(name="Luz", pipeline_id=other.id))
        assert lead.stage_id == other.stages[0].id

    tell(story())


def test_a_phone_links_the_contact_that_has_it_or_a_new_one() -> None:
    """LD2, CT2, PH1: one contact a phone, however it is written; only what is empty is filled."""

    async def story() -> None:
        desk = await Desk.open()
        first = await desk.leads.create(desk.agent, NewLead(name="Luz", phone=PHONE))
        assert await desk.names() == ["contact.created", "lead.created"]
        again = NewLead(name="Sol", phone="+51 987-654-321", email="luz@b.pe", allow_duplicate=True)
        second = await desk.leads.create(desk.agent, again)
        assert await desk.names() == ["contact.updated", "lead.created"]
        assert second.contact_id == first.contact_id
        contact = await desk.tenant.views.contact(first.contact_id or ContactId(0))
        assert (contact.name, contact.phone, contact.email) == ("Luz", KEPT, "luz@b.pe")
        assert (second.name, second.contact_name) == ("Sol", "Luz")

    tell(story())


@pytest.mark.parametrize("raw", ["abc", "999", "123456789012345@lid", "98765432a"])
def test_what_is_no_phone_makes_no_lead(raw: str) -> None:
    """PH7: refused with its own code, and nothing is left."""

    async def story() -> None:
        desk = await Desk.open()
        with pytest.raises(Invalid) as refusal:
            await desk.leads.create(desk.agent, NewLead(name="Luz", phone=raw))
        assert (refusal.value.field, refusal.value.code) == ("phone", "invalid_phone")
        assert await desk.news() == []

    tell(story())


def test_a_second_open_lead_of_a_contact_is_a_conflict_with_its_id() -> None:
    """LD3: in the same pipeline, while the first is open, unless it is allowed."""

    async def story() -> None:
        desk = await Desk.open()
        first = await desk.leads.create(desk.agent, NewLead(name="Luz", phone=PHONE))
        again = NewLead(name="Luz", phone=PHONE)
        await desk.news()
        with pytest.raises(Conflict) as refusal:
            await desk.leads.create(desk.agent, again)
        assert (refusal.value.code, refusal.value.id) == ("duplicate_lead", first.id)
        assert await desk.news() == []
        other = await desk.pipelines.create(desk.admin, NewPipeline(name="Otro"))
        await desk.leads.create(desk.agent, NewLead(phone=PHONE, pipeline_id=other.id))
        await desk.leads.set_status(desk.agent, first.id, StatusChange(status=LeadStatus.LOST))
        second = await desk.leads.create(desk.agent, again)
        await desk.leads.delete(desk.agent, second.id)
        await desk.leads.create(desk.agent, again)
        await desk.leads.create(desk.agent, NewLead(phone=PHONE, allow_duplicate=True))

    tell(story())


def test_a_contact_may_be_named() -> None:
    """LD1, CT9: the lead shows the contact's values under its own name or the contact's."""

    async def story() -> None:
        desk = await Desk.open()
        ana = await desk.contacts.create(desk.agent, NewContact(name="Ana", phone=PHONE))
        lead = await desk.leads.create(desk.agent, NewLead(contact_id=ana.id, company="Luz SAC"))
        assert (lead.name, lead.contact_name, lead.phone) == ("Ana", "Ana", KEPT)
        assert (await desk.tenant.views.contact(ana.id)).company == "Luz SAC"

    tell(story())


def test_tags_come_with_the_lead() -> None:
    """TG1, TG6, section 7: known names for everybody, new names from administrators only."""

    async def story() -> None:
        desk = await Desk.open()
        vip = await desk.tags.create(desk.admin, NewTag(name="VIP"))
        new = NewLead(name="Luz", tags=frozenset({" vip ", "Vip"}), tag_ids=frozenset({vip.id}))
        lead = await desk.leads.create(desk.agent, new)
        assert (lead.tags, lead.tag_ids) == (["VIP"], [vip.id])
        await desk.news()
        with pytest.raises(Forbidden):
            await desk.leads.create(desk.agent, NewLead(name="Sol", tags=frozenset({"nuevo"})))
        new = NewLead(name="Sol", tag_ids=frozenset({vip.id, TagId(10**6)}))
        with pytest.raises(NotFound):
            await desk.leads.create(desk.agent, new)
        assert await desk.news() == []
        both = NewLead(name="Sol", tags=frozenset({"zeta", "alfa"}))
        assert (await desk.leads.create(desk.admin, both)).tags == ["alfa", "zeta"]
        assert await desk.names() == ["lead.created", "tag.created", "lead.tagged"]

    tell(story())


async def history(desk: Desk, lead_id: LeadId) -> list[Any]:
    """Return a lead's moves, newest first."""
    return (await desk.tenant.views.lead_history(lead_id, PageQuery(limit=200))).data


def test_a_named_contact_is_nobody_else() -> None:
    """LD3: a phone that is not the named contact's is refused, never dropped."""

    async def story() -> None:
        desk = await Desk.open()
        ana = await desk.contacts.create(desk.agent, NewContact(name="Ana", phone=PHONE))
        same = NewLead(contact_id=ana.id, phone=KEPT, allow_duplicate=True)
        assert (await desk.leads.create(desk.agent, same)).phone == KEPT
        other = NewLead(contact_id=ana.id, phone="912345678", allow_duplicate=True)
        await desk.names()
        with pytest.raises(Invalid, match="phone"):
            await desk.leads.create(desk.agent, other)
        assert await desk.names() == []

    tell(story())
