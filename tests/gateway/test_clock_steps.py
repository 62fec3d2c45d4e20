"""A wall clock that is set, to and fro, at every look: each wait, deadline and window is as with one that stands."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from gateway_scripts import chunk, data, held, key_of, more, open_stream, streamed, wait_until, whole

from omnillm.config import KeyConfig
from omnillm.errors import DeadlineExceededError, GatewayError, StreamInterruptedError
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, fail
from omnillm.testing.scripted import Step, expect, respond, signal, stall, wait

DAY = 86_400.0


class WildClock(FakeClock):
    """A clock whose wall is a day ahead at one look, and a day behind at the next."""

    _off = DAY

    def wall(self) -> float:
        self._off = -self._off
        return super().wall() + self._off


def told(gateway: Any, clock: FakeClock, **options: Any) -> tuple[object, ...]:
    """Call, and give what came of it, and the time it took."""
    before = clock.monotonic()
    try:
        found: tuple[object, ...] = ("ok", len(gateway.call("hi", **options).attempts))
    except GatewayError as error:
        wait_ = None if error.retry_after is None else round(error.retry_after, 3)
        found = (type(error).__name__, getattr(error, "reason", None), wait_, len(error.attempts))
    return (*found, round(clock.monotonic() - before, 3))


def lived(build: Any, clock: FakeClock) -> list[tuple[object, ...]]:
    """Let a gateway of one key go through cool-down, back-off, breaker, window and queue."""
    found: list[tuple[object, ...]] = []
    with LocalProvider() as provider:
        pool = PoolConfig(circuit_breaker_threshold=2, circuit_breaker_cooldown=50)
        keys = [KeyConfig("sk-1", "k1", rpm_limit=9)]
        gateway = build(provider, keys, clock=clock, pool_config=pool, retry=RetryPolicy(max_attempts=2, base=0.0))
        provider.script(fail(429, retry_after=40))
        found += [told(gateway, clock) for _ in range(2)]  # cools, and says how long
        clock.advance(40)
        provider.script(fail(503, retry_after=7))
        found.append(told(gateway, clock))  # waits for the server's hint
        provider.script(fail(503, retry_after=20))
        found.append(told(gateway, clock, timeout=10))  # which does not fit
        provider.script(fail(500))
        found += [told(gateway, clock, timeout=5) for _ in range(3)]
        provider.script(fail(500, times=2))
        found += [told(gateway, clock) for _ in range(2)]  # opens the breaker, and says until when
        clock.advance(50)
        found += [told(gateway, clock) for _ in range(9)]  # the trial, and the rest of the window
        clock.advance(61)
        found.append((key_of(gateway).rpm_used, key_of(gateway).tpm_used))
        patient = build(provider, [KeyConfig("sk-2", "k2", rpm_limit=2)], clock=clock, pool_config=PoolConfig(acquire_timeout=90))
        found += [told(patient, clock) for _ in range(4)]  # waits for the next minute
        found.append(told(patient, clock, timeout=3))
    return found


def test_p13_a_wall_clock_that_jumps_changes_no_wait(build: Any) -> None:
    """Cool-downs, hints, breakers, windows, queues and deadlines take as long, and say the same, as with one that stands."""
    sane, wild = lived(build, FakeClock(auto_advance=True)), lived(build, WildClock(auto_advance=True))
    assert wild == sane
    assert {one[0] for one in sane} >= {"ok", "RateLimitedError", "NoAvailableKeyError", "OverloadedError"}


@pytest.mark.parametrize("step", [DAY, -DAY])
@pytest.mark.parametrize("how", ["call", "stream"])
def test_p13_a_call_under_way_is_neither_ended_nor_prolonged(build: Any, how: str, step: float) -> None:
    """The clock is set while an answer or an event is waited for: what comes in time is read, what does not ends by its time."""
    answers: dict[str, list[Step]] = {
        "call": [respond(body=whole())],
        "stream": [more(data(chunk("b"))), more(streamed("c"))],
    }
    begun = [open_stream(data(chunk("a")))] if how == "stream" else []
    there, go = threading.Event(), threading.Event()
    script = [expect(), *begun, signal(there), wait(go), *answers[how]]
    with ScriptedServer(script, [expect(), *begun, signal(there), stall()]) as server:
        clock = FakeClock()
        gateway = build(
            server, clock=clock, timeouts={"total": 60, "idle": 60, "first_byte": 60}, retry=RetryPolicy(max_attempts=1)
        )
        for in_time in (True, False):
            there.clear()
            caught: list[object] = []

            def ask(caught: list[object] = caught) -> None:
                try:
                    caught.append(gateway.call("hi").text if how == "call" else "".join(gateway.stream("hi").text()))
                except GatewayError as error:
                    caught.append(type(error))

            thread = threading.Thread(target=ask)
            thread.start()
            assert there.wait(5)
            wait_until(lambda: gateway._core.transport._running)
            clock.step_wall(step)
            clock.advance(59)
            thread.join(0.05)
            assert thread.is_alive()
            if in_time:
                go.set()
            else:
                clock.advance(61)
            thread.join(5)
            late = DeadlineExceededError if how == "call" else StreamInterruptedError
            assert caught == [{"call": "hello", "stream": "abc"}[how] if in_time else late]
        assert held(gateway) == (0, 0)
