"""Keys and their windows under load: exactly as many calls are sent as the limits allow, and every call that fits is."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from gateway_scripts import held, key_of, wait_until

from omnillm.config import KeyConfig
from omnillm.errors import GatewayError, NoAvailableKeyError, RateLimitedError
from omnillm.policy.limits import ModelLimits, PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, fail
from omnillm.types.request import GenerationConfig, LlmRequest

SMALL = LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=10))


def storm(threads: int, calls: int, step: Callable[[], Any]) -> list[Any]:
    """Take the step so many times from threads that start at once; give what came of each, errors included."""

    def one(_: int) -> Any:
        try:
            return step()
        except GatewayError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(calls)))


def test_exactly_as_many_as_the_windows_allow(provider: LocalProvider, build: Any) -> None:
    """64 threads make 2000 calls over 5 keys of 50 a minute: 250 are sent, 50 by each; the rest are told when to come back."""
    started = time.monotonic()
    gateway = build(provider, [KeyConfig(f"sk-{n}", f"k{n}", rpm_limit=50) for n in range(5)])
    outcomes = storm(64, 2_000, lambda: (gateway.call(SMALL), time.monotonic())[0])
    taken = time.monotonic() - started
    refused = [outcome for outcome in outcomes if isinstance(outcome, GatewayError)]
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"LlmResponse": 250, "NoAvailableKeyError": 1_750}
    assert Counter(request.key for request in provider.requests) == {f"sk-{n}": 50 for n in range(5)}
    assert {error.reason for error in refused} == {"window"}  # type: ignore[attr-defined]
    waits = [error.retry_after or 0 for error in refused]
    assert 60 - taken <= min(waits)
    assert max(waits) <= 60
    assert all(not error.attempts for error in refused)
    assert held(gateway) == (0, 0)
    assert all((status.tpm_inflight, status.rpm_used) == (0, 50) for status in gateway.pool_status())


def test_the_wait_that_is_told_is_right(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """``retry_after`` is when the oldest call leaves the window: a moment before it nothing fits, then one call does."""
    gateway = build(provider, [KeyConfig("sk-1", "k1", rpm_limit=2)], clock=clock)
    gateway.call("hi")
    clock.advance(20)
    gateway.call("hi")
    with pytest.raises(NoAvailableKeyError) as refused:
        gateway.call("hi")
    assert refused.value.retry_after == pytest.approx(40, abs=0.01)
    clock.advance(39.9)
    with pytest.raises(NoAvailableKeyError):
        gateway.call("hi")
    clock.advance(0.2)
    gateway.call("hi")
    with pytest.raises(NoAvailableKeyError):
        gateway.call("hi")


def test_the_tenth_key_takes_all_that_fits_it(provider: LocalProvider, build: Any) -> None:
    """With nine of ten keys saturated or cooling, every call that fits the tenth goes through."""
    keys = [KeyConfig(f"sk-{n}", f"k{n}", rpm_limit=1) for n in range(5)]
    keys += [KeyConfig(f"sk-{n}", f"k{n}", tpm_limit=30, rpm_limit=100) for n in range(5, 9)]
    gateway = build(provider, [*keys, KeyConfig("sk-9", "k9", rpm_limit=500)])
    for n in range(5, 9):
        provider.script(fail(429, retry_after=600), key=f"sk-{n}")
    while any(status.available for status in gateway.pool_status()[:9]):
        gateway.call(SMALL)
    left = 500 - key_of(gateway, "k9").rpm_used
    outcomes = storm(32, left, lambda: gateway.call(SMALL).key_label)
    assert outcomes == ["k9"] * left
    with pytest.raises(NoAvailableKeyError):
        gateway.call(SMALL)


def test_tokens_are_reserved_and_corrected(provider: LocalProvider, build: Any) -> None:
    """A call reserves prompt and output cap while it runs, and counts what it used afterwards."""
    gateway = build(provider, [KeyConfig("sk-1", "k1", tpm_limit=1_100)])
    with gateway.stream("hi") as stream:
        next(stream)
        assert key_of(gateway).tpm_inflight == key_of(gateway).tpm_used == LlmRequest("m", "hi").estimated_tokens() > 1_000
        with pytest.raises(NoAvailableKeyError) as refused:
            gateway.call("hi")
        assert refused.value.reason == "window"
        list(stream)
    assert key_of(gateway).tpm_used == stream.response.usage.total() < 20
    gateway.call("hi")


@pytest.mark.parametrize("how", ["call", "stream"])
def test_a_request_above_every_limit(provider: LocalProvider, build: Any, how: str) -> None:
    """A request larger than any key's limit fails at once, even where calls wait, and there is no time to come back at."""
    gateway = build(provider, [KeyConfig("sk-1", "k1", tpm_limit=1_000)], pool_config=PoolConfig(acquire_timeout=60))
    with pytest.raises(NoAvailableKeyError) as refused:
        getattr(gateway, how)("hi")
    assert (refused.value.reason, refused.value.retry_after, provider.connections) == ("too_large", None, 0)


