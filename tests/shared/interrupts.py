"""Asynchronous exceptions, injected between any two bytecodes of a loop, and how many of them a run has."""

from __future__ import annotations

import ctypes
import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

LONGEST_NAP_S = 0.0005

# The start of a thread is no place for an injected exception. The state of a thread that is being made bears its parent's number,
# and may get what was meant for the parent; it dies, and ``Thread.start`` waits for its sign for ever. Nothing above the standard
# library can mend that; an interrupt from the keyboard, which goes to the main thread alone, comes there in test_ctrl_c.
_STARTING = threading.Lock()
_start = threading.Thread.start


def _start_alone(thread: threading.Thread) -> None:
    with _STARTING:
        _start(thread)


class Cut(BaseException):
    """What is injected."""


def scaled(count: int, *, full: int | None = None) -> int:
    """Give the bounded count; the full one, ten times as many where it is not given, with ``OMNILLM_STRESS=full``."""
    if os.environ.get("OMNILLM_STRESS") != "full":
        return count
    return 10 * count if full is None else full


skipped_when_traced = pytest.mark.skipif(sys.gettrace() is not None, reason="interrupts leave the tracer's own locks locked")


@pytest.fixture
def only_the_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let threads take turns often, and keep others' collection callbacks, and reports that keep frames alive, out of it."""
    before, callbacks = sys.getswitchinterval(), gc.callbacks[:]
    sys.setswitchinterval(1e-5)
    gc.callbacks.clear()
    monkeypatch.setattr(sys, "unraisablehook", bool)  # of C, so that it cannot be interrupted either
    monkeypatch.setattr(threading.Thread, "start", _start_alone)
    yield
    gc.callbacks[:] = callbacks
    sys.setswitchinterval(before)


def hammer(loop: Callable[[], object], *, interrupts: int, seed: int = 1, nap: float = LONGEST_NAP_S) -> int:
    """Run the loop in a thread, injecting so many exceptions at random moments; give how many of them came out of it.

    What the loop raises beside them fails the test. Have it run once before:
    an interrupt of an import keeps CPython's import lock.
    """
    rng, stop = random.Random(seed), threading.Event()
    landed: list[None] = []
    faults: list[BaseException] = []

    def body() -> None:
        while not stop.is_set():
            try:
                while not stop.is_set():
                    try:
                        while not stop.is_set():
                            loop()
                    except Cut:
                        landed.append(None)
            except Cut:
                landed.append(None)

    def guarded() -> None:
        try:
            body()
        except Cut:
            landed.append(None)
        except BaseException as error:
            faults.append(error)

    threads: list[threading.Thread] = []
    sent = 0
    while sent < interrupts and not faults:
        if not threads or not threads[-1].is_alive():
            threads.append(threading.Thread(target=guarded, daemon=True))
            threads[-1].start()
        time.sleep(rng.random() * nap)
        with _STARTING:
            sent += ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threads[-1].ident or 0), ctypes.py_object(Cut))
    stop.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "the loop hangs"
    if faults:
        raise AssertionError("what came out is no interrupt") from faults[0]
    return len(landed)
