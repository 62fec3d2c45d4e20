"""Dates of the wall clock, on the machine's own clock, frozen: budgets by the calendar, and waits given as a date."""

from __future__ import annotations

import freezegun
import pytest

from omnillm._clock import SYSTEM_CLOCK
from omnillm.policy.hints import server_hint
from omnillm.policy.limits import PICO, Budget
from omnillm.state import Ask, KeyLease, KeySpec, Refusal, Settlement
from omnillm.state.memory import MemoryState


@pytest.mark.parametrize(
    ("window", "zone", "spent_at", "still", "anew"),
    [
        ("day", "UTC", "2026-11-23 23:59:58", "2026-11-23 23:59:59", "2026-11-24 00:00:00"),
        ("day", "Europe/Rome", "2026-11-23 22:59:58", "2026-11-23 22:59:59", "2026-11-23 23:00:00"),
        ("month", "UTC", "2026-11-30 23:59:58", "2026-11-30 23:59:59", "2026-12-01 00:00:00"),
        ("month", "UTC", "2028-02-28 12:00:00", "2028-02-29 23:59:59", "2028-03-01 00:00:00"),
    ],
)
def test_a_budget_begins_anew_with_its_day_or_month(window, zone, spent_at, still, anew):
    """What was spent counts to the end of the day or month in the budget's time zone, and not a second longer."""
    with freezegun.freeze_time(spent_at) as frozen:
        state = MemoryState(
            {"p": [KeySpec("k", 10**9, 10**6)]}, budgets=[Budget(1, window=window, timezone=zone)], clock=SYSTEM_CLOCK
        )
        lease = state.admit(Ask("p", "m", 1, PICO))
        assert isinstance(lease, KeyLease)
        assert state.settle(lease.reservation.id, Settlement(1, PICO))
        frozen.move_to(still)
        refusal = state.admit(Ask("p", "m", 1, 1))
        assert isinstance(refusal, Refusal)
        assert refusal.budget is not None
        frozen.move_to(anew)
        assert refusal.budget.resets_at == SYSTEM_CLOCK.wall()
        assert isinstance(state.admit(Ask("p", "m", 1, 1)), KeyLease)


def test_a_wait_given_as_a_date_is_counted_from_now():
    """An HTTP date in ``retry-after`` is as many seconds as the wall clock has to it."""
    with freezegun.freeze_time("2026-11-23 12:00:00"):
        hint = server_hint({"retry-after": "Mon, 23 Nov 2026 12:00:07 GMT"}, None, now_wall=SYSTEM_CLOCK.wall())
    assert hint == 7
