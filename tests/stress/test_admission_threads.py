"""Many threads at once: limits are met exactly, and never passed."""

import gc
import random
import sys
import threading

import pytest

from omnillm.errors import BudgetExceededError, NoAvailableKeyError
from omnillm.policy.limits import Budget, PoolConfig
from omnillm.state import Ask, KeySpec, Settlement, Verdict
from omnillm.state.memory import MemoryState
from omnillm.state.pool import KeyPool

pytestmark = pytest.mark.stress

THREADS, ASKS = 64, 2_000
HUGE = 10**12


@pytest.fixture(autouse=True)
def shortest_switches():
    """Let threads take turns as often as they can: without it such a test proves nothing."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(count, work):
    gate, failed = threading.Barrier(count), []

    def body(number):
        try:
            gate.wait()
            work(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=body, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed


@pytest.mark.parametrize("selection", ["random", "least_loaded", "latency"])
def test_five_keys_admit_exactly_what_they_may(selection):
    """64 threads asking 2 000 times of 5 keys with 50 requests a minute get exactly 250, and nothing is held afterwards."""
    specs = [KeySpec(f"k{number}", HUGE, 50) for number in range(5)]
    pool = KeyPool(store := MemoryState({"p": specs}, pool_config=PoolConfig(selection=selection)), "p")
    admitted, refused = [], set()

    def work(number):
        for turn in range(number, ASKS, THREADS):
            try:
                lease = pool.acquire(Ask("p", "m", 10, 0))
            except NoAvailableKeyError as error:
                refused.add((error.reason, 0 < error.retry_after < 60.1))
                continue
            admitted.append(lease.label)
            if turn % 3:
                pool.settle(lease, Settlement(8, 0, Verdict.success(0.01)))
            else:
                lease.reservation.sent = "yes"  # lost: what it took stays taken
            del lease

    at_once(THREADS, work)
    gc.collect()
    assert len(admitted) == 250
    assert refused == {("window", True)}
    snapshot = store.snapshot()
    assert snapshot.held_requests == snapshot.held_tokens == 0
    assert [key.rpm_used for key in snapshot.keys] == [50] * 5


def test_a_dollar_is_a_dollar():
    """Under the same load a budget of $1 is never passed, and is used to its last cent."""
    pool = KeyPool(store := MemoryState({"p": [KeySpec("k", HUGE, HUGE)]}, budgets=[Budget(1.0)]), "p")
    cent, seen, refused = 10**10, [], []

    def work(number):
        rng = random.Random(number)
        for _ in range(ASKS // THREADS):
            try:
                lease = pool.acquire(Ask("p", "m", 1, 3 * cent))
            except BudgetExceededError as error:
                refused.append(error.used_usd + error.reserved_usd)
                continue
            budget = store.snapshot().budgets[0]
            seen.append(budget.used + budget.reserved)
            pool.settle(lease, Settlement(1, rng.choice([0, cent, 3 * cent])))

    at_once(THREADS, work)
    assert max(refused) <= 1.0
    assert max(seen) <= 100 * cent
    budget = store.snapshot().budgets[0]
    assert budget.reserved == 0
    assert 97 * cent < budget.used <= 100 * cent


def test_one_trial_at_the_instant_of_half_open():
    """Fifty threads at a breaker whose time is over start one trial; when that is lost, the key waits again."""
    store = MemoryState(
        {"p": [KeySpec("k", HUGE, HUGE)]}, pool_config=PoolConfig(circuit_breaker_threshold=1, circuit_breaker_cooldown=0.05)
    )
    pool = KeyPool(store, "p")
    pool.settle(pool.acquire(Ask("p", "m", 1, 0)), Settlement(1, 0, Verdict.failure()))
    patient, trials, refused = KeyPool(store, "p", acquire_timeout=5.0), [], []
    trials.append(patient.acquire(Ask("p", "m", 1, 0)))

    def work(_number):
        try:
            trials.append(pool.acquire(Ask("p", "m", 1, 0)))
        except NoAvailableKeyError as error:
            refused.append(error.reason)

    at_once(50, work)
    assert [lease.reservation.trial for lease in trials] == [True]
    assert set(refused) == {"breaker"}
    trials.clear()
    assert store.snapshot().keys[0].reason == "breaker"
