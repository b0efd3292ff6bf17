"""What Kommo does wrong, and what becomes of it: the right answer, or the right error."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import RemoteKind
from clarin_core.ports.crm import (
    CrmBlocked,
    CrmError,
    CrmForbidden,
    CrmGarbage,
    CrmHeavyPage,
    CrmList,
    CrmPaymentDue,
    CrmRateLimited,
    CrmRefused,
    CrmSync,
    CrmUnauthorized,
    CrmUnreachable,
)
from clarin_core.testing.crm_stage import all_leads
from clarin_kommo.asking import ATTEMPTS_MAX
from clarin_kommo.transport import BODY_BYTES_MAX
from support.kommo.faults import PASSING, Fault
from support.kommo.stage import KommoStage, staged

LEAD = RemoteKind.LEAD
IN_PARTS = {Fault.HEAVY: 3}
Story = Callable[[KommoStage, CrmSync], Awaitable[None]]


def tell(story: Story, *, total_s: float = 20.0) -> None:
    """Run a story with one connection."""

    async def told() -> None:
        async with (
            asyncio.timeout(60),
            staged(total_s=total_s) as stage,
            stage.crm.connect(stage.connection) as crm,
        ):
            await story(stage, crm)

    asyncio.run(told())


@pytest.mark.parametrize("is_packed", [True, False])
@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
def test_what_passes_is_waited_for(fault: Fault, is_packed: bool) -> None:
    """One more request, and the right answer; of a page that is too heavy its two halves."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        stage.kommo.is_gzip_on = is_packed
        ids = [stage.book.add_lead(name="Luz") for _ in range(200)]
        stage.account.faults.plan(fault)
        assert await all_leads(crm) == ids
        assert stage.account.faults.shown == {fault: 1}
        assert stage.requests == IN_PARTS.get(fault, 2)

    tell(story)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.BROKEN, CrmUnreachable),
        (Fault.BAD_GATEWAY, CrmUnreachable),
        (Fault.RESET, CrmUnreachable),
        (Fault.CUT_OFF, CrmUnreachable),
        (Fault.PAGE_OF_HTML, CrmGarbage),
        (Fault.NO_LIST, CrmGarbage),
        (Fault.NOTHING, CrmGarbage),
        (Fault.TRUNCATED, CrmGarbage),
        (Fault.TOO_MANY, CrmRateLimited),
        (Fault.TOO_MANY_WAIT, CrmRateLimited),
    ],
)
def test_what_does_not_pass_is_given_up(fault: Fault, error: type[CrmError]) -> None:
    """After a few attempts, and with the error that says what it is."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        stage.book.add_lead()
        stage.account.faults.plan(*[fault] * 20)
        with pytest.raises(CrmError) as failure:
            await crm.leads(CrmList())
        assert type(failure.value) is error
        assert stage.requests == ATTEMPTS_MAX

    tell(story)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.REFUSED, CrmRefused),
        (Fault.MOVED, CrmRefused),
        (Fault.UNPAID, CrmPaymentDue),
        (Fault.BLOCKED, CrmBlocked),
        (Fault.TOO_MANY_LONG, CrmRateLimited),
    ],
)
def test_what_will_not_change_is_not_asked_again(fault: Fault, error: type[CrmError]) -> None:
    """One request; a redirect is followed nowhere."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        stage.account.faults.plan(fault)
        with pytest.raises(CrmError) as failure:
            await crm.leads(CrmList())
        assert type(failure.value) is error
        assert stage.requests == 1

    tell(story)


