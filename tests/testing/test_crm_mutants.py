"""The contracts of a CRM and of a budget, held to ours with a fault each: a law must find it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase, settings
from msgspec.structs import replace

from clarin_core.domain import budget
from clarin_core.domain.budget import Pace, Turns
from clarin_core.domain.ids import KommoId
from clarin_core.domain.remote import RemoteKind, RemotePage
from clarin_core.errors import ClarinError
from clarin_core.testing import BudgetContract, CrmContract
from clarin_core.testing.budget import PACE, Budgets, Hours
from clarin_core.testing.crm_stage import CrmStage
from clarin_memory import MemoryBudget, MemoryCrm, RemoteBook, crm
from clarin_memory.crm import MemoryCrmSync
from support.kommo.stage import in_memory

Patch = pytest.MonkeyPatch
QUICK = settings(database=None, phases=[Phase.generate], deadline=None, max_examples=200)


@asynccontextmanager
async def alone(hours: Hours) -> AsyncIterator[Budgets]:
    one = MemoryBudget(PACE, seconds=hours)
    yield one, one


class CrmMutant(CrmContract):
    """The contract on a CRM in memory that has a fault meanwhile."""

    settings = QUICK

    def open(self) -> AbstractAsyncContextManager[CrmStage]:
        return in_memory()


class BudgetMutant(BudgetContract):
    """The contract on a budget in memory that has a fault meanwhile."""

    settings = QUICK

    def open(self, hours: Hours) -> AbstractAsyncContextManager[Budgets]:
        return alone(hours)


def pages_become(patch: Patch, change: Callable[[RemotePage[Any]], RemotePage[Any]]) -> None:
    right = MemoryCrmSync._page
    patch.setattr(MemoryCrmSync, "_page", lambda *args: change(right(*args)))


def each_becomes(patch: Patch, **values: object) -> None:
    """Let each item of a page that has those fields have other values in them."""

    def changed(item: Any) -> Any:
        return replace(item, **values) if all(hasattr(item, name) for name in values) else item

    pages_become(patch, lambda page: replace(page, items=[changed(one) for one in page.items]))


def links_are_missing(patch: Patch) -> None:
    each_becomes(patch, contacts=[])


def tags_are_missing(patch: Patch) -> None:
    each_becomes(patch, tags=[])


def phones_are_missing(patch: Patch) -> None:
    each_becomes(patch, phones=[])


def pages_end_too_early(patch: Patch) -> None:
    pages_become(patch, lambda page: replace(page, has_next=False))


def pages_lose_their_first(patch: Patch) -> None:
    pages_become(patch, lambda page: replace(page, items=page.items[len(page.items) > 3 :]))


def pages_have_no_time(patch: Patch) -> None:
    pages_become(patch, lambda page: replace(page, at=None))


def pages_are_reversed(patch: Patch) -> None:
    pages_become(patch, lambda page: replace(page, items=page.items[::-1]))


def since_is_exclusive(patch: Patch) -> None:
    right = RemoteBook.listed

    def listed(book: RemoteBook, kind: RemoteKind, since: datetime | None) -> Any:
        return right(book, kind, since and since + timedelta(seconds=1))

    patch.setattr(RemoteBook, "listed", listed)


def order_is_by_id(patch: Patch) -> None:
    right = RemoteBook.listed
    patch.setattr(RemoteBook, "listed", lambda *a: sorted(right(*a), key=lambda one: one.id))


def the_bin_is_listed(patch: Patch) -> None:
    right = RemoteBook.delete

    def delete(book: RemoteBook, kind: RemoteKind, *ids: KommoId) -> None:
        before = dict(book.real[kind])
        right(book, kind, *ids)
        for id in ids:
            book._put(kind, before[id])

    patch.setattr(RemoteBook, "delete", delete)


def ids_find_anybody(patch: Patch) -> None:
    patch.setattr(RemoteBook, "found", lambda book, kind, ids: list(book.shown(kind)))


def nothing_is_told(patch: Patch) -> None:
    patch.setattr(RemoteBook, "told", lambda *_: [])


def anybody_may_read(patch: Patch) -> None:
    patch.setattr(
        MemoryCrm, "is_revoked", property(lambda _: False, lambda *_: None), raising=False
    )


def any_subdomain_will_do(patch: Patch) -> None:
    patch.setattr(crm, "check_subdomain", lambda _: None)


def answers_free_at_once(patch: Patch) -> None:
    patch.setattr(Turns, "answered", lambda turns, mark, *, at: turns._until.pop(mark, None))


def what_is_on_its_way_is_forgotten(patch: Patch) -> None:
    patch.setattr(Pace, "held_s", property(lambda _: 1.0))


def there_is_a_burst(patch: Patch) -> None:
    patch.setattr(Pace, "space_s", property(lambda _: 0.0))


def a_rest_has_no_aftermath(patch: Patch) -> None:
    patch.setattr(budget, "SLOW_S", 0.0)


def gentle_ones_are_like_others(patch: Patch) -> None:
    patch.setattr(Pace, "gentle_space_s", property(lambda _: 1e-9))


def a_rest_is_short(patch: Patch) -> None:
    right = Turns.rest
    patch.setattr(Turns, "rest", lambda turns, seconds, *, at: right(turns, 0.0, at=at))


def the_future_counts(patch: Patch) -> None:
    patch.setattr(Turns, "_counts", lambda turns, name, until, at: at < until)


def an_hour_is_not_the_end(patch: Patch) -> None:
    patch.setattr(budget, "REST_S_MAX", 10.0**10)


Fault = Callable[[Patch], None]

CAUGHT: list[tuple[Fault, type[Any], str, dict[str, object]]] = [
    (links_are_missing, CrmMutant, "leads_come_as_they_are", {}),
    (tags_are_missing, CrmMutant, "leads_come_as_they_are", {}),
    (phones_are_missing, CrmMutant, "contacts_come_as_they_are", {}),
    (pages_end_too_early, CrmMutant, "a_list_by_id_is_whole", {}),
    (pages_lose_their_first, CrmMutant, "a_list_by_id_is_whole", {}),
    (pages_end_too_early, CrmMutant, "words_come_whole", {}),
    (pages_have_no_time, CrmMutant, "pages_tell_the_other_sides_time", {}),
    (pages_are_reversed, CrmMutant, "what_is_deleted_lies_in_the_bin", {}),
    (since_is_exclusive, CrmMutant, "a_list_since_then_misses_nothing_of_that_second", {}),
    (since_is_exclusive, CrmMutant, "more_may_share_a_second_than_fit_on_a_page", {}),
    (order_is_by_id, CrmMutant, "a_change_moves_a_lead_to_the_end", {}),
    (the_bin_is_listed, CrmMutant, "by_ids_those_come_that_there_are", {}),
    (ids_find_anybody, CrmMutant, "by_ids_those_come_that_there_are", {}),
    (nothing_is_told, CrmMutant, "hints_tell_what_lists_do_not", {}),
    (anybody_may_read, CrmMutant, "what_counts_no_more_is_unauthorized", {}),
    (
        any_subdomain_will_do,
        CrmMutant,
        "a_subdomain_is_a_name_and_nothing_else",
        {"subdomain": "a.b"},
    ),
    (answers_free_at_once, BudgetMutant, "no_more_arrive_within_a_second_than_are_allowed", {}),
    (
        what_is_on_its_way_is_forgotten,
        BudgetMutant,
        "no_more_arrive_within_a_second_than_are_allowed",
        {},
    ),
    (there_is_a_burst, BudgetMutant, "a_crowd_gets_one_turn_at_once", {}),
    (a_rest_has_no_aftermath, BudgetMutant, "a_rest_is_for_all", {}),
    (a_rest_is_short, BudgetMutant, "a_rest_is_for_all", {}),
    (gentle_ones_are_like_others, BudgetMutant, "gentle_ones_leave_room", {}),
    (the_future_counts, BudgetMutant, "a_clock_that_is_set_back_shuts_nobody_out", {}),
    (an_hour_is_not_the_end, BudgetMutant, "who_was_shut_out_is_told_so", {}),
]


@pytest.mark.parametrize(
    ("fault", "contract", "law", "fields"),
    CAUGHT,
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_planted_fault_breaks_its_law(
    fault: Fault, contract: type[Any], law: str, fields: dict[str, object], monkeypatch: Patch
) -> None:
    """The law holds without the fault, and not with it."""
    proof = partial(getattr(contract(), f"test_{law}"), **fields)
    proof()
    fault(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, ClarinError, ExceptionGroup)):
        proof()
