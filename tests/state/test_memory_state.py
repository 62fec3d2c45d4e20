"""The memory store: what it admits and refuses, what it tells, and what a fork or a signal handler may do to it."""

import gc
import math
import os
import random
import signal
import threading

import pytest

from omnillm.errors import ConfigurationError, StateUnavailableError
from omnillm.policy.hints import ObservedLimits
from omnillm.policy.ledger import LeaseRef
from omnillm.policy.limits import Budget, ModelLimits, PoolConfig
from omnillm.state import Ask, BudgetRefusal, KeyLease, KeySpec, Refusal, Settlement, Verdict
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


SMALL = (KeySpec("a", 10, 5), KeySpec("b", 20, 5))
HOPELESS = [
    ((), ask(), Refusal("no_key")),
    (SMALL, ask(exclude=frozenset("ab")), Refusal("no_key")),
    (SMALL, ask(tokens=21), Refusal("too_large")),
    (SMALL, ask(tokens=11, exclude=frozenset("b")), Refusal("too_large")),
]


@pytest.mark.parametrize(("specs", "asked", "refusal"), HOPELESS)
def test_what_no_key_will_ever_take_has_no_time_to_come_back(specs, asked, refusal):
    """A request that no key can ever take is refused for good."""
    found = store_of(*specs).admit(asked)
    assert found == refusal
    assert found.is_final


@pytest.mark.parametrize(
    ("verdict", "reason"), [(Verdict.retire(), "dead"), (Verdict.set_aside(), "dead"), (Verdict.set_aside(9), "cooling")]
)
def test_dead_only_if_all_are_dead(verdict, reason):
    """With every key retired the reason is dead; with one that comes back it is that one's, and so is the wait."""
    store = store_of(KeySpec("a", 10, 5), KeySpec("b", 10, 5))
    first, second = store.admit(ask(exclude=frozenset("b"))), store.admit(ask(exclude=frozenset("a")))
    settle(store, first, Verdict.retire())
    assert store.admit(ask(tokens=10, exclude=frozenset("b"))) == Refusal("dead")
    settle(store, second, verdict)
    refusal = store.admit(ask())
    assert refusal.reason == reason
    assert (refusal.retry_after is None) == (reason == "dead")
    assert store.admit(ask(tokens=11)) == Refusal("too_large")


def test_a_retired_key_beside_one_too_small_is_too_large():
    """A request that only a dead key could hold is too large for the living."""
    store = store_of(KeySpec("a", 10, 5), KeySpec("b", 20, 5))
    settle(store, store.admit(ask(tokens=20)), Verdict.retire())
    assert store.admit(ask(tokens=20)) == Refusal("too_large")


@pytest.mark.parametrize("selection", ["random", "least_loaded", "latency"])
def test_the_one_key_with_room_is_always_found(selection):
    """With nine of ten keys full, cooling, resting or retired, every request that fits the tenth goes through."""
    store = store_of(
        *(KeySpec(f"k{number}", 100, 100) for number in range(10)),
        config=PoolConfig(circuit_breaker_threshold=1, selection=selection),
    )
    endings = [
        Verdict.cool(99),
        Verdict.failure(),
        Verdict.retire(),
        Verdict.set_aside(99),
        Verdict.set_aside(99, per_model=True),
    ]
    for number in range(9):
        others = frozenset(f"k{other}" for other in range(10) if other != number)
        lease = store.admit(ask(tokens=100, exclude=others))
        settle(store, lease, endings[number % 5] if number < 5 else Verdict.success(), tokens=100 if number >= 5 else 0)
    kept = [store.admit(ask(tokens=1)) for _ in range(100)]
    assert {lease.label for lease in kept} == {"k9"}
    assert store.admit(ask(tokens=1)).retry_after <= 30.0


