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
        "stress/test_processes.py::test_p01_quota_is_always_returned_after_ctrl_c",
        "stress/test_hedge_interrupts.py::test_interrupted_hedges_leave_nothing",
        "stress/test_soak.py::test_nothing_piles_up",
        "state/test_memory_model.py::TestRandom",
        "gateway/test_money.py::test_money_and_quota_come_back_from_every_end",
    ),
    _promise(
        2,
        "No window admits more than its limit.",
        "policy/test_window_model.py::test_no_sixty_seconds_see_more_than_the_limit",
        "policy/test_window_model.py::test_the_window_counts_what_a_list_would",
        "stress/test_admission_threads.py::test_five_keys_admit_exactly_what_they_may",
        "stress/test_admission_threads.py::test_p02_no_window_admits_more_than_its_limit",
    ),
    _promise(
        3,
        "A budget holds: spent and reserved never pass the limit when something is admitted, and what calls in flight cost above "
        "their reservations is all that comes on top.",
        "policy/test_budget_accounts.py::test_spent_and_reserved_stay_within_the_limit_at_every_admission",
        "policy/test_pricing.py::test_no_usage_within_the_counts_costs_more_than_the_ceiling",
        "stress/test_admission_threads.py::test_a_dollar_is_a_dollar",
        "gateway/test_money.py::test_a_budget_under_load",
        "gateway/test_strict_budget.py::test_the_reservation_bounds_the_cost",
    ),
    _promise(
        4,
        "A model without a price is refused where a budget is set.",
        "gateway/test_money.py::test_an_unknown_price_is_refused",
    ),
    _promise(
        5,
        "A reservation settles exactly once, whatever arrives twice.",
        "state/test_key_pool.py::test_a_lease_is_settled_and_released_once",
        "gateway/test_leaving_streams.py::test_a_late_close_changes_nothing",
        "gateway/test_stream.py::test_what_follows_the_terminal_event_is_ignored",
        "stress/test_admission_threads.py::test_p05_a_reservation_settles_exactly_once",
    ),
    _promise(
        6,
        "A stream that is left is charged: by the reported usage, else by the prompt and what was received; never nothing.",
        "gateway/test_leaving_streams.py::test_leaving_gives_everything_back",
        "gateway/test_leaving_streams.py::test_what_came_bounds_the_charge",
    ),
    _promise(
        7,
        "A call that is refused sends no bytes and leaves no trace in a window.",
        "gateway/test_requests_refused.py::test_a_refused_request_costs_nothing",
        "gateway/test_call.py::test_a_cancelled_token_sends_nothing",
        "state/test_memory_model.py::TestRandom",
        "stress/test_admission_threads.py::test_p07_a_refused_call_leaves_no_trace",
    ),
    _promise(
        8,
        "Nothing is tried again after the caller was given a part of the answer.",
        "gateway/test_stream.py::test_after_an_event_it_is_never_tried_again",
        "transport/test_http_faults.py::test_a_first_byte_forbids_a_second_try",
    ),
    _promise(
        9,
        "A call whose outcome is unknown is tried again only where the policy allows it, and each lost attempt is charged; a "
        "kept connection that dies before a byte of the answer is replaced.",
        "gateway/test_retry.py::test_an_unknown_outcome_is_tried_again",
        "gateway/test_retry.py::test_unless_the_policy_forbids_it",
        "gateway/test_retry.py::test_a_timeout_after_sending_is_final",
        "transport/test_http_faults.py::test_a_connection_that_dies_as_it_is_used_again_is_replaced_once",
    ),
    _promise(
        10,
        "Attempts, total time and the share of retries in the load are bounded.",
        "gateway/test_retry.py::test_attempts_are_counted_out",
        "gateway/test_cancel_and_time.py::test_one_deadline_over_all_attempts",
        "policy/test_retry_allowance.py::TestAllowanceMachine",
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
        "gateway/test_retry.py::test_a_longer_wait_is_the_callers",
    ),
    _promise(
        12,
        "A call ends by its deadline, however the peer dribbles; but for the system's name resolver.",
        "gateway/test_cancel_and_time.py::test_a_dribbling_server_extends_nothing",
        "transport/test_http_time.py::test_a_tarpit_ends_with_the_deadline",
        "transport/test_http_time.py::test_a_handshake_ends_with_the_deadline",
        "transport/test_http_time.py::test_a_head_ends_with_its_time",
        "transport/test_http_time.py::test_a_body_ends_with_the_deadline",
    ),
    _promise(
        13,
        "A clock that is set changes nothing.",
        "gateway/test_cancel_and_time.py::test_a_clock_that_is_set_changes_nothing",
    ),
    _promise(
        14,
        "Every wait ends on Ctrl-C within a second, and on close.",
        "gateway/test_waiting.py::test_ctrl_c_ends_every_wait",
        "gateway/test_fork.py::test_ctrl_c",
        "gateway/test_submit.py::test_ctrl_c_while_waiting",
        "gateway/test_ends.py::test_close_ends_what_is_in_flight",
        "state/test_key_pool.py::test_closing_ends_every_wait",
    ),
    _promise(
        15,
        "A stream has exactly one end, always last: its terminal event or an exception.",
        "gateway/test_stream.py::test_a_stream_to_its_end",
        "gateway/test_stream.py::test_however_it_is_cut_the_events_come_before_the_error",
        "wire/test_hostile.py::test_a_damaged_stream_is_read_or_refused",
    ),
    _promise(
        16,
        "Any way of cutting the bytes gives the same events.",
        "wire/test_sse.py::test_any_cutting_gives_the_frames_of_the_standard",
        "wire/test_sse.py::test_arbitrary_bytes_give_the_same_however_cut",
    ),
    _promise(
        17,
        "Leaving a stream closes its connection, frees its key and pays for what came.",
        "gateway/test_leaving_streams.py::test_leaving_gives_everything_back",
        "transport/test_http_faults.py::test_leaving_a_body_closes_its_connection",
    ),
    _promise(
        18,
        "Closing a stream from another thread ends its reader within a second.",
        "gateway/test_leaving_streams.py::test_close_from_another_thread",
    ),
    _promise(
        19,
        "No code of the user's, no I/O, no sleep and no line of a log under a lock.",
        "stress/test_locks.py::test_p19_no_user_code_io_sleep_or_log_under_a_lock",
        "gateway/test_hooks.py::test_no_lock_is_held_where_users_code_runs",
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
    ),
    _promise(
        21,
        "Safe after fork: the child has sockets, locks, chance and a ledger of its own; the parent's calls stay the parent's.",
        "stress/test_processes.py::test_p21_safe_after_fork_while_a_lock_is_held",
        "stress/test_processes.py::test_p21_safe_after_fork_of_a_server",
        "gateway/test_fork.py::test_a_child_has_its_own",
        "gateway/test_fork.py::test_a_fork_while_other_threads_are_busy",
        "gateway/test_fork.py::test_jitter_differs_in_the_child",
        "transport/test_http_fork.py::test_parent_and_child_share_no_connection",
    ),
    _promise(
        22,
        "No background thread unless it is asked for.",
        "stress/test_locks.py::test_p22_no_background_thread_unless_asked_for",
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
    ),
    _promise(
        25,
        "Memory is bounded, whatever the upstream sends.",
        "stress/test_memory.py::test_p25_bounded_memory",
        "test_json.py::test_the_size_is_bounded",
        "test_json.py::test_the_number_of_values_is_bounded",
        "wire/test_sse.py::test_the_cap_is_exact",
        "transport/test_http_exchange.py::test_a_body_is_bounded",
        "transport/test_http_faults.py::test_a_bomb_is_not_inflated",
    ),
    _promise(
        26,
        "Only errors of the library leave it, whatever an upstream sends.",
        "gateway/test_call.py::test_only_errors_of_ours_leave",
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
    ),
    _promise(
        39,
        "A breaker whose time is over lets one trial through; a trial that is lost frees its place.",
        "stress/test_admission_threads.py::test_one_trial_at_the_instant_of_half_open",
        "gateway/test_retry.py::test_only_one_trial_at_a_time",
        "policy/test_breaker_table.py::test_each_outcome_leads_where_the_table_says",
    ),
    _promise(
        40,
        "The caller's mistakes, cancellations and Ctrl-C never open a breaker; 401 and 403 are matters of the key.",
        "policy/test_retry_classify.py::test_the_table",
        "gateway/test_retry.py::test_the_callers_mistakes_are_raised_at_once",
        "gateway/test_retry.py::test_401_retires_the_key",
        "gateway/test_retry.py::test_403_sets_the_pair_aside",
    ),
    _promise(
        41,
        "What a format can carry comes back as it was; what it cannot is named.",
        "wire/test_format_properties.py::test_any_request_is_written_and_read_back",
        "wire/test_format_properties.py::test_any_response_is_written_and_read_back",
        "wire/test_format_properties.py::test_no_field_is_lost_without_a_word",
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
