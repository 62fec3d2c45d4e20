"""Every wait of a call ends at once: by its token, by ``close()``, by Ctrl-C; what it held is back, what it cost is charged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from call_waits import PLACES
from gateway_scripts import held, key_of, wait_until
from own_process import ROOT

from omnillm._cancel import CancellationToken
from omnillm.errors import CallCancelledError, ClosedError

AT_ONCE = 2.0  # seconds: the one of the promise, and one for a busy machine
SHARED = str(Path(__file__).parent.parent / "shared")

INTERRUPTED = """
import _thread, faulthandler, gc, json, os, signal, sys, threading, time
faulthandler.dump_traceback_later(60, exit=True)
from contextlib import ExitStack
from call_waits import PLACES
from gateway_scripts import held, key_of, wait_until
from omnillm._cancel import CancellationToken

def interrupt(waiting, sent):
    wait_until(waiting.is_there, 20)
    time.sleep(0.02)
    sent.append(time.monotonic())
    if sys.argv[1] == "signal":
        os.kill(os.getpid(), signal.SIGINT)
    else:
        _thread.interrupt_main()

for name in PLACES:
    with ExitStack() as stack:
        waiting, sent, caught = PLACES[name](stack), [], None
        before = key_of(waiting.gateway).consecutive_failures
        thread = threading.Thread(target=interrupt, args=(waiting, sent))
        thread.start()
        try:
            waiting.call(CancellationToken())
        except BaseException as error:
            caught = type(error).__name__
        took = time.monotonic() - sent[0]
        thread.join()
        gc.collect()
        core = waiting.gateway._core
        print(json.dumps({
            "name": name, "caught": caught, "took": took, "used": waiting.used, "charged": waiting.charged,
            "held": held(waiting.gateway), "failures": key_of(waiting.gateway).consecutive_failures - before,
            "open": [core.allowance.in_flight, len(core.reading), len(core.transport._running)],
        }), flush=True)
"""


@pytest.fixture(scope="module")
def interrupted() -> dict[str, dict[str, Any]]:
    """What became of a process's call at each place when SIGINT came."""
    return _interrupted("signal")


@pytest.fixture(scope="module")
def marked() -> dict[str, dict[str, Any]]:
    """What became of it when the interpreter was told of a SIGINT that woke no call of the system's."""
    return _interrupted("mark")


def _interrupted(how: str) -> dict[str, dict[str, Any]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, SHARED])}
    command = [sys.executable, "-c", INTERRUPTED, how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return {found["name"]: found for found in map(json.loads, done.stdout.splitlines())}


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send")
@pytest.mark.parametrize("place", PLACES)
def test_row_70_ctrl_c(interrupted: dict[str, dict[str, Any]], place: str) -> None:
    """``KeyboardInterrupt`` comes at once; the lease is free, the connection is closed, no key is blamed."""
    found = interrupted[place]
    assert found["caught"] == "KeyboardInterrupt"
    assert found["took"] < AT_ONCE
    failures = 1 if place == "back-off" else 0  # that of the attempt before
    assert (found["held"], found["failures"], found["open"]) == ([0, 0], failures, [0, 0, 0])
    assert found["used"] == found["charged"]


@pytest.mark.parametrize("place", PLACES)
def test_p14_an_interrupt_that_wakes_no_wait_of_the_systems(marked: dict[str, dict[str, Any]], place: str) -> None:
    """One that came just before the wait began, or on a system whose waits it does not end, is noticed within a second too."""
    found = marked[place]
    assert found["caught"] == "KeyboardInterrupt"
    assert found["took"] < AT_ONCE
    assert (found["held"], found["open"], found["used"]) == ([0, 0], [0, 0, 0], found["charged"])


class Waiter(threading.Thread):
    """A thread that waits at a place."""

    def __init__(self, place: str, stack: ExitStack) -> None:
        super().__init__()
        self.waiting = PLACES[place](stack)
        self.token = CancellationToken()
        self.caught: BaseException | None = None
        self.start()
        wait_until(self.waiting.is_there, 20)

    def run(self) -> None:
        try:
            self.waiting.call(self.token)
        except BaseException as error:
            self.caught = error

    def ended(self) -> BaseException | None:
        begin = time.monotonic()
        self.join(10)
        assert time.monotonic() - begin < AT_ONCE
        return self.caught


@pytest.mark.parametrize("place", PLACES)
def test_cancel_ends_every_wait(closing: ExitStack, place: str) -> None:
    """``cancel()`` from another thread ends the call with ``CallCancelledError``; no key is blamed for it."""
    waiter = Waiter(place, closing)
    gateway = waiter.waiting.gateway
    before = key_of(gateway).consecutive_failures
    waiter.token.cancel()
    error: Any = waiter.ended()
    assert type(error) is CallCancelledError
    assert [record.outcome for record in error.attempts] == ["failed"] * (place not in ("key", "window"))
    assert (held(gateway), gateway._core.allowance.in_flight, gateway._core.reading) == ((0, 0), 0, {})
    assert key_of(gateway).consecutive_failures == before
    assert waiter.waiting.used == waiter.waiting.charged


@pytest.mark.parametrize("place", PLACES)
def test_close_ends_every_wait(closing: ExitStack, place: str) -> None:
    """``gateway.close()`` from another thread ends the call with ``ClosedError``."""
    waiter = Waiter(place, closing)
    gateway = waiter.waiting.gateway
    gateway.close()
    assert type(waiter.ended()) is ClosedError
    assert (held(gateway), gateway._core.allowance.in_flight, gateway._core.reading) == ((0, 0), 0, {})
    assert waiter.waiting.used == waiter.waiting.charged


def test_one_token_ends_every_wait(closing: ExitStack) -> None:
    """One ``CancellationToken`` given to calls at all these places ends them all."""
    waiters = [Waiter(place, closing) for place in PLACES]
    token = CancellationToken()
    handles = [token.subscribe(waiter.token.cancel) for waiter in waiters]
    token.cancel()
    assert {type(waiter.ended()) for waiter in waiters} == {CallCancelledError}
    assert len(set(handles)) == len(waiters)
