"""One suite for every store: what it admits and refuses, what it tells, in memory, on Redis and on Valkey alike."""

import gc
import math
import random

import pytest
from stores import kinds, make_store, one_clock

from omnillm.policy.hints import ObservedLimits
from omnillm.policy.limits import Budget, ModelLimits, PoolConfig
from omnillm.state import Ask, BudgetRefusal, KeyLease, KeySpec, Refusal, Settlement, Verdict
from omnillm.testing.clock import FakeClock

HUGE = 10**9


@pytest.fixture(params=["memory", *kinds()])
def store_of(request):
    """Make stores of the kind that is tested."""

    def make(*specs, clock=None, config=None, budgets=()):
        return make_store(
            request.param, {"p": specs}, config=config, budgets=budgets, clock=clock or FakeClock(), rng=random.Random(1)
        )

    return make


def ask(tokens=1, charge=0, model="m", **parts):
    return Ask("p", model, tokens, charge, **parts)


def settle(store, lease, verdict, tokens=1, charge=0):
    return store.settle(lease.reservation.id, Settlement(tokens, charge, verdict))


SMALL = (KeySpec("a", 10, 5), KeySpec("b", 20, 5))
HOPELESS = [
    ((), ask(), Refusal("no_key")),
    (SMALL, ask(exclude=frozenset("ab")), Refusal("no_key")),
    (SMALL, ask(tokens=21), Refusal("too_large")),
    (SMALL, ask(tokens=11, exclude=frozenset("b")), Refusal("too_large")),
]


@pytest.mark.parametrize(("specs", "asked", "refusal"), HOPELESS)
def test_what_no_key_will_ever_take_has_no_time_to_come_back(store_of, specs, asked, refusal):
    """A request that no key can ever take is refused for good."""
    found = store_of(*specs).admit(asked)
    assert found == refusal
    assert found.is_final


@pytest.mark.parametrize(
    ("verdict", "reason"), [(Verdict.retire(), "dead"), (Verdict.set_aside(), "dead"), (Verdict.set_aside(9), "cooling")]
)
def test_dead_only_if_all_are_dead(store_of, verdict, reason):
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


def test_a_retired_key_beside_one_too_small_is_too_large(store_of):
    """A request that only a dead key could hold is too large for the living."""
    store = store_of(KeySpec("a", 10, 5), KeySpec("b", 20, 5))
    settle(store, store.admit(ask(tokens=20)), Verdict.retire())
    assert store.admit(ask(tokens=20)) == Refusal("too_large")


@pytest.mark.parametrize("selection", ["random", "least_loaded", "latency"])
def test_the_one_key_with_room_is_always_found(store_of, selection):
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


def test_a_small_request_finds_what_a_large_one_left(store_of):
    """A key that a large request did not fit is still found by a smaller one."""
    store = store_of(KeySpec("a", 10, 9), KeySpec("b", 10, 9))
    large = [store.admit(ask(tokens=6)) for _ in range(2)]
    assert {lease.label for lease in large} == {"a", "b"}
    assert isinstance(store.admit(ask(tokens=6)), Refusal)
    leases = [store.admit(ask(tokens=4)) for _ in range(2)]
    assert {lease.label for lease in leases} == {"a", "b"}
    assert isinstance(store.admit(ask(tokens=1)), Refusal)
    assert isinstance(store.admit(ask(tokens=0)), KeyLease)


def test_random_choice_is_even(store_of):
    """Each of four keys gets about a quarter of the requests."""
    store = store_of(*(KeySpec(f"k{number}", HUGE, HUGE) for number in range(4)))
    leases = [store.admit(ask()) for _ in range(4_000)]
    counts = [sum(lease.label == f"k{number}" for lease in leases) for number in range(4)]
    assert all(900 < count < 1_100 for count in counts)


def test_the_least_loaded_key_is_taken(store_of):
    """The key with the lowest fraction of either limit in use is taken."""
    store = store_of(KeySpec("a", 100, 100), KeySpec("b", 1_000, 100), config=PoolConfig(selection="least_loaded"))
    leases = [store.admit(ask(tokens=50)) for _ in range(5)]
    assert [lease.label for lease in leases] == ["a", "b", "b", "b", "b"]


def test_the_fastest_key_is_taken_and_the_untested_first(store_of):
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


def test_a_model_with_limits_of_its_own_leaves_the_rest_alone(store_of):
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


def test_a_model_set_aside_leaves_the_key_to_the_others(store_of):
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


def test_a_shorter_rest_never_shortens_a_longer(store_of):
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


