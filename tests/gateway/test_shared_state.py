"""One store, several gateways: those configured alike share windows and money, others are told apart or refused."""

from __future__ import annotations

from typing import Any

import pytest

from omnillm.config import KeyConfig
from omnillm.errors import BudgetExceededError, ConfigurationError, NoAvailableKeyError, ServerError
from omnillm.policy.limits import Budget, PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.state.memory import MemoryState
from omnillm.testing import LocalProvider, fail


def keys(**limits: int) -> list[KeyConfig]:
    return [KeyConfig("sk-1", "k1", **limits)]


def test_a_given_store_keeps_the_gateways_budget(provider: LocalProvider, build: Any) -> None:
    """A budget counts just as well where the store was given as where it was not."""
    gateway = build(provider, state=MemoryState(), budget_limit_usd=0.5)
    assert gateway.budget_remaining_usd() == 0.5
    with pytest.raises(BudgetExceededError) as caught:
        gateway.call("hi")
    assert caught.value.limit_usd == 0.5


def test_a_given_store_keeps_the_gateways_pool_configuration(provider: LocalProvider, build: Any) -> None:
    """The breaker of a given store opens where the gateway's configuration says."""
    provider.script(fail(500))
    pool = PoolConfig(circuit_breaker_threshold=1)
    gateway = build(provider, state=MemoryState(), pool_config=pool, retry=RetryPolicy(max_attempts=1))
    with pytest.raises(ServerError):
        gateway.call("hi")
    assert gateway.pool_status()[0].reason == "breaker"


def test_gateways_alike_share_windows_and_money(provider: LocalProvider, build: Any) -> None:
    """What one gateway used of a key and spent is used and spent for the other."""
    store = MemoryState()
    first, second = (build(provider, keys(rpm_limit=1), state=store, budget_limit_usd=10_000) for _ in range(2))
    first.call("hi")
    assert [status.rpm_used for status in second.pool_status()] == [1]
    assert second.budget_used_usd() == first.budget_used_usd() > 0
    with pytest.raises(NoAvailableKeyError) as caught:
        second.call("hi")
    assert caught.value.reason == "window"


def test_other_keys_are_another_pool(provider: LocalProvider, build: Any) -> None:
    """Gateways with other labels, in any order of routes, share the store and its money, and no window."""
    store = MemoryState()
    first = build(provider, keys(rpm_limit=1), state=store)
    second = build(provider, [KeyConfig("sk-2", "k2", rpm_limit=1)], state=store)
    first.call("hi")
    assert second.call("hi").key_label == "k2"
    assert len({status.pool for status in store.snapshot().keys}) == 2


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"budget_limit_usd": 5}, {"budget_limit_usd": 6}),
        ({"budget_limit_usd": 5}, {}),
        ({}, {"budget": Budget(1, scope="tenant")}),
        ({}, {"pool_config": PoolConfig(selection="latency")}),
        ({}, {"keys": keys(rpm_limit=7)}),
    ],
)
def test_what_differs_is_refused(provider: LocalProvider, build: Any, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """A second gateway that says otherwise of the same keys or money is a configuration error, not ignored."""
    store = MemoryState()
    build(provider, **{"keys": keys(), **ours}, state=store)
    with pytest.raises(ConfigurationError, match=r"otherwise|others already"):
        build(provider, **{"keys": keys(), **theirs}, state=store)
