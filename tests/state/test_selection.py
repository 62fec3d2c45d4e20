"""Which of several keys is chosen, over many calls that take their time: simulated, on a clock moved by hand."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from omnillm.policy.limits import PoolConfig, Selection
from omnillm.state import Ask, KeyLease, KeySpec, Settlement, Verdict
from omnillm.state.memory import MemoryState
from omnillm.testing.clock import FakeClock

HUGE = 10**9


class Simulation:
    """Calls that come at a steady pace, and keys that each take their own time to answer."""

    def __init__(self, selection: Selection, labels: str = "abc", *, rpm: int = HUGE, seed: int = 1, **config: int) -> None:
        self.clock = FakeClock()
        specs = [KeySpec(label, HUGE, rpm) for label in labels]
        pool = PoolConfig(selection=selection, **config)  # type: ignore[arg-type]  # the fields that are counts
        self.store = MemoryState({"p": specs}, pool_config=pool, clock=self.clock, rng=random.Random(seed))
        self.running: list[tuple[float, int, KeyLease, Verdict]] = []
        self.started = 0

    def run(self, seconds: float, every: float, takes: Mapping[str, float], fails: str = "") -> Counter[str]:
        """Let calls come for so long; count how many each key was given. A key in ``fails`` answers with a failure."""
        given: Counter[str] = Counter()
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            lease = self.store.admit(Ask("p", "m", 1, 0))
            if isinstance(lease, KeyLease):
                label = lease.label
                given[label] += 1
                self.started += 1
                verdict = Verdict.failure() if label in fails else Verdict.success(takes[label])
                heapq.heappush(self.running, (self.clock.monotonic() + takes[label], self.started, lease, verdict))
                del lease
            self._pass(every)
        return given

    def _pass(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        while self.running and self.running[0][0] <= until:
            at, _, lease, verdict = heapq.heappop(self.running)
            self.clock.advance(max(0.0, at - self.clock.monotonic()))
            self.store.settle(lease.reservation.id, Settlement(1, 0, verdict))
        self.clock.advance(until - self.clock.monotonic())


FAST, SLOW = {"a": 0.2, "b": 0.2, "c": 0.2}, {"a": 0.2, "b": 0.2, "c": 5.0}


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_key_gets_little_and_not_nothing(seed: int) -> None:
    """Of three keys the slow one is given about one call in sixty, and in no two minutes none."""
    simulation = Simulation("latency", seed=seed)
    simulation.run(10, 0.1, SLOW)
    for _ in range(5):
        given = simulation.run(120, 0.1, SLOW)
        assert 0 < given["c"] < 0.05 * given.total()


@pytest.mark.parametrize("every", [0.1, 1.0])
def test_a_key_that_is_fast_again_comes_back(every: float) -> None:
    """A key that was slow for ten minutes has its share again within a few."""
    simulation = Simulation("latency")
    simulation.run(600, every, SLOW)
    simulation.run(300, every, {**FAST, "c": 0.1})
    given = simulation.run(300, every, {**FAST, "c": 0.1})
    assert given["c"] > 0.5 * given.total()


def test_a_key_that_turns_slow_is_left() -> None:
    """A key that was the fastest and is no longer loses its calls within seconds."""
    simulation = Simulation("latency")
    assert simulation.run(60, 0.1, {**FAST, "c": 0.1})["c"] > 400
    simulation.run(20, 0.1, SLOW)
    assert simulation.run(60, 0.1, SLOW)["c"] < 30


def test_a_new_key_is_tried_once_before_it_is_trusted() -> None:
    """While a key that nobody has heard of has not answered, the others are given the calls."""
    simulation = Simulation("latency")
    given = simulation.run(4, 0.1, {"a": 0.2, "b": 0.2, "c": 5.0})
    assert given["c"] in range(1, 5)


def test_calls_that_come_at_once_spread_over_keys_nobody_knows() -> None:
    """Before the first answer no key is given everything."""
    simulation = Simulation("latency")
    given = simulation.run(3, 0.01, {"a": 10, "b": 10, "c": 10})
    assert min(given.values()) > 60


def test_a_key_that_only_fails_is_not_taken_for_a_fast_one() -> None:
    """A key without an answer yet, whose breaker keeps closing again, is tried now and then, and no more."""
    simulation = Simulation("latency", circuit_breaker_threshold=1_000)
    given = simulation.run(120, 0.1, {"a": 0.2, "b": 0.2, "c": 0.01}, fails="c")
    assert 0 < given["c"] < 0.05 * given.total()


def test_a_lost_attempt_tells_how_slow_a_key_is_at_least() -> None:
    """An attempt that ended without an answer after longer than usual makes its key slower, a shorter one not faster."""
    simulation = Simulation("latency", "ab")
    store = simulation.store
    simulation.run(30, 0.1, {"a": 0.2, "b": 0.3})
    for took in (0.01, 9.0):
        for _ in range(30):
            lease = store.admit(Ask("p", "m", 1, 0, exclude=frozenset("b")))
            assert isinstance(lease, KeyLease)
            store.settle(lease.reservation.id, Settlement(0, 0, Verdict("neutral", latency=took)))
        given = simulation.run(1, 0.02, {"a": 0.2, "b": 0.3})
        assert (given["a"] > given["b"]) is (took < 1)


def _chi_square(given: Counter[str], labels: str) -> float:
    expected = given.total() / len(labels)
    return sum((given[label] - expected) ** 2 / expected for label in labels)


@pytest.mark.parametrize("labels", ["ab", "abcd", "abcdefghijklmnopqrst"])
def test_random_is_fair(labels: str) -> None:
    """Over ten thousand calls no key is favoured: chi-square stays below the value of one chance in a thousand."""
    simulation = Simulation("random", labels)
    given = simulation.run(1_000, 0.1, dict.fromkeys(labels, 0.2))
    assert _chi_square(given, labels) < {2: 10.8, 4: 16.3, 20: 43.8}[len(labels)]


def test_random_is_fair_among_keys_that_fill_up() -> None:
    """Keys that are full most of the time, and free again at their own moments, are used evenly all the same, to the last."""
    simulation = Simulation("random", "abcde", rpm=30)
    given = simulation.run(1_200, 0.2, dict.fromkeys("abcde", 0.1))
    assert set(given.values()) == {600}


def test_least_loaded_fills_all_alike() -> None:
    """At any moment no key is further filled than another by more than one call."""
    simulation = Simulation("least_loaded", "abc", rpm=1_000)
    given: Counter[str] = Counter()
    for _ in range(50):
        given += simulation.run(1, 0.05, FAST)
        assert max(given.values()) - min(given.values()) <= 1


CHOICES: list[Callable[[], Simulation]] = [lambda: Simulation("latency", rpm=11), lambda: Simulation("least_loaded", rpm=11)]


@pytest.mark.parametrize("make", CHOICES)
def test_a_preference_never_refuses(make: Callable[[], Simulation]) -> None:
    """Whatever is preferred, a call is admitted as long as any key has room."""
    simulation = make()
    for _ in range(5):
        assert simulation.run(60, 2.0, SLOW).total() == 30
