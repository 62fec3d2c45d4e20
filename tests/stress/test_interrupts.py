"""Asynchronous exceptions between any two bytecodes: neither quota nor money is lost."""

import gc

import pytest
from interrupts import hammer, only_the_loop, scaled, skipped_when_traced

from omnillm.policy.limits import Budget, PoolConfig
from omnillm.state import Ask, KeyLease, KeySpec, Settlement, Verdict
from omnillm.state.memory import MemoryState
from omnillm.state.pool import KeyPool

pytestmark = [pytest.mark.stress, skipped_when_traced, pytest.mark.usefixtures("only_the_loop")]
_ = only_the_loop

INTERRUPTS = scaled(400)
HUGE = 10**12


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
def test_p01_quota_is_always_returned(use):
    """However a lease is used, once its owners are gone nothing is held or reserved, and every sum is what the ledger says."""
    store = MemoryState(
        {"p": [KeySpec("a", HUGE, HUGE), KeySpec("b", HUGE, HUGE)]}, budgets=[Budget(1.0), Budget(1.0, scope="key")]
    )
    counts = {"sent": 0}
    landed = hammer(use(KeyPool(store, "p"), Ask("p", "m", 7, 3), counts), interrupts=INTERRUPTS)
    assert landed >= INTERRUPTS
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
    assert hammer(lambda: pool.acquire(Ask("p", "m", 1, 0)), interrupts=30) >= 30
    pool.release(lease)
    gc.collect()
    assert pool.acquire(Ask("p", "m", 1, 0)).label == "a"
