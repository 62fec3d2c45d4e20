"""Asynchronous exceptions, injected between any two bytecodes of a loop, and how many of them a run has."""

from __future__ import annotations

import ctypes
import dis
import gc
import logging
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

import pytest

import omnillm

LONGEST_NAP_S = 0.0005
HANGS_S = 20.0

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
    told = threading.excepthook  # of a loop's thread that was cut where it catches nothing any more: another one takes its place
    monkeypatch.setattr(threading, "excepthook", lambda args: None if args.exc_type is Cut else told(args))
    # a handler takes its lock in one bytecode, and sees to its release in another: that is the standard library's to mend
    monkeypatch.setattr(logging.Logger, "isEnabledFor", lambda *_: False)
    yield
    gc.callbacks[:] = callbacks
    sys.setswitchinterval(before)


def hammer(loop: Callable[[], object], *, interrupts: int, seed: int = 1, nap: float = LONGEST_NAP_S) -> int:
    """Run the loop in a thread, injecting exceptions at random moments until so many came out of it; give how many did.

    One that comes before the last has come out takes its place, and counts once. What the loop raises beside them fails the
    test. Have it run once before: an interrupt of an import keeps CPython's import lock.
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
    seen, until = 0, time.monotonic() + HANGS_S
    while len(landed) < interrupts and not faults:
        if not threads or not threads[-1].is_alive():
            threads.append(threading.Thread(target=guarded, daemon=True))
            threads[-1].start()
        time.sleep(rng.random() * nap)
        with _STARTING:  # else a new thread may have got the number of this one, which has just died
            if threads[-1].is_alive():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threads[-1].ident or 0), ctypes.py_object(Cut))
        if len(landed) > seen:
            seen, until = len(landed), time.monotonic() + HANGS_S
        assert time.monotonic() < until, f"the loop hangs:\n{_stack(threads[-1])}"
    stop.set()
    for thread in threads:
        thread.join(HANGS_S)
        assert not thread.is_alive(), f"the loop hangs:\n{_stack(thread)}"
        if threading._active.get(thread.ident) is thread:  # type: ignore[attr-defined]
            del threading._active[thread.ident]  # type: ignore[attr-defined]  # its own end was cut
    if faults:
        raise AssertionError("what came out is no interrupt") from faults[0]
    return len(landed)


def _stack(thread: threading.Thread) -> str:
    return "".join(traceback.format_stack(sys._current_frames().get(thread.ident or 0)))


# --- at a place that is counted, in place of a moment that is diced -----------------------------------------------------------

_NOP = dis.opmap["NOP"]  # the line of a bare ``try``: what is around it does not hold it yet, and no exception comes there
_HOUSE = str(Path(omnillm.__file__).parent)
_DOUBLES = str(Path(omnillm.__file__).parent / "testing")


@cache
def _first_offsets(code: CodeType) -> dict[int, int]:
    """Give where each line of the code begins. A line that is come back to is left alone.

    It may be that of a ``with``, which is come back to for its end: no exception comes between the body and that.
    """
    found: dict[int, int] = {}
    for start, _, line in code.co_lines():
        if line is not None:
            found.setdefault(line, start)
    return found


class CutAt:
    """Cut this thread, where it is in the library's code, at the so-manieth beginning of a line, call or return from there on.

    An injected exception comes at a call, a return, or a jump back; of these places no run is left out, nor met twice.
    """

    def __init__(self, place: int) -> None:
        self._left = place
        self.happened = False

    def __enter__(self) -> Self:
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(_HOUSE) or name.startswith(_DOUBLES):
            return None
        self._step()
        return self._within

    def _within(self, frame: FrameType, event: str, _: Any) -> Any:
        code, at = frame.f_code, frame.f_lasti
        if event == "return" or (event == "line" and at == _first_offsets(code).get(frame.f_lineno) and code.co_code[at] != _NOP):
            self._step()
        return self._within

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0 and not self.happened:
            self.happened = True
            sys.settrace(None)
            raise Cut


def at_every_place(once: Callable[[], object], check: Callable[[], object], *, every: int = 1) -> int:
    """Do something again and again, cut at its first place, at its second, and so on to its last; check after each.

    Gives how many places there were; ``every`` so-manieth is cut.
    """
    place = 1
    while True:
        cut = CutAt(place)
        try:
            with cut:
                once()
        except Cut:
            pass
        check()
        if not cut.happened:
            return place
        place += every
