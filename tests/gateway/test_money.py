"""Budgets: nothing is admitted beyond them, whatever happens at once, and what was spent is what was used."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from gateway_scripts import held, key_of

from omnillm.config import KeyConfig
from omnillm.errors import BudgetExceededError, GatewayError, OverloadedError, UnknownPriceError
from omnillm.policy.limits import PICO, Budget
from omnillm.policy.pricing import PriceTable
from omnillm.state.memory import MemoryState
from omnillm.testing import FakeClock, LocalProvider, fail
from omnillm.types.enums import ProviderProtocol
from omnillm.types.request import GenerationConfig, LlmRequest

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
SMALL = LlmRequest("m", "hi there", generation=GenerationConfig(max_output_tokens=10))
PENNIES = PriceTable({"m": {"input": 1_000, "output": 2_000}})  # USD per million tokens: 0.1 and 0.2 cents each


class WatchedState(MemoryState):
    """A store that looks at its budgets after every admission."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.most = 0
        self.admissions = 0
        self._watching = threading.Lock()

    def admit(self, ask: Any) -> Any:
        with self._watching:  # no other is admitted before it was looked
            outcome = super().admit(ask)
            (budget,) = self.snapshot().budgets
            self.most = max(self.most, budget.used + budget.reserved)
            self.admissions += 1
            return outcome


def test_a_budget_under_load(provider: LocalProvider, build: Any) -> None:
    """32 threads spend a dollar: at no admission do spent and reserved exceed it, and the refusals name the figures."""
    store = WatchedState(budgets=[Budget(1.0)])
    gateway = build(provider, 5, state=store, budget_limit_usd=1.0, pricing=PENNIES)
    refusals: list[BudgetExceededError] = []

    def one(_: int) -> float:
        try:
            return float(gateway.call(SMALL).cost_usd)
        except BudgetExceededError as error:
            refusals.append(error)
            return 0.0

    with ThreadPoolExecutor(32) as pool:
        spent = sum(pool.map(one, range(600)))
    assert store.admissions == 600
    assert PICO * 0.97 < store.most <= PICO
    assert gateway.budget_used_usd() == pytest.approx(spent) == pytest.approx(1 - gateway.budget_remaining_usd())
    assert 0.9 < spent <= 1.0
    assert len(provider.requests) == 600 - len(refusals) < 400
    for error in refusals:
        assert (error.scope, error.limit_usd, error.resets_at, error.retry_after) == ("gateway", 1.0, None, None)
        assert error.used_usd + error.reserved_usd + error.needed_usd > 1.0
        assert (error.sent, error.attempts) == ("no", ())
    assert held(gateway) == (0, 0)


def test_the_figures_of_a_refusal(provider: LocalProvider, build: Any) -> None:
    """The error tells limit, used, reserved and needed; nothing is sent."""
    gateway = build(provider, budget_limit_usd=60.0)
    used = gateway.call(SMALL).cost_usd
    with gateway.stream(SMALL) as stream:
        next(stream)
        reserved = SMALL.estimated_tokens()
        big = LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=50))
        with pytest.raises(BudgetExceededError, match="gateway budget of \\$60") as caught:
            gateway.call(big)
    error = caught.value
    assert (error.limit_usd, error.used_usd, error.reserved_usd, error.needed_usd) == (60, used, reserved, big.estimated_tokens())
    assert len(provider.requests) == 2


def test_what_costs_nothing_passes_a_spent_budget(provider: LocalProvider, build: Any) -> None:
    """A free model is called though the budget is spent."""
    gateway = build(provider, budget_limit_usd=0.0, pricing=PriceTable({"free": {"input": 0, "output": 0}}, unknown="error"))
    answer = gateway.call(LlmRequest("free", "hi"))
    assert (answer.cost_usd, gateway.budget_remaining_usd()) == (0.0, 0.0)


@pytest.mark.parametrize("how", ["call", "stream"])
def test_p04_an_unknown_price_is_refused(provider: LocalProvider, build: Any, how: str) -> None:
    """With a budget a model without a price is refused before anything is sent; the key is not touched."""
    gateway = build(provider, budget_limit_usd=1.0, pricing=PriceTable())
    with pytest.raises(UnknownPriceError, match="my-own-model") as caught:
        getattr(gateway, how)(LlmRequest("my-own-model", "hi"))
    assert (caught.value.model, provider.connections, key_of(gateway).rpm_used) == ("my-own-model", 0, 0)
    zero = build(provider, budget_limit_usd=1.0, pricing=PriceTable(unknown="zero"))
    assert zero.call(LlmRequest("my-own-model", "hi")).cost_usd == 0.0


