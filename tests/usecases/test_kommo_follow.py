"""Following: each change is seen within a pass, whatever moves while lists are read."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from clarin_core.domain.events import (
    ContactUpdated,
    LeadDeleted,
    LeadMoved,
    LeadRestored,
    LeadTagged,
    LeadUntagged,
    LeadUpdated,
    PipelineChanged,
    TagCreated,
)
from clarin_core.domain.ids import KommoId
from clarin_core.domain.pipelines import StageKind
from clarin_core.domain.remote import HintKind, RemoteHint, RemoteLink, RemoteReach, RemoteStage
from clarin_core.errors import Unavailable
from clarin_core.ports.crm import CrmUnreachable
from clarin_core.usecases.mirror.pages import Pages
from clarin_core.usecases.mirror.sweep import Sweeping
from support.mirroring import CONTACT, LEAD, Mirroring, nowhere_to_write, tell

PAGE = 5
MADE_FIRST = (PipelineChanged, TagCreated)


@pytest.fixture(autouse=True)
def _no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps would find in the end what following has missed."""

    async def run(self: Sweeping, state: object) -> None:
        pass

    monkeypatch.setattr(Sweeping, "run", run)


async def settled(room: Mirroring, *, leads: int = 0) -> list[KommoId]:
    """Mirror some leads, and let an hour pass; then somebody else's lead moves the mirror on."""
    keys = [room.book.add_lead(name=f"Luz {one}") for one in range(leads)]
    await room.connect()
    await room.turn()
    room.clock.forward(seconds=3600)
    room.book.add_contact(name="Nadie")
    other = room.book.pipelines[1]
    room.book.add_lead(name="ajena", pipeline_id=other.id, stage_id=other.stages[1].id)
    await room.turn()
    await room.turn(3)
    return keys


def test_each_change_is_told_with_the_next_pass_and_once() -> None:
    """Moved, won, lost, unlinked, untagged, priced, deleted, restored: one event each (KS9)."""

    async def story(room: Mirroring) -> None:
        (key,) = await settled(room, leads=1)
        person = room.book.add_contact(name="Ana")
        vip = room.book.add_tag(LEAD, "vip")
        await room.turn()
        first, other = room.book.pipelines
        link = RemoteLink(contact_id=person, is_main=True)
        deeds: list[tuple[dict[str, Any], type]] = [
            ({"name": "Mar"}, LeadUpdated),
            ({"price": Decimal(7)}, LeadUpdated),
            ({"stage_id": first.stages[2].id}, LeadMoved),
            ({"stage_id": KommoId(142)}, LeadMoved),
            ({"stage_id": KommoId(143)}, LeadMoved),
            ({"pipeline_id": other.id, "stage_id": other.stages[1].id}, LeadMoved),
            ({"contacts": [link], "is_quiet": True}, LeadUpdated),
            ({"tags": [vip], "is_quiet": True}, LeadTagged),
            ({"contacts": [], "is_quiet": True}, LeadUpdated),
            ({"tags": [], "is_quiet": True}, LeadUntagged),
        ]
        for values, kind in deeds:
            before = len(await room.events())
            room.book.change(LEAD, key, **values)
            await room.turn()
            await room.turn()
            told = [
                e
                for e in (await room.events())[before:]
                if not isinstance(e, PipelineChanged | TagCreated)
            ]
            assert [type(one) for one in told] == [kind], values
            assert await room.shown() == await room.meant()
        for deed, kind in ((room.book.delete, LeadDeleted), (room.book.restore, LeadRestored)):
            before = len(await room.events())
            deed(LEAD, key)
            await room.turn(2)
            assert [type(one) for one in (await room.events())[before:]] == [kind]

    tell(story)


def test_a_contact_s_own_change_is_seen() -> None:
    """Section 4: a new phone bumps the contact, and not its leads."""

    async def story(room: Mirroring) -> None:
        person = room.book.add_contact(name="Ana")
        await settled(room)
        before = len(await room.events())
        room.book.change(CONTACT, person, phones=[RemoteReach(text="987 654 321")])
        await room.turn(2)
        (told,) = (await room.events())[before:]
        assert isinstance(told, ContactUpdated)
        assert told.changed == ["phone"]

    tell(story)


def test_a_quiet_pass_writes_nothing_and_asks_three_questions() -> None:
    """KS9, section 9: three streams every five seconds."""

    async def story(room: Mirroring) -> None:
        await settled(room, leads=3)
        link, told = await room.link(), len(await room.events())
        room.memory.asked.clear()
        await room.turn()
        assert room.memory.asked == ["leads", "contacts", "hints"]
        assert await room.link() == link
        assert len(await room.events()) == told

    tell(story)


