"""Connecting Kommo: who may, what is tried out first, and what is refused of a mirror here."""

import dataclasses
from collections.abc import Awaitable
from typing import Any

import pytest
from msgspec.structs import replace

from clarin_core.domain.actor import Actor, Role
from clarin_core.domain.contacts import ContactChange, ContactMerge
from clarin_core.domain.events import EventQuery, KommoAdvanced
from clarin_core.domain.ids import KommoId
from clarin_core.domain.kommo import KommoCredentials, KommoPhase, NotConfigured, Trouble
from clarin_core.domain.leads import LeadChange, LeadStatus, StageChoice, StatusChange
from clarin_core.domain.pipelines import Removal, StageChange
from clarin_core.domain.remote import RemoteLink, RemoteReach
from clarin_core.domain.tags import TagAssignment, TagTarget
from clarin_core.errors import AlreadyRunning, ClarinError, Forbidden, Invalid, NotFound
from clarin_core.ports.crm import CrmRefused, CrmUnauthorized, CrmUnreachable
from clarin_core.ports.small import SealBroken
from clarin_core.usecases.contacts import ContactUseCases
from clarin_core.usecases.leads import LeadUseCases
from clarin_core.usecases.mirror.mirror import KeysChanged
from clarin_core.usecases.pipelines import PipelineUseCases
from clarin_core.usecases.tags import TagUseCases
from clarin_memory import RemoteBook
from clarin_security import AesGcmBox, system_random
from support.mirroring import CONTACT, LEAD, Mirroring, tell

CREDENTIALS = KommoCredentials(subdomain="acme", token="un-token")


async def code_of(work: Awaitable[Any]) -> str:
    """Return how some work is refused, empty if it is not."""
    try:
        await work
    except ClarinError as error:
        return error.code
    return ""


def test_without_credentials_there_is_only_a_status() -> None:
    async def story(room: Mirroring) -> None:
        kommo, ana = room.kommo, room.ana
        assert not (await kommo.status(ana)).is_configured
        for ask in (kommo.sync_status, kommo.full_status, kommo.pipelines, kommo.connected):
            with pytest.raises(NotConfigured):
                await ask(ana)
        one = KommoId(1)
        for work in (kommo.sync(ana), kommo.connect(ana, one), kommo.disconnect(ana, one)):
            assert await code_of(work) == "not_configured"

    tell(story)


def test_only_administrators_connect() -> None:
    """Section 7."""

    async def story(room: Mirroring) -> None:
        ana = room.ana
        beto = Actor(account_id=ana.account_id, user_id=ana.user_id, role=Role.AGENT)
        for work in (
            room.kommo.put_credentials(beto, CREDENTIALS), room.kommo.sync(beto),
            room.kommo.connect(beto, KommoId(1)), room.kommo.disconnect(beto, KommoId(1)),
        ):  # fmt: skip
            with pytest.raises(Forbidden):
                await work

    tell(story)


def test_credentials_are_tried_out_before_they_are_kept() -> None:
    """KS11: and are nowhere to be seen afterwards."""

    async def story(room: Mirroring) -> None:
        for failure, field in ((CrmUnauthorized(), "token"), (CrmRefused(), "subdomain")):
            room.memory.failures.append(failure)
            with pytest.raises(Invalid) as caught:
                await room.kommo.put_credentials(room.ana, CREDENTIALS)
            assert caught.value.field == field
        room.memory.failures.append(CrmUnreachable())
        assert await code_of(room.kommo.put_credentials(room.ana, CREDENTIALS)) == "unavailable"
        assert not (await room.kommo.status(room.ana)).is_configured
        status = await room.kommo.put_credentials(room.ana, CREDENTIALS)
        assert (status.subdomain, status.name, status.phase) == ("acme", "Acme", KommoPhase.IDLE)
        async with room.tenant.begin() as tx:
            assert b"un-token" not in await tx.kommo.sealed()
        shown = [status, await room.link(), await room.kommo.full_status(room.ana)]
        page = await room.tenant.views.events(EventQuery())
        assert not [one for one in (*shown, page) if "un-token" in str(one)]
        assert [one.name for one in await room.kommo.pipelines(room.ana)] == ["Ventas", "Postventa"]

    tell(story)


