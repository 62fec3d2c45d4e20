"""The key pool: errors for refusals, waiting in order, and what ends a wait."""

import gc
import math
import random
import threading
import time
import weakref

import pytest

from omnillm._cancel import CancellationToken
from omnillm._clock import Deadline
from omnillm.errors import (
    BudgetExceededError,
    CallCancelledError,
    ClosedError,
    DeadlineExceededError,
    NoAvailableKeyError,
)
from omnillm.policy.limits import Budget, ModelLimits
from omnillm.state import Ask, KeySpec, Settlement, Verdict
from omnillm.state.memory import MemoryState
from omnillm.state.pool import KeyPool, Place, Waiter
from omnillm.testing.clock import FakeClock

PATIENCE = 100.0


def pool_of(*specs, clock=None, patience=0.0, budgets=()):
    clock = clock or FakeClock()
    store = MemoryState({"p": specs or [KeySpec("k", 10, 1)]}, budgets=budgets, clock=clock, rng=random.Random(1))
    return KeyPool(store, "p", clock=clock, acquire_timeout=patience)


def ask(tokens=1, charge=0, **parts):
    return Ask("p", "m", tokens, charge, **parts)


class Waiters:
    """Threads that wait for a key, one after the other, and note who got one."""

    def __init__(self, pool, clock):
        self.pool, self.clock = pool, clock
        self.got, self.failed, self.threads, self.changed = [], [], [], threading.Condition()

    def add(self, name, asked=None, **options):
        def work():
            try:
                entry = (name, self.pool.acquire(asked or ask(), **options))
                kept = self.got
            except BaseException as error:
                entry, kept = (name, error), self.failed
            with self.changed:
                kept.append(entry)
                self.changed.notify_all()

        self.threads.append(threading.Thread(target=work, daemon=True))
        self.threads[-1].start()
        self.clock.await_sleepers(sum(thread.is_alive() for thread in self.threads))

    def rest(self):
        """Wait, in real time, until who still waits is back on the clock."""
        while len(self.got) + len(self.failed) < len(self.threads) and not self.clock._sleepers:
            threading.Event().wait(0.001)

    def until(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.got) + len(self.failed) >= count, 10)

    def names(self):
        return [name for name, _ in self.got]


def test_without_patience_a_refusal_is_an_error_at_once():
    """The error has the reason, and the time after which the same request is admitted."""
    clock = FakeClock()
    pool = pool_of(clock=clock)
    pool.settle(pool.acquire(ask()), Settlement(1, 0))
    with pytest.raises(NoAvailableKeyError) as caught:
        pool.acquire(ask())
    assert (caught.value.reason, caught.value.sent) == ("window", "no")
    assert caught.value.retry_after == pytest.approx(60.0)
    clock.advance(caught.value.retry_after)
    assert pool.acquire(ask()).label == "k"


def test_a_request_too_large_is_refused_for_good():
    """A request above every limit fails at once, patience or not, with no time to come back."""
    with pytest.raises(NoAvailableKeyError) as caught:
        pool_of(patience=PATIENCE).acquire(ask(11))
    assert (caught.value.reason, caught.value.retry_after) == ("too_large", None)


def test_money_is_not_waited_for():
    """A budget without room is an error at once, in USD, patience or not."""
    pool = pool_of(patience=PATIENCE, budgets=[Budget(2.0, scope="tenant")])
    with pytest.raises(BudgetExceededError) as caught:
        pool.acquire(ask(charge=5 * 10**12))
    error = caught.value
    assert (error.scope, error.limit_usd, error.used_usd, error.reserved_usd, error.needed_usd) == ("tenant", 2.0, 0.0, 0.0, 5.0)
    assert (error.resets_at, error.retry_after, str(error)) == (
        None,
        None,
        "the tenant budget of $2 has no room for $5: $0 is spent and $0 reserved",
    )


def test_a_lease_is_settled_and_released_once():
    """Of any number of endings the first counts."""
    pool = pool_of(KeySpec("k", 10, 9))
    lease = pool.acquire(ask())
    assert [pool.settle(lease, Settlement(1, 0)), pool.settle(lease, Settlement(1, 0)), pool.release(lease)] == [
        True,
        False,
        False,
    ]


def test_those_who_wait_are_served_in_the_order_they_came():
    """Ten waiters get the key in the order of their coming, each as the one before gives it back."""
    clock = FakeClock()
    pool = pool_of(clock=clock, patience=PATIENCE)
    first, waiters = pool.acquire(ask()), Waiters(pool, clock)
    for name in range(10):
        waiters.add(name)
    pool.release(first)
    for count in range(1, 11):
        waiters.until(count)
        pool.release(waiters.got[-1][1])
    assert waiters.names() == list(range(10))
    assert not waiters.failed