def test_a_small_request_finds_what_a_large_one_left():
    """A key that a large request did not fit is still found by a smaller one."""
    store = store_of(KeySpec("a", 10, 9), KeySpec("b", 10, 9))
    large = [store.admit(ask(tokens=6)) for _ in range(2)]
    assert {lease.label for lease in large} == {"a", "b"}
    assert isinstance(store.admit(ask(tokens=6)), Refusal)
    leases = [store.admit(ask(tokens=4)) for _ in range(2)]
    assert {lease.label for lease in leases} == {"a", "b"}
    assert isinstance(store.admit(ask(tokens=1)), Refusal)
    assert isinstance(store.admit(ask(tokens=0)), KeyLease)


def test_random_choice_is_even():
    """Each of four keys gets about a quarter of the requests."""
    store = store_of(*(KeySpec(f"k{number}", HUGE, HUGE) for number in range(4)))
    leases = [store.admit(ask()) for _ in range(4_000)]
    counts = [sum(lease.label == f"k{number}" for lease in leases) for number in range(4)]
    assert all(900 < count < 1_100 for count in counts)


def test_the_least_loaded_key_is_taken():
    """The key with the lowest fraction of either limit in use is taken."""
    store = store_of(KeySpec("a", 100, 100), KeySpec("b", 1_000, 100), config=PoolConfig(selection="least_loaded"))
    leases = [store.admit(ask(tokens=50)) for _ in range(5)]
    assert [lease.label for lease in leases] == ["a", "b", "b", "b", "b"]


def test_the_fastest_key_is_taken_and_the_untested_first():
    """Keys never heard of go first, then the one whose usual latency is lowest."""
    store = store_of(KeySpec("a", HUGE, 99), KeySpec("b", HUGE, 99), config=PoolConfig(selection="latency"))
    first = store.admit(ask())
    settle(store, first, Verdict.success(latency=1.0))
    second = store.admit(ask())
    assert second.label != first.label
    settle(store, second, Verdict.success(latency=3.0))
    third = store.admit(ask())
    assert third.label == first.label
    settle(store, third, Verdict.success(latency=21.0))
    assert store.admit(ask()).label == second.label


def test_a_model_with_limits_of_its_own_leaves_the_rest_alone():
    """What one model uses, fails or is refused is no matter of the key's other models."""
    spec = KeySpec("k", 100, 5, {"own": ModelLimits(10, 2)})
    store = store_of(spec, config=PoolConfig(circuit_breaker_threshold=1))
    lease = store.admit(ask(tokens=10, model="own"))
    assert store.admit(ask(tokens=1, model="own")).reason == "window"
    other = store.admit(ask(tokens=100))
    assert other.label == "k"
    settle(store, lease, Verdict.failure())
    assert store.admit(ask(tokens=1, model="own")).reason == "breaker"
    status = store.snapshot().keys[0]
    assert (status.tpm_used, status.reason, status.models["own"].reason) == (100, "window", "breaker")
    assert status.models["own"].consecutive_failures == 1
    assert status.consecutive_failures == 0


def test_a_model_set_aside_leaves_the_key_to_the_others():
    """After a 403 the pair of key and model is left out, other keys take that model, and the key takes other models."""
    store = store_of(KeySpec("a", HUGE, 9), KeySpec("b", HUGE, 9))
    lease = store.admit(ask(exclude=frozenset("b")))
    settle(store, lease, Verdict.set_aside(per_model=True))
    assert {store.admit(ask()).label for _ in range(5)} == {"b"}
    assert store.admit(ask(model="other", exclude=frozenset("b"))).label == "a"
    assert store.admit(ask(exclude=frozenset("b"))) == Refusal("dead")
    settle(store, store.admit(ask(exclude=frozenset("a"))), Verdict.set_aside(5, per_model=True))
    assert store.admit(ask()).reason == "cooling"
    store.revive("a")
    assert store.admit(ask()).label == "a"