def test_other_credentials_are_used_from_the_next_pass_on() -> None:
    async def story(room: Mirroring) -> None:
        await room.connect()
        mirror = await room.open()
        assert await mirror.go_on()
        await room.kommo.put_credentials(room.ana, CREDENTIALS)
        with pytest.raises(KeysChanged):
            await mirror.go_on()
        assert await (await room.open()).go_on()

    tell(story)


def test_another_account_of_kommo_needs_the_first_one_s_pipelines_gone() -> None:
    """Its ids mean other things: nothing of the first one's is kept, but for what is here."""

    async def story(room: Mirroring) -> None:
        room.book.add_lead(name="Luz")
        await room.connect()
        await room.turn()
        other = RemoteBook(room.clock, subdomain="otra")
        other.new_id()
        other.account = replace(other.account, id=KommoId(99))
        other.add_pipeline("Otra")
        room.memory._books["otra"] = other
        credentials = KommoCredentials(subdomain="otra", token="t")
        put = room.kommo.put_credentials
        assert await code_of(put(room.ana, credentials)) == "invalid_state"
        await room.kommo.disconnect(room.ana, room.book.pipelines[0].id)
        assert (await put(room.ana, credentials)).subdomain == "otra"
        assert [one.name for one in await room.kommo.pipelines(room.ana)] == ["Otra"]
        assert (await room.tenant.views.kommo_counts()).leads == 0
        assert [one.name for one in await room.leads()] == ["Luz"]

    tell(story)


def test_a_pipeline_is_mirrored_with_its_stages() -> None:
    """Also where one here has its name; connecting twice changes nothing."""

    async def story(room: Mirroring) -> None:
        await room.configure()
        await room.tenant.add_pipeline("ventas", "Uno")
        theirs = room.book.pipelines[0]
        shown = await room.kommo.connect(room.ana, theirs.id)
        assert shown.is_connected
        assert shown.pipeline_id is not None
        here = await room.tenant.views.pipeline(shown.pipeline_id)
        assert (here.name, here.kommo_id) == ("Ventas (Kommo)", theirs.id)
        assert [(s.name, s.kommo_id, s.kind) for s in here.stages] == [
            (s.name, s.id, s.kind) for s in theirs.stages
        ]
        told = len(await room.events())
        assert await room.kommo.connect(room.ana, theirs.id) == shown
        assert len(await room.events()) == told
        assert await room.kommo.connected(room.ana) == [shown]
        with pytest.raises(NotFound):
            await room.kommo.connect(room.ana, KommoId(7))

    tell(story)


def test_what_is_not_connected_is_not_mirrored() -> None:
    """Its leads stay, and are anybody's to change; connected again, they are the same leads."""

    async def story(room: Mirroring) -> None:
        key = room.book.add_lead(name="Luz")
        first, leads = room.book.pipelines[0].id, LeadUseCases(room.tenant.storage, room.clock)
        await room.connect()
        await room.turn()
        lead = await room.lead(key)
        await room.kommo.disconnect(room.ana, first)
        await room.kommo.disconnect(room.ana, first)
        with pytest.raises(NotFound):
            await room.kommo.disconnect(room.ana, KommoId(7))
        room.book.change(LEAD, key, name="Mar")
        await room.turn(3)
        assert (await room.lead(key)).name == "Luz"
        await leads.update(room.ana, lead.id, LeadChange(name="Sol", notes="nuestra"))
        await room.kommo.connect(room.ana, first)
        await room.turn()
        again = await room.lead(key)
        assert (again.id, again.name, again.notes) == (lead.id, "Mar", "nuestra")

    tell(story)


def test_a_second_pipeline_brings_its_own_leads() -> None:
    async def story(room: Mirroring) -> None:
        one, other = room.book.pipelines
        room.book.add_lead(name="Luz")
        room.book.add_lead(name="Mar", pipeline_id=other.id, stage_id=other.stages[1].id)
        await room.connect(one.id)
        await room.turn()
        assert [lead.name for lead in await room.leads()] == ["Luz"]
        asked = len(room.memory.asked)
        await room.kommo.connect(room.ana, other.id)
        await room.turn()
        assert await room.shown() == await room.meant()
        assert {lead.name for lead in await room.leads()} == {"Luz", "Mar"}
        assert room.memory.asked[asked:].count("contacts") <= 2  # Followed and swept.

    tell(story)


