"""What leads of another CRM come to: the newest word counts, in whatever order words come.

`Board` is a plain account: it applies plans, and keeps what a storage would keep.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clarin_core.domain.crm_diff import (
    OWNED,
    Local,
    Place,
    bury,
    line,
    minor_units,
    newest,
    news,
    plan_leads,
    tag_changes,
    tag_names,
)
from clarin_core.domain.events import (
    Event,
    LeadCreated,
    LeadDeleted,
    LeadMoved,
    LeadUpdated,
    replay,
)
from clarin_core.domain.ids import ContactId, KommoId, LeadId, PipelineId, StageId, TagId, UserId
from clarin_core.domain.kommo import KnownLead
from clarin_core.domain.leads import Lead, LeadDraft, LeadStatus
from clarin_core.domain.pipelines import Pipeline, Stage, StageKind
from clarin_core.domain.remote import RemoteLead, RemoteLink, RemoteTag
from clarin_core.domain.tags import TagLink, tag_key
from clarin_core.testing.tenants import LATER, NOON

KINDS = (StageKind.OPEN, StageKind.OPEN, StageKind.WON, StageKind.LOST)
PIPELINES = [
    Pipeline(
        id=PipelineId(one), name=f"Ventas {one}", is_default=False, position=one, created_at=NOON,
        updated_at=NOON, version=1, kommo_id=KommoId(one * 100),
        stages=[
            Stage(
                id=StageId(one * 10 + at), name="E", color="#000000", position=at, kind=kind,
                kommo_id=KommoId({2: 142, 3: 143}.get(at, one * 100 + at)),
            )
            for at, kind in enumerate(KINDS)
        ],
    )
    for one in (1, 2)
]  # fmt: skip
PLACES = {
    (pipeline.kommo_id or KommoId(0), stage.kommo_id or KommoId(0)): Place(pipeline, stage)
    for pipeline in PIPELINES
    for stage in pipeline.stages
}
ENDS = (LeadStatus.WON, LeadStatus.LOST)
TAGS = st.sampled_from(("vip", "VIP", "frío"))
PEOPLE = {KommoId(7): ContactId(70), KommoId(8): ContactId(80)}


@dataclass
class Board:
    """An account's leads, and what is known of those there."""

    leads: dict[LeadId, Lead] = field(default_factory=dict)
    known: dict[KommoId, KnownLead] = field(default_factory=dict)
    tags: dict[int, frozenset[str]] = field(default_factory=dict)
    told: list[Event] = field(default_factory=list)

    def apply(self, batch: Sequence[RemoteLead], *, is_full: bool = False) -> list[Event]:
        """Apply a page, and return what it tells."""
        mirrors = {one.kommo_id: self.leads[one.lead_id] for one in self.known.values()}
        local = Local(known=self.known, leads=mirrors, people=PEOPLE, places=PLACES, currency="PEN")
        plan = plan_leads(news(batch, self.known, is_full=is_full), local, at=LATER)
        plan.store([self._born(draft) for draft in plan.drafts])
        for lead in [*plan.altered, *(one.lead for one in plan.new if one.lead)]:
            self.leads[lead.id] = lead
        for record in plan.records:
            said = record.said
            self.known[said.id] = KnownLead(
                kommo_id=said.id, lead_id=record.lead_id, updated_at=said.updated_at,
                digest=record.digest, contacts=record.contacts, is_gone=False,
            )  # fmt: skip
        changed = {key: names for key, names in plan.tags.items() if self.tags.get(key) != names}
        self.tags |= plan.tags
        events = list(plan.events())
        self.told += events
        assert len(plan.moves) == len(plan.new) + len([one for one in plan.changes if one.move])
        return events or [LeadUpdated(leads=[], changed=["tags"])] * bool(changed)

    def shown(self) -> dict[KommoId, Any]:
        """Return what Kommo owns of each lead, its end and its tags; how far it came is ours."""
        mirrors = {key: self.leads[one.lead_id] for key, one in self.known.items()}
        return {
            key: {name: getattr(lead, name) for name in OWNED | {"deleted_at"}}
            | {"end": lead.status in ENDS, "tags": {*map(tag_key, self.tags[lead.id])}}
            for key, lead in mirrors.items()
        }

    def _born(self, draft: LeadDraft) -> Lead:
        values = {name: getattr(draft, name) for name in LeadDraft.__struct_fields__}
        lead_id = LeadId(len(self.leads) + len(self.told) * 1_000 + 1)
        while lead_id in self.leads:
            lead_id = LeadId(lead_id + 1)
        born = Lead(id=lead_id, created_at=LATER, updated_at=LATER, version=1, **values)
        self.leads[lead_id] = born
        return born


