"""Walks over a list of unknown length: all pages are stored, however they come; few are wasted."""

import random

from hypothesis import given
from hypothesis import strategies as st

from clarin_core.domain.ids import KommoId
from clarin_core.domain.kommo_sync import Backfill, SyncState, Walk
from clarin_core.domain.remote import PAGE_MAX, RemoteKind
from clarin_core.testing.tenants import LATER, NOON

IN_FLIGHT = 6
AT_MOST = 10_000


def fetch_all(walk: Walk, pages: int, chance: random.Random, *, killed: float = 0.0) -> list[int]:
    """Fetch a list of so many full pages, several at a time; return which were asked for."""
    asked: list[int] = []
    busy: list[int] = []
    while not walk.is_done:
        while len(busy) < IN_FLIGHT and (page := walk.choose(busy)) is not None:
            busy.append(page)
            asked.append(page)
            assert len(asked) < AT_MOST
        assert busy
        if chance.random() < killed:
            busy.clear()  # Who goes on knows nothing of what was asked for.
            continue
        page = busy.pop(chance.randrange(len(busy)))
        rows = PAGE_MAX if page <= pages else 0
        walk.store(page, rows=rows, has_next=page < pages)
    return asked


@given(pages=st.integers(1, 500), seed=st.integers(0, 99))
def test_every_page_is_stored_once_and_few_are_wasted(pages: int, seed: int) -> None:
    """The end is found by doubling and halving, and what that fetches counts."""
    walk = Walk()
    asked = fetch_all(walk, pages, random.Random(seed))
    assert {*asked} >= {*range(1, pages + 1)}
    assert len(asked) == len({*asked})
    assert sum(page > pages for page in asked) <= 1 + pages.bit_length()
    assert (walk.upto, walk.last, walk.beyond) == (pages, pages, [])
    assert walk.rows == walk.total == pages * PAGE_MAX


@given(pages=st.integers(1, 60), seed=st.integers(0, 99))
def test_a_kill_costs_what_was_being_fetched(pages: int, seed: int) -> None:
    """Who goes on needs no more than the walk as it was stored."""
    walk = Walk()
    fetch_all(walk, pages, random.Random(seed), killed=0.2)
    assert walk.upto == pages
    assert walk.rows == pages * PAGE_MAX


def test_an_announced_page_that_is_empty_is_asked_for_again() -> None:
    """1.2: a 204 in mid-list happens, and is no end; a second one is, since rows may be gone."""
    walk = Walk()
    walk.store(1, rows=PAGE_MAX, has_next=True)
    walk.store(2, rows=0, has_next=False)
    assert not walk.is_done
    assert walk.choose([4]) == 2
    walk.store(2, rows=0, has_next=False)
    assert (walk.is_done, walk.last) == (True, 1)


def test_an_empty_list_is_a_list() -> None:
    walk = Walk()
    assert walk.choose([]) == 1
    assert walk.choose([1]) is None
    walk.store(1, rows=0, has_next=False)
    assert (walk.is_done, walk.rows) == (True, 0)


def test_contacts_come_first_but_for_the_end_of_the_leads() -> None:
    """So that leads find theirs, and how long it takes is known early."""
    backfill = Backfill(since=NOON, contacts=Walk())
    nobody: dict[RemoteKind, list[int]] = {kind: [] for kind in RemoteKind}
    assert backfill.choose(nobody) == (RemoteKind.LEAD, 1)
    busy = nobody | {RemoteKind.LEAD: [1]}
    assert backfill.choose(busy) == (RemoteKind.CONTACT, 1)
    backfill.leads.store(1, rows=9, has_next=False)
    backfill.walk(RemoteKind.CONTACT)
    assert backfill.contacts is not None
    backfill.contacts.store(1, rows=PAGE_MAX, has_next=True)
    assert backfill.choose(nobody | {RemoteKind.CONTACT: [4]}) == (RemoteKind.CONTACT, 2)


def test_following_moves_on_and_never_back() -> None:
    state = SyncState(backfill=Backfill(since=NOON))
    state.begin(LATER)
    assert state.leads_upto == state.contacts_upto == state.hints_upto == LATER
    assert not state.follow_to(RemoteKind.LEAD, NOON)
    assert not state.follow_to(RemoteKind.LEAD, LATER)
    state.begin(NOON)  # It has begun: another start would lose what was between.
    assert state.leads_upto == LATER


def test_what_is_to_be_read_again_is_named_once() -> None:
    state = SyncState()
    for ids in ([3, 1], [2, 3]):
        state.read_again(RemoteKind.CONTACT, [KommoId(one) for one in ids])
    assert state.again(RemoteKind.CONTACT) == [1, 3, 2]
