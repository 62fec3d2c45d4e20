"""The breaker as a table: from each state, what each outcome leads to."""

import pytest

from omnillm.policy.breaker import Breaker

NOW, COOLDOWN = 100.0, 30.0
CLOSED = Breaker(failures=1, generation=4)
OPEN = Breaker(failures=3, open_until=110.0, generation=5)
TRYING = Breaker(failures=3, open_until=90.0, generation=5, trial="t")

TABLE = [
    # state, whose result, its generation, outcome -> state
    (CLOSED, "a", 4, "success", Breaker(0, None, 4)),
    (CLOSED, "a", 4, "failure", Breaker(2, None, 4)),
    (CLOSED, "a", 4, "neutral", CLOSED),
    (CLOSED, "a", 4, "lost", CLOSED),
    (CLOSED, "a", 3, "failure", CLOSED),
    (CLOSED, "a", 3, "success", CLOSED),
    (Breaker(2, None, 4), "a", 4, "failure", Breaker(3, NOW + COOLDOWN, 5)),
    (OPEN, "a", 4, "success", OPEN),
    (OPEN, "a", 4, "failure", OPEN),
    (TRYING, "t", 5, "success", Breaker(0, None, 5)),
    (TRYING, "t", 5, "failure", Breaker(4, NOW + COOLDOWN, 5)),
    (TRYING, "t", 5, "lost", Breaker(3, NOW + COOLDOWN, 5)),
    (TRYING, "t", 5, "neutral", Breaker(3, 90.0, 5)),
    (TRYING, "a", 4, "success", TRYING),
    (TRYING, "a", 4, "failure", TRYING),
]


@pytest.mark.parametrize(("state", "whose", "generation", "outcome", "then"), TABLE)
def test_each_outcome_leads_where_the_table_says(state, whose, generation, outcome, then):
    """An outcome moves the breaker as the table says; results of older generations move nothing."""
    found = state.after(outcome, reservation_id=whose, generation=generation, now=NOW, threshold=3, cooldown=COOLDOWN)
    assert found == then


def test_a_success_changes_nothing_where_nothing_failed():
    """The usual case makes no new value."""
    fresh = Breaker()
    assert fresh.after("success", reservation_id="a", generation=0, now=NOW, threshold=3, cooldown=COOLDOWN) is fresh


@pytest.mark.parametrize(
    ("state", "now", "phase"),
    [
        (CLOSED, NOW, "closed"),
        (OPEN, 109.9, "open"),
        (OPEN, 110.0, "half_open"),
        (OPEN.trying("t"), 110.0, "trying"),
    ],
)
def test_phases(state, now, phase):
    """The phase follows from the value and the time alone."""
    assert state.phase(now) == phase


def test_reset_starts_a_new_generation():
    """A breaker that is reset is closed, and deaf to results of calls begun before."""
    assert TRYING.reset() == Breaker(0, None, 6)
