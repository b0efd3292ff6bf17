"""Reading everything: at once, in whatever order pages come, and on from where a kill left it."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from clarin_core.domain.events import KommoAdvanced, LeadCreated
from clarin_core.domain.kommo import KommoPhase
from clarin_core.domain.remote import RemoteKind, RemoteLink
from clarin_core.errors import Unavailable
from clarin_core.ports.crm import CrmList, CrmUnreachable
from clarin_core.usecases.mirror.keeper import Keeper
from clarin_core.usecases.mirror.pages import Pages
from clarin_memory.crm import MemoryCrmSync
from support.mirroring import LEAD, Mirroring, nowhere_to_write, tell

PAGE = 5
DAY_S = 86_400


def fill(room: Mirroring, leads: int = 43, people: int = 31) -> None:
    """Add people, and leads of theirs, so long ago that nothing of it has to be followed."""
    vip = room.book.add_tag(LEAD, "VIP")
    known = [room.book.add_contact(name=f"Ana {one}") for one in range(people)]
    for one in range(leads):
        link = RemoteLink(contact_id=known[one % people], is_main=True)
        room.book.add_lead(name=f"Luz {one}", tags=[vip], contacts=[link])
    room.clock.forward(seconds=DAY_S)


def test_everything_comes_with_the_first_pass() -> None:
    """Pipelines, contacts and leads of the connected one, linked and tagged; and no other leads."""

    async def story(room: Mirroring) -> None:
        fill(room)
        other = room.book.pipelines[1]
        room.book.add_lead(pipeline_id=other.id, stage_id=other.stages[1].id)
        await room.connect()
        await room.turn()
        shown = await room.shown()
        assert shown == await room.meant()
        assert (len(shown["leads"]), len(shown["contacts"])) == (43, 31)
        assert (await room.link()).phase is KommoPhase.LIVE
        report = await room.kommo.full_status(room.ana)
        assert (report.leads, report.contacts) == (43, 31)

    tell(story, page_max=PAGE)


def test_the_end_of_one_is_known_at_once() -> None:
    """Passes that change nothing are noted now and then only; somebody may wait for this one."""

    async def story(room: Mirroring) -> None:
        await room.connect()
        await room.turn()
        await room.kommo.sync(room.ana)
        await room.turn()
        assert (await room.link()).last_ok_at == room.clock()

    tell(story)


def test_nothing_is_asked_for_one_by_one() -> None:
    """KS5, section 9: pages and a few words; of each list one page too many, or two."""

    async def story(room: Mirroring) -> None:
        fill(room)
        await room.connect()
        room.memory.asked.clear()
        await room.turn()
        asked = room.memory.asked
        first = asked[: asked.index("hints")]
        assert not [one for one in asked if "by id" in one]
        assert 9 <= first.count("leads") <= 9 + 4 + 1  # The last one follows.
        assert 7 <= first.count("contacts") <= 7 + 4 + 1
        assert len(asked) - asked.count("leads") - asked.count("contacts") <= 12

    tell(story, page_max=PAGE)


def test_fetching_and_storing_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a page is stored others are being fetched, up to a bound."""
    flying, most, while_storing = 0, 0, 0
    right, store = MemoryCrmSync.leads, Keeper.store

    async def slow(self: MemoryCrmSync, query: CrmList) -> object:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        for _ in range(20 + 17 * query.page % 50):
            await asyncio.sleep(0)
        flying -= 1
        return await right(self, query)

    async def watched(self: Keeper, kind: RemoteKind, *args: object, **options: object) -> None:
        nonlocal while_storing
        while_storing = max(while_storing, flying)
        await store(self, kind, *args, **options)  # type: ignore[arg-type]  # Passed on as they are.

    monkeypatch.setattr(MemoryCrmSync, "leads", slow)
    monkeypatch.setattr(Keeper, "store", watched)

    async def story(room: Mirroring) -> None:
        fill(room)
        await room.connect()
        await room.turn()
        assert 3 <= most <= 6
        assert while_storing >= 2

    tell(story, page_max=PAGE)


@pytest.mark.parametrize("after", [10, 20, 30, 40, 50, 60])
def test_a_kill_costs_no_page_that_was_stored(after: int) -> None:
    """Who goes on reads the rest, and tells of nothing twice."""

    async def story(room: Mirroring) -> None:
        fill(room)
        await room.connect()
        task = asyncio.ensure_future((await room.open()).go_on())
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        backfill = (await room.link()).state.backfill
        stored = backfill.rows if backfill else 43 + 31
        assert stored == len(await room.leads()) + len(await room.contacts())
        room.memory.asked.clear()
        await room.open()
        await room.turn()
        asked = room.memory.asked
        lists = asked[: asked.index("hints")]
        pages = sum(one in ("leads", "contacts") for one in lists)
        assert pages <= (43 + 31 - stored) / PAGE + 2 + 8 + 2
        assert await room.shown() == await room.meant()
        created = [one.leads for one in await room.events() if isinstance(one, LeadCreated)]
        assert sum(map(len, created)) == 43

    tell(story, page_max=PAGE)


