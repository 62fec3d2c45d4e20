"""Durations, deadlines, and the machine's clock."""

from __future__ import annotations

import math
import threading
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm._clock import SYSTEM_CLOCK, Deadline, SystemClock, seconds_of
from omnillm.errors import ConfigurationError


class HandClock(SystemClock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_a_deadline_counts_down_to_zero_and_stays_there() -> None:
    """What remains is never negative; the deadline itself is already over."""
    clock = HandClock()
    deadline = Deadline.after(2.0, clock)
    seen = []
    for now in (100.0, 101.5, 102.0, 500.0):
        clock.now = now
        seen.append((deadline.remaining(), deadline.expired))
    assert seen == [(2.0, False), (0.5, False), (0.0, True), (0.0, True)]


def test_no_deadline_is_spelled_infinity() -> None:
    """An infinite deadline never expires."""
    deadline = Deadline.after(math.inf, HandClock())
    assert (deadline.remaining(), deadline.expired) == (math.inf, False)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_sooner_deadline_wins(first: float, second: float) -> None:
    """A step may shorten a deadline and never extends it."""
    clock = HandClock()
    assert Deadline.after(first, clock).sooner(second).at == clock.now + min(first, second)


def test_a_step_keeps_the_clock() -> None:
    """A shorter deadline runs on the same clock."""
    clock = HandClock()
    assert Deadline.after(5.0, clock).sooner(1.0).clock is clock


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(1, 1.0), (0.25, 0.25), (timedelta(minutes=2), 120.0), (timedelta(milliseconds=5), 0.005), (math.inf, math.inf)],
)
def test_a_duration_is_a_number_or_a_timedelta(value: Any, seconds: float) -> None:
    """Both ways of saying it give seconds."""
    read = seconds_of(value, "idle")
    assert (read, type(read)) == (seconds, float)


WRONG = [None, "5", True, False, math.nan, -1, -0.5, -math.inf, timedelta(seconds=-1), [], 10**400, 10**5_000, "x" * 10_000]


@pytest.mark.parametrize("value", WRONG, ids=[f"{type(value).__name__}-{i}" for i, value in enumerate(WRONG)])
@pytest.mark.parametrize("allow_zero", [True, False])
def test_anything_else_is_refused_by_the_name_of_its_field(value: Any, allow_zero: bool) -> None:
    """A wrong duration names where it was given, shortly, and how to say that there is no limit."""
    with pytest.raises(ConfigurationError) as caught:
        seconds_of(value, "idle", allow_zero=allow_zero)
    assert caught.value.field == "idle"
    assert caught.value.message.startswith("idle: ")
    assert len(caught.value.message) < 200


def test_zero_is_taken_only_where_it_means_something() -> None:
    """Zero seconds are no time-out unless the field says so."""
    assert seconds_of(0, "acquire_timeout", allow_zero=True) == 0.0
    with pytest.raises(ConfigurationError):
        seconds_of(0, "idle")
    with pytest.raises(ConfigurationError):
        seconds_of(timedelta(0), "idle")


def test_the_machines_clock_goes_forward_and_waits() -> None:
    """Its monotonic time never steps back, its wall time is the epoch's, and waiting tells whether the event is set."""
    event = threading.Event()
    before = SYSTEM_CLOCK.monotonic()
    assert not SYSTEM_CLOCK.wait(event, 0.0)
    event.set()
    assert SYSTEM_CLOCK.wait(event, None)
    SYSTEM_CLOCK.sleep(-1.0)
    SYSTEM_CLOCK.sleep(0.001)
    assert SYSTEM_CLOCK.monotonic() >= before
    assert SYSTEM_CLOCK.wall() > 1_600_000_000
