"""Downgrades: a budget that runs low gives calls a cheaper model, with its own price, and the response says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_scripts import held

from omnillm.config import GatewayConfig, KeyConfig, RouteConfig
from omnillm.errors import BudgetExceededError, ConfigurationError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.policy.downgrade import Downgrade
from omnillm.policy.limits import Budget, ModelLimits
from omnillm.policy.pricing import PriceTable
from omnillm.testing import FakeClock, LocalProvider, fail
from omnillm.types.enums import ProviderProtocol
from omnillm.types.hooks import CallEnded, ModelDowngraded
from omnillm.types.request import GenerationConfig, LlmRequest

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
PRICES = PriceTable({"big": {"input": 10_000, "output": 10_000}, "mini": {"input": 1_000, "output": 1_000}}, unknown="zero")
STEP = (0.5, {"big": "mini"})


def ask(model: str = "big") -> LlmRequest:
    """Ask for ten tokens at most."""
    return LlmRequest(model, "hi", generation=GenerationConfig(max_output_tokens=10))


def spend(gateway: Any, pico: int, *, tenant: str | None = None, model: str = "big") -> None:
    """Spend that much of the budgets, without a call."""
    from omnillm.state import Ask, KeyLease, Settlement

    core = gateway._core
    lease = core.store.admit(Ask(core.routes[0].pool.name, model, 0, pico, tenant))
    assert isinstance(lease, KeyLease)
    core.store.settle(lease.reservation.id, Settlement(0, pico))


@pytest.mark.parametrize("how", ["call", "stream"])
def test_a_low_budget_steps_down(provider: LocalProvider, build: Any, events: list[Any], how: str) -> None:
    """Below the threshold the stand-in is asked, priced and told of; above it, nothing is changed."""
    gateway = build(provider, pricing=PRICES, budget_limit_usd=10, add_downgrade=STEP)

    def response() -> Any:
        if how == "call":
            return gateway.call(ask())
        stream = gateway.stream(ask())
        list(stream)
        return stream.response

    first = response()
    assert (first.meta.downgraded_from, first.attempts[0].model) == (None, "big")
    assert not any(isinstance(event, ModelDowngraded) for event in events)
    spend(gateway, 5 * 10**12)
    second = response()
    assert (second.meta.downgraded_from, second.attempts[0].model) == ("big", "mini")
    assert json.loads(provider.requests[-1].body)["model"] == "mini"
    assert second.cost_usd == pytest.approx(second.usage.total() / 1_000)
    told = [event for event in events if isinstance(event, ModelDowngraded)]
    assert [(event.asked, event.model) for event in told] == [("big", "mini")]
    assert told[0].left < 0.5
    assert [event.model for event in events if isinstance(event, CallEnded)] == ["big", "mini"]
    assert held(gateway) == (0, 0)


SCOPES: list[tuple[Budget, dict[str, Any], bool]] = [
    (Budget(10, scope="gateway"), {}, True),
    (Budget(10, scope="tenant"), {"tenant": "t"}, True),
    (Budget(10, scope="tenant"), {"tenant": "other"}, False),
    (Budget(10, scope="model"), {"model": "big"}, True),
    (Budget(10, scope="model"), {"model": "another"}, False),
    (Budget(10, scope="key"), {}, True),
    (Budget(10, window="day"), {}, True),
]


@pytest.mark.parametrize(("budget", "spent", "steps_down"), SCOPES)
def test_only_budgets_that_apply_count(
    provider: LocalProvider, build: Any, budget: Budget, spent: dict[str, Any], steps_down: bool
) -> None:
    """What another tenant or model has spent is nothing to the call."""
    gateway = build(provider, pricing=PRICES, budget=budget, add_downgrade=STEP)
    spend(gateway, 6 * 10**12, **spent)
    assert (gateway.call(ask(), tenant="t").meta.downgraded_from == "big") is steps_down


def test_the_tightest_budget_decides(provider: LocalProvider, build: Any) -> None:
    """Of several budgets the one with the smallest fraction left counts, however large the others are."""
    gateway = build(provider, pricing=PRICES, budget=Budget(1_000), add_downgrade=STEP, budget_limit_usd=10)
    spend(gateway, 6 * 10**12)
    assert gateway.call(ask()).meta.downgraded_from == "big"


def test_of_keys_the_one_with_the_most_left_counts(provider: LocalProvider, build: Any) -> None:
    """One key's spent budget changes no model while another key, still in use, has its own."""
    gateway = build(provider, 2, pricing=PRICES, budget=Budget(10, scope="key"), add_downgrade=STEP)
    spend(gateway, 9 * 10**12)
    assert gateway.call(ask()).meta.downgraded_from is None
    spend(gateway, 9 * 10**12)
    assert gateway.call(ask()).meta.downgraded_from == "big"


