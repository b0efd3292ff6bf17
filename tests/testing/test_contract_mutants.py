"""The contract is worth something: each fault that is planted in the memory storage is found.

A row names the fault and the law that must fail because of it. A fault that no law finds is
a law that is missing.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import Phase, settings

from clarin_core.errors import ClarinError
from clarin_core.ports.storage import Storage
from clarin_core.testing import StorageContract
from clarin_core.testing.listings import LEADS
from clarin_memory import MemoryStorage
from support import answer_faults, faults

FOUND = (AssertionError, ClarinError, TimeoutError, pytest.fail.Exception)


class Mutant(StorageContract):
    """The contract on the memory storage, which has a fault meanwhile."""

    settings = settings(
        StorageContract.settings, phases=[Phase.generate], database=None, derandomize=True
    )
    patience_s = 3.0

    @classmethod
    def open(cls) -> AbstractAsyncContextManager[Storage]:
        return MemoryStorage(clock=lambda: datetime.now(UTC), publisher=cls.publisher)


CAUGHT: list[tuple[faults.Fault, str]] = [
    (faults.locks_are_open, "concurrent_changes_of_one_lead_all_count"),
    (faults.locks_are_open, "concurrent_claims_of_a_phone_get_one_contact"),
    (faults.all_accounts_have_one_lock, "accounts_do_not_wait_for_each_other"),
    (faults.a_failure_commits, "an_exception_leaves_no_trace"),
    (faults.a_failure_commits, "a_cancelled_transaction_leaves_no_trace"),
    (faults.a_failure_commits, "a_failed_directory_leaves_no_trace"),
    (faults.a_failure_commits, "state_and_events_tell_the_same"),
    (faults.an_open_transaction_is_seen, "a_transaction_is_seen_by_its_own_eyes_only"),
    (faults.events_are_told_before_the_commit, "an_exception_leaves_no_trace"),
    (faults.rows_are_shared, "what_a_store_returns_is_a_copy"),
    (faults.an_event_is_lost, "a_clean_exit_commits_rows_and_events_together"),
    (faults.an_event_is_lost, "state_and_events_tell_the_same"),
    (faults.an_event_is_encoded_late, "an_event_is_kept_as_it_was_when_emitted"),
    (faults.the_origin_is_lost, "an_event_is_kept_whole"),
    (faults.the_log_counts_from_0, "the_log_is_dense_from_1"),
    (faults.the_log_is_read_inclusively, "the_log_is_read_from_any_point"),
    (faults.a_gap_is_silent, "a_point_after_the_end_is_refused"),
    (faults.a_gap_is_silent, "what_was_trimmed_cannot_be_read"),
    (faults.a_trim_takes_all, "a_log_is_trimmed_from_its_beginning"),
    (faults.a_purge_takes_the_living, "a_purge_changes_nothing_that_lives"),
    (faults.every_account_sees_the_first, "accounts_show_nothing_of_each_other"),
    (faults.foreign_links_are_accepted, "a_link_to_a_foreign_id_is_refused"),
    (faults.foreign_ids_have_their_own_text, "a_foreign_id_is_not_found"),
    (faults.orders_are_swapped, "filters_let_through_what_they_say"),
    (faults.equals_have_no_order, "leads_of_one_instant_are_ordered_by_id"),
    (faults.any_and_all_are_swapped, "filters_let_through_what_they_say"),
    (faults.the_last_instant_counts, "filters_let_through_what_they_say"),
    (faults.accents_count, "a_search_finds_names_people_and_phones"),
    (faults.deleted_rows_are_shown, "a_deleted_lead_is_hidden_until_restored"),
    (faults.a_field_is_dropped, "a_lead_comes_back_as_it_was_added"),
    (faults.a_field_of_the_person_is_not_shown, "a_lead_shows_its_person_and_its_stage"),
    (faults.phones_need_not_be_unique, "a_phone_has_one_live_contact"),
    (faults.kommo_ids_need_not_be_unique, "a_kommo_id_has_one_live_lead"),
    (faults.a_batch_is_not_deduplicated, "a_claim_gives_each_phone_one_contact"),
    (faults.capitals_make_another_tag, "a_name_belongs_to_one_tag"),
    (faults.links_are_counted_twice, "links_are_a_set"),
    (faults.tags_are_shown_by_id, "tags_are_shown_sorted_by_name"),
    (faults.stages_keep_their_old_order, "a_new_order_is_kept"),
    (faults.an_upload_is_read_as_text, "an_upload_is_kept_byte_for_byte"),
    (faults.finished_imports_are_pending, "pending_imports_are_those_not_at_their_end"),
    (faults.a_ticket_lasts, "a_ticket_is_used_once"),
    (faults.standings_leave_out_the_unknown, "standings_are_aligned_with_their_keys"),
    (faults.a_user_keeps_every_default, "a_user_has_one_default_account"),
    (faults.a_user_is_shown_without_places, "a_user_is_shown_with_the_places"),
    (faults.a_page_of_the_log_has_no_bound_in_bytes, "a_page_of_the_log_has_a_bound_in_bytes"),
    (faults.a_failure_is_announced, "what_was_rolled_back_is_not_announced"),
    (
        faults.the_views_of_a_transaction_are_as_before,
        "the_views_of_a_transaction_show_what_it_wrote",
    ),
    (faults.a_transaction_sees_the_first_account, "each_account_of_a_directory_shows_itself"),
    (answer_faults.an_answer_is_not_kept, "a_repeat_gets_the_first_answer"),
    (answer_faults.a_key_stands_for_any_request, "a_key_stands_for_one_request"),
    (faults.a_failure_commits, "an_undone_claim_never_was"),
    (faults.a_failure_commits, "who_waited_for_a_failure_acts"),
    (answer_faults.a_claim_lasts_without_an_answer, "a_claim_without_an_answer_never_was"),
    (answer_faults.answers_are_everybodys, "accounts_may_use_the_same_key"),
    (faults.locks_are_open, "simultaneous_repeats_have_one_effect"),
    (answer_faults.answers_above_accounts_are_others, "an_answer_may_be_kept_from_above_accounts"),
    (answer_faults.nobody_has_answers, "an_unknown_account_has_no_answers"),
    (answer_faults.answers_last, "old_answers_are_removed"),
    (answer_faults.a_purge_takes_every_answer, "old_answers_are_removed"),
]

CAUGHT_IN_LISTS: list[tuple[faults.Fault, str]] = [
    (faults.a_cursor_is_inclusive, "pages_by_cursor_make_up_the_list"),
    (faults.a_cursor_is_inclusive, "a_walk_by_cursor_meets_each_row_once"),
    (faults.pages_are_off_by_one, "pages_by_number_make_up_the_list"),
    (faults.a_page_counts_itself, "a_page_after_the_last_is_empty"),
]


class WastefulStorage(MemoryStorage):
    """A storage that says it runs ever more statements."""

    looks = 0

    def statements_run(self) -> int:
        self.looks += 1
        return self.looks**2


class Wasteful(Mutant):
    """The contract on a storage that wastes statements."""

    @classmethod
    def open(cls) -> AbstractAsyncContextManager[Storage]:
        return WastefulStorage(clock=lambda: datetime.now(UTC), publisher=cls.publisher)


def name_of(value: object) -> str:
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("fault", "law"), CAUGHT, ids=name_of)
def test_a_planted_fault_breaks_its_law(
    fault: faults.Fault, law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Architecture section 6: mutants keep the contract honest."""
    expect_broken(fault, partial(getattr(Mutant, f"test_{law}"), Mutant()), monkeypatch)