def test_budgets_name_their_scope_and_their_end(store_of):
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
    refused = store.admit(ask(charge=2))
    assert refused.budget == BudgetRefusal("gateway", 9, 0, 8, 2, midnight)
    assert refused.retry_after == pytest.approx(midnight - clock.wall())
    settle(store, first, Verdict.success(), charge=5)
    settle(store, second, Verdict.success(), charge=5)
    clock.advance(midnight - clock.wall())
    assert store.admit(ask(charge=1)) == Refusal(budget=BudgetRefusal("key", 5, 5, 0, 1))
    assert isinstance(store.admit(ask(charge=0)), KeyLease)
    assert store.snapshot().spent == 10


def test_the_provider_is_believed_where_it_says_less(store_of):
    """Rate-limit headers hold a key back until their reset, and a later word lets it go."""
    clock = FakeClock()
    store = store_of(KeySpec("k", 100, 99), clock=clock)
    store.report("p", "k", "m", ObservedLimits(remaining_requests=0, reset_requests=7.0))
    assert store.admit(ask()).retry_after == pytest.approx(7.0)
    store.report("p", "k", "m", ObservedLimits(remaining_requests=50))
    assert isinstance(store.admit(ask()), KeyLease)


def test_a_lost_lease_is_charged_by_what_was_seen(store_of):
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


def test_amounts_below_zero_count_for_nothing(store_of):
    """A settlement that claims less than nothing gives nothing back."""
    store = store_of(KeySpec("k", 100, 99), budgets=[Budget(1)])
    assert settle(store, store.admit(ask(charge=5)), Verdict.success(), tokens=-9, charge=-9)
    assert (store.snapshot().keys[0].tpm_used, store.snapshot().spent) == (0, 0)


def test_looking_and_refusing_open_no_accounts(store_of):
    """A tenant that was peeked for or refused leaves no account; one that was admitted has one."""
    store = store_of(KeySpec("k", 10, HUGE), budgets=[Budget(1, scope="tenant"), Budget(1, scope="key")])
    assert store.peek(ask(charge=1, tenant="peeked")) is None
    assert isinstance(store.admit(ask(tokens=11, charge=1, tenant="refused")), Refusal)
    assert store.snapshot().budgets == ()
    lease = store.admit(ask(charge=1, tenant="admitted"))
    assert [status.subject for status in store.snapshot().budgets] == ["admitted", "k"]
    store.release(lease.reservation.id)


@pytest.mark.parametrize("selection", ["least_loaded", "latency"])
def test_of_many_keys_a_good_one_is_chosen(store_of, selection):
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


def test_a_key_of_two_pools_is_revived_in_both(store_of):
    """Reviving names a label; every pool that has it takes it back."""
    store = store_of(KeySpec("k", 10, 9))
    store.add_pool("q", [KeySpec("k", 10, 9)])
    for pool in "pq":
        settle(store, store.admit(Ask(pool, "m", 1, 0)), Verdict.retire())
    assert [status.dead for status in store.snapshot().keys] == [True, True]
    store.revive("k")
    assert [(status.pool, status.available) for status in store.snapshot().keys] == [("p", True), ("q", True)]


def test_status_says_nothing_of_moments_past_or_never(store_of):
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


AMOUNTS = [10**12 - 1, 1, 10**12, 9_007_199_254_740_993, 123_456_789_012_345_678_901, 7, 2 * 10**12 + 3]


def test_money_is_exact_at_any_size(store_of):
    """Sums beyond what a double can hold are exact to the pico-dollar, spent, reserved and left."""
    limit = 10**9 * 10**12
    store = store_of(KeySpec("k", HUGE, HUGE), budgets=[Budget(10**9), Budget(10**9, scope="key", window="month")])
    spent = 0
    for amount in AMOUNTS * 3:
        lease = store.admit(ask(charge=amount + 1))
        assert store.snapshot().budgets[0].reserved == amount + 1
        settle(store, lease, Verdict.success(), charge=amount)
        spent += amount
        snapshot = store.snapshot()
        assert [(status.used, status.reserved) for status in snapshot.budgets] == [(spent, 0)] * 2
        assert snapshot.spent == spent
    assert store.admit(ask(charge=limit - spent + 1)).budget.needed == limit - spent + 1
    lease = store.admit(ask(charge=limit - spent))
    assert store.admit(ask(charge=1)).budget.reserved == limit - spent
    assert store.release(lease.reservation.id)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata"])
