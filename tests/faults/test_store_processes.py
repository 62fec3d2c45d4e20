"""What processes on a shared state do to each other, in real time: one is killed, another goes on."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from contextlib import ExitStack
from typing import Any

from own_process import environment
from stores import kinds, new_name, url_of

from omnillm.state import Ask, KeyLease, KeySpec, Refusal
from omnillm.state.redis import RedisState

KIND = kinds()[-1]


def state_of(closing: ExitStack, **options: Any) -> RedisState:
    state = RedisState(url_of(KIND), **{"name": new_name(), "timeout": 5.0, **options})
    closing.callback(state.close)
    state.add_pool("p", [KeySpec("k", 1_000, 100)])
    return state


def ask() -> Ask:
    return Ask("p", "m", 10, 0)


def admitted(outcome: KeyLease | Refusal) -> KeyLease:
    assert isinstance(outcome, KeyLease), outcome
    return outcome


def test_p37_a_process_that_is_killed(closing: ExitStack) -> None:
    """A real process, a real kill: another one has the key's trial and tokens again within the lease."""
    name = new_name()
    code = f"""
        import time
        from omnillm.state import *
        from omnillm.state.redis import RedisState
        state = RedisState({url_of(KIND)!r}, name={name!r}, lease=1.0)
        state.add_pool("p", [KeySpec("k", 1_000, 100)])
        kept = state.admit(Ask("p", "m", 1_000, 0))
        print(kept.label, flush=True)
        time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=environment(), stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"k\n"
        state = state_of(closing, name=name, lease=1.0)
        time.sleep(1.5)
        assert state.admit(ask()).reason == "window"  # type: ignore[union-attr]  # it is alive, and says so
        process.kill()
    until = time.monotonic() + 3.0
    while isinstance(state.admit(ask()), Refusal):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_p22_the_pulse_ends_with_what_it_is_for(closing: ExitStack) -> None:
    """A process has one thread more while it holds something, and a few beats longer; closing ends it at once."""

    def pulses() -> int:
        return sum(thread.name == "omnillm-pulse" for thread in threading.enumerate())

    before = pulses()
    state = state_of(closing, lease=0.09)
    lease = admitted(state.admit(ask()))
    time.sleep(0.3)
    assert (pulses(), state.snapshot().held_requests) == (before + 1, 1)
    state.release(lease.reservation.id)
    until = time.monotonic() + 5.0
    while pulses() > before:
        assert time.monotonic() < until
        time.sleep(0.02)
    other = state_of(closing)
    kept = admitted(other.admit(ask()))
    other.close()
    assert pulses() == before
    assert other.release(kept.reservation.id)
