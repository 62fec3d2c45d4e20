"""Asynchronous exceptions into calls and streams that hedge: no lease, no money, no connection and no thread is left behind."""

from __future__ import annotations

import ctypes
import gc
import random
import sys
import threading
import time
from typing import Any

import pytest

from omnillm.config import KeyConfig
from omnillm.gateway.builder import GatewayBuilder
from omnillm.policy.limits import PICO
from omnillm.policy.pricing import PriceTable
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import LocalProvider, delay
from omnillm.types.enums import ProviderProtocol

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(sys.gettrace() is not None, reason="interrupts leave the tracer's own locks locked"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

SECONDS = 5.0
PRICES = PriceTable({"m": {"input": 1.0, "output": 1.0}})


class Cut(BaseException):
    """What is injected."""


@pytest.mark.parametrize("how", ["call", "stream"])
def test_interrupted_hedges_leave_nothing(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """After a collection and the next operation nothing is held, open or running; the budget is what was spent in all."""
    monkeypatch.setattr(sys, "unraisablehook", bool)
    monkeypatch.setattr(threading, "excepthook", bool)
    stop, landed, done = threading.Event(), [0], [0]
    with LocalProvider() as provider:
        builder = GatewayBuilder(provider.endpoint(ProviderProtocol.OPENAI_CHAT_COMPLETIONS)).default_model("m")
        builder.add_keys([KeyConfig(f"sk-1234567{n}", f"k{n}", tpm_limit=10**9, rpm_limit=10**7) for n in range(2)])
        provider.script(delay(0.01, times=10**6), key="sk-12345670")
        policy = RetryPolicy(max_attempts=2, hedge_after=0.002, base=0.001)
        with builder.retry(policy).pricing(PRICES).budget_limit_usd(100).build() as gateway:

            def once() -> None:
                if how == "call":
                    gateway.call("a b c")
                else:
                    with gateway.stream("a b c") as stream:
                        next(stream)
                done[0] += 1

            def work() -> None:
                while not stop.is_set():
                    try:
                        once()
                    except Cut:
                        landed[0] += 1

            _hammer(work, stop)
            until = time.monotonic() + 10
            while any(thread.name == "omnillm-hedge" for thread in threading.enumerate()) and time.monotonic() < until:
                time.sleep(0.01)
            gc.collect()
            gateway.pool_status()
            snapshot: Any = gateway._core.store.snapshot()
            assert landed[0] > 50
            assert done[0] > 50
            assert not [thread.name for thread in threading.enumerate() if thread.name == "omnillm-hedge"]
            assert (gateway._core.reading, snapshot.held_requests, snapshot.held_tokens) == ({}, 0, 0)
            assert [(status.reserved, status.used) for status in snapshot.budgets] == [(0, snapshot.spent)]
            assert 0 < snapshot.spent < PICO
            assert (gateway._core.allowance.in_flight, gateway._core.allowance.retrying) == (0, 0)
            assert provider.wait_open_connections(64, timeout=5)  # those that are kept
            assert gateway.call("x").text == "echo: x"


def _hammer(work: Any, stop: threading.Event) -> None:
    """Keep one worker alive, and cut it at random moments."""
    rng, threads, until = random.Random(1), [], time.monotonic() + SECONDS
    while time.monotonic() < until:
        if not threads or not threads[-1].is_alive():
            threads.append(threading.Thread(target=work, daemon=True))
            threads[-1].start()
        time.sleep(rng.random() * 0.03)
        if _is_starting(threads[-1].ident):
            continue
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threads[-1].ident or 0), ctypes.py_object(Cut))
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "the worker hangs"


def _is_starting(ident: int | None) -> bool:
    """Tell whether the thread starts another: its exception may land in that one, whose start CPython then awaits for ever."""
    frame = sys._current_frames().get(ident or 0)
    while frame is not None:
        if frame.f_code is threading.Thread.start.__code__:
            return True
        frame = frame.f_back
    return False
