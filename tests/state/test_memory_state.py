"""The memory store: what it admits and refuses, what it tells, and what a fork or a signal handler may do to it."""

import os
import random
import signal
import threading

import pytest

from omnillm.errors import ConfigurationError, StateUnavailableError
from omnillm.policy.hints import ObservedLimits
from omnillm.policy.ledger import LeaseRef
from omnillm.policy.limits import Budget, ModelLimits, PoolConfig
from omnillm.state import Ask, KeyLease, KeySpec, Refusal, Settlement, Verdict
from omnillm.state.memory import MemoryState
from omnillm.testing.clock import FakeClock

HUGE = 10**9


def store_of(*specs, clock=None, config=None, budgets=()):
    return MemoryState({"p": specs}, pool_config=config, budgets=budgets, clock=clock or FakeClock(), rng=random.Random(1))


def ask(tokens=1, charge=0, model="m", **parts):
    return Ask("p", model, tokens, charge, **parts)


def settle(store, lease, verdict, tokens=1, charge=0):
    return store.settle(lease.reservation.id, Settlement(tokens, charge, verdict))


@pytest.mark.parametrize(
    "make",
    [
        lambda: KeySpec("", 1, 1),
        lambda: KeySpec("k", 0, 1),
        lambda: KeySpec("k", 1, -1),
        lambda: Ask("p", "m", -1, 0),
        lambda: Ask("p", "m", 0, 1.5),
        lambda: store_of(KeySpec("k", 1, 1), KeySpec("k", 2, 2)),
        lambda: store_of(KeySpec("k", 1, 1)).add_pool("p", []),
        lambda: store_of(KeySpec("k", 1, 1)).admit(Ask("q", "m", 1, 0)),
        lambda: store_of(KeySpec("k", 1, 1)).report("p", "x", "m", ObservedLimits()),
        lambda: store_of(KeySpec("k", 1, 1)).revive("x"),
    ],
)
def test_what_was_never_configured_is_refused(make):
    """A wrong value, and a pool or key that nobody configured, is a configuration error."""
    with pytest.raises(ConfigurationError):
        make()


def test_many_parkings_keep_the_roster_small():
    """A key that is parked and woken a thousand times leaves no trail behind."""
    clock = FakeClock()
    store = store_of(KeySpec("k", 10, HUGE), clock=clock)
    for _ in range(1_000):
        lease = store.admit(ask(tokens=10))
        assert isinstance(store.admit(ask(tokens=10)), Refusal)
        store.release(lease.reservation.id)
    roster = store._pools["p"].rosters[None]
    assert len(roster.parked) < 100
    assert isinstance(store.admit(ask(tokens=10)), KeyLease)


def test_refused_models_leave_little_behind():
    """Any number of model names that a provider refuses costs neither rosters nor memory; the key takes every other model."""
    store = store_of(KeySpec("a", HUGE, HUGE), KeySpec("b", HUGE, HUGE))
    for number in range(200):
        settle(store, store.admit(ask(model=f"no-{number}")), Verdict.set_aside(3600.0 + number, per_model=True))
    pool = store._pools["p"]
    assert (list(pool.rosters), len(pool.aside)) == ([None], 200)
    assert {store.queue("p", "no-1"), store.queue("p", "m")} == {"no-1", None}
    label = store.admit(ask(model="no-1")).label
    settle(store, store.admit(ask(model="no-1")), Verdict.set_aside(50.0, per_model=True))
    assert store.admit(ask(model="no-1")) == Refusal("cooling", 50.0)
    assert store.admit(ask(model="no-1", exclude=frozenset(label))) == Refusal("cooling", 3601.0)
    assert isinstance(store.admit(ask()), KeyLease)


def test_a_call_of_a_forgotten_account_is_charged_all_the_same():
    """What a free call costs after all is spent, though its tenant's account was forgotten meanwhile."""
    store = store_of(KeySpec("k", HUGE, HUGE), budgets=[Budget(1, scope="tenant")])
    lease = store.admit(ask(tenant="first"))
    for number in range(3_000):
        store.release(store.admit(ask(tenant=f"t{number}")).reservation.id)
    assert len(store.snapshot().budgets) < 3_000
    settle(store, lease, Verdict.success(), charge=7)
    assert [status.subject for status in store.snapshot().budgets if status.used == 7] == ["first"]