@pytest.mark.parametrize(("fault", "law"), CAUGHT_IN_LISTS, ids=name_of)
def test_a_planted_fault_breaks_its_law_of_lists(
    fault: faults.Fault, law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Property 8: the laws of paging find wrong pages."""
    proof = partial(getattr(Mutant, f"test_{law}"), Mutant(), listing=LEADS)
    expect_broken(fault, proof, monkeypatch)


@pytest.mark.parametrize(
    "proof",
    [
        lambda: Wasteful().test_a_view_is_one_statement(),
        lambda: Wasteful().test_a_look_at_many_accounts_is_one_statement(),
        lambda: Wasteful().test_a_page_is_one_statement(listing=LEADS),
        lambda: Wasteful().test_a_batch_costs_no_more_than_two_rows(name="link"),
    ],
)
def test_wasted_statements_are_found(proof: Callable[[], None]) -> None:
    """The laws of cost can fail, although this storage has no statements."""
    with Wasteful.running(), pytest.raises(AssertionError):
        proof()


def expect_broken(
    fault: faults.Fault, proof: Callable[[], None], patch: pytest.MonkeyPatch
) -> None:
    """Plant the fault and run the law, which must fail; without the fault it holds."""
    with Mutant.running():
        proof()
        fault(patch)
        with pytest.raises(FOUND):
            proof()
