"""Each store beside a naive model: every history of public calls gives what a plain reading of the rules gives."""

import gc
import math
import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule
from stores import binaries, make_store, one_clock, url_of
from toll import Toll

from omnillm.policy.limits import Budget, ModelLimits, PoolConfig
from omnillm.policy.window import leaves_at
from omnillm.state import Ask, KeySpec, Refusal, Settlement, Verdict
from omnillm.testing.clock import FakeClock

THRESHOLD, COOLDOWN = 2, 30.0
SPECS = [KeySpec("a", 10, 3), KeySpec("b", 8, 5, {"special": ModelLimits(6, 2)})]
BUDGETS = [Budget(120e-12), Budget(60e-12, scope="tenant", window="day"), Budget(70e-12, scope="key")]
VERDICTS = st.one_of(
    st.just(Verdict.success()),
    st.just(Verdict.success(0.5)),
    *[st.just(Verdict.failure())] * 4,
    st.just(Verdict.neutral()),
    st.builds(Verdict.cool, st.sampled_from([0.0, 5.0, 90.0])),
    st.builds(Verdict.set_aside, st.sampled_from([20.0, math.inf]), per_model=st.booleans()),
    st.just(Verdict.retire()),
)


class Lane:
    """One key's limits as the rules tell them: every call is remembered, everything is summed up anew."""

    def __init__(self, tpm, rpm):
        self.tpm, self.rpm = tpm, rpm
        self.calls = []
        self.cool = 0.0
        self.failures, self.open_until, self.generation, self.trial = 0, None, 0, None

    def counted(self, now):
        return [call for call in self.calls if call["flying"] or now <= call["at"] + 60]

    def used(self, now):
        return sum(call["requests"] for call in self.counted(now)), sum(call["tokens"] for call in self.counted(now))

    def room(self, tokens, now):
        requests, used = self.used(now)
        return requests + 1 <= self.rpm and used + tokens <= self.tpm

    def resting(self, now):
        if self.open_until is None:
            return 0.0
        return max(self.open_until, now + 1.0 if self.trial else 0.0) if now >= self.open_until else self.open_until

    def opening(self, tokens, now):
        """Try every moment at which something leaves."""
        if tokens > self.tpm:
            return math.inf
        leaving = [(leaves_at(call["at"]) if now <= call["at"] + 60 else now + 1.0, call) for call in self.counted(now)]
        for at in sorted({now, *(at for at, _ in leaving)}):
            rest = [call for leaves, call in leaving if leaves > at]
            if (
                len([call for call in rest if call["requests"]]) < self.rpm
                and sum(call["tokens"] for call in rest) + tokens <= self.tpm
            ):
                return at
        raise AssertionError

    def end(self, call, outcome, now):
        if self.trial is not None and self.trial is call:
            self.trial = None
            if outcome == "success":
                self.failures, self.open_until = 0, None
            elif outcome != "neutral":
                self.failures += outcome == "failure"
                self.open_until = now + COOLDOWN
        elif self.open_until is None and call["generation"] == self.generation:
            if outcome == "success":
                self.failures = 0
            elif outcome == "failure":
                self.failures += 1
                if self.failures >= THRESHOLD:
                    self.open_until = now + COOLDOWN
                    self.generation += 1


