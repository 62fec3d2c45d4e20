"""Putting a gateway together, step by step; every step gives the builder back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Self

from .._clock import seconds_of
from ..config import MAX_WORKERS, GatewayConfig, KeyConfig, PrimitiveConfig, RouteConfig, TransportConfig, checked_option, each
from ..errors import ConfigurationError, NoAvailableKeyError
from ..hooks import Hook
from ..policy.downgrade import Downgrade
from ..policy.limits import Budget, LossPolicy, PoolConfig, pico_usd
from ..policy.pricing import PriceTable
from ..policy.retry import RetryPolicy
from ..providers.endpoint import ProviderEndpoint
from ..providers.primitive_endpoint import PrimitiveProviderEndpoint
from ..state import StateStore
from ..transport.http import Timeouts
from .gateway import Gateway

Seconds = float | timedelta


class GatewayBuilder:
    """Build a gateway for an endpoint: add keys, say the limits, ``build()``."""

    def __init__(self, endpoint: ProviderEndpoint) -> None:
        if not isinstance(endpoint, ProviderEndpoint):
            raise ConfigurationError(f"endpoint: expected a ProviderEndpoint, got {type(endpoint).__name__}", field="endpoint")
        self._endpoint = endpoint
        self._keys: list[KeyConfig] = []
        self._fallbacks: list[RouteConfig] = []
        self._primitives: list[PrimitiveConfig] = []
        self._budgets: list[Budget] = []
        self._downgrades: list[Downgrade] = []
        self._hooks: list[Hook] = []
        self._timeouts: dict[str, float] = {}
        self._options: dict[str, Any] = {}

    def default_model(self, model: str) -> Self:
        """Set the model of requests that name none: of a plain string, and of ``LlmRequest("", …)``."""
        return self._set("default_model", model)

    def add_key(self, key: KeyConfig) -> Self:
        """Add a key."""
        return self.add_keys((key,))

    def add_keys(self, keys: Iterable[KeyConfig] | KeyConfig) -> Self:
        """Add keys."""
        self._keys += each(keys, KeyConfig, "keys")
        return self

    def budget_limit_usd(self, limit: float) -> Self:
        """Set a budget over everything the gateway spends (USD)."""
        pico_usd(limit, "budget_limit_usd")
        return self.budget(Budget(limit))

    def budget(self, budget: Budget) -> Self:
        """Add a budget; each admission must fit all of them."""
        if not isinstance(budget, Budget):
            raise ConfigurationError(f"budget: expected a Budget, got {type(budget).__name__}", field="budget")
        self._budgets.append(budget)
        return self

    def pool_config(self, config: PoolConfig) -> Self:
        """Set how keys are chosen, waited for and rested."""
        return self._set("pool", config)

    def request_timeout(self, seconds: Seconds) -> Self:
        """Set the deadline of a call, over all its attempts (seconds)."""
        self._timeouts["total"] = seconds_of(seconds, "request_timeout")
        return self

    def timeouts(
        self,
        connect: Seconds | None = None,
        first_byte: Seconds | None = None,
        idle: Seconds | None = None,
        total: Seconds | None = None,
    ) -> Self:
        """Set time-outs (seconds); no limit is spelled ``math.inf``."""
        given = {"connect": connect, "first_byte": first_byte, "idle": idle, "total": total}
        for name, value in given.items():
            if value is not None:
                self._timeouts[name] = seconds_of(value, name)
        return self

    def retry(self, policy: RetryPolicy) -> Self:
        """Set how often and how patiently a call is tried."""
        return self._set("retry", policy)

    def add_fallback(
        self, endpoint: ProviderEndpoint, keys: Iterable[KeyConfig] | KeyConfig, model_map: Mapping[str, str] | None = None
    ) -> Self:
        """Add an endpoint to turn to when those before it cannot serve; ``model_map`` names the model there."""
        self._fallbacks.append(RouteConfig(endpoint, keys, model_map or {}))  # type: ignore[arg-type]  # made a tuple there
        return self

    def primitive_endpoint(self, endpoint: PrimitiveProviderEndpoint, keys: Iterable[KeyConfig] | KeyConfig = ()) -> Self:
        """Set where native calls of the endpoint's provider go; without keys of its own, with those of the gateway.

        A provider that none is set for is called where the gateway's endpoints are.
        """
        self._primitives.append(PrimitiveConfig(endpoint, keys))  # type: ignore[arg-type]  # made a tuple there
        return self

    def add_downgrade(self, below: float, model_map: Mapping[str, str]) -> Self:
        """Give models cheaper stand-ins while less than ``below`` (a fraction) of the tightest budget's limit is left.

        Of several steps the lowest that applies decides. ``response.meta.downgraded_from`` names the model that was asked for.
        """
        self._downgrades.append(Downgrade(below, model_map))
        return self

    def pricing(self, table: PriceTable) -> Self:
        """Set the prices."""
        return self._set("pricing", table)

    def losses(self, policy: LossPolicy | str) -> Self:
        """Set what happens where an endpoint cannot carry a whole request: ``allow``, ``warn`` or ``raise``."""
        return self._set("losses", policy)

    def state(self, store: StateStore) -> Self:
        """Set where quota and money are kept; this process's memory where unset."""
        return self._set("state", store)

    def transport(self, config: TransportConfig) -> Self:
        """Set how the network is reached."""
        return self._set("transport", config)

    def on_event(self, hook: Hook) -> Self:
        """Add a hook: a callable that is told of attempts, retries, fallbacks and ends."""
        if not callable(hook):
            raise ConfigurationError("on_event: expected a callable", field="on_event")
        self._hooks.append(hook)
        return self

    def max_workers(self, n: int = MAX_WORKERS) -> Self:
        """Set how many threads use the gateway at once: that many connections are kept."""
        return self._set("max_workers", n)

    def _set(self, name: str, value: Any) -> Self:
        self._options[name] = checked_option(name, value)
        return self

    def config(self) -> GatewayConfig:
        """Give the configuration; raises ``NoAvailableKeyError`` without a key, ``ConfigurationError`` for a wrong value."""
        if not self._keys:
            raise NoAvailableKeyError("the gateway has no key: add_key(KeyConfig(…)) before build()", reason="no_key")
        primary = RouteConfig(self._endpoint, tuple(self._keys))
        return GatewayConfig(
            routes=(primary, *self._fallbacks),
            budgets=tuple(self._budgets),
            downgrades=tuple(self._downgrades),
            hooks=tuple(self._hooks),
            primitives=tuple(self._primitives),
            timeouts=Timeouts(**self._timeouts),
            **self._options,
        )

    def build(self) -> Gateway:
        """Make the gateway."""
        return Gateway(self.config())
