"""Asynchronous exceptions between any two bytecodes: neither quota nor money is lost."""

import ctypes
import gc
import random
import sys
import threading
import time

import pytest

from omnillm.policy.limits import Budget, PoolConfig
from omnillm.state import Ask, KeyLease, KeySpec, Settlement, Verdict
from omnillm.state.memory import MemoryState
from omnillm.state.pool import KeyPool

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(sys.gettrace() is not None, reason="interrupts leave the tracer's own locks locked"),
]

INTERRUPTS = 300
HUGE = 10**12


class Cut(BaseException):
    """What is injected."""


@pytest.fixture(autouse=True)
def nothing_else_to_interrupt(monkeypatch):
    """Let threads take turns often, and keep others' collection callbacks, and reports that keep frames alive, out of it."""
    before, callbacks = sys.getswitchinterval(), gc.callbacks[:]
    sys.setswitchinterval(1e-5)
    gc.callbacks.clear()
    monkeypatch.setattr(sys, "unraisablehook", bool)  # of C, so that it cannot be interrupted either
    yield
    gc.callbacks[:] = callbacks
    sys.setswitchinterval(before)


def hammer(loop, *, interrupts=INTERRUPTS, seed=1):
    """Run the loop in a thread, injecting exceptions at random moments; give how many landed."""
    inject, rng, stop, landed = ctypes.pythonapi.PyThreadState_SetAsyncExc, random.Random(seed), threading.Event(), []

    def body():
        while not stop.is_set():
            try:
                while not stop.is_set():
                    try:
                        while not stop.is_set():
                            loop()
                    except Cut:
                        landed.append(1)
            except Cut:
                landed.append(1)

    def guarded():
        try:
            body()
        except Cut:
            landed.append(1)

    threads = []
    for _ in range(interrupts):
        if not threads or not threads[-1].is_alive():
            threads.append(threading.Thread(target=guarded, daemon=True))
            threads[-1].start()
        time.sleep(rng.random() * 0.0005)
        inject(ctypes.c_ulong(threads[-1].ident), ctypes.py_object(Cut))
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "the worker hangs"
    return len(landed)


def with_settlement(pool, ask, counts):
    def loop():
        lease = pool.acquire(ask)
        lease.reservation.observed_charge = 3
        lease.reservation.sent = "yes"
        counts["sent"] += 1
        pool.settle(lease, Settlement(5, 3, Verdict.success(0.1)))

    return loop


def with_release(pool, ask, counts):
    def loop():
        pool.release(pool.acquire(ask))

    return loop


def dropping(pool, ask, counts):
    def loop():
        pool.acquire(ask)

    return loop


def in_cycles(pool, ask, counts):
    def loop():
        knot = [pool.acquire(ask)]
        knot.append(knot)

    return loop


@pytest.mark.parametrize("use", [with_settlement, with_release, dropping, in_cycles])
def test_nothing_is_lost_to_interrupts(use):
    """However a lease is used, once its owners are gone nothing is held or reserved, and every sum is what the ledger says."""
    store = MemoryState(
        {"p": [KeySpec("a", HUGE, HUGE), KeySpec("b", HUGE, HUGE)]}, budgets=[Budget(1.0), Budget(1.0, scope="key")]
    )
    counts = {"sent": 0}
    landed = hammer(use(KeyPool(store, "p"), Ask("p", "m", 7, 3), counts))
    assert landed > INTERRUPTS / 10
    gc.collect()
    snapshot = store.snapshot()
    assert (snapshot.held_requests, snapshot.held_tokens) == (0, 0)
    assert all(budget.reserved == 0 for budget in snapshot.budgets)
    assert sum(budget.used for budget in snapshot.budgets if budget.scope == "key") == snapshot.spent
    # one call may have been cut between being sent and being counted, or counted twice over, for each interrupt
    assert abs(snapshot.spent - 3 * counts["sent"]) <= 3 * landed
    requests = sum(key.rpm_used for key in snapshot.keys)
    assert 3 * requests == snapshot.spent, "what was sent has its place in the window, what was not gave it back"


def test_a_waiter_that_is_interrupted_leaves_the_queue():
    """Threads interrupted while they wait keep nobody waiting after them."""
    store = MemoryState({"p": [KeySpec("a", HUGE, 1)]}, pool_config=PoolConfig(acquire_timeout=60.0))
    pool = KeyPool(store, "p", acquire_timeout=60.0)
    lease = pool.acquire(Ask("p", "m", 1, 0))
    assert isinstance(lease, KeyLease)
    assert hammer(lambda: pool.acquire(Ask("p", "m", 1, 0)), interrupts=60)
    pool.release(lease)
    gc.collect()
    assert pool.acquire(Ask("p", "m", 1, 0)).label == "a"
