"""The sliding window against a list that is summed up anew each time."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.policy.hints import ObservedLimits
from omnillm.policy.ledger import Journal
from omnillm.policy.limits import ModelLimits
from omnillm.policy.window import GRAIN_S, MAX_CORRECTION_S, MERGED_AT_ONCE, Window, leaves_at, seconds_until

TPM, RPM = 20, 4
STEPS = st.one_of(
    st.tuples(st.just("let in"), st.integers(0, 12)),
    st.tuples(st.just("settle"), st.integers(0, 15), st.integers(0, 1)),
    st.tuples(st.just("pass"), st.sampled_from([0.0, 0.5, 20.0, 59.0, 60.0, math.nextafter(60.0, 61.0), 61.0])),
)


class Naive:
    """A window that forgets nothing and sums everything."""

    def __init__(self):
        self.entries = []

    def used(self, now, late=0.0):
        counted = [one for one in self.entries if not one["settled"] or now <= one["at"] + 60 + late]
        return sum(one["requests"] for one in counted), sum(one["tokens"] for one in counted)

    def fits(self, tokens, now):
        requests, used = self.used(now)
        return requests < RPM and used + tokens <= TPM


def let_in(window, tokens, now):
    slot, changes = window.admitting(tokens, now)
    Journal().commit(changes)
    return slot


def settle(window, slot, tokens, now, requests=1):
    Journal().commit(window.settling(slot, requests=requests, tokens=tokens, now=now))


@given(st.lists(STEPS, min_size=12, max_size=60))
def test_p02_the_window_counts_what_a_list_would(steps):
    """After any history, what counts and what fits is what a list of all requests says."""
    window, naive, now, flying = Window(ModelLimits(TPM, RPM)), Naive(), 1000.0, []
    for step in steps:
        match step:
            case ("let in", tokens):
                assert (window.left(now) >= tokens) == naive.fits(tokens, now)
                if naive.fits(tokens, now):
                    entry = {"at": now, "tokens": tokens, "requests": 1, "settled": False}
                    naive.entries.append(entry)
                    flying.append((let_in(window, tokens, now), entry))
            case ("settle", tokens, requests) if flying:
                slot, entry = flying.pop(0)
                settle(window, slot, tokens, now, requests)
                entry.update(tokens=tokens, requests=requests, settled=True)
            case ("pass", seconds):
                now += seconds
        assert window.used(now) == naive.used(now)


@pytest.mark.parametrize("seed", range(4))
def test_p02_a_busy_window_counts_what_a_list_would(seed):
    """Of thousands of requests, some in flight for minutes, none counts for less than it took, nor a grain too long."""
    rng, journal = random.Random(seed), Journal()
    window, naive, now, flying, most = Window(ModelLimits(6_000, 1_500)), Naive(), 1000.0, [], 0
    for turn in range(4_000):
        tokens = rng.randrange(9)
        if window.left(now) >= tokens:
            slot, changes = window.admitting(tokens, now)
            journal.commit(changes)
            entry = {"at": now, "tokens": tokens, "requests": 1, "settled": False}
            naive.entries.append(entry)
            flying.append((slot, entry))
        if flying and rng.random() < 0.97:
            slot, entry = flying.pop(rng.randrange(len(flying)))
            requests, tokens = (1 if turn % 4 else 0), rng.randrange(slot.tokens + 1)
            journal.commit(window.settling(slot, requests=requests, tokens=tokens, now=now))
            entry.update(tokens=tokens, requests=requests, settled=True)
        now += rng.expovariate(40.0) if rng.random() < 0.998 else rng.uniform(0, 61)
        if turn % 20 == 0:
            exact, late = naive.used(now), naive.used(now, GRAIN_S)
            counted = window.used(now)
            assert all(low <= count <= high for low, count, high in zip(exact, counted, late, strict=True))
            most = max(most, exact[0])
    assert most > 2 * MERGED_AT_ONCE


@given(st.lists(st.tuples(st.floats(0, 70), st.integers(0, TPM)), min_size=5, max_size=40))
def test_p02_no_sixty_seconds_see_more_than_the_limit(asks):
    """Whatever is asked and when, no closed interval of 60 seconds holds more than the limits."""
    window, now, taken = Window(ModelLimits(TPM, RPM)), 0.0, []
    for wait, tokens in asks:
        now += wait
        if window.left(now) >= tokens:
            settle(window, let_in(window, tokens, now), tokens, now)
            taken.append((now, tokens))
    for start, _ in taken:
        inside = [tokens for at, tokens in taken if start <= at <= start + 60]
        assert len(inside) <= RPM
        assert sum(inside) <= TPM


@given(st.lists(STEPS, max_size=30), st.integers(0, TPM), st.floats(0, 1e9))
def test_the_opening_is_the_first_moment_that_fits(steps, tokens, start):
    """Once all is settled a request fits at the opening, whoever waits for it is in time, and nothing fits the moment before."""
    window, now = Window(ModelLimits(TPM, RPM)), start
    for step in steps:
        match step:
            case ("let in", size) if window.left(now) >= size:
                settle(window, let_in(window, size, now), size, now)
            case ("pass", seconds):
                now += seconds
    opening = window.opening(tokens, now)
    fits_now = window.left(now) >= tokens
    assert (opening == now) == fits_now
    if not fits_now:
        assert window.next_change(now) <= opening
        before = math.nextafter(opening, 0)
        assert before <= now or window.left(before) < tokens
        assert window.left(now + seconds_until(opening, now)) >= tokens


def test_what_is_too_large_never_opens():
    """A request above the limit has no opening, and an empty window never changes."""
    window = Window(ModelLimits(TPM, RPM))
    assert window.opening(TPM + 1, 0.0) == math.inf
    assert window.next_change(0.0) == math.inf


def test_a_call_in_flight_is_expected_to_leave_with_its_minute_and_then_any_second():
    """The opening takes calls in flight to end with their minute; one that outlived it, in a second."""
    window = Window(ModelLimits(TPM, 1))
    slot = let_in(window, 5, 100.0)
    assert window.opening(1, 110.0) == leaves_at(100.0)
    assert window.opening(1, 500.0) == 501.0
    assert window.used(500.0) == (1, 5)
    settle(window, slot, 7, 500.0)
    assert window.used(500.0) == (0, 0)


REPORTS = [
    (ObservedLimits(remaining_requests=1, reset_requests=10.0), 10, (3, 0), (0, 0)),
    (ObservedLimits(remaining_tokens=5), 60, (0, 15), (0, 0)),
    (ObservedLimits(remaining_tokens=-3, reset_tokens=1.0), 1, (0, 20), (0, 0)),
    (ObservedLimits(remaining_requests=100, remaining_tokens=100), 60, (0, 0), (0, 0)),
    (ObservedLimits(remaining_tokens=0, reset_tokens=1e12), MAX_CORRECTION_S, (0, 20), (0, 0)),
    (ObservedLimits(), 60, (0, 0), (0, 0)),
]


@pytest.mark.parametrize(("observed", "reset", "used", "after"), REPORTS)
def test_the_provider_lowers_what_is_left_and_never_raises_it(observed, reset, used, after):
    """What the provider says is left counts until its reset where it is less than ours."""
    window = Window(ModelLimits(TPM, RPM))
    Journal().commit(window.correcting(observed, 0.0))
    assert window.used(0.0) == used
    assert window.used(math.nextafter(float(reset), 0)) == used
    assert window.used(float(reset)) == after


def test_the_newest_report_counts():
    """A later report replaces an earlier one, and what we count ourselves is not counted twice."""
    window = Window(ModelLimits(TPM, RPM))
    let_in(window, 4, 0.0)
    Journal().commit(window.correcting(ObservedLimits(remaining_tokens=2, reset_tokens=30.0), 0.0))
    assert (window.left(0.0), window.opening(3, 0.0), window.next_change(0.0)) == (2, 30.0, 30.0)
    Journal().commit(window.correcting(ObservedLimits(remaining_tokens=11), 1.0))
    assert window.left(1.0) == 11


def test_what_was_in_flight_at_a_report_changes_nothing_about_it():
    """What settles for less, or leaves with its minute, frees nothing that the provider says is gone; what comes after does."""
    window = Window(ModelLimits(TPM, RPM))
    old = let_in(window, 15, 0.0)
    Journal().commit(window.correcting(ObservedLimits(2, 6, 300.0, 300.0), 0.0))
    settle(window, old, 1, 1.0)
    assert (window.left(1.0), window.opening(7, 1.0)) == (6, 300.0)
    new = let_in(window, 5, 2.0)
    assert (window.left(2.0), window.used(2.0)) == (1, (3, 19))
    settle(window, new, 2, 3.0)
    assert (window.left(3.0), window.left(70.0)) == (4, 4)
    refunded = let_in(window, 4, 71.0)
    assert (window.left(71.0), window.opening(0, 71.0)) == (-1, 300.0)
    settle(window, refunded, 0, 72.0, requests=0)
    assert (window.left(72.0), window.left(299.0), window.left(300.0)) == (4, 4, TPM)


@given(
    st.lists(STEPS, min_size=5, max_size=25),
    st.integers(0, TPM),
    st.integers(0, RPM),
    st.floats(1, 200),
    st.lists(STEPS, min_size=5, max_size=25),
)
def test_after_a_report_no_more_is_let_in_than_it_said(before, tokens, requests, reset, after):
    """Until its reset, what is let in after a report and not given back is at most what it said is left, and the limits hold."""
    window, now, flying = Window(ModelLimits(TPM, RPM)), 1000.0, []

    def play(steps, now, until):
        let = []
        for step in steps:
            match step:
                case ("let in", size) if window.left(now) >= size and now < until:
                    let.append([size, 1])
                    flying.append((let_in(window, size, now), let[-1]))
                case ("settle", used, kept) if flying:
                    slot, entry = flying.pop(0)
                    used = min(used, slot.tokens)
                    settle(window, slot, used, now, kept)
                    entry[:] = used, kept
                case ("pass", seconds):
                    now += seconds
        return let, now

    _, now = play(before, now, math.inf)
    Journal().commit(window.correcting(ObservedLimits(requests, tokens, reset, reset), now))
    let, _ = play(after, now, now + reset)
    assert sum(entry[0] for entry in let) <= tokens
    assert sum(entry[1] for entry in let) <= requests


@given(st.floats(0, 1e10), st.floats(0, 1e5))
def test_a_wait_is_rounded_up(now, ahead):
    """Adding the wait to the clock always reaches the moment."""
    at = now + ahead
    assert now + seconds_until(at, now) >= at


def test_a_moment_past_needs_no_wait():
    """There is nothing to wait for in the past."""
    assert seconds_until(1.0, 2.0) == 0.0