def test_a_cursor_moves_with_its_rows_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """R19."""

    async def story(room: Mirroring) -> None:
        (lead,) = await settled(room, leads=1)
        before = (await room.link()).state.leads_upto
        room.book.change(LEAD, lead, name="Sol")
        with monkeypatch.context() as broken:
            broken.setattr(Pages, "leads", nowhere_to_write)
            with pytest.raises(Unavailable):
                await room.turn()
        assert (await room.link()).state.leads_upto == before
        await room.turn()
        assert (await room.lead(lead)).name == "Sol"
        assert (await room.link()).state.leads_upto != before

    tell(story)


def test_a_list_that_slides_loses_nobody() -> None:
    """6.1: what is edited on a page that was read goes to the end, and all behind slide up."""

    async def story(room: Mirroring) -> None:
        keys = await settled(room, leads=20)
        for key in keys:
            room.clock.forward(seconds=1)
            room.book.change(LEAD, key, name=f"Mar {key}")

        class Sliding(list[str]):
            def append(self, what: str) -> None:
                super().append(what)
                if what == "leads" and 2 <= self.count("leads") <= 4:
                    for key in keys[:3]:
                        room.book.change(LEAD, key, name="otra vez")

        room.memory.asked = Sliding()
        await room.turn()
        names = {lead.name for lead in await room.leads()}
        assert names == {f"Mar {key}" for key in keys[3:]} | {"otra vez"}

    tell(story, page_max=PAGE)


def test_a_second_may_have_more_than_a_page() -> None:
    """Section 4: a bulk action gives many the same second."""

    async def story(room: Mirroring) -> None:
        keys = await settled(room, leads=23)
        for key in keys:
            room.book.change(LEAD, key, name="todas")
        await room.turn()
        assert {lead.name for lead in await room.leads()} == {"todas"}

    tell(story, page_max=PAGE)


@pytest.mark.parametrize(("late_s", "seen_s"), [(0, 5), (11, 15), (50, 120), (590, 1200)])
def test_what_is_shown_late_is_seen(late_s: float, seen_s: float) -> None:
    """Section 4: though others of later times were seen before; the later, the more patiently."""
    lag = {"s": 0.0}

    async def story(room: Mirroring) -> None:
        late, other = await settled(room, leads=2)
        lag["s"] = late_s
        room.book.change(LEAD, late, name="tarde")
        lag["s"] = 0.0
        for _ in range(int(seen_s / 5)):
            room.clock.forward(seconds=3)
            room.book.change(LEAD, other, name=f"{room.clock()}")
            await room.turn(seconds=2)
        assert (await room.lead(late)).name == "tarde"

    tell(story, lag=lambda: lag["s"])


def test_after_a_failure_one_looks_back_further() -> None:
    """The ladder: what happened while nobody looked may be shown late, too."""
    lag = {"s": 0.0}

    async def story(room: Mirroring) -> None:
        late, other = await settled(room, leads=2)
        lag["s"] = 25.0
        room.book.change(LEAD, late, name="tarde")
        lag["s"] = 0.0
        room.clock.forward(seconds=15)
        room.book.change(LEAD, other, name="a tiempo")
        await room.turn()
        room.memory.failures.append(CrmUnreachable())
        await room.turn()
        await room.turn(seconds=10)
        assert (await room.lead(late)).name == "tarde"

    tell(story, lag=lambda: lag["s"])


@pytest.mark.parametrize("skew_h", [-5, 5])
def test_only_the_other_side_s_clock_counts(skew_h: float) -> None:
    async def story(room: Mirroring) -> None:
        keys = await settled(room, leads=3)
        for number in range(4):
            room.book.change(LEAD, keys[0], name=f"{number}")
            room.book.add_lead(name=f"nueva {number}")
            await room.turn()
        assert await room.shown() == await room.meant()

    tell(story, skew=timedelta(hours=skew_h))


def test_a_lead_that_leaves_a_mirrored_pipeline_goes_where_it_went() -> None:
    """8.4: it moved, it is not deleted; others of that pipeline do not come along."""

    async def story(room: Mirroring) -> None:
        (key,) = await settled(room, leads=1)
        other = room.book.pipelines[1]
        place: dict[str, Any] = {"pipeline_id": other.id, "stage_id": other.stages[1].id}
        room.book.add_lead(name="ajena", **place)
        room.book.change(LEAD, key, **place)
        await room.turn()
        (lead,) = await room.leads()
        assert lead.pipeline_id is not None
        assert (await room.tenant.views.pipeline(lead.pipeline_id)).name == "Postventa"
        room.book.change(LEAD, key, name="sigue")
        await room.turn()
        assert (await room.lead(key)).name == "sigue"

    tell(story)