def test_a_full_sync_mends_what_was_changed_here() -> None:
    """POST /kommo/sync: the same code, everything once more."""

    async def story(room: Mirroring) -> None:
        key = room.book.add_lead(name="Luz")
        await room.configure()
        assert await code_of(room.kommo.sync(room.ana)) == "invalid_state"
        await room.connect()
        with pytest.raises(AlreadyRunning):
            await room.kommo.sync(room.ana)
        await room.turn(2)
        lead = await room.lead(key)
        async with room.tenant.begin() as tx:
            stored = await tx.leads.get(lead.id)
            stored.alter({"name": "otro"}, at=room.clock())
            await tx.leads.save([stored])
        await room.turn(2)
        assert (await room.lead(key)).name == "otro"
        progress = await room.kommo.sync(room.ana)
        assert progress.phase is KommoPhase.BACKFILL
        await room.turn()
        assert (await room.lead(key)).name == "Luz"

    tell(story)


def test_what_kommo_owns_is_refused_here() -> None:
    """KS7: 409 `synced_field`; and nothing of it is done."""

    async def story(room: Mirroring) -> None:
        person = room.book.add_contact(name="Ana", phones=[RemoteReach(text="987654321")])
        key = room.book.add_lead(name="Luz", contacts=[RemoteLink(contact_id=person)])
        await room.connect()
        await room.turn()
        storage, ana = room.tenant.storage, room.ana
        leads, people = LeadUseCases(storage, room.clock), ContactUseCases(storage, room.clock)
        pipelines = PipelineUseCases(storage, room.clock)
        lead, contact = await room.lead(key), await room.contact(person)
        assert lead.pipeline_id is not None
        here = await room.tenant.views.pipeline(lead.pipeline_id)
        stage, first = here.stages[2], here.stages[0]
        before = await room.tenant.picture()
        for work in (
            leads.update(ana, lead.id, LeadChange(name="Mar")),
            leads.update(ana, lead.id, LeadChange(value=7)),
            leads.update(ana, lead.id, LeadChange(contact_id=None)),
            leads.update(ana, lead.id, LeadChange(phone="987000111")),
            leads.move(ana, lead.id, StageChoice(stage_id=stage.id)),
            leads.set_status(ana, lead.id, StatusChange(status=LeadStatus.WON)),
            leads.delete(ana, lead.id),
            people.update(ana, contact.id, ContactChange(name="Eva")),
            people.update(ana, contact.id, ContactChange(email="a@b.pe")),
            people.delete(ana, contact.id),
            pipelines.delete_stage(ana, here.id, first.id, Removal(move_to=stage.id)),
            pipelines.update_stage(ana, here.id, first.id, StageChange(name="otra")),
            pipelines.delete(ana, here.id, Removal(move_to=room.tenant.stages[0])),
        ):  # fmt: skip
            assert await code_of(work) == "synced_field"
        assert await room.tenant.picture() == before

    tell(story)


def test_what_is_ours_survives() -> None:
    """KS7, TG5: notes, local tags, the owner, custom fields, how far an open lead came."""

    async def story(room: Mirroring) -> None:
        vip = room.book.add_tag(LEAD, "vip")
        key = room.book.add_lead(name="Luz", tags=[vip])
        await room.connect()
        await room.turn()
        storage, ana = room.tenant.storage, room.ana
        leads, tags = LeadUseCases(storage, room.clock), TagUseCases(storage, room.clock)
        lead, agent = await room.lead(key), await room.tenant.hire()
        (ours,) = await room.tenant.add_tags("nuestra")
        await tags.assign(
            ana, TagAssignment(entity_type=TagTarget.LEAD, entity_id=lead.id, tag_id=ours.id)
        )
        mine = LeadChange(
            notes="llamar", assigned_to=agent, custom_fields={"talla": "M"}, name="Luz",
            status=LeadStatus.QUALIFIED,
        )  # fmt: skip
        await leads.update(ana, lead.id, mine)
        room.book.change(LEAD, key, name="Mar", tags=[])
        await room.turn()
        await room.kommo.sync(ana)
        await room.turn()
        after = await room.lead(key)
        assert (after.name, after.tags, after.status) == ("Mar", ["nuestra"], LeadStatus.QUALIFIED)
        kept = (after.notes, after.assigned_to, after.custom_fields)
        assert kept == ("llamar", agent, {"talla": "M"})

    tell(story)


