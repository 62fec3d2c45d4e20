"""Asynchronous exceptions, injected between any two bytecodes of a loop."""

import ctypes
import gc
import random
import sys
import threading
import time

import pytest

INTERRUPTS = 300


class Cut(BaseException):
    """What is injected."""


@pytest.fixture(autouse=True)
def nothing_else_to_interrupt(monkeypatch):
    """Let threads take turns often, and keep others' collection callbacks, and reports that keep frames alive, out of it."""
    before, callbacks = sys.getswitchinterval(), gc.callbacks[:]
    sys.setswitchinterval(1e-5)
    gc.callbacks.clear()
    monkeypatch.setattr(sys, "unraisablehook", bool)  # of C, so that it cannot be interrupted either
    yield
    gc.callbacks[:] = callbacks
    sys.setswitchinterval(before)


def hammer(loop, *, interrupts=INTERRUPTS, seed=1):
    """Run the loop in a thread, injecting exceptions at random moments; give how many landed."""
    inject, rng, stop, landed = ctypes.pythonapi.PyThreadState_SetAsyncExc, random.Random(seed), threading.Event(), []

    def body():
        while not stop.is_set():
            try:
                while not stop.is_set():
                    try:
                        while not stop.is_set():
                            loop()
                    except Cut:
                        landed.append(1)
            except Cut:
                landed.append(1)

    def guarded():
        try:
            body()
        except Cut:
            landed.append(1)

    threads = []
    for _ in range(interrupts):
        if not threads or not threads[-1].is_alive():
            threads.append(threading.Thread(target=guarded, daemon=True))
            threads[-1].start()
        time.sleep(rng.random() * 0.0005)
        inject(ctypes.c_ulong(threads[-1].ident), ctypes.py_object(Cut))
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "the worker hangs"
    return len(landed)
