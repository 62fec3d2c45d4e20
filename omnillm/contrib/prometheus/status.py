"""How keys and budgets stand, asked of the gateways' state when Prometheus scrapes."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily

from ...errors import ConfigurationError, StateUnavailableError
from ...gateway.gateway import Gateway
from ...policy.budget import PICO, BudgetStatus
from ...state import KeyStatus, Snapshot
from .bounds import Bounded

DEFAULT = "default"
_KEY = ("gateway", "endpoint", "key", "model")
_BUDGET = ("gateway", "scope", "window", "subject")
_FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "state_up": ("Whether the state of keys and budgets can be asked: without, nothing else here is told.", ("gateway",)),
    "key_available": ("Whether a key can take a request now.", _KEY),
    "key_dead": ("Whether a key is retired, as the provider refuses it.", _KEY),
    "key_breaker_open": ("Whether a key rests after failures in a row.", _KEY),
    "key_consecutive_failures": ("Failures in a row.", _KEY),
    "key_cool_down_seconds": ("Seconds for which a key rests by the provider's word; +Inf until it is revived.", _KEY),
    "key_window_requests": ("Requests of the last 60 seconds.", _KEY),
    "key_window_requests_limit": ("Requests that any 60 seconds may hold.", _KEY),
    "key_window_tokens": ("Tokens of the last 60 seconds, those reserved included.", _KEY),
    "key_window_tokens_limit": ("Tokens that any 60 seconds may hold.", _KEY),
    "key_reserved_tokens": ("Tokens that calls in flight have reserved.", _KEY),
    "budget_limit_dollars": ("What may be spent (USD).", _BUDGET),
    "budget_used_dollars": ("What is spent (USD).", _BUDGET),
    "budget_reserved_dollars": ("What calls in flight have reserved (USD).", _BUDGET),
    "budget_reset_timestamp_seconds": ("When the budget begins anew (Unix time); none for a budget in all.", _BUDGET),
}

Samples = dict[str, dict[tuple[str, ...], float]]


class StatusCollector:
    """Collect how the watched gateways stand; each is asked once in a scrape, and none is kept alive."""

    def __init__(self, *, most_values: int) -> None:
        self._gateways: dict[str, weakref.ref[Gateway]] = {}
        self._model = Bounded(most_values)

    def add(self, gateway: Gateway, name: str) -> None:
        """Watch the gateway, under that name; raises ``ConfigurationError`` where another one that is still there has it."""
        if not isinstance(gateway, Gateway):
            raise ConfigurationError(f"gateway: expected a Gateway, got {type(gateway).__name__}", field="gateway")
        there = self._gateways.get(name, lambda: None)()
        if there is not None and there is not gateway and not there._core.closed:
            raise ConfigurationError(f"name: another gateway is watched as {name!r:.80} already", field="name")
        self._gateways[name] = weakref.ref(gateway)

    def describe(self) -> list[Any]:
        """Name the metrics, without asking anybody."""
        return list(_families({}))

    def collect(self) -> Iterator[Any]:
        """Give the metrics."""
        samples: Samples = {name: {} for name in _FAMILIES}
        for name, there in list(self._gateways.items()):
            gateway = there()
            if gateway is not None:
                self._ask(gateway, name, samples)
        return _families(samples)

    def _ask(self, gateway: Gateway, name: str, samples: Samples) -> None:
        core = gateway._core
        core.mend()
        try:
            snapshot = core.store.snapshot()
        except StateUnavailableError:
            samples["state_up"][name,] = 0.0
            return
        samples["state_up"][name,] = 1.0
        for endpoint, status in _ours(gateway, snapshot):
            for model, its in {"": status, **status.models}.items():
                labels = (name, endpoint, status.label, model)
                for metric, value in _key_values(its, core.clock.wall()).items():
                    samples[metric][labels] = value
        for budget in sorted(snapshot.budgets, key=_left, reverse=True):
            # of tenants, and of models beyond the bound, the one that has least left stands for all
            subject = "" if budget.scope == "tenant" else self._model(budget.subject)
            for metric, value in _budget_values(budget).items():
                samples[metric][name, budget.scope, budget.window, subject] = value


def _families(samples: Mapping[str, Mapping[tuple[str, ...], float]]) -> Iterator[Any]:
    for name, (about, labels) in _FAMILIES.items():
        family = GaugeMetricFamily(f"omnillm_{name}", about, labels=labels)
        for values, value in samples.get(name, {}).items():
            family.add_metric(values, value)
        yield family


def _ours(gateway: Gateway, snapshot: Snapshot) -> Iterator[tuple[str, KeyStatus]]:
    """Give the keys of the gateway, whose labels are its own, each with the name of its endpoint."""
    core = gateway._core
    names = {route.pool.name: route.name for route in (*core.routes, *(core._natives or ()))}
    yield from ((names[status.pool], status) for status in snapshot.keys if status.pool in names)


def _key_values(status: KeyStatus, now: float) -> dict[str, float]:
    return {
        "key_available": float(status.available),
        "key_dead": float(status.dead),
        "key_breaker_open": float((status.failure_cool_down_until or 0.0) > now),
        "key_consecutive_failures": status.consecutive_failures,
        "key_cool_down_seconds": max((status.cool_down_until or now) - now, 0.0),
        "key_window_requests": status.rpm_used,
        "key_window_requests_limit": status.rpm_limit,
        "key_window_tokens": status.tpm_used,
        "key_window_tokens_limit": status.tpm_limit,
        "key_reserved_tokens": status.tpm_inflight,
    }


def _budget_values(status: BudgetStatus) -> dict[str, float]:
    values = {
        "budget_limit_dollars": status.limit / PICO,
        "budget_used_dollars": status.used / PICO,
        "budget_reserved_dollars": status.reserved / PICO,
    }
    if status.resets_at is not None and status.resets_at != float("inf"):
        values["budget_reset_timestamp_seconds"] = status.resets_at
    return values


def _left(status: BudgetStatus) -> float:
    """Give the fraction of the budget that is left; the samples of whoever has least are written last, and stay."""
    return (status.limit - status.used - status.reserved) / status.limit if status.limit else 0.0
