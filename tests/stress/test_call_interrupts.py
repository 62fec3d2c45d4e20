"""Asynchronous exceptions between any two bytecodes of real calls: no lease, no money, no connection and no worker is lost."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest
from gateway_fixtures import MODEL, endpoint_of
from gateway_scripts import held, wait_until
from interrupts import at_every_place, hammer, only_the_loop, scaled, skipped_when_traced

from omnillm import Conversation, tool
from omnillm.config import KeyConfig
from omnillm.gateway.builder import GatewayBuilder
from omnillm.gateway.gateway import Gateway
from omnillm.policy.pricing import PriceTable
from omnillm.state.memory import MemoryState
from omnillm.testing import FakeClock, LocalProvider
from omnillm.types.request import LlmRequest

pytestmark = [
    pytest.mark.stress,
    skipped_when_traced,
    pytest.mark.usefixtures("only_the_loop"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
_ = only_the_loop

HUGE = 10**9
INTERRUPTS = scaled(100, full=4_000)
Loop = Callable[[], Any]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def calls(gateway: Gateway) -> Loop:
    return lambda: gateway.call("hi")


def closes_streams(gateway: Gateway) -> Loop:
    def loop() -> None:
        stream = gateway.stream("a b c")
        next(stream)
        next(stream)
        stream.close()

    return loop


def reads_streams(gateway: Gateway) -> Loop:
    return lambda: list(gateway.stream("a b c"))


def drops_streams(gateway: Gateway) -> Loop:
    return lambda: next(gateway.stream("a b c"))


def submits(gateway: Gateway) -> Loop:
    return lambda: gateway.submit("hi").result()


def cancels(gateway: Gateway) -> Loop:
    return lambda: gateway.submit("hi").cancel()


def maps(gateway: Gateway) -> Loop:
    return lambda: list(gateway.map(["a", "b", "c"], concurrency=2))


def leaves_maps(gateway: Gateway) -> Loop:
    return lambda: next(gateway.map(["a", "b", "c"], concurrency=2))


def runs_tools(gateway: Gateway) -> Loop:
    asked = 'call add with {"a": 1, "b": 2} and call add with {"a": 2, "b": 3}'
    return lambda: gateway.run_tools(asked, [add])


def talks(gateway: Gateway) -> Loop:
    talk = Conversation(gateway, tools=[add])

    def turn() -> None:
        fork = talk.fork()
        fork.say('call add with {"a": 1, "b": 2}')
        assert len(fork.items) == 4

    return turn


# how many of the places are cut in the bounded form: one in so many
EVERY = {calls: 97, reads_streams: 97, closes_streams: 53, drops_streams: 53, submits: 1, maps: 7, leaves_maps: 7}
USES = [calls, reads_streams, closes_streams, drops_streams, submits, cancels, maps, leaves_maps, runs_tools, talks]


@pytest.mark.parametrize("use", USES)
def test_p01_quota_is_always_returned(use: Callable[[Gateway], Loop]) -> None:
    """Wherever an interrupt hits, what was begun ends by itself; all quota is back, and whatever reached the provider is paid."""
    with LocalProvider() as provider, build(provider) as gateway:
        loop = use(gateway)
        loop()  # what is imported on first use is so now
        wait_until(lambda: held(gateway) == (0, 0))
        assert hammer(loop, interrupts=INTERRUPTS) >= INTERRUPTS
        gc.collect()
        check_rest(gateway)
        check_money(gateway, provider)
        assert gateway.submit("and on").result(5).text == "echo: and on"
        check_rest(gateway)
        assert len(gateway._core.workers._threads) <= gateway._core.config.max_workers + 1
        gateway.close()
        assert provider.wait_open_connections(0, timeout=5)
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "omnillm-worker"])


@pytest.mark.parametrize(("use", "every"), [(use, scaled(every, full=-(-every // 10))) for use, every in EVERY.items()])
def test_p01_quota_is_always_returned_from_every_place(use: Callable[[Gateway], Loop], every: int) -> None:
    """The same with one interrupt at each place of our code that the caller passes, one after the other."""
    with LocalProvider() as provider, build(provider) as gateway:
        loop = use(gateway)
        loop()
        wait_until(lambda: held(gateway) == (0, 0))
        assert at_every_place(loop, lambda: check_rest(gateway), every=every) > 100
        check_money(gateway, provider)
        assert gateway.call("and on").text == "echo: and on"


class Crawl(FakeClock):
    """Stand still: what a key was asked stays in its windows, however long the test takes."""

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        return event.wait(timeout)


def build(provider: LocalProvider) -> Gateway:
    builder = GatewayBuilder(endpoint_of(provider)).default_model(MODEL).state(MemoryState(clock=Crawl()))
    builder.pricing(PriceTable({MODEL: {"input": 1, "output": 1}})).budget_limit_usd(100.0)
    return builder.add_key(KeyConfig("sk-1", "k1", tpm_limit=HUGE, rpm_limit=HUGE)).build()


def check_rest(gateway: Gateway) -> None:
    """Wait until nothing runs and nothing is held."""
    core = gateway._core
    workers = core.workers
    wait_until(lambda: len(workers._idle) == len(workers._threads) and not workers._queue)

    def rests() -> bool:
        gateway.pool_status()  # an operation closes what was lost
        return held(gateway) == (0, 0) and core.allowance.in_flight == 0 and not core.reading

    if not rests():
        gc.collect()  # an interrupted frame may be in a cycle with its exception
    wait_until(rests)
    assert core.store.snapshot().budgets[0].reserved == 0


def check_money(gateway: Gateway, provider: LocalProvider) -> None:
    """Hold what was charged against what the provider was asked."""
    snapshot = gateway._core.store.snapshot()
    assert snapshot.budgets[0].used == snapshot.spent
    least = LlmRequest(MODEL, "hi").estimated_prompt_tokens() * 10**6  # a dollar for a million, in pico-dollars
    assert snapshot.keys[0].rpm_used >= len(provider.requests)
    assert snapshot.spent >= least * len(provider.requests)
