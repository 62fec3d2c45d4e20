"""Many budgets over one gateway: each call must fit all that apply, in one step, and the error names the one in the way."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from gateway_scripts import held

from omnillm.config import KeyConfig
from omnillm.errors import BudgetExceededError
from omnillm.policy.limits import PICO, Budget
from omnillm.policy.pricing import PriceTable
from omnillm.testing import FakeClock, LocalProvider, fail
from omnillm.types.request import GenerationConfig, LlmRequest

PRICES = PriceTable({model: {"input": 1e6, "output": 1e6} for model in ("m", "other")}, unknown="zero")  # a dollar a token
DAY = 86_400.0
NIGHT = 1_700_006_400.0  # 2023-11-15 00:00 UTC, the first midnight of the fake clock
MONTH = 1_701_388_800.0  # 2023-12-01 00:00 UTC


def ask(model: str = "m", tokens: int = 10) -> LlmRequest:
    return LlmRequest(model, "hi", generation=GenerationConfig(max_output_tokens=tokens))


NEEDED = float(ask().estimated_tokens())


def spent(gateway: Any) -> dict[tuple[str, str | None, str], float]:
    """Give what every account has spent (USD)."""
    statuses = gateway._core.store.snapshot().budgets
    return {(status.scope, status.subject, status.window): status.used / PICO for status in statuses}


CASES: list[tuple[Budget, dict[str, Any], float | None]] = [
    (Budget(NEEDED), {}, None),
    (Budget(NEEDED, window="day"), {}, NIGHT),
    (Budget(NEEDED, window="month"), {}, MONTH),
    (Budget(NEEDED, window="day", timezone="America/New_York"), {}, NIGHT + 5 * 3_600),
    (Budget(NEEDED, scope="tenant"), {"tenant": "a"}, None),
    (Budget(NEEDED, scope="tenant", window="day"), {"tenant": "a"}, NIGHT),
    (Budget(NEEDED, scope="tenant", window="month"), {}, MONTH),
    (Budget(NEEDED, scope="key", window="day"), {}, NIGHT),
    (Budget(NEEDED, scope="model", window="month"), {}, MONTH),
]


@pytest.mark.parametrize(("budget", "who", "resets_at"), CASES)
def test_every_scope_and_window(
    provider: LocalProvider, build: Any, clock: FakeClock, budget: Budget, who: dict[str, Any], resets_at: float | None
) -> None:
    """The refusal names the scope and when it resets; then the same call goes through, and nothing was sent before."""
    gateway = build(provider, clock=clock, pricing=PRICES, budget=budget)
    gateway.call(ask(), **who)
    sent = len(provider.requests)
    with pytest.raises(BudgetExceededError) as caught:
        gateway.call(ask(), **who)
    error = caught.value
    assert (error.scope, error.resets_at, error.sent, len(provider.requests)) == (budget.scope, resets_at, "no", sent)
    assert (error.limit_usd, error.needed_usd, error.reserved_usd) == (NEEDED, NEEDED, 0)
    if resets_at is None:
        assert error.retry_after is None
        return
    assert error.retry_after == pytest.approx(resets_at - clock.wall())
    clock.advance(error.retry_after - 1)
    with pytest.raises(BudgetExceededError):
        gateway.call(ask(), **who)
    clock.advance(1)
    gateway.call(ask(), **who)


def all_scopes(build: Any, provider: LocalProvider, **limits: float) -> Any:
    """Make a gateway with a budget of every scope, without a limit that is reached but for those given."""
    from omnillm.gateway.builder import GatewayBuilder

    builder = GatewayBuilder(provider.endpoint("chat_completions")).pricing(PRICES)
    builder.add_keys([KeyConfig("sk-1", "k1"), KeyConfig("sk-2", "k2")])
    for scope in ("gateway", "tenant", "key", "model"):
        builder.budget(Budget(limits.get(scope, 10_000.0), scope=scope))  # type: ignore[arg-type]  # a str of the tuple
    return builder.build()


@pytest.mark.parametrize("scope", ["gateway", "tenant", "key", "model"])
def test_of_many_budgets_the_one_in_the_way_is_named(provider: LocalProvider, build: Any, scope: str) -> None:
    """With budgets of all scopes at once a call fits all or is refused by the name of the one it does not fit."""
    with all_scopes(build, provider, **{scope: NEEDED}) as gateway:
        for _ in range(2 if scope == "key" else 1):
            gateway.call(ask(), tenant="a")
        before = spent(gateway)
        with pytest.raises(BudgetExceededError) as caught:
            gateway.call(ask(), tenant="a")
        assert caught.value.scope == scope
        assert spent(gateway) == before
        assert held(gateway) == (0, 0)


def test_every_budget_counts_every_call(provider: LocalProvider, build: Any) -> None:
    """What a call cost is on each of its accounts, once, failed attempts and all."""
    with all_scopes(build, provider) as gateway:
        provider.script(fail(429, retry_after=1))
        cost = {}
        for tenant, model in (("a", "m"), ("b", "m"), (None, "other"), ("", "m")):
            cost[tenant, model] = gateway.call(ask(model), tenant=tenant)
        total = sum(response.cost_usd for response in cost.values())
        found = spent(gateway)
        assert found["gateway", None, "total"] == pytest.approx(total)
        for tenant in ("a", "b", None, ""):
            of_tenant = sum(response.cost_usd for (who, _), response in cost.items() if who == tenant)
            assert found["tenant", tenant, "total"] == pytest.approx(of_tenant)
        for label in ("k1", "k2"):
            of_key = sum(response.cost_usd for response in cost.values() if response.key_label == label)
            assert found.get(("key", label, "total"), 0) == pytest.approx(of_key)
        assert found["model", "other", "total"] == pytest.approx(cost[None, "other"].cost_usd)


def test_a_key_whose_budget_is_spent_leaves_the_call_to_another(provider: LocalProvider, build: Any) -> None:
    """With a budget for each key, a call is admitted as long as any key can pay for it."""
    gateway = build(provider, 3, pricing=PRICES, budget=Budget(NEEDED, scope="key"))
    assert {gateway.call(ask()).key_label for _ in range(3)} == {"k1", "k2", "k3"}
    with pytest.raises(BudgetExceededError) as caught:
        gateway.call(ask())
    assert caught.value.scope == "key"


def test_calls_without_a_tenant_share_an_account(provider: LocalProvider, build: Any) -> None:
    """Who names no tenant is the tenant without a name, apart from all others."""
    gateway = build(provider, pricing=PRICES, budget=Budget(NEEDED, scope="tenant"))
    gateway.call(ask())
    with pytest.raises(BudgetExceededError):
        gateway.call(ask(), tenant=None)
    gateway.call(ask(), tenant="a")
    gateway.call(ask(), tenant="")


def test_a_day_that_ends_while_a_call_runs(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A call counts where it settles: on the new day, whose budget it had not reserved, and the old one is not billed."""
    clock.advance(NIGHT - clock.wall() - 1)
    gateway = build(provider, clock=clock, pricing=PRICES, budget=Budget(NEEDED, window="day"))
    stream = gateway.stream(ask())
    clock.advance(2)
    list(stream)
    assert spent(gateway)["gateway", None, "day"] == stream.response.cost_usd
    with pytest.raises(BudgetExceededError) as caught:
        gateway.call(ask())
    assert caught.value.resets_at == NIGHT + DAY