@pytest.mark.parametrize("window", ["day", "month"])
def test_a_calendar_rolls_over_once(store_of, window, zone):
    """Through half a year, changes of summer time included, every day or month begins once, and what is reserved goes along."""
    clock = one_clock(1_740_000_000.0)
    store = store_of(KeySpec("k", HUGE, HUGE), clock=clock, budgets=[Budget(1, window=window, timezone=zone)])
    turns, spent = set(), 0
    for _ in range(40):
        lease = store.admit(ask(charge=5))
        status = store.snapshot().budgets[0]
        if status.resets_at not in turns:
            assert spent == 0 or status.used == 0
            turns.add(status.resets_at)
            spent = 0
        assert (status.used, status.reserved) == (spent, 5)
        settle(store, lease, Verdict.success(), charge=3)
        spent += 3
        clock.advance(4.6 * 86_400 if window == "month" else 9 * 3_600.0)
    assert len(turns) in ((6, 7, 8) if window == "month" else (15, 16))


def test_many_settled_slots_become_few_and_leave_in_time(store_of):
    """A busy minute is remembered in quarters of a second: nothing leaves before its minute is over, all a quarter later."""
    clock = one_clock()
    store = store_of(KeySpec("k", HUGE, 3_000), clock=clock)
    for _ in range(1_500):
        settle(store, store.admit(ask()), Verdict.success(), tokens=2)
        clock.advance(0.02)
    assert (store.snapshot().keys[0].rpm_used, store.snapshot().keys[0].tpm_used) == (1_500, 3_000)
    clock.advance(30.0)
    used = store.snapshot().keys[0].rpm_used
    assert 1_499 - 13 <= used <= 1_500
    for _ in range(30):
        before = used
        clock.advance(1.0)
        used = store.snapshot().keys[0].rpm_used
        assert 30 <= before - used <= 70
    clock.advance(0.5)
    assert store.snapshot().keys[0].rpm_used == store.snapshot().keys[0].tpm_used == 0
    assert isinstance(store.admit(ask()), KeyLease)


def test_the_wait_for_tokens_counts_what_leaves(store_of):
    """The wait of a refused request is until enough has left, slot by slot, and not until all has."""
    clock = one_clock()
    store = store_of(KeySpec("k", 100, HUGE), clock=clock)
    for _ in range(10):
        settle(store, store.admit(ask(tokens=10)), Verdict.success(), tokens=10)
        clock.advance(1.0)
    assert store.admit(ask(tokens=35)).retry_after == pytest.approx(60 - 10 + 3, abs=1e-4)
    clock.advance(store.admit(ask(tokens=35)).retry_after)
    assert isinstance(store.admit(ask(tokens=35)), KeyLease)


@pytest.mark.parametrize("seed", range(3))
def test_p35_every_store_tells_the_same_story(store_of, seed):
    """A history of calls on two keys, one too small for most of them, has the same answers in each store as in memory."""

    def story(make, clock):
        rng = random.Random(seed)
        store = make(
            KeySpec("a", 40, 6), KeySpec("b", 9, 9), clock=clock, budgets=[Budget(300e-12), Budget(90e-12, window="day")],
            config=PoolConfig(circuit_breaker_threshold=2, selection="least_loaded"),
        )  # fmt: skip
        told, running = [], []
        for _ in range(120):
            if running and rng.random() < 0.45:
                lease = running.pop(rng.randrange(len(running)))
                verdict = rng.choice(
                    [Verdict.success(0.5), Verdict.success(), Verdict.failure(), Verdict.cool(3), Verdict.neutral()]
                )
                told.append(store.settle(lease.reservation.id, Settlement(rng.randrange(9), rng.randrange(5), verdict)))
                continue
            outcome = store.admit(ask(tokens=rng.randrange(1, 14), charge=rng.randrange(9)))
            if isinstance(outcome, KeyLease):
                running.append(outcome)
                told.append((outcome.label, outcome.reservation.trial))
            else:
                wait = outcome.retry_after
                told.append((outcome.reason, outcome.budget, None if wait is None else round(wait, 3)))
            clock.advance(rng.choice([0.0, 0.25, 2.0, 20.0]))
        snapshot = store.snapshot()
        keys = [(key.label, key.reason, key.rpm_used, key.tpm_used, key.consecutive_failures) for key in snapshot.keys]
        return told, keys, snapshot.spent, snapshot.held_tokens

    def in_memory(*specs, clock, config, budgets):
        return make_store("memory", {"p": specs}, config=config, budgets=budgets, clock=clock, rng=random.Random(1))

    assert story(store_of, one_clock()) == story(in_memory, one_clock())