def said(key: int = 1, *, after: int = 0, **values: Any) -> RemoteLead:
    """Return what Kommo says of a lead, so many seconds after noon."""
    usual = RemoteLead(
        id=KommoId(key), name="Luz", pipeline_id=KommoId(100), stage_id=KommoId(100),
        created_at=NOON, updated_at=NOON + timedelta(seconds=after),
    )  # fmt: skip
    return replace(usual, **values)


@st.composite
def words(draw: st.DrawFn, key: int, after: int) -> RemoteLead:
    """Draw what is said of one lead at one moment."""
    pipeline, stage = draw(st.sampled_from(sorted(PLACES)))
    some = st.lists(st.sampled_from((7, 8, 9)), unique=True, max_size=3)
    links = [
        RemoteLink(contact_id=KommoId(one), is_main=at == 1) for at, one in enumerate(draw(some))
    ]
    tags = [
        RemoteTag(id=KommoId(at + 1), name=name)
        for at, name in enumerate(
            draw(st.lists(st.sampled_from(("vip", "VIP", "frío")), max_size=2))
        )
    ]
    return said(
        key, after=after, name=draw(st.sampled_from(("Luz", "", " Mar ", "x" * 300))),
        pipeline_id=pipeline, stage_id=stage, contacts=links, tags=tags,
        price=draw(st.none() | st.decimals(-1, 10**6, places=2)),
        closed_at=draw(st.none() | st.just(NOON)),
    )  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[RemoteLead]:
    """Draw what is said of a few leads: of each some words, each later than the one before."""
    return [
        draw(words(key, after))
        for key in range(1, draw(st.integers(2, 5)))
        for after in range(draw(st.integers(1, 4)))
    ]