def test_who_is_gone_is_let_go_and_its_leads_are_read_anew() -> None:
    """Section 6: though nothing told of the leads."""

    async def story(room: Mirroring) -> None:
        gone, other = (room.book.add_contact(name=name) for name in ("Ana", "Eva"))
        links = [RemoteLink(contact_id=gone, is_main=True), RemoteLink(contact_id=other)]
        key = room.book.add_lead(name="Luz", contacts=links)
        await settled(room)
        room.book.delete(CONTACT, gone)
        room.book.hints = [hint for hint in room.book.hints if hint.entity_id == gone]
        await room.turn()
        assert (await room.lead(key)).contact_name == "Eva"
        assert {one.name for one in await room.contacts()} == {"Eva", "Nadie"}

    tell(story)


def test_the_recycle_bin_tells_of_whom_no_hint_did() -> None:
    async def story(room: Mirroring) -> None:
        (key,) = await settled(room, leads=1)
        room.book.delete(LEAD, key)
        room.book.hints.clear()
        await room.turn()
        assert len(await room.leads()) == 1
        await room.turn(seconds=120)
        assert await room.leads() == []
        assert (await room.tenant.views.kommo_counts()).leads == 0

    tell(story)


def test_a_hint_alone_proves_nothing() -> None:
    """8.6: who is said to be deleted, and is there when asked for, stays."""

    async def story(room: Mirroring) -> None:
        (key,) = await settled(room, leads=1)
        hint = RemoteHint(
            id="01", what=HintKind.DELETED, kind=LEAD, entity_id=key, at=room.book.now()
        )
        room.book.hints.append(hint)
        room.memory.asked.clear()
        await room.turn(2)
        assert "leads by id" in room.memory.asked
        assert len(await room.leads()) == 1

    tell(story)


def test_what_could_not_be_read_costs_no_other() -> None:
    """8.8: counted, and the page goes on; the mirror moves beyond it."""

    async def story(room: Mirroring) -> None:
        await settled(room)
        room.book.add_lead(name="Luz", price=Decimal(10**30), tags=[])
        room.book.add_lead(name="\x00\u202e", price=Decimal(1))
        room.book.add_contact(name="x" * 5000, phones=[RemoteReach(text="\u202e" * 99)])
        await room.turn()
        assert await room.shown() == await room.meant()
        assert len(await room.leads()) == 2

    tell(story)


def change_stages(
    room: Mirroring, change: Callable[[list[RemoteStage]], list[RemoteStage]]
) -> None:
    one = room.book.pipelines[0]
    room.book.pipelines[0] = replace(one, name="Embudo", stages=change(one.stages))


def test_pipelines_and_stages_follow() -> None:
    """Names, colours, order and kind; a stage that is gone stays while leads are in it."""

    async def story(room: Mirroring) -> None:
        (key,) = await settled(room, leads=1)
        lead = await room.lead(key)
        assert lead.pipeline_id is not None
        new = RemoteStage(
            pipeline_id=room.book.pipelines[0].id, id=room.book.new_id(), name="Nueva",
            color="#AABBCC", position=1, kind=StageKind.OPEN,
        )  # fmt: skip
        change_stages(room, lambda stages: [new, replace(stages[2], name="Hablado"), *stages[3:]])
        await room.turn(seconds=60)
        here = await room.tenant.views.pipeline(lead.pipeline_id)
        assert here.name == "Embudo"
        names = [(stage.name, stage.position) for stage in here.stages]
        assert names == [("Nueva", 0), ("Hablado", 1), ("Won", 2), ("Lost", 3), ("Nuevo", 4)]
        assert here.stages[0].color == "#aabbcc"
        room.book.change(LEAD, key, stage_id=new.id)
        await room.turn()
        change_stages(room, lambda stages: stages[:-1])
        await room.turn(seconds=60)
        here = await room.tenant.views.pipeline(lead.pipeline_id)
        assert [stage.name for stage in here.stages] == ["Nueva", "Hablado", "Won"]

    tell(story)


def test_a_lead_in_a_new_stage_needs_no_minute() -> None:
    """8.4: an unknown stage is asked for at once; one that nobody knows costs no other lead."""

    async def story(room: Mirroring) -> None:
        await settled(room)
        first = room.book.pipelines[0]
        stage = RemoteStage(pipeline_id=first.id, id=room.book.new_id(), name="Nueva", position=15)
        change_stages(room, lambda stages: [*stages, stage])
        key = room.book.add_lead(name="Luz", stage_id=stage.id)
        room.book.add_lead(name="Nadie", stage_id=KommoId(999_999))
        await room.turn()
        assert (await room.lead(key)).stage_name == "Nueva"
        assert [lead.name for lead in await room.leads()] == ["Luz"]

    tell(story)
