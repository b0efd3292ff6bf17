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
from support import (
    answer_faults,
    chat_faults,
    faults,
    inbox_faults,
    inbox_read_faults,
    media_faults,
    mirror_faults,
)

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
    *mirror_faults.CAUGHT,
    (inbox_faults.capitals_make_another_shortcut, "a_shortcut_belongs_to_one_quick_reply"),
    (inbox_faults.quick_replies_are_shown_by_id, "quick_replies_are_listed_by_shortcut"),
    (inbox_faults.a_body_is_not_searched, "quick_replies_are_searched_by_all_their_texts"),
    (inbox_faults.addresses_need_not_be_unique, "an_address_belongs_to_one_device"),
    (faults.locks_are_open, "who_counts_devices_waits_for_who_counted"),
    (inbox_faults.every_token_holds, "the_late_write_of_a_paused_holder_is_refused"),
    (inbox_faults.every_token_holds, "what_was_given_up_is_not_written_to"),
    (inbox_faults.every_device_is_free, "a_device_has_one_lease_at_a_time"),
    (inbox_faults.every_device_is_free, "wanted_devices_are_those_that_nobody_has"),
    (inbox_faults.every_lease_is_the_last, "a_lease_lasts_as_long_as_it_is_renewed"),
    (inbox_faults.tokens_begin_anew, "a_token_only_grows"),
    (inbox_faults.a_release_is_forgotten, "what_was_given_up_is_not_written_to"),
    (faults.locks_are_open, "a_takeover_waits_for_a_write_in_progress"),
    (inbox_faults.a_renewal_waits, "a_renewal_does_not_wait_for_a_write_in_progress"),
    (inbox_faults.who_is_shut_out_is_wanted, "who_is_shut_out_is_not_wanted"),
    (inbox_faults.every_device_is_called, "a_device_is_called_when_there_is_something_to_do"),
    (inbox_faults.what_is_late_calls_already, "a_device_is_called_when_there_is_something_to_do"),
    (inbox_faults.what_was_set_aside_stays, "what_was_set_aside_is_taken_once"),
    (inbox_faults.an_alias_is_dropped, "identities_come_back_as_they_were_put"),
    (inbox_faults.identities_are_shown_as_they_came, "identities_come_back_as_they_were_put"),
    (faults.locks_are_open, "who_asks_for_a_new_identity_waits_for_who_asked"),
    (inbox_faults.a_purge_leaves_identities, "old_deleted_leads_and_contacts_are_removed"),
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