def test_nobody_overtakes_a_large_request_that_waits():
    """A small request that would fit waits behind a large one that does not; one that can never fit is refused at once."""
    clock = FakeClock()
    pool = pool_of(KeySpec("k", 10, 99), clock=clock, patience=PATIENCE)
    first, waiters = pool.acquire(ask(5)), Waiters(pool, clock)
    waiters.add("large", ask(8))
    waiters.add("small", ask(1))
    with pytest.raises(NoAvailableKeyError) as caught:
        pool.acquire(ask(11))
    assert caught.value.reason == "too_large"
    pool.settle(first, Settlement(1, 0))
    waiters.until(2)
    assert waiters.names() == ["large", "small"]


OWN = {"special": ModelLimits(10, 9)}


@pytest.mark.parametrize(("waiting", "coming"), [("m", "special"), ("special", "m"), ("special", "rare")])
def test_who_waits_for_one_models_limits_holds_up_nobody_elses(waiting, coming):
    """A call of a model with limits of its own goes by those who wait for other limits, and they by its waiters."""
    clock = FakeClock()
    pool = pool_of(KeySpec("k", 10, 9, {**OWN, "rare": ModelLimits(10, 9)}), clock=clock, patience=PATIENCE)
    lease, waiters = pool.acquire(Ask("p", waiting, 9, 0)), Waiters(pool, clock)
    waiters.add("waiter", Ask("p", waiting, 5, 0))
    assert pool.release(pool.acquire(Ask("p", coming, 10, 0)))
    pool.release(lease)
    waiters.until(1)
    assert waiters.names() == ["waiter"]


def test_every_queue_is_woken():
    """What is given back wakes the first of each queue, whoever came before in another one."""
    clock = FakeClock()
    pool = pool_of(KeySpec("k", 10, 9, OWN), clock=clock, patience=PATIENCE)
    plain, special, waiters = pool.acquire(ask(9)), pool.acquire(Ask("p", "special", 9, 0)), Waiters(pool, clock)
    waiters.add("plain", ask(5))
    waiters.add("special", Ask("p", "special", 5, 0))
    pool.release(special)
    waiters.until(1)
    pool.release(plain)
    waiters.until(2)
    assert waiters.names() == ["special", "plain"]
    assert clock.monotonic() == 1_000.0


def test_a_waiter_that_cannot_use_a_key_keeps_nobody_from_it():
    """Who waits for another key, for having tried this one or for its model being refused there, leaves this one to the rest."""
    clock = FakeClock()
    pool = pool_of(KeySpec("a", 10, 9), KeySpec("b", 10, 9), clock=clock, patience=PATIENCE)
    held, waiters = pool.acquire(ask(8, exclude=frozenset("a"))), Waiters(pool, clock)
    refused = pool.acquire(Ask("p", "refused", 1, 0, exclude=frozenset("b")))
    pool.settle(refused, Settlement(0, 0, Verdict.set_aside(per_model=True)))
    waiters.add("tried", ask(5, exclude=frozenset("a")))
    waiters.add("refused", Ask("p", "refused", 5, 0))
    assert pool.acquire(ask(5)).label == "a"
    pool.release(held)
    waiters.until(2)
    assert sorted(waiters.names()) == ["refused", "tried"]  # both are free to go: in which order is the threads' affair


def test_time_alone_brings_a_key_back():
    """A waiter is served as soon as the window lets it, without anything being settled."""
    clock = FakeClock()
    pool = pool_of(clock=clock, patience=PATIENCE)
    pool.settle(pool.acquire(ask()), Settlement(1, 0))
    waiters = Waiters(pool, clock)
    waiters.add("waiter")
    for _ in range(4):
        clock.advance(20.0)
        waiters.rest()
    waiters.until(1)
    assert 1_060.0 <= clock.monotonic() <= 1_100.0


def test_a_dropped_lease_is_noticed_by_who_waits():
    """Nobody need say that a lease is gone."""
    clock = FakeClock()
    pool = pool_of(clock=clock, patience=PATIENCE)
    first, waiters = pool.acquire(ask()), Waiters(pool, clock)
    waiters.add("waiter")
    del first
    gc.collect(0)
    clock.advance(0.05)
    waiters.until(1)
    assert waiters.names() == ["waiter"]