def test_a_shorter_rest_never_shortens_a_longer():
    """Cool-down and breaker run beside each other, and each keeps its later end."""
    clock = FakeClock()
    store = store_of(
        KeySpec("k", HUGE, 99), clock=clock, config=PoolConfig(circuit_breaker_threshold=1, circuit_breaker_cooldown=30.0)
    )
    leases = [store.admit(ask()) for _ in range(3)]
    settle(store, leases[0], Verdict.cool(50))
    settle(store, leases[1], Verdict.cool(5))
    assert store.admit(ask()).retry_after == pytest.approx(50)
    settle(store, leases[2], Verdict.failure())
    status = store.snapshot().keys[0]
    assert status.cool_down_until == pytest.approx(clock.wall() + 50)
    assert status.failure_cool_down_until == pytest.approx(clock.wall() + 30)
    assert (store.admit(ask()).reason, status.reason, status.available) == ("cooling", "cooling", False)
    clock.advance(50)
    trial = store.admit(ask())
    assert trial.reservation.trial
    assert store.snapshot().keys[0].reason == "breaker"


def test_budgets_name_their_scope_and_their_end():
    """The refusal names the budget that lacks room; calls that cost nothing pass a spent one."""
    clock = FakeClock(wall=86_400.0 * 100 + 3_600)
    store = store_of(
        KeySpec("a", HUGE, 99),
        KeySpec("b", HUGE, 99),
        clock=clock,
        budgets=[Budget(9e-12, window="day"), Budget(5e-12, scope="key")],
    )
    first = store.admit(ask(charge=4))
    second = store.admit(ask(charge=4))
    assert {first.label, second.label} == {"a", "b"}, "a key whose own budget is spent is passed by"
    midnight = 86_400.0 * 101
    assert store.admit(ask(charge=2)) == Refusal(None, midnight - clock.wall(), BudgetRefusal("gateway", 9, 0, 8, 2, midnight))
    settle(store, first, Verdict.success(), charge=5)
    settle(store, second, Verdict.success(), charge=5)
    clock.advance(midnight - clock.wall())
    assert store.admit(ask(charge=1)) == Refusal(budget=BudgetRefusal("key", 5, 5, 0, 1))
    assert isinstance(store.admit(ask(charge=0)), KeyLease)
    assert store.snapshot().spent == 10


def test_the_provider_is_believed_where_it_says_less():
    """Rate-limit headers hold a key back until their reset, and a later word lets it go."""
    clock = FakeClock()
    store = store_of(KeySpec("k", 100, 99), clock=clock)
    store.report("p", "k", "m", ObservedLimits(remaining_requests=0, reset_requests=7.0))
    assert store.admit(ask()).retry_after == pytest.approx(7.0)
    store.report("p", "k", "m", ObservedLimits(remaining_requests=50))
    assert isinstance(store.admit(ask()), KeyLease)


def test_a_lost_lease_is_charged_by_what_was_seen():
    """What was never sent is refunded whole; what may have been sent is charged what was observed."""
    store = store_of(KeySpec("k", 100, 99), budgets=[Budget(1)])
    unsent, sent = store.admit(ask(tokens=10, charge=7)), store.admit(ask(tokens=10, charge=7))
    sent.reservation.observed_tokens, sent.reservation.observed_charge, sent.reservation.sent = 4, 3, "maybe"
    store.renew(sent.reservation.id)
    del unsent, sent
    gc.collect(0)
    snapshot = store.snapshot()
    assert (snapshot.keys[0].rpm_used, snapshot.keys[0].tpm_used, snapshot.spent, snapshot.held_requests) == (1, 4, 3, 0)
    assert (snapshot.budgets[0].used, snapshot.budgets[0].reserved) == (3, 0)


def test_amounts_below_zero_count_for_nothing():
    """A settlement that claims less than nothing gives nothing back."""
    store = store_of(KeySpec("k", 100, 99), budgets=[Budget(1)])
    assert settle(store, store.admit(ask(charge=5)), Verdict.success(), tokens=-9, charge=-9)
    assert (store.snapshot().keys[0].tpm_used, store.snapshot().spent) == (0, 0)


