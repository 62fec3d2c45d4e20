"""The retry allowance: at most a fifth of what is in flight, at least three, and nothing is lost with a ticket."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from omnillm.policy.retry import CallTicket, RetryAllowance


@pytest.mark.parametrize(("calls", "granted"), [(1, 1), (3, 3), (4, 3), (15, 3), (19, 3), (20, 4), (25, 5), (104, 20)])
def test_a_fifth_of_the_calls_may_retry_and_never_fewer_than_three(calls: int, granted: int) -> None:
    """The share is rounded down and has a floor of three."""
    allowance = RetryAllowance()
    tickets = [allowance.enter() for _ in range(calls)]
    assert sum(allowance.try_retry(ticket) for ticket in tickets) == granted
    assert allowance.retrying == granted


def test_a_call_that_retries_keeps_its_one_place() -> None:
    """Asking again is granted and takes nothing more."""
    allowance = RetryAllowance()
    ticket = allowance.enter()
    assert allowance.try_retry(ticket)
    assert allowance.try_retry(ticket)
    assert allowance.retrying == 1


def test_the_place_of_a_retry_that_was_answered_is_free_for_another() -> None:
    """An answer frees a place, however often it is told; a call that failed leaves none to its neighbours."""
    allowance = RetryAllowance()
    first, second, third, fourth = (allowance.enter() for _ in range(4))
    assert all(allowance.try_retry(ticket) for ticket in (first, second, third))
    assert not allowance.try_retry(fourth)
    allowance.end_retry(first)
    allowance.end_retry(first)
    assert allowance.try_retry(fourth)
    assert not allowance.try_retry(first)
    allowance.leave(second)
    allowance.leave(second)
    assert not allowance.try_retry(first)
    assert (allowance.in_flight, allowance.retrying) == (3, 2)


def test_when_all_have_left_the_allowance_is_whole() -> None:
    """Three calls that failed for good take nothing from those that come when they are gone."""
    allowance = RetryAllowance()
    for _ in range(5):
        tickets = [allowance.enter() for _ in range(3)]
        assert all(allowance.try_retry(ticket) for ticket in tickets * 4)
        for ticket in tickets:
            allowance.leave(ticket)


@pytest.mark.parametrize("calls", [20, 60, 200])
@pytest.mark.parametrize("at_a_time", [1, 7, 1_000])
def test_a_crowd_that_fails_adds_a_fifth(calls: int, at_a_time: int) -> None:
    """However the calls of a crowd fail, in turn or together, its retries are a fifth of it and three at most."""
    allowance = RetryAllowance()
    asking = [allowance.enter() for _ in range(calls)]
    tries, attempts = dict.fromkeys(asking, 1), calls
    while asking:
        for ticket in asking[:at_a_time]:
            if tries[ticket] < 3 and allowance.try_retry(ticket):
                tries[ticket] += 1
                attempts += 1
            else:
                asking.remove(ticket)
                allowance.leave(ticket)
    assert calls + calls // 5 <= attempts <= 1.2 * calls + 3


def test_a_long_good_time_saves_no_more_than_may_run_at_once() -> None:
    """After a thousand calls that went well a crowd of twenty may retry as one that comes at first; then a fifth of who comes."""
    allowance = RetryAllowance()
    crowd = [allowance.enter() for _ in range(20)]
    for _ in range(1_000):
        allowance.leave(allowance.enter())
    granted = [ticket for ticket in crowd if allowance.try_retry(ticket)]
    assert len(granted) == 4
    for ticket in granted:
        allowance.leave(ticket)
    assert not any(allowance.try_retry(ticket) for ticket in crowd)
    assert sum(allowance.try_retry(allowance.enter()) for _ in range(50)) == 10


def test_an_attempt_beside_another_counts_among_the_retries() -> None:
    """Hedges and retries share the places; a call has one hedge, and gives it back without giving up its retry."""
    allowance = RetryAllowance()
    first, second, third = (allowance.enter() for _ in range(3))
    assert allowance.try_retry(first)
    assert allowance.try_hedge(first)
    assert not allowance.try_hedge(first)
    assert allowance.try_hedge(second)
    assert (allowance.retrying, allowance.try_retry(third), allowance.try_hedge(third)) == (3, False, False)
    allowance.end_hedge(first)
    allowance.end_hedge(first)
    assert (allowance.retrying, allowance.try_retry(third)) == (2, True)
    allowance.leave(second)
    assert allowance.retrying == 2
    assert not allowance.try_hedge(CallTicket())


def test_a_call_that_left_may_not_retry() -> None:
    """A ticket that is not in flight has no share."""
    allowance = RetryAllowance()
    ticket = allowance.enter()
    allowance.leave(ticket)
    assert not allowance.try_retry(ticket)
    assert not allowance.try_retry(CallTicket())
    assert (allowance.in_flight, allowance.retrying) == (0, 0)


def test_a_lost_ticket_gives_back_what_it_held() -> None:
    """A call that ends without a word, in a reference cycle too, holds nothing after it was collected."""
    allowance = RetryAllowance()
    plain = allowance.enter()
    cycle: list[object] = [allowance.enter()]
    cycle.append(cycle)
    assert allowance.try_retry(plain)
    assert allowance.try_retry(cycle[0])  # type: ignore[arg-type]  # the ticket in the cycle
    del plain
    assert (allowance.in_flight, allowance.retrying) == (1, 1)
    del cycle
    gc.collect()
    assert (allowance.in_flight, allowance.retrying) == (0, 0)


def test_a_ticket_may_be_lost_while_the_lock_is_held() -> None:
    """The callback of a dying ticket takes no lock: a finaliser inside a critical section cannot hang."""
    allowance = RetryAllowance()
    ticket = allowance.enter()
    done = threading.Event()

    def lose() -> None:
        nonlocal ticket
        with allowance._lock:
            del ticket
        done.set()

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    assert done.wait(5)
    thread.join(5)
    assert allowance.in_flight == 0


def test_threads_never_exceed_the_share() -> None:
    """Under contention the retries at once stay within the share of the calls in flight, and all is given back."""
    allowance = RetryAllowance()
    held = [allowance.enter() for _ in range(20)]
    limit, workers, seen = 20 // 5 + 1, 8, []
    barrier = threading.Barrier(workers)

    def work() -> None:
        barrier.wait(5)
        for _ in range(300):
            ticket = allowance.enter()
            if allowance.try_retry(ticket):
                seen.append(allowance.retrying)
                allowance.end_retry(ticket)
            allowance.leave(ticket)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen
    assert max(seen) <= limit
    assert (allowance.in_flight, allowance.retrying) == (len(held), 0)


INDEX = st.integers(0, 40)


class AllowanceMachine(RuleBasedStateMachine):
    """Compare the allowance with sets of what is held, and count what a busy time spends."""

    def __init__(self) -> None:
        super().__init__()
        self.allowance = RetryAllowance()
        self.tickets: list[CallTicket] = []
        self.calls: set[int] = set()
        self.retries: set[int] = set()
        self.hedges: set[int] = set()
        self.entered = self.granted = 0

    @rule()
    def enter(self) -> None:
        if not self.calls:
            self.entered = self.granted = 0
        self.tickets.append(self.allowance.enter())
        self.calls.add(id(self.tickets[-1]))
        self.entered += 1

    @rule(index=INDEX)
    def try_retry(self, index: int) -> None:
        for ticket in self._pick(index):
            room, held = self._room(), id(ticket) in self.retries
            free = held and len(self.calls) <= 3
            if self.allowance.try_retry(ticket):
                assert free or (id(ticket) in self.calls and (held or room))
                self.granted += not free
                self.retries.add(id(ticket))
            else:
                assert not free

    @rule(index=INDEX)
    def try_hedge(self, index: int) -> None:
        for ticket in self._pick(index):
            room = self._room()
            if self.allowance.try_hedge(ticket):
                assert room
                assert id(ticket) in self.calls - self.hedges
                self.granted += 1
                self.hedges.add(id(ticket))

    @rule(index=INDEX)
    def end_retry(self, index: int) -> None:
        for ticket in self._pick(index):
            self.allowance.end_retry(ticket)
            self.retries.discard(id(ticket))
            self.granted = 0  # an answer gives back: what follows is a new count

    @rule(index=INDEX)
    def end_hedge(self, index: int) -> None:
        for ticket in self._pick(index):
            self.allowance.end_hedge(ticket)
            self.hedges.discard(id(ticket))
            self.granted = 0

    @rule(index=INDEX)
    def leave(self, index: int) -> None:
        for ticket in self._pick(index):
            self.allowance.leave(ticket)
            self._forget(id(ticket))

    @rule(index=INDEX)
    def lose(self, index: int) -> None:
        for ticket in self._pick(index):
            self._forget(id(ticket))
            self.tickets.remove(ticket)

    def _room(self) -> bool:
        return len(self.retries) + len(self.hedges) < max(3, len(self.calls) // 5)

    def _pick(self, index: int) -> list[CallTicket]:
        return [self.tickets[index % len(self.tickets)]] if self.tickets else []

    def _forget(self, identity: int) -> None:
        self.calls.discard(identity)
        self.retries.discard(identity)
        self.hedges.discard(identity)

    @invariant()
    def counts_are_memberships(self) -> None:
        assert self.allowance.in_flight == len(self.calls)
        assert self.allowance.retrying == len(self.retries) + len(self.hedges)

    @invariant()
    def retries_are_a_share(self) -> None:
        assert self.granted <= max(3, self.entered // 5)


TestAllowanceMachine = AllowanceMachine.TestCase


def test_a_reference_that_was_never_entered_is_passed_by():
    """An interrupt between the making of a reference and its entry leaves one in the queue that has no hash; it does no harm."""
    allowance, ticket = RetryAllowance(), CallTicket()
    stray = weakref.ref(ticket, allowance._lost.append)
    del ticket
    assert list(allowance._lost) == [stray]
    held = allowance.enter()
    assert (allowance.in_flight, list(allowance._lost)) == (1, [])
    allowance.leave(held)