class Model:
    """The rules, read plainly."""

    def __init__(self, clock):
        self.clock = clock
        self.lanes = {(spec.label, None): Lane(spec.tpm_limit, spec.rpm_limit) for spec in SPECS}
        self.lanes["b", "special"] = Lane(6, 2)
        self.aside = {}
        self.money = {"gateway": [0, 0], "tenant": {}, "key": {}}
        self.day = self.today()

    def today(self):
        return self.clock.wall() // 86_400

    def roll(self):
        if self.today() > self.day:
            self.day = self.today()
            for account in self.money["tenant"].values():
                account[0] = 0

    def lane(self, label, model):
        return self.lanes.get((label, model)) or self.lanes[label, None]

    def aside_until(self, label, model):
        return max(self.aside.get((label, None), 0.0), self.aside.get((label, model), 0.0))

    def accounts(self, tenant, label=None):
        self.roll()
        found = [(self.money["gateway"], 120), (self.money["tenant"].setdefault(tenant, [0, 0]), 60)]
        return found if label is None else [*found, (self.money["key"].setdefault(label, [0, 0]), 70)]

    def affordable(self, ask, label=None):
        return ask.charge == 0 or all(
            spent + held + ask.charge <= limit for (spent, held), limit in self.accounts(ask.tenant, label)
        )

    def candidates(self, ask):
        return [spec.label for spec in SPECS if spec.label not in ask.exclude]

    def ready_at(self, ask, label):
        now, lane = self.clock.monotonic(), self.lane(label, ask.model)
        return max(lane.opening(ask.tokens, now), lane.cool, lane.resting(now), self.aside_until(label, ask.model))

    def reasons(self, ask, label):
        """Name what holds the key until it is ready; more than one where they end together."""
        now, lane, ready = self.clock.monotonic(), self.lane(label, ask.model), self.ready_at(ask, label)
        holds = {"window": lane.opening(ask.tokens, now), "breaker": lane.resting(now)}
        holds["cooling"] = max(lane.cool, self.aside_until(label, ask.model))
        return {reason for reason, until in holds.items() if until == ready}

    def takers(self, ask):
        now = self.clock.monotonic()
        if not self.affordable(ask):
            return []
        return [label for label in self.candidates(ask) if self.ready_at(ask, label) <= now and self.affordable(ask, label)]