CAUGHT_IN_INBOXES: list[tuple[faults.Fault, str]] = [
    (chat_faults.a_chat_loses_its_name, "a_chat_comes_back_as_it_was_claimed"),
    (chat_faults.a_chat_is_one_on_all_devices, "a_claim_gives_each_identity_of_a_device_one_chat"),
    (chat_faults.a_claim_says_that_all_is_new, "a_claim_leaves_a_known_chat_as_it_is"),
    (faults.locks_are_open, "concurrent_claims_of_an_identity_get_one_chat"),
    (faults.locks_are_open, "concurrent_changes_of_a_chat_all_count"),
    (chat_faults.identities_need_not_be_unique, "a_device_and_identity_have_one_chat"),
    (chat_faults.chats_of_contacts_leave_out_the_deleted, "chats_of_contacts_come_by_id"),
    (chat_faults.chats_of_identities_are_anybodys, "chats_of_identities_come_by_id"),
    (chat_faults.links_of_chats_are_accepted, "a_link_to_a_foreign_id_is_refused"),
    (chat_faults.links_of_messages_are_accepted, "a_link_to_a_foreign_id_is_refused"),
    (chat_faults.links_of_errands_are_accepted, "a_link_to_a_foreign_id_is_refused"),
    (chat_faults.anything_is_said_of_any_chat, "a_link_to_a_foreign_id_is_refused"),
    (chat_faults.a_message_loses_its_quote, "a_message_comes_back_as_it_was_added"),
    (chat_faults.a_message_may_come_twice, "a_message_is_stored_once"),
    (chat_faults.an_id_of_whatsapp_counts_in_all_chats, "a_message_is_stored_once"),
    (faults.locks_are_open, "what_comes_twice_at_one_moment_is_stored_once"),
    (
        chat_faults.a_message_may_come_twice,
        "messages_are_found_by_whatsapps_id_in_their_chat",
    ),
    (chat_faults.ids_of_whatsapp_need_not_be_unique, "a_chat_has_one_message_of_whatsapps_id"),
    (chat_faults.whatever_failed_is_unsettled, "unsettled_messages_are_those_nobody_knows_of"),
    (
        chat_faults.errands_outlive_their_message,
        "a_removed_message_is_gone_with_what_was_to_be_done",
    ),
    (chat_faults.a_revoked_message_is_the_latest, "a_tally_is_what_one_counts"),
    (chat_faults.the_last_to_arrive_is_the_latest, "a_tally_is_what_one_counts"),
    (chat_faults.own_messages_are_unread, "a_tally_is_what_one_counts"),
    (chat_faults.what_was_read_is_forgotten, "a_tally_is_what_one_counts"),
    (chat_faults.what_was_cleared_is_counted, "a_tally_is_what_one_counts"),
    (faults.locks_are_open, "concurrent_changes_of_a_message_all_count"),
    (chat_faults.what_was_cleared_is_shown, "what_was_cleared_is_hidden"),
    (chat_faults.a_chat_stays_when_deleted, "messages_of_a_deleted_chat_are_hidden"),
    (chat_faults.a_chat_stays_when_deleted, "a_deleted_chat_is_hidden_and_can_be_got"),
    (chat_faults.all_marks_are_ripe, "ripe_marks_are_those_whose_message_is_there"),
    (chat_faults.marks_stay, "a_mark_is_taken_once"),
    (chat_faults.the_first_mark_stays, "the_last_mark_of_a_message_replaces_the_others"),
    (chat_faults.the_last_to_come_counts, "reactions_count_whatever_their_order"),
    (chat_faults.the_first_of_a_time_counts, "reactions_count_whatever_their_order"),
    (chat_faults.all_that_is_said_is_news, "reactions_count_whatever_their_order"),
    (chat_faults.the_last_to_come_counts, "votes_count_whatever_their_order"),
    (chat_faults.the_first_of_a_time_counts, "votes_count_whatever_their_order"),
    (chat_faults.the_last_to_come_counts, "messages_show_their_reactions"),
    (chat_faults.reactions_that_were_taken_back_are_shown, "messages_show_their_reactions"),
    (chat_faults.reactions_are_shown_in_any_chat, "messages_show_their_reactions"),
    (chat_faults.reactions_are_shown_in_any_chat, "polls_show_their_results"),
    (chat_faults.what_was_revoked_is_shown, "a_message_is_shown_as_people_may_see_it"),
    (chat_faults.what_was_revoked_is_found, "messages_are_searched_by_what_they_say"),
    (chat_faults.messages_are_shown_by_arrival, "messages_are_shown_newest_first"),
    (chat_faults.pins_do_not_count, "chat_filters_let_through_what_they_say"),
    (chat_faults.chats_are_shown_by_birth, "a_chat_moves_up_with_its_last_message"),
    (
        chat_faults.archived_chats_are_shown_with_the_others,
        "chat_filters_let_through_what_they_say",
    ),
    (chat_faults.chats_are_searched_by_their_name_alone, "chat_filters_let_through_what_they_say"),
    (chat_faults.a_linked_id_is_searched_as_a_phone, "chat_filters_let_through_what_they_say"),
    (chat_faults.a_chat_is_called_by_its_own_name_first, "a_chat_is_called_by_what_is_known_best"),
    (chat_faults.a_union_drops_nothing, "a_united_chat_has_each_message_once"),
    (chat_faults.a_union_forgets("replies"), "a_united_chat_has_the_reactions_that_count"),
    (chat_faults.a_union_forgets("replies"), "a_united_chat_has_the_votes_that_count"),
    (chat_faults.a_union_lets_the_other_win, "a_united_chat_has_the_reactions_that_count"),
    (chat_faults.a_union_lets_the_other_win, "a_united_chat_has_the_votes_that_count"),
    (chat_faults.a_union_forgets("marks"), "a_united_chat_has_the_marks_of_both"),
    (chat_faults.a_union_forgets("doubles"), "what_became_of_a_double_is_kept"),
    (chat_faults.a_union_forgets("tags"), "a_united_chat_has_the_tags_of_both"),
    (chat_faults.a_union_loses_its_errands, "a_united_chat_does_what_both_had_to_do"),
    (chat_faults.errands_outlive_their_message, "a_united_chat_does_what_both_had_to_do"),
    (chat_faults.an_errand_loses_its_text, "an_errand_comes_back_as_it_was_added"),
    (chat_faults.errands_overtake_each_other, "errands_of_a_chat_are_done_in_their_order"),
    (chat_faults.what_is_at_work_holds_up_nothing, "errands_of_a_chat_are_done_in_their_order"),
    (chat_faults.what_waits_holds_up_everything, "errands_of_a_chat_are_done_in_their_order"),
    (chat_faults.errands_are_never_late, "errands_of_a_chat_are_done_in_their_order"),
    (chat_faults.contacts_go_from_under_their_chats, "a_contact_stays_while_something_shows_it"),
]