def test_many_parkings_keep_the_roster_small():
    """A key that is parked and woken a thousand times leaves no trail behind."""
    clock = FakeClock()
    store = store_of(KeySpec("k", 10, HUGE), clock=clock)
    for _ in range(1_000):
        lease = store.admit(ask(tokens=10))
        assert isinstance(store.admit(ask(tokens=10)), Refusal)
        store.release(lease.reservation.id)
    roster = store._pools["p"].rosters[None]
    assert len(roster._parked) < 100
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


def test_looking_and_refusing_open_no_accounts():
    """A tenant that was peeked for or refused leaves no account; one that was admitted has one."""
    store = store_of(KeySpec("k", 10, HUGE), budgets=[Budget(1, scope="tenant"), Budget(1, scope="key")])
    assert store.peek(ask(charge=1, tenant="peeked")) is None
    assert isinstance(store.admit(ask(tokens=11, charge=1, tenant="refused")), Refusal)
    assert store.snapshot().budgets == ()
    lease = store.admit(ask(charge=1, tenant="admitted"))
    assert [status.subject for status in store.snapshot().budgets] == ["admitted", "k"]
    store.release(lease.reservation.id)


def test_a_call_of_a_forgotten_account_is_charged_all_the_same():
    """What a free call costs after all is spent, though its tenant's account was forgotten meanwhile."""
    store = store_of(KeySpec("k", HUGE, HUGE), budgets=[Budget(1, scope="tenant")])
    lease = store.admit(ask(tenant="first"))
    for number in range(3_000):
        store.release(store.admit(ask(tenant=f"t{number}")).reservation.id)
    assert len(store.snapshot().budgets) < 3_000
    settle(store, lease, Verdict.success(), charge=7)
    assert [status.subject for status in store.snapshot().budgets if status.used == 7] == ["first"]


@pytest.mark.parametrize("selection", ["least_loaded", "latency"])
def test_of_many_keys_a_good_one_is_chosen(selection):
    """Among more keys than are looked at, the choice still leans to the better half, and the last key with room is found."""
    specs = [KeySpec(f"{number:03}", 1000, HUGE) for number in range(100)]
    store = store_of(*specs, config=PoolConfig(selection=selection))
    everybody = frozenset(spec.label for spec in specs)
    for spec in specs:
        used = 10 * int(spec.label)
        settle(store, store.admit(ask(exclude=everybody - {spec.label})), Verdict.success(used / 1000), tokens=used)
    chosen = [store.admit(ask(tokens=0)).label for _ in range(50)]
    assert sum(label < "050" for label in chosen) >= 45
    assert store.admit(ask(tokens=1000)).label == "000"


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


def test_a_key_of_two_pools_is_revived_in_both():
    """Reviving names a label; every pool that has it takes it back."""
    store = store_of(KeySpec("k", 10, 9))
    store.add_pool("q", [KeySpec("k", 10, 9)])
    for pool in "pq":
        settle(store, store.admit(Ask(pool, "m", 1, 0)), Verdict.retire())
    assert [status.dead for status in store.snapshot().keys] == [True, True]
    store.revive("k")
    assert [(status.pool, status.available) for status in store.snapshot().keys] == [("p", True), ("q", True)]


def test_status_says_nothing_of_moments_past_or_never():
    """Times that are over, or that never come, are told as none."""
    clock = FakeClock()
    store = store_of(KeySpec("k", 10, 9), clock=clock)
    settle(store, store.admit(ask()), Verdict.cool(1))
    clock.advance(2)
    status = store.snapshot().keys[0]
    assert (status.cool_down_until, status.reason, status.dead) == (None, None, False)
    settle(store, store.admit(ask()), Verdict.set_aside(math.inf))
    status = store.snapshot().keys[0]
    assert (status.cool_down_until, status.reason, status.dead) == (None, "dead", True)


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
