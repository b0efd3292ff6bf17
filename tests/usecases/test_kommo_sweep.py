"""Sweeps: who vanished without a word is found, and is not believed to be gone too soon."""

from datetime import timedelta

import pytest

from clarin_core.domain.events import KommoAdvanced, LeadDeleted
from clarin_core.domain.ids import KommoId
from clarin_core.domain.kommo import Trouble
from clarin_core.domain.remote import RemoteLink
from clarin_core.ports.crm import CrmList
from clarin_memory.crm import MemoryCrmSync
from support.mirroring import CONTACT, LEAD, Mirroring, tell

PAGE = 5
DAY_S = 86_400


async def settled(room: Mirroring, *, leads: int = 23) -> list[KommoId]:
    """Mirror some leads, and sweep once."""
    keys = [room.book.add_lead(name=f"Luz {one}") for one in range(leads)]
    await room.connect()
    await room.calm_down()
    return keys


async def swept(room: Mirroring) -> None:
    """Let a day pass, and sweep to the end."""
    await room.turn(seconds=DAY_S)
    await room.turn(8)
    assert (await room.link()).state.sweep is None


def test_who_was_purged_is_found_the_next_day() -> None:
    async def story(room: Mirroring) -> None:
        keys = await settled(room)
        for key in keys[3:9:2]:
            room.book.delete(LEAD, key)
            room.book.purge(LEAD, key)
        room.book.hints.clear()
        await room.turn(3)
        assert len(await room.leads()) == 23
        await swept(room)
        assert await room.shown() == await room.meant()
        assert len(await room.leads()) == 20

    tell(story, page_max=PAGE)


def test_a_merge_is_followed_by_a_sweep() -> None:
    """Section 6: the survivor is named, but not who became part of it."""

    async def story(room: Mirroring) -> None:
        keys = await settled(room)
        one, other = room.book.add_contact(name="Ana"), room.book.add_contact(name="Anita")
        link = RemoteLink(contact_id=other, is_main=True)
        room.book.change(LEAD, keys[0], contacts=[link])
        await room.turn(2)
        room.book.merge(LEAD, keys[5], keys[6])
        room.book.merge(CONTACT, one, other)
        await room.turn(8)
        assert await room.shown() == await room.meant()
        assert (await room.lead(keys[0])).contact_name == "Ana"
        await room.turn(5, seconds=600)
        room.memory.asked.clear()
        await room.turn(5, seconds=600)
        assert room.memory.asked.count("leads") == 5  # What is long ago is swept no more.

    tell(story, page_max=PAGE)


def test_who_is_missing_on_a_page_is_asked_for_by_its_id() -> None:
    """8.6: absence is no proof; who slid over the border of two pages is still there."""

    async def story(room: Mirroring) -> None:
        keys = await settled(room)
        right = MemoryCrmSync.leads

        async def sliding(self: MemoryCrmSync, query: CrmList) -> object:
            page = await right(self, query)
            if query.since is None and query.page == 2:
                room.book.delete(LEAD, keys[0])  # All behind slide up by one.
            return page

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemoryCrmSync, "leads", sliding)
            room.memory.asked.clear()
            await room.turn(seconds=DAY_S)
        assert "leads by id" in room.memory.asked
        await room.turn(8)
        assert await room.shown() == await room.meant()
        assert len(await room.leads()) == 22

    tell(story, page_max=PAGE)


def test_a_list_that_is_not_whole_is_swept_again() -> None:
    """1.2: an announced page that is empty would make all behind it look gone."""

    async def story(room: Mirroring) -> None:
        await settled(room)
        right, missing = MemoryCrmSync.leads, [3]

        async def holey(self: MemoryCrmSync, query: CrmList) -> object:
            page = await right(self, query)
            if query.since is None and missing and query.page == missing[0]:
                missing.pop()
                return type(page)(items=[], has_next=False, at=page.at)
            return page

        told = len(await room.events())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemoryCrmSync, "leads", holey)
            await swept(room)
        assert not missing
        assert "leads by id" not in room.memory.asked
        assert len(await room.events()) == told

    tell(story, page_max=PAGE)


def test_if_much_is_missing_it_is_looked_for_again_before_it_goes() -> None:
    """8.6: lost rights look like that. Nothing goes, somebody is told, and the mirror goes on."""

    async def story(room: Mirroring) -> None:
        keys = await settled(room, leads=60)
        room.book.hidden |= {*keys[:30]}
        await swept(room)
        link = await room.link()
        assert link.fault is not None
        assert link.fault.trouble is Trouble.MASS_DELETION
        assert len(await room.leads()) == 60
        log = [one.event for one in await room.tenant.events()]
        told = [one.progress.fault for one in log if isinstance(one, KommoAdvanced)]
        assert told[-1] == link.fault
        room.book.change(LEAD, keys[40], name="sigue")
        await room.turn()
        assert (await room.lead(keys[40])).name == "sigue"
        room.book.hidden.clear()
        await room.turn(40, seconds=60)
        assert (await room.link()).fault is None
        assert len(await room.leads()) == 60
        assert not [one for one in await room.events() if isinstance(one, LeadDeleted)]

    tell(story, page_max=PAGE)


def test_what_is_missing_a_second_time_goes() -> None:
    async def story(room: Mirroring) -> None:
        keys = await settled(room, leads=60)
        room.book.hidden |= {*keys[:30]}
        await swept(room)
        await room.turn(10, seconds=60)
        assert len(await room.leads()) == 60
        await room.turn(40, seconds=60)
        assert len(await room.leads()) == 30
        assert (await room.link()).fault is None

    tell(story, page_max=PAGE)


def test_a_sweep_goes_on_after_a_kill() -> None:
    async def story(room: Mirroring) -> None:
        keys = await settled(room, leads=60)
        room.book.hidden.add(keys[0])
        await room.turn(seconds=DAY_S)
        sweep = (await room.link()).state.sweep
        assert sweep is not None
        assert (sweep.page, sweep.missing) == (6, [keys[0]])
        await room.open()
        room.memory.asked.clear()
        await room.turn(8)
        assert len(await room.leads()) == 59

    tell(story, page_max=PAGE)


def test_a_sweep_leaves_the_others_their_turns() -> None:
    """A slice in each pass, a few seconds at most, and gently."""

    async def story(room: Mirroring) -> None:
        await settled(room, leads=60)
        right, gentle = MemoryCrmSync.leads, list[int]()

        async def slow(self: MemoryCrmSync, query: CrmList) -> object:
            if query.is_gentle:
                gentle.append(query.page)
                room.clock.forward(seconds=1.2)
            return await right(self, query)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemoryCrmSync, "leads", slow)
            await room.turn(seconds=DAY_S)
        assert gentle == [1, 2, 3]

    tell(story, page_max=PAGE)


def test_a_renamed_tag_reaches_all_that_have_it() -> None:
    """Section 6: leads say nothing of it; the words are read, and a sweep follows."""

    async def story(room: Mirroring) -> None:
        vip = room.book.add_tag(LEAD, "vip")
        keys = [room.book.add_lead(name=f"Luz {one}", tags=[vip]) for one in range(12)]
        await room.connect()
        await room.calm_down()
        room.clock.forward(seconds=3600)
        room.book.add_lead(name="otra")
        await room.calm_down()
        room.book.rename_tag(vip.id, "oro")
        await room.turn(seconds=timedelta(minutes=30).total_seconds())
        await room.turn(8)
        assert {tuple((await room.lead(key)).tags) for key in keys} == {("oro",)}

    tell(story, page_max=PAGE)