def test_steps(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """With several steps the lowest that applies decides; a new day begins above all of them."""
    builder = GatewayBuilder(provider.endpoint(CHAT)).add_key(KeyConfig("sk-1")).pricing(PRICES).budget(Budget(10, window="day"))
    builder.add_downgrade(below=0.8, model_map={"big": "mini"}).add_downgrade(below=0.3, model_map={"big": "free"})
    from omnillm.gateway.gateway import Gateway

    with Gateway(builder.config(), clock=clock) as gateway:
        seen = []
        for pico in (0, 3, 5):
            spend(gateway, pico * 10**12)
            seen.append(gateway.call(ask()).attempts[0].model)
        clock.advance(86_400)
        seen.append(gateway.call(ask()).attempts[0].model)
    assert seen == ["big", "mini", "free", "big"]


def test_the_stand_in_has_its_own_limits(provider: LocalProvider, build: Any) -> None:
    """The window of the model that is asked is the one that counts."""
    key = KeyConfig("sk-1", "k1", models={"mini": ModelLimits(10_000, 1)})
    gateway = build(provider, [key], pricing=PRICES, budget_limit_usd=10, add_downgrade=STEP)
    spend(gateway, 6 * 10**12)
    gateway.call(ask())
    status = gateway.pool_status()[0]
    assert (status.models["mini"].rpm_used, status.rpm_used) == (1, 1)  # the other is what was spent without a call


def test_decided_once_in_a_call(provider: LocalProvider, build: Any, clock: FakeClock, events: list[Any]) -> None:
    """Retries and fallbacks keep the model that was decided, which the fallback's own map then names there."""
    provider.script(fail(500, times=3))
    away = (provider.endpoint(CHAT), [KeyConfig("sk-f", "f")], {"mini": "there"})
    gateway = build(provider, pricing=PRICES, budget_limit_usd=10, add_downgrade=STEP, add_fallback=away, clock=clock)
    spend(gateway, 6 * 10**12)
    response = gateway.call(ask())
    assert [record.model for record in response.attempts] == ["mini"] * 3 + ["there"]
    assert sum(isinstance(event, ModelDowngraded) for event in events) == 1


def test_a_spent_budget_is_still_a_budget(provider: LocalProvider, build: Any) -> None:
    """Where not even the stand-in fits, the call is refused; one that costs nothing is served."""
    gateway = build(provider, pricing=PRICES, budget_limit_usd=10, add_downgrade=STEP)
    spend(gateway, 10 * 10**12)
    with pytest.raises(BudgetExceededError):
        gateway.call(ask())
    with build(provider, pricing=PRICES, budget_limit_usd=0, add_downgrade=(1, {"big": "free"})) as broke:
        assert broke.call(ask()).meta.downgraded_from == "big"


def test_without_a_budget_nothing_runs_low(provider: LocalProvider, build: Any) -> None:
    """Downgrades without a budget change nothing, and a gateway without downgrades never asks what is left."""
    assert build(provider, pricing=PRICES, add_downgrade=(1, {"big": "mini"})).call(ask()).meta.downgraded_from is None
    gateway = build(provider, pricing=PRICES, budget_limit_usd=10)
    assert gateway._core.router is None


def test_a_model_without_a_stand_in_costs_no_look(provider: LocalProvider, build: Any) -> None:
    """The store is asked for what is left only where a step maps the model."""
    from omnillm.state.memory import MemoryState

    class Counting(MemoryState):
        looks = 0

        def budget_left(self, ask: Any) -> float:
            self.looks += 1
            return super().budget_left(ask)

    store = Counting()
    gateway = build(provider, pricing=PRICES, budget_limit_usd=10, add_downgrade=STEP, state=store)
    gateway.call(ask("mini"))
    assert store.looks == 0
    gateway.call(ask())
    assert store.looks == 1


def test_configuration(provider: LocalProvider) -> None:
    """The configuration holds the steps as values; what is none is refused by name."""
    route = RouteConfig(provider.endpoint(CHAT), (KeyConfig("sk-1"),))
    assert GatewayConfig(routes=(route,), downgrades=[Downgrade(*STEP)]).downgrades == (Downgrade(*STEP),)  # type: ignore[arg-type]  # made a tuple
    with pytest.raises(ConfigurationError) as caught:
        GatewayConfig(routes=(route,), downgrades=(0.2,))  # type: ignore[arg-type]  # that is the test
    assert caught.value.field == "downgrades"
    with pytest.raises(ConfigurationError) as caught:
        GatewayBuilder(provider.endpoint(CHAT)).add_downgrade(below=2, model_map={"a": "b"})
    assert caught.value.field == "below"
