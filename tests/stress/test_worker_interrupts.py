"""Interrupts between any two bytecodes of who submits, maps, runs tools and talks: nothing stays held, and the workers go on."""

import gc
import sys
import threading

import pytest
from gateway_fixtures import MODEL, endpoint_of
from gateway_scripts import held, wait_until
from interrupts import hammer, nothing_else_to_interrupt

from omnillm import Conversation, tool
from omnillm.config import KeyConfig
from omnillm.gateway.builder import GatewayBuilder
from omnillm.policy.pricing import PriceTable
from omnillm.testing import LocalProvider

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(sys.gettrace() is not None, reason="interrupts leave the tracer's own locks locked"),
]
_ = nothing_else_to_interrupt

HUGE = 10**9
INTERRUPTS = 150
WORKERS = 24


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def submits(gateway):
    return lambda: gateway.submit("hi").result()


def cancels(gateway):
    return lambda: gateway.submit("hi").cancel()


def maps(gateway):
    return lambda: list(gateway.map(["a", "b", "c"], concurrency=2))


def leaves_maps(gateway):
    return lambda: next(gateway.map(["a", "b", "c"], concurrency=2))


def runs_tools(gateway):
    return lambda: gateway.run_tools('call add with {"a": 1, "b": 2} and call add with {"a": 2, "b": 3}', [add])


def talks(gateway):
    talk = Conversation(gateway, tools=[add])

    def turn():
        fork = talk.fork()
        fork.say('call add with {"a": 1, "b": 2}')
        assert len(fork.items) == 4

    return turn


def _warm_up(gateway):
    """Have idle workers: a thread that is being started has the ident of its parent, and may get what is injected there."""
    meet = threading.Barrier(WORKERS)
    for future in [gateway._core.workers.submit(meet.wait) for _ in range(WORKERS)]:
        future.result(5)


@pytest.mark.parametrize("use", [submits, cancels, maps, leaves_maps, runs_tools, talks])
def test_nothing_is_held_after_interrupts(use):
    """Wherever an interrupt hits, what was begun ends by itself, quota and money come back, and the next call is served."""
    with LocalProvider() as provider:
        prices = PriceTable({MODEL: {"input": 1, "output": 1}})
        builder = GatewayBuilder(endpoint_of(provider)).default_model(MODEL).pricing(prices)
        builder.add_key(KeyConfig("sk-1", "k1", tpm_limit=HUGE, rpm_limit=HUGE)).budget_limit_usd(100.0)
        with builder.build() as gateway:
            _warm_up(gateway)
            hammer(use(gateway), interrupts=INTERRUPTS)
            gc.collect()
            wait_until(lambda: held(gateway) == (0, 0))
            assert gateway._core.store.snapshot().budgets[0].reserved == 0
            assert gateway.submit("and on").result(5).text == "echo: and on"
            wait_until(lambda: gateway._core.workers._idle == len(gateway._core.workers._threads))
            assert threading.active_count() < 200