@st.composite
def pages(draw: st.DrawFn, history: list[RemoteLead]) -> list[list[RemoteLead]]:
    """Draw pages that hold all that was said at least once, in any order."""
    again = draw(st.lists(st.sampled_from(history), max_size=8))
    order = draw(st.permutations([*history, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


@given(data=st.data(), history=histories())
def test_pages_in_any_order_and_repeated_are_the_newest_words_once(
    data: st.DataObject, history: list[RemoteLead]
) -> None:
    """Property 13, KS9: the state is that of each lead's last word."""
    board, once = Board(), Board()
    drawn = data.draw(pages(history))
    for page in drawn:
        board.apply(page)
    once.apply(newest(history))
    assert board.shown() == once.shown()
    for page in drawn:
        assert board.apply(page) == []
        assert board.apply(newest(history), is_full=True) == []


@given(data=st.data(), history=histories())
def test_events_tell_all_that_changed(data: st.DataObject, history: list[RemoteLead]) -> None:
    """Property 15: what was told adds up to the leads that there are."""
    board = Board()
    for page in data.draw(pages(history)):
        board.apply(page)
    assert replay(board.told).leads == board.leads


def test_of_two_words_of_one_second_the_later_one_counts() -> None:
    """Section 4: `updated_at` is no version."""
    board = Board()
    for name in ("Luz", "Mar", "Sol"):
        board.apply([said(name=name)])
    assert board.shown()[KommoId(1)]["name"] == "Sol"
    board.apply([said(name="Nube"), said(name="Río")])
    assert board.shown()[KommoId(1)]["name"] == "Río"


def test_an_older_word_changes_nothing() -> None:
    board = Board()
    board.apply([said(after=5, name="Luz")])
    assert board.apply([said(after=4, name="Mar")], is_full=True) == []


def test_what_is_ours_is_not_looked_at() -> None:
    """KS7: notes, the owner here, custom fields and the reason for a loss stay."""
    board = Board()
    board.apply([said(stage_id=KommoId(143))])
    (lead,) = board.leads.values()
    ours = {
        "notes": "llamar", "assigned_to": UserId(3), "custom_fields": {"a": 1}, "source": "web",
        "loss_reason": "caro",
    }  # fmt: skip
    lead.alter(ours, at=LATER)
    board.apply([said(after=1, stage_id=KommoId(143), name="Mar", price=Decimal(7))])
    (lead,) = board.leads.values()
    assert {name: getattr(lead, name) for name in ours} == ours
    assert (lead.name, lead.value) == ("Mar", 700)


def test_a_full_word_mends_what_was_changed_here() -> None:
    board = Board()
    board.apply([said()])
    (lead,) = board.leads.values()
    lead.alter({"name": "otro", "value": 5}, at=LATER)
    assert board.apply([said()]) == []
    (event,) = board.apply([said()], is_full=True)
    assert isinstance(event, LeadUpdated)
    assert event.changed == ["name", "value"]


def test_a_move_is_a_move_and_an_end_an_end() -> None:
    """KS8, LD4, LD5: 142 and 143 are of their pipeline; an end has Kommo's time."""
    board = Board()
    (created,) = board.apply([said()])
    assert isinstance(created, LeadCreated)
    (won,) = board.apply([said(after=9, pipeline_id=KommoId(200), stage_id=KommoId(142))])
    assert isinstance(won, LeadMoved)
    (lead,) = won.leads
    assert (lead.pipeline_id, lead.stage_id, lead.status) == (2, 22, LeadStatus.WON)
    assert lead.closed_at == NOON + timedelta(seconds=9)
    assert [(move.from_stage, move.to_stage) for move in won.moves] == [(10, 22)]
    (back,) = board.apply([said(after=10, stage_id=KommoId(101))])
    assert isinstance(back, LeadMoved)
    assert (back.leads[0].status, back.leads[0].closed_at) == (LeadStatus.CONTACTED, None)


def test_who_is_gone_is_hidden_once_and_comes_back() -> None:
    board = Board()
    board.apply([said()])
    (lead,) = board.leads.values()
    hidden = bury([lead], at=LATER)
    assert isinstance(hidden, LeadDeleted)
    assert bury([lead], at=LATER) is None
    known = board.known[KommoId(1)]
    board.known[KommoId(1)] = replace(known, is_gone=True)
    (restored,) = board.apply([said()])  # The same word, since it was gone in between.
    assert restored.__struct_config__.tag == "lead.restored"
    assert lead.deleted_at is None


@pytest.mark.parametrize(
    ("links", "contact"),
    [
        ([], None),
        ([(7, False)], 70),
        ([(8, False), (7, True)], 70),
        ([(7, False), (8, False)], 70),
        ([(9, True), (7, False)], None),  # The main one is not here yet, and comes later.
    ],
)
def test_a_lead_has_its_main_contact(links: list[tuple[int, bool]], contact: int | None) -> None:
    board = Board()
    said_links = [RemoteLink(contact_id=KommoId(key), is_main=main) for key, main in links]
    board.apply([said(contacts=said_links)])
    assert board.shown()[KommoId(1)]["contact_id"] == contact


@pytest.mark.parametrize(
    ("price", "currency", "value"),
    [
        (None, "PEN", None),
        (Decimal("350"), "PEN", 35_000),
        (Decimal("0.505"), "PEN", 50),
        (Decimal("350"), "CLP", 350),
        (Decimal("350"), None, 35_000),
        (Decimal(-1), "PEN", None),
        (Decimal(10**20), "PEN", None),
        (Decimal("nan"), "PEN", None),
    ],
)
def test_prices_are_counted_in_minor_units(
    price: Decimal | None, currency: str | None, value: int | None
) -> None:
    assert minor_units(price, currency) == value


@given(st.text())
def test_any_text_becomes_a_line_or_nothing(raw: str) -> None:
    """What cannot be kept costs the lead neither its row nor its page."""
    kept = line(raw)
    assert kept is None or (0 < len(kept) <= 255 and line(kept) == kept)


def test_names_of_tags_are_those_of_tags_here() -> None:
    tags = [RemoteTag(id=KommoId(1), name=one) for one in ("vip", " VIP ", "", "x" * 200)]
    assert {tag_key(name) for name in tag_names(said(tags=tags))} == {"vip", "x" * 100}


@given(now=st.sets(st.integers(0, 5)), wanted=st.sets(st.integers(0, 5)))
def test_tags_become_those_that_are_wanted(now: set[int], wanted: set[int]) -> None:
    before, after = (
        {TagLink(target_id=1, tag_id=TagId(one)) for one in some} for some in (now, wanted)
    )
    put, off = tag_changes(before, after)
    assert (before | {*put}) - {*off} == after
    assert not before & {*put}
