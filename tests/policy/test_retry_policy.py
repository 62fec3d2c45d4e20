"""The retry policy: what it accepts, what it permits, how long it waits."""

from __future__ import annotations

import math
import pickle
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.errors import ConfigurationError
from omnillm.policy.retry import Disposition, KeyVerdict, Retry, RetryPolicy


class _Highest(random.Random):
    """Give the greatest number that ``random()`` can give."""

    def random(self) -> float:
        return 1 - 2**-53


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_attempts", 0),
        ("max_attempts", -1),
        ("max_attempts", True),
        ("max_attempts", 2.0),
        ("max_attempts", "3"),
        ("max_attempts", None),
        ("base", -0.1),
        ("base", math.nan),
        ("base", math.inf),
        ("base", "1"),
        ("base", None),
        ("cap", -1),
        ("cap", math.inf),
        ("cap", True),
        ("retry_unknown", 1),
        ("retry_unknown", "no"),
        ("retry_unknown", None),
        ("hedge_after", 0),
        ("hedge_after", -1),
        ("hedge_after", math.nan),
        ("hedge_after", "1"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(field: str, value: Any) -> None:
    """A wrong value raises ``ConfigurationError`` that names the field, before anything runs."""
    with pytest.raises(ConfigurationError) as caught:
        RetryPolicy(**{field: value})
    assert caught.value.field == field
    assert field in str(caught.value)


def test_the_defaults_are_three_attempts_half_a_second_and_thirty() -> None:
    """Without arguments the policy is the documented one."""
    assert RetryPolicy() == RetryPolicy(max_attempts=3, base=0.5, cap=30.0, retry_unknown=True, hedge_after=None)


def test_durations_may_be_timedeltas_and_are_kept_as_seconds() -> None:
    """A ``timedelta`` is taken wherever seconds are."""
    policy = RetryPolicy(base=timedelta(milliseconds=20), hedge_after=timedelta(seconds=2))  # type: ignore[arg-type]  # taken, not typed
    assert (policy.base, policy.hedge_after) == (0.02, 2.0)


def test_a_policy_pickles_and_compares_by_value() -> None:
    """A policy is a value."""
    policy = RetryPolicy(5, 0.1, 2.0, False, 1.5)
    assert pickle.loads(pickle.dumps(policy)) == policy


@pytest.mark.parametrize(("attempt", "ceiling"), [(0, 0.5), (1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0), (10**9, 30.0), (-3, 0.5)])
def test_the_ceiling_doubles_up_to_the_cap(attempt: int, ceiling: float) -> None:
    """The longest wait doubles with each attempt until the cap, without overflowing."""
    waited = RetryPolicy().backoff(attempt, _Highest(), hint=None)
    assert waited == pytest.approx(ceiling)


@given(
    base=st.floats(0, 1e300),
    cap=st.floats(0, 1e300),
    attempt=st.integers(0, 10**12),
    hint=st.none() | st.floats(0, 1e6),
    seed=st.integers(),
)
def test_a_wait_lies_between_the_hint_and_the_ceiling(
    base: float, cap: float, attempt: int, hint: float | None, seed: int
) -> None:
    """Whatever the policy, a wait is finite, at least the server's and at most the cap where the server asks for less."""
    waited = RetryPolicy(base=base, cap=cap).backoff(attempt, random.Random(seed), hint=hint)
    assert math.isfinite(waited)
    assert (hint or 0.0) <= waited <= max(cap, hint or 0.0)


def test_a_hint_above_the_cap_is_not_shortened() -> None:
    """The cap bounds our patience, never the server's wait."""
    assert RetryPolicy(cap=1.0).backoff(0, random.Random(1), hint=90.0) == 90.0


def test_waits_are_spread_over_the_whole_range() -> None:
    """Full jitter: callers that failed together do not come back together."""
    rng = random.Random(7)
    waits = [RetryPolicy().backoff(3, rng) for _ in range(2_000)]
    assert min(waits) < 0.1
    assert max(waits) > 3.9
    assert sum(waits) / len(waits) == pytest.approx(2.0, rel=0.05)


def test_a_base_of_zero_turns_waiting_off() -> None:
    """Users' tests need not wait."""
    assert RetryPolicy(base=0).backoff(9, random.Random(1)) == 0.0


@pytest.mark.parametrize(
    ("retry", "with_unknown", "without"),
    [("never", False, False), ("another_key", False, False), ("attempt", True, True), ("unknown", True, False)],
)
def test_an_unknown_outcome_is_tried_again_only_where_the_policy_says_so(retry: Retry, with_unknown: bool, without: bool) -> None:
    """``retry_unknown`` decides over unknown outcomes and over nothing else."""
    disposition = Disposition(retry, KeyVerdict("neutral"), "none")
    assert RetryPolicy().permits(disposition) is with_unknown
    assert RetryPolicy(retry_unknown=False).permits(disposition) is without