class Machine(RuleBasedStateMachine):
    """Random histories of calls, with time passing and leases lost."""

    kind = "memory"
    selection = "random"
    tolerance = 1e-6
    leases = Bundle("leases")

    def __init__(self):
        super().__init__()
        self.clock = FakeClock(monotonic=1000.0) if self.kind == "memory" else one_clock()
        config = PoolConfig(circuit_breaker_threshold=THRESHOLD, circuit_breaker_cooldown=COOLDOWN, selection=self.selection)
        self.store = self.store_at(config=config, budgets=BUDGETS, clock=self.clock, rng=random.Random(7))
        self.model = Model(self.clock)
        self.live = {}
        self.settled = []

    def store_at(self, **options):
        return make_store(self.kind, {"p": SPECS}, **options)

    @rule(
        target=leases,
        tokens=st.sampled_from([0, 0, 1, 2, 3, 4, 5, 6, 8, 9, 11]),
        charge=st.sampled_from([0, 0, 1, 15, 50]),
        model=st.sampled_from(["plain", "special"]),
        tenant=st.sampled_from([None, "t"]),
        exclude=st.frozensets(st.sampled_from("ab"), max_size=1),
    )
    def admit(self, tokens, charge, model, tenant, exclude):
        ask = Ask("p", model, tokens, charge, tenant, exclude)
        takers = self.model.takers(ask)
        assert (self.store.peek(ask) is None) == bool(takers)
        outcome = self.store.admit(ask)
        if isinstance(outcome, Refusal):
            assert not takers
            self.check_refusal(ask, outcome)
            return multiple()
        assert outcome.label in takers
        self.check_choice(ask, outcome.label, takers)
        self.book(ask, outcome)
        return outcome.reservation.id

    def check_choice(self, ask, label, takers):
        if self.selection == "least_loaded":
            assert self.load(label, ask) == min(self.load(other, ask) for other in takers)

    def load(self, label, ask):
        lane = self.model.lane(label, ask.model)
        requests, tokens = lane.used(self.clock.monotonic())
        return max(requests / lane.rpm, tokens / lane.tpm)

    def check_refusal(self, ask, refusal):
        model, now = self.model, self.clock.monotonic()
        if not model.affordable(ask):
            assert refusal.budget.needed == ask.charge
            assert refusal.budget.scope in {"gateway", "tenant"}
            return
        opening = {label: model.ready_at(ask, label) for label in model.candidates(ask) if model.affordable(ask, label)}
        soonest = min(opening.values(), default=math.inf)
        if soonest < math.inf:
            assert refusal.reason in {
                reason for label, at in opening.items() if at == soonest for reason in model.reasons(ask, label)
            }
            assert refusal.retry_after == pytest.approx(soonest - now, abs=self.tolerance)
            assert now + refusal.retry_after >= soonest
            return
        assert refusal.budget is not None or refusal.retry_after is None
        if refusal.budget is not None:
            assert refusal.budget.scope == "key"
        elif refusal.reason == "no_key":
            assert not model.candidates(ask)
        elif refusal.reason == "dead":
            assert all(math.isinf(model.aside_until(label, ask.model)) for label in model.candidates(ask))
        else:
            assert refusal.reason == "too_large"

    def book(self, ask, lease):
        now, lane = self.clock.monotonic(), self.model.lane(lease.label, ask.model)
        call = {"at": now, "tokens": ask.tokens, "requests": 1, "flying": True, "generation": lane.generation}
        assert lease.reservation.trial == (lane.open_until is not None)
        if lease.reservation.trial:
            lane.trial = call
        lane.calls.append(call)
        for account, limit in self.model.accounts(ask.tenant, lease.label):
            account[1] += ask.charge
            assert ask.charge == 0 or sum(account) <= limit
        self.live[lease.reservation.id] = (lease, lane, call, ask)

    def finish(self, reservation_id, *, tokens, charge, requests, outcome):
        """Book in the model how a call ended."""
        lease, lane, call, ask = self.live.pop(reservation_id)
        now = self.clock.monotonic()
        call.update(tokens=tokens, requests=requests, flying=False)
        for account, _ in self.model.accounts(ask.tenant, lease.label):
            account[0] += charge
            account[1] -= ask.charge
        lane.end(call, outcome, now)
        self.settled.append(reservation_id)
        return lane, lease.label, ask, now

    @rule(lease=leases, tokens=st.integers(0, 25), charge=st.integers(0, 60), verdict=VERDICTS, refund=st.booleans())
    def settle(self, lease, tokens, charge, verdict, refund):
        known = lease in self.live
        assert self.store.settle(lease, Settlement(tokens, charge, verdict, refund)) == known
        if not known:
            return
        outcome = verdict.kind if verdict.kind in {"success", "failure"} else "neutral"
        lane, label, ask, now = self.finish(lease, tokens=tokens, charge=charge, requests=0 if refund else 1, outcome=outcome)
        if verdict.kind == "cool":
            lane.cool = max(lane.cool, now + verdict.seconds)
        elif verdict.kind in {"set_aside", "retire"}:
            place = (label, ask.model if verdict.per_model else None)
            self.model.aside[place] = max(self.model.aside.get(place, 0.0), now + verdict.seconds)

    @rule(lease=leases)
    def release(self, lease):
        known = lease in self.live
        assert self.store.release(lease) == known
        if known:
            self.finish(lease, tokens=0, charge=0, requests=0, outcome="neutral")

    @rule(lease=leases, cycle=st.booleans(), sent=st.sampled_from(["no", "maybe", "yes"]), seen=st.integers(0, 12))
    def drop(self, lease, cycle, sent, seen):
        if lease not in self.live:
            return
        held, lane, call, ask = self.live[lease]
        held.reservation.sent, held.reservation.observed_tokens, held.reservation.observed_charge = sent, seen, 2 * seen
        if cycle:
            knot = [held]
            knot.append(knot)
            del knot
        label = held.label
        self.live[lease] = (None, lane, call, ask)
        del held
        gc.collect(0)
        self.live[lease] = (_Label(label), lane, call, ask)
        used = (0, 0, 0) if sent == "no" else (seen, 2 * seen, 1)
        self.finish(lease, tokens=used[0], charge=used[1], requests=used[2], outcome="lost")

    @rule(label=st.sampled_from("ab"))
    def revive(self, label):
        self.store.revive(label)
        self.model.aside = {place: until for place, until in self.model.aside.items() if place[0] != label}
        for (owner, _), lane in self.model.lanes.items():
            if owner == label:
                lane.cool, lane.failures, lane.open_until, lane.trial = 0.0, 0, None, None
                lane.generation += 1

    @rule(seconds=st.sampled_from([0.5, 5.0, 29.0, 30.0, 60.0, math.nextafter(60.0, 61.0), 61.0, 86_400.0]))
    def advance(self, seconds):
        self.clock.advance(seconds)

    @precondition(lambda self: self.settled)
    @rule()
    def settle_again(self):
        assert not self.store.settle(self.settled[-1], Settlement(5, 5))

    @invariant()
    def what_is_told_is_so(self):
        snapshot, now = self.store.snapshot(), self.clock.monotonic()
        assert snapshot.held_requests == len(self.live)
        assert snapshot.held_tokens == sum(call["tokens"] for _, _, call, _ in self.live.values())
        for status in snapshot.keys:
            for model, told in ((None, status), *status.models.items()):
                lane = self.model.lanes[status.label, model]
                assert (told.rpm_used, told.tpm_used) == lane.used(now)
                assert told.tpm_inflight == sum(call["tokens"] for call in lane.calls if call["flying"])
                assert told.consecutive_failures == lane.failures
                assert (told.failure_cool_down_until is None) == (lane.open_until is None or lane.open_until <= now)
        self.model.roll()
        money = self.model.money
        for status in snapshot.budgets:
            account = money["gateway"] if status.scope == "gateway" else money[status.scope].get(status.subject, [0, 0])
            assert [status.used, status.reserved] == account
        assert snapshot.spent == money["gateway"][0]

    def teardown(self):
        self.live.clear()
        gc.collect(0)
        assert self.store.snapshot().held_requests == 0


