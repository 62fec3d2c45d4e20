"""What the library promises, and the tests that prove it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Promise:
    """One sentence that holds whatever happens, and where that is shown: files below tests/, and names of tests in them."""

    number: int
    says: str
    tests: tuple[str, ...]


def _promise(number: int, says: str, *tests: str) -> Promise:
    return Promise(number, says, tests)


PROMISES = (
    _promise(
        1,
        "Quota is always returned: after return, error, Ctrl-C, generator close, garbage collection or a dead thread, what a key "
        "holds is back to 0.",
        "stress/test_interrupts.py::test_p01_quota_is_always_returned",
        "stress/test_call_interrupts.py::test_p01_quota_is_always_returned",
        "stress/test_call_interrupts.py::test_p01_quota_is_always_returned_from_every_place",
        "stress/test_processes.py::test_p01_quota_is_always_returned_after_ctrl_c",
        "stress/test_hedge_interrupts.py::test_interrupted_hedges_leave_nothing",
        "stress/test_soak.py::test_nothing_piles_up",
        "gateway/test_quota_and_money.py::test_p01_who_keeps_an_interrupt_keeps_no_quota",
        "state/test_memory_model.py::TestRandom",
        "gateway/test_money.py::test_money_and_quota_come_back_from_every_end",
    ),
    _promise(
        2,
        "No window admits more than its limit, in one process or across many.",
        "policy/test_window_model.py::test_p02_no_sixty_seconds_see_more_than_the_limit",
        "policy/test_window_model.py::test_p02_the_window_counts_what_a_list_would",
        "policy/test_window_model.py::test_p02_a_busy_window_counts_what_a_list_would",
        "state/test_memory_model.py::TestRandom",
        "stress/test_admission_threads.py::test_five_keys_admit_exactly_what_they_may",
        "stress/test_admission_threads.py::test_p02_no_window_admits_more_than_its_limit",
        "stress/test_fleet.py::test_p02_no_window_admits_more_than_its_limit_across_processes",
    ),
    _promise(
        3,
        "A budget holds: spent and reserved never pass the limit when something is admitted, and what calls in flight cost above "
        "their reservations is all that comes on top.",
        "policy/test_budget_accounts.py::test_spent_and_reserved_stay_within_the_limit_at_every_admission",
        "policy/test_pricing.py::test_no_usage_within_the_counts_costs_more_than_the_ceiling",
        "stress/test_admission_threads.py::test_a_dollar_is_a_dollar",
        "stress/test_fleet.py::test_p03_a_dollar_is_a_dollar_across_processes",
        "gateway/test_money.py::test_a_budget_under_load",
        "gateway/test_strict_budget.py::test_the_reservation_bounds_the_cost",
        "gateway/test_strict_budget.py::test_the_cap_is_written_into_the_request",
        "gateway/test_quota_and_money.py::test_p03_only_what_calls_in_flight_cost_above_their_reservations_comes_on_top",
        "gateway/test_quota_and_money.py::test_p03_nothing_comes_on_top_where_the_cap_is_kept",
        "gateway/test_quota_and_money.py::test_p03_what_is_in_flight_counts_in_the_window_to_come",
    ),
    _promise(
        4,
        "A model without a price is refused where a budget is set.",
        "gateway/test_money.py::test_p04_an_unknown_price_is_refused",
        "gateway/test_endpoints.py::test_a_model_without_a_price_is_refused_where_there_is_a_budget",
    ),
    _promise(
        5,
        "A reservation settles exactly once, whatever arrives twice.",
        "state/test_key_pool.py::test_a_lease_is_settled_and_released_once",
        "gateway/test_leaving_streams.py::test_a_late_close_changes_nothing",
        "gateway/test_stream.py::test_what_follows_the_terminal_event_is_ignored",
        "stress/test_admission_threads.py::test_p05_a_reservation_settles_exactly_once",
        "gateway/test_quota_and_money.py::test_p05_a_stream_that_two_threads_close_while_a_third_reads_is_paid_once",
    ),
    _promise(
        6,
        "A stream that is left is charged: by the reported usage, else by the prompt and what was received; never nothing.",
        "gateway/test_leaving_streams.py::test_p17_leaving_gives_everything_back",
        "gateway/test_leaving_streams.py::test_p06_what_came_bounds_the_charge",
        "gateway/test_quota_and_money.py::test_p06_what_was_reported_before_a_stream_was_left_is_paid",
        "gateway/test_quota_and_money.py::test_p06_every_kind_of_output_is_paid",
    ),
    _promise(
        7,
        "A call that is refused sends no bytes and leaves no trace in a window.",
        "gateway/test_requests_refused.py::test_a_refused_request_costs_nothing",
        "gateway/test_call.py::test_a_cancelled_token_sends_nothing",
        "state/test_memory_model.py::TestRandom",
        "stress/test_admission_threads.py::test_p07_a_refused_call_leaves_no_trace",
        "gateway/test_quota_and_money.py::test_p07_whatever_refuses_a_call_it_leaves_no_trace",
    ),
    _promise(
        8,
        "Nothing is tried again after the caller was given a part of the answer.",
        "gateway/test_stream.py::test_p08_after_an_event_it_is_never_tried_again",
        "transport/test_http_faults.py::test_a_first_byte_forbids_a_second_try",
        "faults/test_status.py::test_row_58_never_past_an_event",
    ),
    _promise(
        9,
        "A call whose outcome is unknown is tried again only where the policy allows it, and each lost attempt is charged; a "
        "kept connection that dies before a byte of the answer is replaced.",
        "gateway/test_retry.py::test_p09_an_unknown_outcome_is_tried_again",
        "gateway/test_retry.py::test_p09_unless_the_policy_forbids_it",
        "gateway/test_quota_and_money.py::test_p09_an_unknown_outcome_is_tried_again_only_where_that_is_allowed",
        "gateway/test_quota_and_money.py::test_p09_where_retry_unknown_is_off_a_refused_call_is_tried_again_all_the_same",
        "gateway/test_quota_and_money.py::test_p09_only_a_reused_connection_is_replaced_unseen",
        "gateway/test_quota_and_money.py::test_p09_a_time_out_after_sending_is_not_tried_again",
        "gateway/test_retry.py::test_a_timeout_after_sending_is_final",
        "transport/test_http_faults.py::test_a_connection_that_dies_as_it_is_used_again_is_replaced_once",
    ),
    _promise(
        10,
        "Attempts, total time and the share of retries in the load are bounded.",
        "gateway/test_retry.py::test_p10_attempts_are_counted_out",
        "gateway/test_retry.py::test_p10_the_allowance_bounds_retries",
        "gateway/test_cancel_and_time.py::test_one_deadline_over_all_attempts",
        "policy/test_retry_allowance.py::TestAllowanceMachine",
        "policy/test_retry_allowance.py::test_a_fifth_of_the_calls_may_retry_and_never_fewer_than_three",
        "policy/test_retry_allowance.py::test_a_crowd_that_fails_adds_a_fifth",
        "policy/test_retry_allowance.py::test_threads_never_exceed_the_share",
        "stress/test_dead_upstream.py::test_all_at_once",
        "stress/test_dead_upstream.py::test_nothing_listens",
    ),
    _promise(
        11,
        "A server's wait is never shortened; where it does not fit, the call ends now and says when to come back.",
        "policy/test_retry_policy.py::test_a_hint_above_the_cap_is_not_shortened",
        "policy/test_retry_policy.py::test_a_wait_lies_between_the_hint_and_the_ceiling",
        "policy/test_retry_hints.py::test_headers",
        "policy/test_retry_hints.py::test_bodies",
        "gateway/test_retry.py::test_p11_a_longer_wait_is_the_callers",
        "gateway/test_retry.py::test_p11_429_cools_the_key",
        "gateway/test_limit_headers.py::test_p11_the_caller_is_told_of_the_key_that_is_back_first",
        "gateway/test_limit_headers.py::test_p11_a_shorter_wait_shortens_no_longer_one",
        "faults/test_status.py::test_row_51_429_with_a_hint",
        "faults/test_status.py::test_row_54_429_beyond_the_deadline",
        "faults/test_status.py::test_row_57_overloaded",
    ),
    _promise(
        12,
        "A call ends by its deadline, however the peer dribbles; but for the system's name resolver.",
        "faults/test_time.py::test_p12_a_dribbling_upstream_extends_nothing",
        "faults/test_time.py::test_one_deadline_over_all_attempts",
        "transport/test_http_time.py::test_a_tarpit_ends_with_the_deadline",
        "transport/test_http_time.py::test_a_handshake_ends_with_the_deadline",
        "transport/test_http_time.py::test_a_head_ends_with_its_time",
        "transport/test_http_time.py::test_a_body_ends_with_the_deadline",
        "transport/test_http_faults.py::test_a_peer_that_reads_nothing_is_given_up",
        "gateway/test_cancel_and_time.py::test_waiting_for_a_key_ends_with_the_deadline",
        "gateway/test_malformed_answers.py::test_an_error_body_that_stalls",
    ),
    _promise(
        13,
        "A clock that is set changes nothing.",
        "gateway/test_cancel_and_time.py::test_p13_a_clock_that_is_set_changes_nothing",
        "gateway/test_clock_steps.py::test_p13_a_wall_clock_that_jumps_changes_no_wait",
        "gateway/test_clock_steps.py::test_p13_a_call_under_way_is_neither_ended_nor_prolonged",
    ),
    _promise(
        14,
        "Every wait ends on Ctrl-C within a second, and on close.",
        "gateway/test_waiting.py::test_p14_ctrl_c_ends_every_wait",
        "faults/test_waits.py::test_row_70_ctrl_c",
        "faults/test_waits.py::test_p14_an_interrupt_that_wakes_no_wait_of_the_systems",
        "faults/test_waits.py::test_cancel_ends_every_wait",
        "faults/test_waits.py::test_close_ends_every_wait",
        "gateway/test_submit.py::test_ctrl_c_while_waiting",
        "gateway/test_ends.py::test_close_ends_what_is_in_flight",
        "state/test_key_pool.py::test_closing_ends_every_wait",
    ),
    _promise(
        15,
        "A stream has exactly one end, always last: its terminal event or an exception.",
        "gateway/test_stream.py::test_p15_a_stream_to_its_end",
        "gateway/test_stream.py::test_p15_however_it_is_cut_the_events_come_before_the_error",
        "faults/test_body.py::test_row_27_cut_after_events",
        "faults/test_body.py::test_row_28_no_terminal_event",
        "faults/test_body.py::test_row_29_two_terminal_events",
        "faults/test_body.py::test_row_36_an_unterminated_tail",
        "gateway/test_hostile_answers.py::test_p26_whatever_is_answered_only_errors_of_ours_leave",
        "wire/test_hostile.py::test_a_damaged_stream_is_read_or_refused",
    ),
    _promise(
        16,
        "Any way of cutting the bytes gives the same events.",
        "wire/test_sse.py::test_p16_every_split_gives_the_frames_of_the_standard",
        "wire/test_sse.py::test_p16_every_split_of_a_stream_gives_the_same_events",
        "wire/test_sse.py::test_p16_any_cutting_gives_the_frames_of_the_standard",
        "wire/test_sse.py::test_arbitrary_bytes_give_the_same_however_cut",
    ),
    _promise(
        17,
        "Leaving a stream closes its connection, frees its key and pays for what came.",
        "gateway/test_leaving_streams.py::test_p17_leaving_gives_everything_back",
        "transport/test_http_faults.py::test_leaving_a_body_closes_its_connection",
        "gateway/test_leaving_streams.py::test_p17_who_keeps_a_stream_that_was_left_keeps_no_connection",
    ),
    _promise(
        18,
        "Closing a stream from another thread ends its reader within a second.",
        "gateway/test_leaving_streams.py::test_p18_close_from_another_thread",
        "gateway/test_leaving_streams.py::test_p18_close_while_it_is_opened_again",
        "gateway/test_leaving_streams.py::test_close_ends_a_reader_in_backoff",
    ),
    _promise(
        19,
        "No code of the user's, no I/O, no sleep and no line of a log under a lock.",
        "stress/test_locks.py::test_p19_no_user_code_io_sleep_or_log_under_a_lock",
        "gateway/test_hooks.py::test_no_lock_is_held_where_users_code_runs",
        "gateway/test_hooks.py::test_p19_no_lock_is_held_where_a_future_tells_of_its_end",
        "gateway/test_hooks.py::test_a_hook_that_blocks_holds_up_its_call_alone",
    ),
    _promise(
        20,
        "No deadlock where signal handlers, finalisers and hooks call the gateway.",
        "stress/test_processes.py::test_p20_no_deadlock_under_signals",
        "gateway/test_hooks.py::test_a_hook_may_call_the_gateway",
        "state/test_memory_state.py::test_who_comes_back_into_an_operation_is_refused_not_deadlocked",
        "policy/test_retry_allowance.py::test_a_ticket_may_be_lost_while_the_lock_is_held",
        "transport/test_http_time.py::test_abort_from_a_finaliser",
        "gateway/test_leaving_streams.py::test_p20_a_finaliser_takes_no_lock",
        "transport/test_google.py::test_p20_who_comes_back_into_a_renewal_is_refused_not_deadlocked",
        "test_floors.py::test_p20_every_lock_may_be_taken_again_by_its_thread",
    ),
    _promise(
        21,
        "Safe after fork: the child has sockets, locks, chance and a ledger of its own; the parent's calls stay the parent's.",
        "stress/test_processes.py::test_p21_safe_after_fork_while_locks_are_held",
        "stress/test_late_imports.py::test_p21_safe_after_fork_in_the_midst_of_an_import",
        "stress/test_processes.py::test_p21_safe_after_fork_of_a_server",
        "gateway/test_fork.py::test_a_child_has_its_own",
        "faults/test_process.py::test_row_73_a_fork_among_busy_threads",
        "gateway/test_fork.py::test_jitter_differs_in_the_child",
        "transport/test_http_fork.py::test_parent_and_child_share_no_connection",
        "transport/test_http_fork.py::test_threads_of_a_child_that_begin_at_once_share_one_set_of_pools",
    ),
    _promise(
        22,
        "No background thread unless it is asked for; a process on a shared state has one while it holds something.",
        "stress/test_locks.py::test_p22_no_background_thread_unless_asked_for",
        "faults/test_store_processes.py::test_p22_the_pulse_ends_with_what_it_is_for",
    ),
    _promise(
        23,
        "Closing is idempotent, from any thread; later calls raise ClosedError.",
        "stress/test_locks.py::test_p23_close_is_idempotent_from_any_thread",
        "gateway/test_call.py::test_after_close",
    ),
    _promise(
        24,
        "An answer reaches only its own request.",
        "stress/test_crosstalk.py::test_p24_an_answer_reaches_only_its_own_request",
        "stress/test_crosstalk.py::test_p24_interim_answers_and_unasked_bytes_are_nobodys",
        "stress/test_transport_interrupts.py::test_interrupts_leave_nothing_behind",
        "transport/test_http_exchange.py::test_interim_answers_are_skipped",
        "transport/test_http_faults.py::test_bytes_on_an_idle_connection_are_thrown_away_with_it",
        "transport/test_http_faults.py::test_bytes_behind_an_answer_are_thrown_away_with_its_connection",
        "transport/test_http_time.py::test_an_interrupt_closes_the_connection",
    ),
    _promise(
        25,
        "Memory is bounded, whatever the upstream sends.",
        "stress/test_memory.py::test_p25_bounded_memory",
        "security/test_p25_bounds.py::test_p25_a_bound_is_exact",
        "security/test_p25_bounds.py::test_p25_the_depth_of_json_is_exact",
        "security/test_p25_bounds.py::test_p25_an_event_of_a_mebibyte_is_read_and_no_larger",
        "security/test_p25_bounds.py::test_p25_the_body_of_an_error_and_of_a_redirect_are_not_read_on",
        "test_json.py::test_the_size_is_bounded",
        "test_json.py::test_the_number_of_values_is_bounded",
        "wire/test_sse.py::test_the_cap_is_exact",
        "transport/test_http_exchange.py::test_a_body_is_bounded",
        "transport/test_http_faults.py::test_a_bomb_is_not_inflated",
        "faults/test_body.py::test_row_40_what_does_not_unpack",
        "faults/test_status.py::test_row_46_a_redirect",
        "faults/test_status.py::test_row_59_the_body_of_an_error",
    ),
    _promise(
        26,
        "Only errors of the library leave it, whatever an upstream sends.",
        "gateway/test_call.py::test_p26_only_errors_of_ours_leave",
        "gateway/test_hostile_answers.py::test_p26_whatever_is_answered_only_errors_of_ours_leave",
        "transport/test_http_faults.py::test_random_bytes_raise_our_errors_only",
        "wire/test_hostile.py::test_a_damaged_response_is_read_or_refused",
        "wire/test_hostile.py::test_any_text_is_read_or_refused",
        "test_json.py::test_any_input_is_a_value_or_the_one_error",
    ),
    _promise(
        27,
        "Work is linear in the size of what is read.",
        "wire/test_hostile.py::test_work_grows_with_the_input",
        "wire/test_sse.py::test_work_is_linear",
        "wire/test_gemini_work.py::test_work_grows_with_the_payload",
        "test_replay.py::test_the_work_is_linear_in_the_text",
        "security/test_hostile_input.py::test_p27_headers_are_read_in_linear_time",
    ),
    _promise(
        28,
        "No redirect is followed; a key goes only to the origin it was configured for.",
        "security/test_p28_origin.py::test_p28_a_redirect_is_an_error",
        "security/test_p28_origin.py::test_p28_a_location_in_several_lines_leads_nowhere",
        "security/test_p28_origin.py::test_p28_each_key_goes_to_its_own_origin",
        "security/test_p28_origin.py::test_p28_a_models_name_leads_nowhere_else",
        "security/test_p28_origin.py::test_p28_a_name_below_localhost_is_asked_on_this_machine_only",
        "security/test_p28_origin.py::test_p28_what_is_on_this_machine_is_asked_by_no_proxy",
        "security/test_p28_origin.py::test_p28_plain_http_elsewhere_is_refused_when_built",
    ),
    _promise(
        29,
        "A base URL is https, or http to this machine or by leave, without user, query, fragment and control characters; a "
        "header is one line of ASCII.",
        "security/test_p29_base_urls.py::test_p29_a_base_url_leads_where_it_says",
        "security/test_p29_base_urls.py::test_p29_the_host_that_is_checked_is_the_host_that_is_asked",
        "security/test_p29_base_urls.py::test_p29_what_an_endpoint_carries_is_not_in_its_repr",
        "security/test_p29_base_urls.py::test_p29_a_headers_value_is_one_line_of_ascii",
        "security/test_p29_base_urls.py::test_p29_a_headers_name_is_a_token",
        "security/test_p29_base_urls.py::test_p29_there_are_at_least_sixty",
    ),
    _promise(
        30,
        "No key appears in a repr, text, log, exception, pickle, JSON, recording, hook event or status; `pytest --canary` "
        "watches for it wherever a test shows something.",
        "security/test_p30_locals.py::test_p30_no_line_of_a_call_shows_the_key",
        "security/test_p30_locals.py::test_p30_no_configuration_error_takes_the_key_along",
        "security/test_hostile_input.py::test_p30_an_answer_that_echoes_the_key_leaves_no_trace",
        "security/test_hostile_input.py::test_p30_a_key_that_was_cut_is_redacted",
        "security/test_hostile_input.py::test_p30_what_is_at_hand_shows_no_key",
        "security/test_hostile_input.py::test_p30_http_clients_own_debugging_shows_no_key",
        "gateway/test_secrets.py::test_the_key_is_never_shown",
        "gateway/test_secrets.py::test_no_local_of_a_traceback_shows_the_key",
        "test_secret.py::test_the_key_is_never_shown",
    ),
    _promise(
        31,
        "A malformed key is refused when it is configured, by a message that does not quote it.",
        "security/test_p31_p32_p33.py::test_p31_a_malformed_key_is_refused_without_being_quoted",
        "test_secret.py::test_a_malformed_key_is_refused_without_being_quoted",
    ),
    _promise(
        32,
        "Nothing is read from the environment that is not documented: no netrc, no cookies, no proxies without leave, no "
        "authorities.",
        "security/test_p31_p32_p33.py::test_p32_nothing_is_read_from_the_environment",
        "security/test_p31_p32_p33.py::test_p32_no_authority_is_taken_from_the_environment",
        "security/test_p31_p32_p33.py::test_p32_a_proxys_password_is_in_no_error",
    ),
    _promise(
        33,
        "TLS is always verified; a private authority is a path, and there is no switch.",
        "security/test_p31_p32_p33.py::test_p33_tls_is_always_verified",
        "security/test_p31_p32_p33.py::test_p33_there_is_no_switch",
        "transport/test_http_tls.py::test_a_private_authority_is_a_path",
    ),
    _promise(
        34,
        "A recording keeps listed headers alone, and is not written where a key is found in it.",
        "security/test_p34_fixtures.py::test_p34_no_key_survives_in_any_value",
        "security/test_p34_fixtures.py::test_p34_a_recording_holds_no_key",
        "security/test_p34_fixtures.py::test_p34_what_cannot_be_taken_out_is_not_written",
        "security/test_p34_fixtures.py::test_p34_a_recording_is_its_owners_alone",
        "security/test_p34_fixtures.py::test_p34_no_link_that_was_laid_out_is_followed",
    ),
    _promise(
        35,
        "Memory, Redis and Valkey behave the same.",
        "state/test_conformance.py::test_p35_every_store_tells_the_same_story",
        "state/test_memory_model.py::TestRandom",
        "state/test_memory_model.py::TestValkey",
        "state/test_conformance.py::test_the_one_key_with_room_is_always_found",
        "state/test_conformance.py::test_money_is_exact_at_any_size",
        "state/test_conformance.py::test_a_calendar_rolls_over_once",
    ),
    _promise(
        36,
        "An operation on the shared state that runs twice counts once.",
        "state/test_redis_state.py::test_p36_every_operation_may_run_twice",
        "state/test_memory_model.py::TestLossy",
        "faults/test_store.py::test_row_63_the_reply_is_lost",
        "state/test_redis_state.py::test_ctrl_c_in_the_midst_of_a_round_trip",
    ),
    _promise(
        37,
        "What a process held that died comes back within the lease.",
        "state/test_redis_state.py::test_p37_what_a_dead_process_held_comes_back",
        "faults/test_store_processes.py::test_p37_a_process_that_is_killed",
        "state/test_redis_state.py::test_what_a_process_does_not_know_of_is_given_back",
    ),
    _promise(
        38,
        "Trouble with the shared state follows the rule: money is refused, windows go by the process's share where that is asked "
        "for; a call lives by one of the two.",
        "faults/test_store.py::test_p38_never_a_mix_within_one_call",
        "faults/test_store.py::test_row_61_down_before_the_reservation",
        "faults/test_store.py::test_row_62_down_before_the_settlement",
        "faults/test_store.py::test_row_67_the_memory_is_lost",
        "faults/test_store.py::test_row_68_a_server_that_does_not_want",
    ),
    _promise(
        39,
        "A breaker whose time is over lets one trial through; a trial that is lost frees its place.",
        "stress/test_admission_threads.py::test_one_trial_at_the_instant_of_half_open",
        "gateway/test_retry.py::test_p39_only_one_trial_at_a_time",
        "policy/test_breaker_table.py::test_each_outcome_leads_where_the_table_says",
    ),
    _promise(
        40,
        "The caller's mistakes, cancellations and Ctrl-C never open a breaker; 401 and 403 are matters of the key.",
        "policy/test_retry_classify.py::test_the_table",
        "policy/test_breaker_table.py::test_each_outcome_leads_where_the_table_says",
        "gateway/test_retry.py::test_p40_the_callers_mistakes_are_raised_at_once",
        "gateway/test_quota_and_money.py::test_p40_what_says_nothing_about_a_key_never_opens_its_breaker",
        "gateway/test_quota_and_money.py::test_p40_401_and_403_are_matters_of_the_key_not_of_its_endpoint",
        "gateway/test_retry.py::test_401_retires_the_key",
        "gateway/test_retry.py::test_403_sets_the_pair_aside",
    ),
    _promise(
        41,
        "What a format can carry comes back as it was; what it cannot is named.",
        "wire/test_format_properties.py::test_p41_any_request_is_written_and_read_back",
        "wire/test_format_properties.py::test_p41_any_response_is_written_and_read_back",
        "wire/test_format_properties.py::test_p41_no_field_is_lost_without_a_word",
        "wire/test_chat_properties.py::test_a_request_that_is_written_reads_as_itself",
        "wire/test_responses_properties.py::test_a_request_that_is_written_reads_as_itself",
    ),
    _promise(
        42,
        "Codecs are pure: no I/O, no clock, no state, and what they are given is not changed.",
        "test_floors.py::test_the_lower_floors_are_pure",
        "wire/test_pure_codecs.py::test_p42_codecs_are_pure",
        "wire/test_pure_codecs.py::test_p42_codecs_keep_no_state",
    ),
)

HEAD = """# Promises

What holds whatever happens, and the tests that prove it. Those in `tests/stress` need threads, forks, interrupts or a whole day;
every run of the tests has them in a bounded form, and `tox -e stress` in full (`tox -e stress -- --repeat 20` many times over).
The interrupts were measured on builds with the global interpreter lock: free-threaded ones are not among what is tested.

This page is made by `python tests/shared/promises.py`.

| | promise | proof |
| --- | --- | --- |
"""


def page() -> str:
    """Write the page."""
    rows = [f"| P{it.number} | {it.says} | {'<br>'.join(f'`{test}`' for test in it.tests)} |\n" for it in PROMISES]
    return HEAD + "".join(rows)


if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "promises.md").write_text(page(), "utf-8")