@pytest.mark.parametrize("scopes", [("tenant", "model"), ("gateway", "tenant", "key", "model")])
def test_budgets_hold_from_many_threads(provider: LocalProvider, build: Any, scopes: tuple[str, ...]) -> None:
    """Threads of two tenants spend until refused: no account is past its limit, and the accounts agree with the answers."""
    from omnillm.gateway.builder import GatewayBuilder

    builder = GatewayBuilder(provider.endpoint("chat_completions")).pricing(PRICES)
    builder.add_keys([KeyConfig("sk-1", "k1"), KeyConfig("sk-2", "k2")])
    for scope in scopes:
        builder.budget(Budget(6 * NEEDED, scope=scope))  # type: ignore[arg-type]  # a str of the tuple
    costs: list[float] = []

    def work(tenant: str) -> None:
        while True:
            try:
                costs.append(gateway.call(ask(), tenant=tenant).cost_usd)
            except BudgetExceededError:
                return

    with builder.build() as gateway:
        threads = [threading.Thread(target=work, args=(tenant,)) for tenant in ("a", "b") * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sum(costs) == pytest.approx(gateway.budget_used_usd())
        assert costs
        assert all(used <= 6 * NEEDED for used in spent(gateway).values())
        assert held(gateway) == (0, 0)
        assert sum(used for (scope, *_), used in spent(gateway).items() if scope == "tenant") == pytest.approx(sum(costs))
