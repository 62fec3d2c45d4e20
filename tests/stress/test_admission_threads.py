"""Many threads at once: limits are met exactly, and never passed."""

import gc
import random
import sys
import threading

import pytest
from interrupts import scaled

from omnillm.config import KeyConfig
from omnillm.errors import BudgetExceededError, NoAvailableKeyError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.policy.limits import Budget, PoolConfig
from omnillm.policy.pricing import PriceTable
from omnillm.state import Ask, KeySpec, Settlement, Verdict
from omnillm.state.memory import MemoryState
from omnillm.state.pool import KeyPool
from omnillm.testing import FakeClock, LocalProvider

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


def test_p02_no_window_admits_more_than_its_limit():
    """Eight threads that ask at once for the one place of a key: one has it, in every one of many rounds."""
    rounds = scaled(300, full=3_000)
    clock = FakeClock()
    pool = KeyPool(MemoryState({"p": [KeySpec("k", HUGE, 1)]}, clock=clock), "p", clock=clock)
    start, end = threading.Barrier(8, action=lambda: clock.advance(61)), threading.Barrier(8)
    admitted = []

    def work(_number):
        for turn in range(rounds):
            start.wait(60)
            try:
                lease = pool.acquire(Ask("p", "m", 1, 0))
            except NoAvailableKeyError:
                pass
            else:
                admitted.append(turn)
                pool.settle(lease, Settlement(1, 0))
            end.wait(60)

    at_once(8, work)
    assert admitted == list(range(rounds))


def test_p05_a_reservation_settles_exactly_once():
    """Whatever settles it from however many threads, and loses it besides, is charged once."""
    store = MemoryState({"p": [KeySpec("k", HUGE, HUGE)]}, budgets=[Budget(1.0)])
    pool = KeyPool(store, "p")
    leases = [pool.acquire(Ask("p", "m", 5, 7)) for _ in range(200)]
    firsts = []

    def work(_number):
        for lease in leases:
            if pool.settle(lease, Settlement(5, 7, Verdict.success(0.1))):
                firsts.append(lease)
            pool.release(lease)

    at_once(16, work)
    firsts.clear()
    leases.clear()
    gc.collect()
    snapshot = store.snapshot()
    assert (snapshot.held_requests, snapshot.budgets[0].reserved) == (0, 0)
    assert snapshot.spent == snapshot.budgets[0].used
    assert snapshot.spent % 7 == 0
    assert snapshot.spent <= 200 * 7
    assert snapshot.keys[0].rpm_used * 7 == snapshot.spent


def test_p07_a_refused_call_leaves_no_trace():
    """Calls that are refused for their key, their size, their money or their breaker send nothing and count nowhere."""
    with LocalProvider() as provider:
        builder = GatewayBuilder(provider.endpoint("chat_completions")).default_model("m")
        builder.add_key(KeyConfig("sk-1", "k1", rpm_limit=2))
        builder.pricing(PriceTable({"m": {"input": 1_000_000, "output": 1_000_000}}, unknown="zero")).budget_limit_usd(100)
        with builder.pool_config(PoolConfig(circuit_breaker_threshold=1)).build() as gateway:
            small = {"max_output_tokens": 1, "timeout": 5}
            gateway.call("a", **small)
            before = gateway.pool_status(), gateway.budget_used_usd(), provider.connections
            with pytest.raises(BudgetExceededError):
                gateway.call("a", max_output_tokens=1_000)
            with pytest.raises(NoAvailableKeyError, match="larger"):
                gateway.call("a", model="free", max_output_tokens=HUGE)
            assert (gateway.pool_status(), gateway.budget_used_usd(), provider.connections) == before
            gateway.call("a", **small)
            before = gateway.pool_status(), gateway.budget_used_usd(), len(provider.requests)
            with pytest.raises(NoAvailableKeyError) as caught:
                gateway.call("a", **small)
            assert caught.value.reason == "window"
            assert (gateway.pool_status(), gateway.budget_used_usd(), len(provider.requests)) == before