def test_a_pool_and_budgets_are_shared_by_who_configures_them_alike():
    """The same pool and budgets again are those that are there; anything else is refused, and how long callers wait is theirs."""
    store = MemoryState(clock=FakeClock())
    specs, budgets = [KeySpec("a", 10, 9, {"m": ModelLimits(5, 5)}), KeySpec("b", 10, 9)], [Budget(1.0), Budget(2, scope="key")]
    store.add_budgets(budgets)
    store.add_pool("p", specs, config=PoolConfig(circuit_breaker_threshold=2))
    lease = store.admit(ask(charge=3))
    store.add_budgets(tuple(budgets))
    store.add_pool("p", specs[::-1], config=PoolConfig(circuit_breaker_threshold=2, acquire_timeout=5, default_output_tokens=9))
    assert [(status.scope, status.reserved) for status in store.snapshot().budgets] == [("gateway", 3), ("key", 3)]
    assert store.release(lease.reservation.id)
    for differing in (
        lambda: store.add_pool("p", specs, config=PoolConfig(circuit_breaker_threshold=3)),
        lambda: store.add_pool("p", specs[:1], config=PoolConfig(circuit_breaker_threshold=2)),
        lambda: store.add_budgets([]),
        lambda: store.add_budgets([Budget(2.0)]),
        lambda: store_of(budgets=[Budget(1.0)]).add_budgets([]),
    ):
        with pytest.raises(ConfigurationError):
            differing()


def test_an_operation_that_was_cut_short_is_finished_by_the_next():
    """An exception in the middle of an operation leaves nothing half done."""

    class Cut(BaseException):
        pass

    class Treacherous(FakeClock):
        cut = False

        def monotonic(self):
            if self.cut:
                self.cut = False
                raise Cut
            return super().monotonic()

    clock = Treacherous()
    store = store_of(KeySpec("k", 10, 9), clock=clock)
    lease = store.admit(ask(tokens=10))
    assert isinstance(store.admit(ask(tokens=1)), Refusal)
    clock.cut = True
    with pytest.raises(Cut):
        store.release(lease.reservation.id)
    assert store.snapshot().held_requests == 1
    assert store.release(lease.reservation.id)
    assert isinstance(store.admit(ask(tokens=10)), KeyLease)


def test_who_comes_back_into_an_operation_is_refused_not_deadlocked():
    """Code that a signal handler or finaliser runs in the middle of an operation of its own thread gets an error."""
    caught = []

    class Reentrant(FakeClock):
        armed = False

        def monotonic(self):
            if self.armed:
                self.armed = False
                try:
                    store.admit(ask())
                except StateUnavailableError as error:
                    caught.append(error.sent)
            return super().monotonic()

    clock = Reentrant()
    store = store_of(KeySpec("k", 10, 9), clock=clock)
    clock.armed = True
    assert isinstance(store.admit(ask()), KeyLease)
    assert caught == ["no"]
    assert store.snapshot().held_requests == 0


def test_after_a_fork_nothing_is_in_flight_and_what_was_spent_is():
    """What the parent's calls hold is given back in the child; their leases mean nothing to it, and what was spent stays."""
    store = store_of(KeySpec("k", 10, 9), budgets=[Budget(1)])
    settle(store, store.admit(ask(tokens=2)), Verdict.success(), tokens=2, charge=5)
    lost, lease = store.admit(ask(tokens=3, charge=3)), store.admit(ask(tokens=5, charge=3))
    lost.reservation.sent = "yes"
    del lost
    store.after_fork()
    snapshot = store.snapshot()
    assert (snapshot.held_requests, snapshot.spent, snapshot.budgets[0].reserved, snapshot.keys[0].tpm_used) == (0, 5, 0, 2)
    assert not settle(store, lease, Verdict.success())
    assert store.admit(ask()).reservation.id != lease.reservation.id


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_begins_with_nothing_in_flight():
    """A child forked while another thread holds the lock has its own: what was spent is spent, what is held is the parent's."""
    store = store_of(KeySpec("k", 10, 9), budgets=[Budget(1)])
    settle(store, store.admit(ask(tokens=2, charge=5)), Verdict.success(), tokens=2, charge=5)
    lease = store.admit(ask(tokens=5, charge=3))
    held, done = threading.Event(), threading.Event()

    def hold():
        with store._lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        signal.alarm(5)
        store.after_fork()
        snapshot, again = store.snapshot(), store.settle(lease.reservation.id, Settlement(1, 1))
        other = store.admit(ask())
        right = (snapshot.held_requests, snapshot.spent, snapshot.budgets[0].reserved, snapshot.keys[0].tpm_used, again) == (
            0,
            5,
            0,
            2,
            False,
        )
        os._exit(0 if right and other.reservation.id != lease.reservation.id else 1)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.snapshot().held_requests == 1
    assert settle(store, lease, Verdict.success())


def test_a_lease_whose_making_was_cut_short_does_no_harm():
    """A reference that an interrupt left without its reservation is passed by, and the store works on."""
    store = MemoryState({"p": [KeySpec("k", 10, 10)]})
    lease = KeyLease(store.admit(Ask("p", "m", 1, 0)).reservation)
    stray = LeaseRef(lease, store._ledger.lost.append)
    del lease
    assert stray in store._ledger.lost
    assert store.snapshot().held_requests == 0
    assert not store._ledger.lost
