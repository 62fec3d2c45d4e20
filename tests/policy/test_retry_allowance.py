"""The retry allowance: at most a fifth of what is in flight, at least three, and nothing is lost with a ticket."""

from __future__ import annotations

import gc
import threading

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


def test_a_place_that_is_given_back_is_free_for_another() -> None:
    """The end of a retry, and the end of a call, free a place, however often they are told."""
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
    assert allowance.try_retry(first)
    assert (allowance.in_flight, allowance.retrying) == (3, 3)


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
    """Compare the allowance with two sets."""

    def __init__(self) -> None:
        super().__init__()
        self.allowance = RetryAllowance()
        self.tickets: list[CallTicket] = []
        self.calls: set[int] = set()
        self.retries: set[int] = set()

    @rule()
    def enter(self) -> None:
        self.tickets.append(self.allowance.enter())
        self.calls.add(id(self.tickets[-1]))

    @rule(index=INDEX)
    def try_retry(self, index: int) -> None:
        for ticket in self._pick(index):
            room = len(self.retries) < max(3, len(self.calls) // 5)
            expected = id(ticket) in self.retries or (id(ticket) in self.calls and room)
            assert self.allowance.try_retry(ticket) is expected
            if expected:
                self.retries.add(id(ticket))

    @rule(index=INDEX)
    def end_retry(self, index: int) -> None:
        for ticket in self._pick(index):
            self.allowance.end_retry(ticket)
            self.retries.discard(id(ticket))

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

    def _pick(self, index: int) -> list[CallTicket]:
        return [self.tickets[index % len(self.tickets)]] if self.tickets else []

    def _forget(self, identity: int) -> None:
        self.calls.discard(identity)
        self.retries.discard(identity)

    @invariant()
    def counts_are_memberships(self) -> None:
        assert self.allowance.in_flight == len(self.calls)
        assert self.allowance.retrying == len(self.retries)


TestAllowanceMachine = AllowanceMachine.TestCase