CAUGHT_IN_FILES: list[tuple[faults.Fault, str]] = [
    (inbox_faults.messages_show_no_file, "each_message_shows_its_own_file"),
    (inbox_faults.messages_show_no_file, "a_message_is_shown_as_people_may_see_it"),
    (
        inbox_faults.the_file_of_a_revoked_message_is_shown,
        "a_message_is_shown_as_people_may_see_it",
    ),
    (inbox_faults.only_the_first_file_is_seen, "files_are_seen_by_id"),
    (inbox_faults.errands_at_work_are_not_found, "errands_of_a_message_come_oldest_first"),
    (inbox_faults.a_saved_errand_is_put_as_it_was_known, "an_errand_at_work_is_moved_too"),
    (inbox_faults.an_errand_loses_its_doubts, "an_errand_comes_back_as_it_was_added"),
    (inbox_faults.an_account_never_sends_again, "an_account_can_be_changed_from_inside"),
    (chat_faults.a_file_loses_its_name, "files_come_back_as_they_were_added"),
    (chat_faults.files_keep_their_first_state, "a_saved_file_comes_back_as_it_was_saved"),
    (media_faults.keys_find_nothing, "a_file_is_shown_by_id_and_by_key"),
    (
        media_faults.any_device_fetches_anything,
        "a_device_fetches_what_is_due_for_the_longest",
    ),
    (
        media_faults.what_was_missed_stays_the_first,
        "a_device_fetches_what_is_due_for_the_longest",
    ),
    (media_faults.what_was_missed_stays_the_first, "a_file_that_was_missed_waits_its_turn"),
    (media_faults.every_file_is_unused, "unused_files_are_those_no_message_has"),
    (media_faults.unused_files_are_looked_up_nowhere, "unused_files_are_those_no_message_has"),
    (media_faults.files_are_idle_at_once, "files_that_changed_lately_are_not_idle"),
    (faults.locks_are_open, "who_gives_a_file_to_a_message_is_waited_for"),
    (media_faults.nothing_is_forgotten, "a_forgotten_file_is_gone"),
    (media_faults.every_file_is_unused, "a_forgotten_file_is_gone"),
    (media_faults.files_of_any_device_are_accepted, "a_link_to_a_foreign_id_is_refused"),
    (media_faults.files_stay_with_a_device_that_is_gone, "a_device_that_is_gone_fetches_nothing"),
]

CAUGHT_IN_READS: list[tuple[faults.Fault, str]] = [
    (
        inbox_read_faults.leads_are_shown_with_any_chat,
        "a_chat_is_shown_with_its_contact_and_leads",
    ),
    (
        inbox_read_faults.deleted_leads_are_shown_with_their_chat,
        "a_chat_is_shown_with_its_contact_and_leads",
    ),
    (
        inbox_read_faults.a_deleted_contact_is_shown_with_its_chat,
        "a_chat_is_shown_with_its_contact_and_leads",
    ),
    (
        inbox_read_faults.all_leads_are_shown_with_a_chat,
        "a_chat_is_shown_with_its_newest_leads_only",
    ),
    (inbox_read_faults.one_tag_of_all_is_enough, "chat_filters_let_through_what_they_say"),
    (inbox_read_faults.a_chat_ends_with_its_preview, "a_chat_ends_with_its_greatest_message"),
    (
        inbox_read_faults.unread_messages_are_told_oldest_first,
        "of_many_unread_messages_the_newest_are_given",
    ),
    (inbox_read_faults.all_that_is_unread_is_told, "unread_messages_are_those_that_are_counted"),
    (inbox_read_faults.votes_name_options_by_their_text, "polls_show_their_results"),
    (inbox_read_faults.votes_of_the_whole_chat_are_given, "votes_count_whatever_their_order"),
    (
        inbox_read_faults.contacts_without_a_name_have_an_empty_one,
        "contacts_have_the_names_that_people_see",
    ),
    (
        inbox_read_faults.deleted_chats_make_contacts_of_a_device,
        "the_contacts_of_a_device_have_a_chat_there",
    ),
    (
        inbox_read_faults.any_chat_makes_a_contact_of_a_device,
        "the_contacts_of_a_device_have_a_chat_there",
    ),
    (
        inbox_read_faults.capitals_make_another_address,
        "duplicates_are_live_people_who_share_something",
    ),
    (
        inbox_read_faults.variants_of_phones_are_strangers,
        "duplicates_are_live_people_who_share_something",
    ),
    (
        inbox_read_faults.groups_and_the_deleted_are_duplicates,
        "duplicates_are_live_people_who_share_something",
    ),
    (
        inbox_read_faults.deleted_chats_stay,
        "old_deleted_chats_are_removed_with_all_that_is_theirs",
    ),
    (
        inbox_read_faults.messages_outlive_their_chat,
        "old_deleted_chats_are_removed_with_all_that_is_theirs",
    ),
    (
        inbox_read_faults.marks_outlive_their_chat,
        "old_deleted_chats_are_removed_with_all_that_is_theirs",
    ),
    (inbox_read_faults.marks_are_never_old, "old_marks_are_removed"),
    (inbox_read_faults.a_mark_is_as_old_as_the_first, "old_marks_are_removed"),
    (inbox_read_faults.all_duplicates_are_shown, "duplicates_are_shown_as_contacts_are"),
    (
        inbox_read_faults.deleted_contacts_have_names,
        "contacts_have_the_names_that_people_see",
    ),
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


@pytest.mark.parametrize(
    ("fault", "law"),
    [*CAUGHT, *CAUGHT_IN_INBOXES, *CAUGHT_IN_FILES, *CAUGHT_IN_READS],
    ids=name_of,
)
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
        lambda: Wasteful().test_a_batch_of_an_inbox_costs_no_more_than_two_rows(name="tally"),
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