def test_contacts_that_are_merged_here_stay_one() -> None:
    """CT6: their leads are the survivor's, also those that come later."""

    async def story(room: Mirroring) -> None:
        one, other = (room.book.add_contact(name=name) for name in ("Ana", "Anita"))
        await room.connect()
        await room.turn()
        kept, gone = await room.contact(one), await room.contact(other)
        people = ContactUseCases(room.tenant.storage, room.clock)
        merge = ContactMerge(keep_id=kept.id, merge_ids=frozenset({gone.id}))
        await people.merge(room.ana, merge)
        key = room.book.add_lead(name="Luz", contacts=[RemoteLink(contact_id=other)])
        room.book.change(CONTACT, other, name="Otra")
        await room.turn()
        assert (await room.lead(key)).contact_id == kept.id
        assert [one.name for one in await room.contacts()] == ["Ana"]
        room.book.delete(CONTACT, one)
        await room.turn(2)
        assert [one.name for one in await room.contacts()] == ["Otra"]

    tell(story)


def test_a_status_shows_what_went_wrong() -> None:
    """R21: the state visible, local data unchanged, the next pass goes on."""

    async def story(room: Mirroring) -> None:
        await room.connect()
        await room.turn()
        before = await room.shown()
        room.memory.failures.append(CrmUnauthorized())
        await room.turn()
        status = await room.kommo.status(room.ana)
        assert status.fault is not None
        assert (status.fault.trouble, status.fault.retry_at) == (Trouble.UNAUTHORIZED, None)
        asked = len(room.memory.asked)
        await room.turn(3)
        assert len(room.memory.asked) == asked  # Only a person can mend that.
        await room.kommo.put_credentials(room.ana, CREDENTIALS)
        await room.open()
        await room.turn(4)
        status = await room.kommo.status(room.ana)
        assert (status.fault, status.lag_s) == (None, 0)
        assert await room.shown() == before

    tell(story)


def test_progress_is_told_when_it_changes() -> None:
    """Section 9: sync_update, for what people do and for what becomes of it."""

    async def story(room: Mirroring) -> None:
        room.book.add_lead(name="Luz")
        await room.connect()
        await room.turn()
        log = [one.event for one in await room.tenant.events()]
        told = [one.progress for one in log if isinstance(one, KommoAdvanced)]
        phases = [one.phase for one in told]
        assert phases[:2] == [KommoPhase.IDLE, KommoPhase.BACKFILL]
        assert phases[-1] is KommoPhase.LIVE
        for error in (CrmUnreachable(), CrmUnreachable()):
            room.memory.failures.append(error)
            await room.turn(seconds=10)
        log = [one.event for one in await room.tenant.events()]
        again = [one for one in log if isinstance(one, KommoAdvanced)]
        assert len(again) == len(phases) + 1  # The same trouble is no news.

    tell(story)


def test_who_brings_the_old_secret_back_need_not_enter_credentials_anew() -> None:
    """KS11: sealed with a secret that is gone for a while."""

    async def story(room: Mirroring) -> None:
        await room.connect()
        right = room.mirrors
        box = AesGcmBox(b"another secret, as long as the first", system_random)
        room.mirrors = dataclasses.replace(right, box=box)
        with pytest.raises(SealBroken):
            await room.open()
        fault = (await room.kommo.status(room.ana)).fault
        assert fault is not None
        assert fault.trouble is Trouble.UNAUTHORIZED
        room.mirrors = right
        await room.turn(seconds=61)
        status = await room.kommo.status(room.ana)
        assert (status.phase, status.fault) == (KommoPhase.LIVE, None)

    tell(story)