class _Label:
    """What is left to know of a lease that was dropped."""

    def __init__(self, label):
        self.label = label


class LeastLoaded(Machine):
    """The same, with the least loaded key."""

    selection = "least_loaded"


class Latency(Machine):
    """The same, with the fastest key."""

    selection = "latency"


class Shared(Machine):
    """The same, on a server; it counts microseconds."""

    tolerance = 1e-5


class Valkey(Shared):
    """The same, on Valkey."""

    kind = "valkey"


class Redis(Shared):
    """The same, on Redis, with the least loaded key."""

    kind = "redis"
    selection = "least_loaded"


class Lossy(Shared):
    """The same, where of every three replies the first is lost, and its operation runs twice."""

    kind = "valkey"

    def __init__(self):
        url_of(self.kind)
        self.toll = Toll(int(url_of(self.kind).rpartition(":")[2].partition("/")[0])).__enter__()
        self.toll.lose_every = 3
        super().__init__()

    def store_at(self, **options):
        return make_store(self.kind, {"p": SPECS}, url=self.toll.url, **options)

    def teardown(self):
        super().teardown()
        self.store.close()
        self.toll.__exit__()


TestRandom, TestLeastLoaded, TestLatency = Machine.TestCase, LeastLoaded.TestCase, Latency.TestCase
TestRandom.settings = TestLeastLoaded.settings = TestLatency.settings = settings(
    max_examples=100, stateful_step_count=50, suppress_health_check=list(HealthCheck)
)

TestValkey, TestLossy = Valkey.TestCase, Lossy.TestCase
TestLossy.settings = settings(max_examples=5, stateful_step_count=20, suppress_health_check=list(HealthCheck))
TestValkey.settings = settings(max_examples=8, stateful_step_count=30, suppress_health_check=list(HealthCheck))
if "redis" in binaries():  # its package has no wheel for every interpreter
    TestRedis = Redis.TestCase
    TestRedis.settings = TestValkey.settings