def test_a_fallback_may_be_affordable(provider: LocalProvider, build: Any) -> None:
    """Where a model is too dear for what is left, the fallback's model may do."""
    fallback = (provider.endpoint(CHAT), [KeyConfig("sk-f", "f")], {"m": "cheap"})
    prices = PriceTable({"m": {"input": 1e6, "output": 1e6}, "cheap": {"input": 1, "output": 1}})
    answer = build(provider, budget_limit_usd=5.0, pricing=prices, add_fallback=fallback).call(SMALL)
    assert (answer.key_label, answer.model) == ("f", "cheap")


def test_a_budget_that_ends_between_attempts(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """Where a lost attempt leaves no money for another, the error is that of what was sent, never an ``AdmissionError``."""
    from omnillm.testing import break_stream

    provider.script(break_stream(how="cut"))
    gateway = build(provider, clock=clock, budget_limit_usd=float(SMALL.estimated_tokens() + 1))
    with pytest.raises(GatewayError) as caught:
        gateway.call(SMALL)
    assert type(caught.value).__name__ == "ConnectionLostError"
    assert (caught.value.sent, len(caught.value.attempts), len(provider.requests)) == ("yes", 1, 1)


@pytest.mark.parametrize("scope", ["tenant", "key", "model"])
def test_scopes(provider: LocalProvider, build: Any, scope: Any) -> None:
    """A budget of each tenant, key or model is spent by each alone, and named in the refusal."""
    gateway = build(provider, 2, budget=Budget(float(SMALL.estimated_tokens()), scope=scope), pricing=PriceTable(
        {"m": {"input": 1e6, "output": 1e6}, "other": {"input": 1e6, "output": 1e6}}
    ))  # fmt: skip
    first = {"tenant": "a"}
    gateway.call(SMALL, **first)
    if scope == "key":
        gateway.call(SMALL, **first)
    with pytest.raises(BudgetExceededError) as caught:
        gateway.call(SMALL, **first)
    assert (caught.value.scope, gateway.budget_remaining_usd()) == (scope, float("inf"))
    if scope == "tenant":
        gateway.call(SMALL, tenant="b")
        gateway.call(SMALL)
    if scope == "model":
        gateway.call(LlmRequest("other", "hi", generation=SMALL.generation))


def test_a_daily_budget_begins_anew(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A budget of the day says when it resets, and then does."""
    gateway = build(provider, clock=clock, budget=Budget(float(SMALL.estimated_tokens()), window="day"))
    gateway.call(SMALL)
    with pytest.raises(BudgetExceededError) as caught:
        gateway.call(SMALL)
    assert caught.value.resets_at == clock.wall() + (caught.value.retry_after or 0)
    assert 0 < (caught.value.retry_after or 0) <= 86_400
    clock.advance(caught.value.retry_after or 0)
    gateway.call(SMALL)


def test_refused_attempts_cost_nothing(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """What the provider refused is not charged."""
    provider.script(fail(503, times=3))
    gateway = build(provider, clock=clock, budget_limit_usd=1e6)
    with pytest.raises(OverloadedError):
        gateway.call(SMALL)
    assert (gateway.budget_used_usd(), gateway.budget_remaining_usd()) == (0, 1e6)


def test_money_and_quota_come_back_from_every_end(build: Any) -> None:
    """Calls and streams of many threads that end in every way leave nothing reserved, and the spent is what was told."""
    with LocalProvider(latency=0.001) as provider:
        gateway = build(provider, 4, budget_limit_usd=1e6)
        barrier = threading.Barrier(8)

        def work(worker: int) -> None:
            barrier.wait(5)
            for n in range(12):
                try:
                    if (worker + n) % 3 == 0:
                        with gateway.stream(SMALL) as stream:
                            next(stream)
                    elif (worker + n) % 3 == 1:
                        gateway.call(SMALL, timeout=0.0015)
                    else:
                        list(gateway.stream(SMALL))
                except GatewayError:
                    pass

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert held(gateway) == (0, 0)
        assert gateway.budget_remaining_usd() + gateway.budget_used_usd() == 1e6
        assert all(status.tpm_inflight == 0 for status in gateway.pool_status())