def test_an_error_keeps_what_was_stored() -> None:
    async def story(room: Mirroring) -> None:
        fill(room)
        await room.connect()
        room.memory.failures.extend([None] * 12 + [CrmUnreachable()])
        await room.turn()
        link = await room.link()
        assert link.fault is not None
        assert link.state.backfill is not None
        assert 0 < link.state.backfill.rows < 43 + 31
        stored, asked = link.state.backfill.rows, len(room.memory.asked)
        await room.turn(seconds=1)  # Too early: Kommo is left alone for a while.
        assert len(room.memory.asked) == asked
        room.memory.failures.extend([None, None, CrmUnreachable()])
        await room.turn(seconds=10)
        backfill = (await room.link()).state.backfill
        assert backfill is not None
        assert (backfill.rows_then, backfill.since) == (stored, room.clock())
        await room.turn(seconds=10)
        assert await room.shown() == await room.meant()

    tell(story, page_max=PAGE)


def test_a_page_counts_with_its_rows_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(room: Mirroring) -> None:
        fill(room)
        await room.connect()
        with monkeypatch.context() as broken:
            broken.setattr(Pages, "contacts", nowhere_to_write)
            with pytest.raises(Unavailable):
                await room.turn()
        backfill = (await room.link()).state.backfill
        assert backfill is not None
        assert backfill.contacts is not None
        assert backfill.contacts.rows == 0
        await room.turn()
        assert await room.shown() == await room.meant()

    tell(story, page_max=PAGE)


def test_what_happens_meanwhile_is_followed_from_the_beginning() -> None:
    """8.3: by Kommo's clock, so that an edit of a page that was read already is not lost."""

    async def story(room: Mirroring) -> None:
        fill(room)
        first = min(room.book.real[LEAD])
        await room.connect()

        class Late(list[str]):
            def append(self, what: str) -> None:
                super().append(what)
                room.clock.forward(seconds=60)
                if self.count("leads") == 8:
                    room.book.change(LEAD, first, name="cambiada", is_quiet=False)

        room.memory.asked = Late()
        await room.turn()
        assert (await room.lead(first)).name == "cambiada"

    tell(story, page_max=PAGE)


class Meanwhile(list[str]):
    """What was asked; at the fourth page of leads somebody does something."""

    def __init__(self, deed: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        super().__init__()
        self._deed = deed
        self.done: asyncio.Task[Any] | None = None

    def append(self, what: str) -> None:
        super().append(what)
        if self.count("leads") == 4 and self.done is None:
            self.done = asyncio.ensure_future(self._deed())


def test_a_pipeline_that_is_connected_meanwhile_is_read_too() -> None:
    async def story(room: Mirroring) -> None:
        other = room.book.pipelines[1]
        for one in range(7):
            room.book.add_lead(name=f"{one}", pipeline_id=other.id, stage_id=other.stages[1].id)
        fill(room)
        await room.connect()
        meanwhile = Meanwhile(lambda: room.kommo.connect(room.ana, other.id))
        room.memory.asked = meanwhile
        await room.turn()
        assert meanwhile.done is not None
        await meanwhile.done
        assert len((await room.shown())["leads"]) == 43 + 7

    tell(story, page_max=PAGE)


def test_a_backfill_that_is_called_off_ends() -> None:
    async def story(room: Mirroring) -> None:
        fill(room)
        await room.connect()
        first = room.book.pipelines[0].id
        room.memory.asked = Meanwhile(lambda: room.kommo.disconnect(room.ana, first))
        await room.turn()
        assert (await room.link()).phase is KommoPhase.IDLE
        assert 0 < len(await room.leads()) < 43
        assert (await room.tenant.views.kommo_counts()).leads == 0

    tell(story, page_max=PAGE)


def test_progress_is_told_as_it_goes() -> None:
    """Counts, a rate, and a time left as soon as the end is known; at most once a second."""

    async def story(room: Mirroring) -> None:
        fill(room, leads=400)
        await room.connect()

        class Slow(list[str]):
            def append(self, what: str) -> None:
                super().append(what)
                room.clock.forward(seconds=0.25)

        room.memory.asked = Slow()
        await room.turn()
        log = await room.tenant.events()
        told = [one for one in log if isinstance(one.event, KommoAdvanced)]
        shown = [one.event.progress for one in told if isinstance(one.event, KommoAdvanced)]
        during = [one for one in shown if one.phase is KommoPhase.BACKFILL and one.rate]
        assert 3 <= len(during) <= 30
        rows = [one.leads.done + one.contacts.done for one in during if one.leads and one.contacts]
        assert rows == sorted(rows)
        assert during[0].left_s is None
        known = [one for one in during if one.left_s is not None]
        assert known
        assert {one.leads.total for one in known if one.leads} == {400}

    tell(story, page_max=PAGE)


def test_contacts_that_come_after_their_leads_are_found() -> None:
    """A link to a contact that is not known yet is resolved when it comes."""

    async def story(room: Mirroring) -> None:
        await room.connect()
        await room.turn()
        late = room.book.new_id()
        key = room.book.add_lead(name="Luz", contacts=[RemoteLink(contact_id=late, is_main=True)])
        await room.turn()
        assert (await room.lead(key)).contact_id is None
        room.book.add_contact(id=late, name="Ana")
        await room.turn()
        assert (await room.lead(key)).contact_name == "Ana"

    tell(story)