def test_patience_ends():
    """After the time to wait, whoever stands first or behind is told what the store says."""
    clock = FakeClock()
    pool = pool_of(KeySpec("k", 10, 99), clock=clock, patience=1.0)
    lease, waiters = pool.acquire(ask(5)), Waiters(pool, clock)
    waiters.add("large", ask(8))
    waiters.add("small", ask(1))
    while len(waiters.failed) + len(waiters.got) < 2:
        clock.advance(0.5)
    outcome = dict(waiters.failed + waiters.got)
    assert isinstance(outcome["large"], NoAvailableKeyError)
    assert outcome["large"].reason == "window"
    assert pool.release(lease)


def test_a_deadline_ends_a_wait_and_a_call_that_comes_too_late():
    """The caller's deadline is never passed, and the error says that it was at admission."""
    clock = FakeClock()
    pool = pool_of(clock=clock, patience=PATIENCE)
    lease, waiters = pool.acquire(ask()), Waiters(pool, clock)
    deadline = Deadline.after(2.0, clock)
    waiters.add("waiter", deadline=deadline)
    while not waiters.failed:
        clock.advance(0.5)
    with pytest.raises(DeadlineExceededError) as late:
        pool.acquire(ask(), deadline=deadline)
    for error in (waiters.failed[0][1], late.value):
        assert (type(error), error.phase, error.sent) == (DeadlineExceededError, "admission", "no")
    assert pool.release(lease)


def test_cancelling_ends_a_wait_without_time():
    """A token ends the wait at once, leaves the queue to the others, and refuses a call that comes after."""
    clock, token = FakeClock(), CancellationToken()
    pool = pool_of(clock=clock, patience=PATIENCE)
    lease, waiters = pool.acquire(ask()), Waiters(pool, clock)
    waiters.add("cancelled", cancel=token)
    waiters.add("patient", cancel=CancellationToken())
    token.cancel()
    waiters.until(1)
    assert isinstance(waiters.failed[0][1], CallCancelledError)
    pool.release(lease)
    waiters.until(2)
    assert waiters.names() == ["patient"]
    with pytest.raises(CallCancelledError):
        pool.acquire(ask(), cancel=token)


def test_closing_ends_every_wait():
    """Closing, any number of times, ends all waits at once; what is held may still be settled."""
    clock = FakeClock()
    pool = pool_of(clock=clock, patience=math.inf)
    lease, waiters = pool.acquire(ask()), Waiters(pool, clock)
    for name in range(3):
        waiters.add(name)
    pool.close()
    pool.close()
    waiters.until(3)
    assert {type(error) for _, error in waiters.failed} == {ClosedError}
    assert clock.monotonic() == 1_000.0
    with pytest.raises(ClosedError):
        pool.acquire(ask())
    assert pool.settle(lease, Settlement(1, 0))


def test_a_waiter_that_dies_leaves_the_queue():
    """A wait that an exception ends, whatever its kind, holds up nobody."""

    class Dying(FakeClock):
        def wait(self, event, timeout):
            raise KeyboardInterrupt

    pool = pool_of(clock=Dying(), patience=PATIENCE)
    lease = pool.acquire(ask())
    with pytest.raises(KeyboardInterrupt):
        pool.acquire(ask())
    pool.release(lease)
    assert pool.acquire(ask()).label == "k"


def test_a_waiter_whose_leaving_was_cut_short_is_passed_by():
    """A waiter still in the queue whose frame is gone keeps nobody waiting."""
    pool = pool_of(KeySpec("k", 10, 9), patience=PATIENCE)
    lost = Waiter(Place(None, "m", frozenset()))
    pool._waiting[-1] = weakref.ref(lost)
    del lost
    pool.close()
    pool._closed = False
    assert pool.acquire(ask()).label == "k"
    assert not pool._waiting


def test_the_child_of_a_fork_forgets_the_parents_waiters():
    """In the child nobody waits: the parent's threads are not there."""
    clock = FakeClock()
    pool = pool_of(KeySpec("k", 10, 1), clock=clock, patience=PATIENCE)
    lease, waiters = pool.acquire(ask()), Waiters(pool, clock)
    waiters.add("the parent's")
    queue = pool._waiting
    pool.after_fork()
    assert not pool._waiting
    pool._waiting = queue
    pool.release(lease)
    waiters.until(1)


def test_a_real_waiter_wakes_soon_after_a_lease_is_dropped():
    """On the machine's own clock a waiter notices within a fraction of a second what made no sound."""
    store = MemoryState({"p": [KeySpec("k", 10, 1)]})
    pool = KeyPool(store, "p", acquire_timeout=10.0)
    first, got = pool.acquire(ask()), []
    thread = threading.Thread(target=lambda: got.append((pool.acquire(ask()), time.monotonic())))
    thread.start()
    while not pool._waiting:
        pass
    dropped = time.monotonic()
    del first
    thread.join(5)
    assert got
    assert got[0][1] - dropped < 1.0
