"""What a page of Kommo costs PostgreSQL: so many statements, whatever the number of its rows."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from clarin_core.domain.remote import RemoteLink, RemoteReach
from clarin_core.testing.watch import Watch
from clarin_postgres import PostgresStorage
from clarin_postgres.connection import name_of
from support.mirroring import CONTACT, LEAD, Mirroring, mirroring

LEADS_MOST, CONTACTS_MOST, OLD_NEWS = 17, 19, 2


def tell(database: str, story: Callable[[Mirroring, list[str]], Awaitable[None]]) -> None:
    """Run a story over PostgreSQL, with all that is sent to it."""

    async def told() -> None:
        watch, sent = Watch(), list[str]()

        def heard(text: str) -> None:
            sent.append(name_of(text))

        async with (
            PostgresStorage(database, clock=watch, watch=heard) as storage,
            mirroring(storage, watch=watch) as room,
        ):
            await story(room, sent)

    asyncio.run(told())


@pytest.mark.parametrize("size", [2, 240])
def test_a_page_costs_so_many_statements(database: str, size: int) -> None:
    """Ports: new rows, changed ones, and old news; tags, links, moves and phones included."""

    async def story(room: Mirroring, sent: list[str]) -> None:
        await room.connect()
        await room.turn()
        mirror = room.mirror
        assert mirror is not None
        tags = {kind: room.book.add_tag(kind, f"vip {kind.value}") for kind in (LEAD, CONTACT)}
        people = [
            room.book.add_contact(
                name=f"Ana {one}", phones=[RemoteReach(text=f"98700{one:04}")],
                tags=[tags[CONTACT]],
            )
            for one in range(size)
        ]  # fmt: skip
        keys = [
            room.book.add_lead(
                name=f"Luz {one}", tags=[tags[LEAD]],
                contacts=[RemoteLink(contact_id=people[one], is_main=True)],
            )
            for one in range(size)
        ]  # fmt: skip

        async def cost(kind: object) -> int:
            real = room.book.real[LEAD if kind is LEAD else CONTACT]
            sent.clear()
            await mirror.keeper.store(LEAD if kind is LEAD else CONTACT, list(real.values()))
            return len(sent)

        for kind, most in ((LEAD, LEADS_MOST), (CONTACT, CONTACTS_MOST), (LEAD, LEADS_MOST)):
            room.clock.forward(seconds=1)
            assert await cost(kind) <= most, sent
            assert await cost(kind) == OLD_NEWS, sent
            for key in keys:
                stage = room.book.pipelines[0].stages[2].id
                room.book.change(LEAD, key, name="Mar", stage_id=stage, tags=[])
            for one, other in zip(people, people[::-1], strict=True):
                phones = [RemoteReach(text=f"98700{people.index(other):04}")]
                room.book.change(CONTACT, one, phones=phones, tags=[])
        assert await cost(CONTACT) <= CONTACTS_MOST, sent
        assert len(await room.leads()) == size
        assert await room.shown() == await room.meant()

    tell(database, story)
