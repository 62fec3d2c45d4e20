"""Whatever a call waits for, it waits in turn, by one deadline, and not a second longer than anybody wants."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from gateway_scripts import chunk, data, held, key_of, open_stream, wait_until, whole

from omnillm._cancel import CancellationToken
from omnillm.config import KeyConfig
from omnillm.errors import CallCancelledError, DeadlineExceededError, GatewayError, RateLimitedError
from omnillm.gateway.gateway import Gateway
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, fail
from omnillm.testing.scripted import Step, expect, respond, send, stall
from omnillm.testing.scripted import signal as tell
from omnillm.types.hooks import RetryScheduled
from omnillm.types.request import GenerationConfig, LlmRequest

AT_ONCE = 1.0
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"
PATIENT = PoolConfig(acquire_timeout=60)
ONE_A_MINUTE = [KeyConfig("sk-1", "k1", rpm_limit=1)]

WAITS: dict[str, tuple[list[Step], dict[str, Any]]] = {
    "key": ([expect(), respond(body=whole())], {"keys": ONE_A_MINUTE, "pool_config": PATIENT}),
    "back-off": ([expect(), respond(503, {"Retry-After": "20"}, b"{}")], {}),
    "headers": ([expect()], {}),
    "body": ([expect(), send(HALF)], {}),
    "stream headers": ([expect()], {}),
    "stream": ([expect(), open_stream(data(chunk("a")))], {}),
    "hedged": ([expect()], {"keys": 2, "retry": RetryPolicy(hedge_after=0.01)}),
}


def waiting(build: Any, where: str, server: ScriptedServer, **more: Any) -> tuple[Gateway, Callable[..., None]]:
    """Make a gateway, and what waits there when it is called."""
    options = WAITS[where][1] | more
    gateway = build(server, options.pop("keys", 1), **options)
    if where == "key":
        gateway.call("hi")

    def wait(**given: Any) -> None:
        if where.startswith("stream"):
            for _ in gateway.stream("hi", **given):
                pass
        else:
            gateway.call("hi", **given)

    return gateway, wait


def pass_by(clock: FakeClock, threads: list[threading.Thread], step: float) -> None:
    """Let the time pass until the threads have ended, and only while all of them wait for it."""
    while any(thread.is_alive() for thread in threads):
        wait_until(lambda: len(clock._sleepers) == sum(thread.is_alive() for thread in threads))
        clock.advance(step)


def is_there(gateway: Gateway, where: str, server: ScriptedServer, here: threading.Event, events: list[Any]) -> bool:
    """Tell whether the call has come to where it waits."""
    if where == "key":
        return bool(gateway._core.routes[0].pool._waiting)
    if where == "back-off":
        return any(isinstance(event, RetryScheduled) for event in events)
    return len(server.requests) == 2 if where == "hedged" else here.is_set()


@pytest.mark.parametrize("where", WAITS)
def test_p14_ctrl_c_ends_every_wait(build: Any, events: list[Any], where: str) -> None:
    """Ctrl-C comes out within a second, wherever the call is, with nothing held and no key blamed for it."""
    here, times = threading.Event(), []
    with ScriptedServer([*WAITS[where][0], tell(here), stall()]) as server:
        gateway, wait = waiting(build, where, server)
        failures = key_of(gateway).consecutive_failures

        def interrupt() -> None:
            wait_until(lambda: is_there(gateway, where, server, here, events))
            times.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            wait()
        assert time.monotonic() - times[0] < AT_ONCE
        thread.join()
        assert held(gateway) == (0, 0)
        assert not gateway._core.routes[0].pool._waiting
        assert gateway._core.allowance.in_flight == 0
        assert key_of(gateway).consecutive_failures == failures + (where == "back-off")


def test_one_token_ends_calls_wherever_they_wait(build: Any, events: list[Any], closing: Any) -> None:
    """A token that many calls share, each in another kind of wait, ends them all at once, and keeps none of them."""
    token, caught, threads = CancellationToken(), [], []
    for where in WAITS:
        here = threading.Event()
        server = closing.enter_context(ScriptedServer([*WAITS[where][0], tell(here), stall()]))
        gateway, wait = waiting(build, where, server)

        def run(wait: Callable[..., None] = wait) -> None:
            try:
                wait(cancel=token)
            except GatewayError as error:
                caught.append(type(error))

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        wait_until(lambda g=gateway, w=where, s=server, h=here: is_there(g, w, s, h, events))  # type: ignore[misc]  # a lambda
    before = time.monotonic()
    token.cancel()
    for thread in threads:
        thread.join(5)
    assert time.monotonic() - before < AT_ONCE
    assert caught == [CallCancelledError] * len(WAITS)
    assert not token._callbacks


PHASES = [
    ("key", {}, "admission", "no"),
    ("headers", {}, "first_byte", "maybe"),
    ("body", {}, "body", "yes"),
    ("stream headers", {}, "first_byte", "maybe"),
    ("stream headers", {"timeouts": {"first_byte": 0.2}}, "first_byte", "maybe"),
    ("stream", {}, "body", "yes"),
    ("hedged", {}, "first_byte", "maybe"),
]


@pytest.mark.parametrize(("where", "more", "phase", "sent"), PHASES)
def test_the_phase_in_which_the_time_was_over(build: Any, where: str, more: dict[str, Any], phase: str, sent: str) -> None:
    """The error says where the call was when its time was over, and whether anything was sent by then."""
    with ScriptedServer([*WAITS[where][0], stall()]) as server:
        _, wait = waiting(build, where, server, **more)
        before = time.monotonic()
        with pytest.raises(DeadlineExceededError) as caught:
            wait(timeout=5 if more else 0.2)
        assert time.monotonic() - before < 0.2 + AT_ONCE
        assert (caught.value.phase, caught.value.sent) == (phase, sent)


def test_the_phase_of_a_handshake(build: Any) -> None:
    """A peer that accepts and says nothing to TLS is still the connecting phase: nothing was sent."""
    with ScriptedServer([stall()], scheme="https") as server:
        with pytest.raises(DeadlineExceededError) as caught:
            build(server).call("hi", timeout=0.2)
        assert (caught.value.phase, caught.value.sent) == ("connect", "no")


def test_one_deadline_over_waiting_attempts_and_body(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """What the wait for a key and a back-off have taken is gone: the wait that does not fit the rest is not begun."""
    provider.script(fail(503, retry_after=15), fail(503, retry_after=15))
    gateway = build(provider, ONE_A_MINUTE, clock=clock, pool_config=PATIENT, retry=RetryPolicy(max_attempts=9))
    with pytest.raises(GatewayError) as caught:
        gateway.call("hi", timeout=70)
    assert clock.monotonic() <= 1_070
    assert [record.status for record in caught.value.attempts] == [503, 503]
    assert held(gateway) == (0, 0)


def test_a_wait_that_does_not_fit_is_told_at_once(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A server's wait beyond the deadline ends the call now, with the wait to come back after."""
    provider.script(fail(429, retry_after=25))
    with pytest.raises(RateLimitedError) as caught:
        build(provider, clock=clock, retry=RetryPolicy(cap=60)).call("hi", timeout=20)
    assert (caught.value.retry_after, clock.monotonic()) == (25, 1_000)


