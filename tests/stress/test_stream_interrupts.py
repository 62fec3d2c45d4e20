"""Asynchronous exceptions into the reading and the closing of streams: no entry, no connection, no quota is left behind."""

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
from omnillm.policy.pricing import PriceTable
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import LocalProvider
from omnillm.types.enums import ProviderProtocol

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(sys.gettrace() is not None, reason="interrupts leave the tracer's own locks locked"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

SECONDS = 4.0


class Cut(BaseException):
    """What is injected."""


def test_interrupted_streams_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a collection and the next operation nothing is read, open or held, and the gateway works."""
    monkeypatch.setattr(sys, "unraisablehook", bool)
    monkeypatch.setattr(threading, "excepthook", bool)
    stop, landed = threading.Event(), [0]
    with LocalProvider() as provider:
        builder = GatewayBuilder(provider.endpoint(ProviderProtocol.OPENAI_CHAT_COMPLETIONS)).default_model("m")
        builder.add_key(KeyConfig("sk-12345678", "k1", tpm_limit=10**9, rpm_limit=10**7)).pricing(PriceTable({}, unknown="zero"))
        with builder.retry(RetryPolicy(max_attempts=1)).build() as gateway:

            def once() -> None:
                stream = gateway.stream("a b c")
                next(stream)
                next(stream)
                stream.close()

            def work() -> None:
                while not stop.is_set():
                    try:
                        once()
                    except Cut:
                        landed[0] += 1

            _hammer(work, stop)
            gc.collect()
            gateway.pool_status()
            snapshot: Any = gateway._core.store.snapshot()
            assert landed[0] > 50
            assert (gateway._core.reading, snapshot.held_requests, snapshot.held_tokens) == ({}, 0, 0)
            assert provider.wait_open_connections(0, timeout=5)
            assert gateway.call("x").text == "echo: x"


def _hammer(work: Any, stop: threading.Event) -> None:
    """Keep one worker alive, and cut it at random moments."""
    rng, threads, until = random.Random(1), [], time.monotonic() + SECONDS
    while time.monotonic() < until:
        if not threads or not threads[-1].is_alive():
            threads.append(threading.Thread(target=work, daemon=True))
            threads[-1].start()
        time.sleep(rng.random() * 0.004)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threads[-1].ident or 0), ctypes.py_object(Cut))
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "the worker hangs"
