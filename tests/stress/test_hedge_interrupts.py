"""Asynchronous exceptions into calls and streams that hedge: no lease, no money, no connection and no thread is left behind."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import pytest
from interrupts import hammer, only_the_loop, scaled, skipped_when_traced

from omnillm.config import KeyConfig
from omnillm.gateway.builder import GatewayBuilder
from omnillm.policy.limits import PICO
from omnillm.policy.pricing import PriceTable
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import LocalProvider, delay
from omnillm.types.enums import ProviderProtocol

pytestmark = [
    pytest.mark.stress,
    skipped_when_traced,
    pytest.mark.usefixtures("only_the_loop"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

_ = only_the_loop
INTERRUPTS = scaled(80, full=1_000)
PRICES = PriceTable({"m": {"input": 1.0, "output": 1.0}})


@pytest.mark.parametrize("how", ["call", "stream"])
def test_interrupted_hedges_leave_nothing(how: str) -> None:
    """After a collection and the next operation nothing is held, open or running; the budget is what was spent in all."""
    done = [0]
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

            once()
            landed = hammer(once, interrupts=INTERRUPTS, nap=0.03)
            until = time.monotonic() + 10
            while any(thread.name == "omnillm-hedge" for thread in threading.enumerate()) and time.monotonic() < until:
                time.sleep(0.01)
            gc.collect()
            gateway.pool_status()
            snapshot: Any = gateway._core.store.snapshot()
            assert landed >= INTERRUPTS
            assert done[0] > 1  # some were not cut; how many is the machine's matter
            assert not [thread.name for thread in threading.enumerate() if thread.name == "omnillm-hedge"]
            assert (gateway._core.reading, snapshot.held_requests, snapshot.held_tokens) == ({}, 0, 0)
            assert [(status.reserved, status.used) for status in snapshot.budgets] == [(0, snapshot.spent)]
            assert 0 < snapshot.spent < PICO
            assert (gateway._core.allowance.in_flight, gateway._core.allowance.retrying) == (0, 0)
            assert provider.wait_open_connections(64, timeout=5)  # those that are kept
            assert gateway.call("x").text == "echo: x"