def test_who_does_not_answer_is_waited_for_some_time() -> None:
    """Then asked again, and given up in the end."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        id = stage.book.add_lead()
        stage.account.faults.plan(Fault.SILENT)
        assert await all_leads(crm) == [id]
        stage.account.faults.plan(*[Fault.SILENT] * ATTEMPTS_MAX)
        with pytest.raises(CrmUnreachable):
            await crm.leads(CrmList())
        assert stage.requests == 2 + ATTEMPTS_MAX

    tell(story, total_s=0.15)


def test_nobody_there_is_unreachable() -> None:
    async def story(stage: KommoStage, crm: CrmSync) -> None:
        await stage.kommo.__aexit__()
        with pytest.raises(CrmUnreachable):
            await crm.leads(CrmList())

    tell(story)


def test_who_was_shut_out_stops_for_minutes() -> None:
    """All who read that account, and not one request meanwhile."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        stage.account.faults.plan(Fault.BLOCKED)
        with pytest.raises(CrmBlocked):
            await crm.leads(CrmList())
        async with stage.crm.connect(stage.connection) as other:
            for one in (crm, other):
                stage.forward(400)
                with pytest.raises(CrmBlocked) as failure:
                    await one.contacts(CrmList())
                assert 0 < failure.value.retry_after_s <= 500
            assert stage.requests == 1
            stage.forward(101)
            assert (await other.leads(CrmList())).is_empty

    tell(story)


@pytest.mark.parametrize(("fault", "wait"), [(Fault.TOO_MANY_WAIT, 7), (Fault.TOO_MANY_UNTIL, 9)])
def test_a_429_is_a_rest_for_all(fault: Fault, wait: int) -> None:
    """As long as told, in seconds or as a date; then all go at half the pace for a while."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        async with stage.crm.connect(stage.connection) as other:
            stage.account.faults.plan(fault)
            await crm.leads(CrmList())
            for at in range(12):
                await (crm, other)[at % 2].leads(CrmList())
        first, *rest = stage.account.gate.arrivals
        assert rest[0] >= first + wait
        assert rest[12] - rest[0] >= 12 / 3 - 0.1

    tell(story)


def test_missing_rights_concern_one_question() -> None:
    """No names of users, but all else; and nobody stops for it."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        stage.account.may_see_users = False
        id = stage.book.add_lead()
        with pytest.raises(CrmForbidden):
            await crm.users()
        assert await all_leads(crm) == [id]
        assert stage.requests == 2

    tell(story)


def test_heavy_pages_come_in_parts() -> None:
    """The same pages, whole; and the next ones at once in parts that were light enough."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        ids = [stage.book.add_lead() for _ in range(600)]
        stage.account.heavy_above = 125
        pages = [await crm.leads(CrmList(page=page)) for page in (1, 2, 3)]
        assert [len(page.items) for page in pages] == [250, 250, 100]
        assert [page.has_next for page in pages] == [True, True, False]
        assert [one.id for page in pages for one in page.items] == ids
        assert stage.requests == 1 + 2 + 2 + 1
        stage.account.heavy_above = 50
        assert [one.id for one in (await crm.leads(CrmList(page=2))).items] == ids[250:500]
        assert stage.requests == 6 + 1 + 5

    tell(story)


def test_a_list_is_not_heavy_for_ever() -> None:
    """After some pages in parts a whole one is tried again."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        stage.account.faults.plan(Fault.HEAVY)
        for _ in range(21):
            await crm.leads(CrmList())
        assert [asked.one("limit") for asked in stage.account.asked] == (
            ["250"] + ["125"] * 20 + ["250"]
        )

    tell(story)