def test_a_large_request_is_served_among_small_ones(provider: LocalProvider, build: Any) -> None:
    """While small requests keep coming, a large one that waits is served as soon as the key has room for it, before them."""
    clock, order, threads = FakeClock(), [], []
    key = [KeyConfig("sk-1", "k1", rpm_limit=1_000, tpm_limit=100)]
    gateway = build(provider, key, clock=clock, pool_config=PoolConfig(acquire_timeout=1_000))
    pool = gateway._core.routes[0].pool

    def call(name: str, tokens: int) -> None:
        gateway.call(LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=tokens)))
        order.append(name)

    def start(name: str, tokens: int) -> None:
        waiters = len(pool._waiting)
        threads.append(threading.Thread(target=call, args=(name, tokens)))
        threads[-1].start()
        wait_until(lambda: len(pool._waiting) > waiters)

    for _ in range(8):
        call("first", 10)
    start("large", 95)  # beside it there is no room for a small one
    for number in range(5):
        start(f"small {number}", 5)
    assert order == ["first"] * 8
    pass_by(clock, threads, 0.5)
    assert order[8] == "large"
    assert clock.monotonic() < 1_000 + 125
    assert len(order) == 14


def test_waiters_leave_nobody_behind(provider: LocalProvider, build: Any) -> None:
    """Ten threads over a key that takes five a minute are all served, within a minute or so; the queue is empty then."""
    clock, done = FakeClock(), []
    gateway = build(provider, [KeyConfig("sk-1", "k1", rpm_limit=5)], clock=clock, pool_config=PoolConfig(acquire_timeout=600))

    def call(number: int) -> None:
        gateway.call("hi")
        done.append(number)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(done) == 5)
    pass_by(clock, threads, 1.0)
    assert clock.monotonic() < 1_000 + 65
    assert sorted(done) == list(range(10))
    assert not gateway._core.routes[0].pool._waiting


def test_backoff_is_jittered_over_a_range_that_doubles(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """Of many calls the waits fill the whole range below base, twice that, four times that, and the cap: full jitter."""
    told: list[Any] = []
    retry = RetryPolicy(max_attempts=5, base=1.0, cap=6.0)
    gateway = build(
        provider, 9, clock=clock, retry=retry, pool_config=PoolConfig(circuit_breaker_threshold=10**6), on_event=told.append
    )
    for _ in range(40):
        provider.script(fail(500, times=4))
        gateway.call("hi")
    delays = [event.delay for event in told if isinstance(event, RetryScheduled)]
    for place, ceiling in enumerate((1.0, 2.0, 4.0, 6.0)):
        drawn = delays[place::4]
        assert (len(drawn), max(drawn) <= ceiling) == (40, True)
        assert min(drawn) < ceiling / 5
        assert max(drawn) > ceiling * 4 / 5
        assert ceiling / 3 < sum(drawn) / 40 < ceiling * 2 / 3
