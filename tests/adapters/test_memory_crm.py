"""A CRM in memory, held to the contract, and the bad manners of the accounts that it reads."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest

from clarin_core.domain.remote import RemoteKind
from clarin_core.ports.crm import (
    CrmList,
    CrmRateLimited,
    CrmUnreachable,
)
from clarin_core.testing import CrmContract
from clarin_core.testing.crm_stage import CrmStage, all_contacts, all_leads
from clarin_core.testing.watch import Watch
from clarin_memory import MemoryCrm, RemoteBook
from support.kommo.stage import CONNECTION, in_memory

LEAD = RemoteKind.LEAD


class TestMemoryCrm(CrmContract):
    """What the use cases are tested with."""

    def open(self) -> AbstractAsyncContextManager[CrmStage]:
        return in_memory()


def test_changes_may_show_late_and_each_by_itself() -> None:
    """A list shows what was, though it was updated long ago; an older change never comes last."""
    lags = iter([0.0, 60.0, 30.0])

    async def story() -> None:
        watch = Watch()
        book = RemoteBook(watch, lag=lambda: next(lags, 0.0))
        async with MemoryCrm(book).connect(CONNECTION) as crm:
            id = book.add_lead(name="one")
            book.change(LEAD, id, name="two")
            book.change(LEAD, id, name="three")
            seen = []
            for _ in range(3):
                seen.append((await crm.leads(CrmList())).items[0].name)
                watch.forward(seconds=30)
            assert seen == ["one", "three", "three"]

    asyncio.run(story())


def test_a_list_moves_while_it_is_read() -> None:
    """What is edited on a page that was read lets another one slip through: it is lost."""

    async def story() -> None:
        watch = Watch()
        book = RemoteBook(watch)
        ids = [book.add_lead() for _ in range(4)]
        watch.forward(seconds=5)
        async with MemoryCrm(book, page_max=2).connect(CONNECTION) as crm:
            since = book.now() - timedelta(days=1)
            first = await crm.leads(CrmList(since=since, page=1))
            book.change(LEAD, ids[0], name="moved")
            second = await crm.leads(CrmList(since=since, page=2))
            assert [one.id for one in first.items] == ids[:2]
            assert [one.id for one in second.items] == [ids[3], ids[0]]

    asyncio.run(story())


def test_some_are_in_no_list() -> None:
    """What nobody accepted is found by its id only, and what may not be seen is nowhere."""

    async def story() -> None:
        book = RemoteBook(Watch())
        one, other = book.add_lead(), book.add_lead()
        book.unsorted.add(one)
        book.hidden.add(other)
        async with MemoryCrm(book).connect(CONNECTION) as crm:
            assert await all_leads(crm) == await all_contacts(crm) == []
            assert [lead.id for lead in (await crm.leads_by_id([one, other])).items] == [one]

    asyncio.run(story())


def test_failures_come_as_planned() -> None:
    async def story() -> None:
        crm = MemoryCrm(RemoteBook(Watch()))
        crm.failures.extend([CrmRateLimited(3), None, CrmUnreachable()])
        async with crm.connect(CONNECTION) as sync:
            with pytest.raises(CrmRateLimited):
                await sync.account()
            await sync.account()
            with pytest.raises(CrmUnreachable):
                await sync.account()
            assert crm.asked == ["account"] * 3

    asyncio.run(story())