def test_the_smallest_part_can_be_too_heavy() -> None:
    """It is tried some times, because a 504 may as well be a passing one."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        stage.book.add_lead()
        stage.account.heavy_above = 49
        with pytest.raises(CrmHeavyPage):
            await crm.leads(CrmList())
        assert stage.requests == 2 + ATTEMPTS_MAX
        stage.account.heavy_above = 250
        assert (await crm.leads(CrmList())).items != []

    tell(story)


def limit_ids(stage: KommoStage) -> None:
    stage.account.ids_max = 100


def limit_url(stage: KommoStage) -> None:
    stage.account.url_bytes_max = 4_000


def be_heavy(stage: KommoStage) -> None:
    stage.account.faults.plan(Fault.HEAVY)


@pytest.mark.parametrize("hinder", [limit_ids, limit_url, be_heavy])
def test_too_many_ids_are_asked_for_in_halves(hinder: Callable[[KommoStage], None]) -> None:
    """Whatever Kommo says against 200: its limit is not documented."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        ids = [stage.book.add_contact(id=KommoId(10**7 + at)) for at in range(200)]
        assert len((await crm.contacts_by_id(ids)).items) == 200
        assert stage.requests == 1
        hinder(stage)
        assert {one.id for one in (await crm.contacts_by_id(ids)).items} == set(ids)
        assert stage.requests == 4

    tell(story)


def test_filters_may_not_be_honoured() -> None:
    """That is seen, and by ids nothing comes that was not asked for."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        one, *_ = [stage.book.add_lead() for _ in range(5)]
        assert await crm.filters_work()
        stage.account.are_filters_on = False
        assert not await crm.filters_work()
        assert not (await crm.account()).filters_work
        assert [lead.id for lead in (await crm.leads_by_id([one])).items] == [one]

    tell(story)


def test_pages_that_are_wrong_are_passed_on() -> None:
    """A page that comes twice, or is missing though it was announced: the reader can see it."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        ids = [stage.book.add_lead() for _ in range(600)]
        stage.account.faults.plan(None, Fault.AGAIN, Fault.MID_LIST_204)
        pages = [await crm.leads(CrmList(page=page)) for page in (1, 2, 2)]
        assert [[one.id for one in page.items] for page in pages] == [ids[:250], ids[:250], []]
        assert (pages[0].has_next, pages[2].is_empty) == (True, True)

    tell(story)


def test_an_answer_that_is_too_large_is_not_read() -> None:
    """Neither as it is, nor packed so small that it looks harmless."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        stage.book.add_lead()
        stage.account.spoil = lambda _, items: [*items, {"name": "x" * BODY_BYTES_MAX}]
        for is_packed in (True, False):
            stage.kommo.is_gzip_on = is_packed
            with pytest.raises(CrmGarbage):
                await crm.leads(CrmList())

    tell(story)


def test_one_bad_entity_costs_no_other() -> None:
    """It is told of, with as much as can be read of it."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        ids = [stage.book.add_lead(name=f"L{at}") for at in range(6)]
        broken: dict[int, Any] = {
            ids[1]: {"status_id": "far"},
            ids[2]: {"updated_at": None},
            ids[3]: {"id": -1},
            ids[4]: {"name": 7},
        }

        def spoil(_: str, items: list[Any]) -> list[Any]:
            return [item | broken.get(item["id"], {}) for item in items] + ["no lead"]

        stage.account.spoil = spoil
        page = await crm.leads(CrmList())
        assert [lead.id for lead in page.items] == [ids[0], ids[5]]
        told = [(one.id, one.updated_at) for one in page.rejected]
        at = stage.book.now()
        assert told == [(ids[1], at), (ids[2], None), (None, at), (ids[4], at), (None, None)]
        assert all(one.reason for one in page.rejected)

    tell(story)


def test_what_is_cancelled_hinders_nobody() -> None:
    """A stop in the middle of a request: the connection goes on for others."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        id = stage.book.add_lead()
        stage.account.faults.plan(Fault.SILENT)
        waiting = asyncio.create_task(crm.leads(CrmList()))
        while stage.requests == 0:
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await all_leads(crm) == [id]

    tell(story)


def test_a_token_by_hand_is_not_renewed() -> None:
    """Only a human can repair that: one request, and no other one."""

    async def story(stage: KommoStage, crm: CrmSync) -> None:
        stage.revoke()
        with pytest.raises(CrmUnauthorized):
            await crm.account()
        assert stage.requests == 1

    tell(story)