def test_limits_of_one_model(provider: LocalProvider, build: Any) -> None:
    """A model's own limits are its own: neither eats the other's."""
    gateway = build(provider, [KeyConfig("sk-1", "k1", rpm_limit=1, models={"big": ModelLimits(10_000, 1)})])
    gateway.call("hi")
    gateway.call(LlmRequest("big", "hi"))
    for model in ("m", "big"):
        with pytest.raises(NoAvailableKeyError):
            gateway.call(LlmRequest(model, "hi"))
    assert (key_of(gateway).rpm_used, key_of(gateway).models["big"].rpm_used) == (1, 1)


def test_waiting_is_first_come_first_served(provider: LocalProvider, build: Any) -> None:
    """With ``acquire_timeout`` a call waits for the earliest capacity, here that of a stream that ends."""
    keys = [KeyConfig("sk-1", "k1", tpm_limit=1_100)]
    gateway = build(provider, keys, pool_config=PoolConfig(acquire_timeout=30))
    stream = gateway.stream("hi")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gateway.call, "hello")
        wait_until(lambda: gateway._core.routes[0].pool._waiting)
        assert len(provider.requests) == 1
        list(stream)
        assert waiting.result(5).text == "echo: hello"


def test_a_wait_that_is_too_short(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A call that waited in vain says when it would have had its turn."""
    keys = [KeyConfig("sk-1", "k1", rpm_limit=1)]
    gateway = build(provider, keys, clock=clock, pool_config=PoolConfig(acquire_timeout=15))
    gateway.call("hi")
    with pytest.raises(NoAvailableKeyError) as refused:
        gateway.call("hi")
    assert refused.value.retry_after == pytest.approx(45, abs=0.2)
    keys = [KeyConfig("sk-1", "k1", rpm_limit=1)]
    patient = build(provider, keys, clock=clock, pool_config=PoolConfig(acquire_timeout=61))
    patient.call("hi")
    before = clock.monotonic()
    patient.call("hi")
    assert 60 <= clock.monotonic() - before < 61


@pytest.mark.parametrize("selection", ["random", "least_loaded", "latency"])
def test_selection(provider: LocalProvider, build: Any, selection: Any) -> None:
    """However keys are chosen, all calls are answered."""
    gateway = build(provider, 3, pool_config=PoolConfig(selection=selection))
    assert all(gateway.call("hi").text == "echo: hi" for _ in range(9))
    if selection == "least_loaded":
        assert [status.rpm_used for status in gateway.pool_status()] == [3, 3, 3]


def test_the_providers_own_limit_is_met_once(build: Any) -> None:
    """Keys that the provider limits more tightly are known after their first refusal, and left alone from then on."""
    with LocalProvider(rpm={"sk-1": 3, "sk-2": 3}) as provider:
        gateway = build(provider, 2, retry=RetryPolicy(max_attempts=1))
        outcomes = storm(8, 60, lambda: gateway.call(SMALL))
        answered = sum(not isinstance(outcome, GatewayError) for outcome in outcomes)
        assert answered == 6
        assert len(provider.requests) <= 6 + 2 * 8
        assert {type(outcome) for outcome in outcomes if isinstance(outcome, GatewayError)} <= {
            NoAvailableKeyError,
            RateLimitedError,
        }
        assert held(gateway) == (0, 0)


def test_answers_reach_their_own_calls(provider: LocalProvider, build: Any) -> None:
    """Over shared connections, with streams left halfway among the calls, every call gets its own answer."""
    gateway, counter, lock = build(provider, 3), iter(range(10_000)), threading.Lock()

    def one() -> bool:
        with lock:
            n = next(counter)
        if n % 3 == 0:
            with gateway.stream(f"nonce-{n} and more") as stream:
                text = stream.text()
                return next(text) + next(text) == f"echo: nonce-{n}"
        return bool(gateway.call(f"nonce-{n}").text == f"echo: nonce-{n}")

    assert storm(16, 300, one) == [True] * 300
    assert held(gateway) == (0, 0)
