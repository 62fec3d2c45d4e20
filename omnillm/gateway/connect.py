"""A gateway in one line: ``connect("openai/gpt-4.1-mini", budget_usd=5)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict, Unpack

from .._names import nearest
from .._secret import Secret, sealed
from ..config import KeyConfig, TransportConfig
from ..config.own import own_key, own_options
from ..errors import ConfigurationError
from ..hooks import Hook
from ..policy.limits import Budget, LossPolicy, ModelLimits, PoolConfig, pico_usd
from ..policy.pricing import PriceTable
from ..policy.retry import RetryPolicy
from ..providers.credentials import CredentialReference
from ..providers.presets import PRESETS, Preset, split_model
from ..providers.primitive_endpoint import PrimitiveProviderEndpoint
from ..state import StateStore
from ..transport.http import Timeouts
from .builder import GatewayBuilder, Seconds
from .gateway import Gateway


class ConnectOptions(TypedDict, total=False):
    """What ``connect`` takes beside the model, the keys and the budget: the steps of ``GatewayBuilder``, by their names.

    ``base_url`` is where the provider is reached instead; ``resource``, ``deployment`` and ``api_version`` are Azure's,
    ``project``,
    ``location`` and ``publisher`` Vertex AI's, ``region`` is Bedrock's; ``rpm_limit`` and ``tpm_limit`` are the limits of each
    key that is no
    ``KeyConfig``; ``timeout`` is ``request_timeout``; a fallback is ``"provider/model"``, with its own variable's key.
    """

    base_url: str
    resource: str
    deployment: str
    api_version: str
    project: str
    location: str
    publisher: str
    region: str
    rpm_limit: int
    tpm_limit: int
    timeout: Seconds
    request_timeout: Seconds
    timeouts: Timeouts | Mapping[str, Seconds]
    retry: RetryPolicy
    pool_config: PoolConfig
    budget: Budget
    pricing: PriceTable
    losses: LossPolicy | str
    fallbacks: Iterable[str]
    state: StateStore
    transport: TransportConfig
    on_event: Hook
    max_workers: int
    primitive_endpoint: PrimitiveProviderEndpoint


def connect(
    model: str,
    *,
    api_key: str | Secret | CredentialReference | None = None,
    keys: Iterable[KeyConfig | str | CredentialReference] = (),
    budget_usd: float | None = None,
    **options: Unpack[ConnectOptions],
) -> Gateway:
    """Make a gateway to a provider by its name: ``"provider/model"``, the model being everything after the first slash.

    The key is ``api_key`` and ``keys``, else that of the provider's own variable (``OPENAI_API_KEY``, …), which is read now.
    Raises ``ConfigurationError`` for an unknown provider or option, with the nearest, and where a key is missing, with the
    variable that may hold it. ``docs/configuration.md`` lists the providers.
    """
    api_key, keys = sealed(api_key), _sealed_keys(keys)  # a report of a traceback's locals shows this frame's
    given: dict[str, Any] = dict(options)
    found, own = split_model(model)
    _check_names(given)
    limits: dict[str, Any] = {name: given.pop(name) for name in ("rpm_limit", "tpm_limit") if name in given}
    builder = GatewayBuilder(_endpoint(found, own, given)).default_model(own).add_keys(_keys(found, api_key, keys, limits))
    if budget_usd is not None:
        pico_usd(budget_usd, "budget_usd")
        builder.budget_limit_usd(budget_usd)
    for fallback in _listed(given.pop("fallbacks", ())):
        other, there = split_model(fallback)
        builder.add_fallback(
            _endpoint(other, there, {}), own_key(other, "a fallback that has one by GatewayBuilder.add_fallback"), {own: there}
        )
    for name, value in given.items():
        _STEPS[name](builder, value)
    return builder.build()


def _check_names(given: Mapping[str, Any]) -> None:
    known = ConnectOptions.__annotations__
    for name in given:
        if name not in known:
            raise ConfigurationError(
                f"{name}: unknown option: {nearest(name, [*known, 'api_key', 'keys', 'budget_usd'])}", field=name
            )


def _endpoint(found: Preset, model: str, given: dict[str, Any]) -> Any:
    takes = {name for row in PRESETS.values() for name in row.takes}
    told = {name: given.pop(name) for name in tuple(given) if name in takes}
    return found.build(model, **own_options(found, told) | told)


def _sealed_keys(keys: Any) -> Any:
    """Give the keys with texts sealed; what is no iterable is judged later."""
    return sealed(
        keys if isinstance(keys, str | KeyConfig | CredentialReference) or not isinstance(keys, Iterable) else tuple(keys)
    )


def _keys(
    found: Preset, api_key: str | Secret | CredentialReference | None, keys: object, limits: dict[str, Any]
) -> list[KeyConfig]:
    if isinstance(keys, str | KeyConfig | CredentialReference) or not isinstance(keys, Iterable):
        keys = (keys,)
    given = [*(() if api_key is None else (api_key,)), *keys]
    if limits:
        ModelLimits(**{"rpm_limit": 1, "tpm_limit": 1} | limits)  # checks what no key may be there to check
    for key in given:
        if not isinstance(key, str | Secret | KeyConfig | CredentialReference):
            raise ConfigurationError(f"keys: expected KeyConfig or str, got {type(key).__name__}", field="keys")
    return [key if isinstance(key, KeyConfig) else KeyConfig(key, **limits) for key in given] or [
        own_key(found, _OTHERWISE, **limits)
    ]


def _listed(fallbacks: object) -> Iterable[object]:
    if isinstance(fallbacks, str) or not isinstance(fallbacks, Iterable):
        raise ConfigurationError("fallbacks: expected a list of 'provider/model'", field="fallbacks")
    return fallbacks


def _set_timeouts(builder: GatewayBuilder, given: Timeouts | Mapping[str, Seconds]) -> None:
    if isinstance(given, Timeouts):
        given = {name: getattr(given, name) for name in _PHASES}
    if not isinstance(given, Mapping) or not set(given) <= set(_PHASES):
        raise ConfigurationError(f"timeouts: expected Timeouts, or seconds by {', '.join(_PHASES)}", field="timeouts")
    builder.timeouts(**given)


_OTHERWISE = "one as api_key= or keys="
_PHASES = ("connect", "first_byte", "idle", "total")
_STEPS: dict[str, Callable[[GatewayBuilder, Any], object]] = {
    "timeout": GatewayBuilder.request_timeout,
    "request_timeout": GatewayBuilder.request_timeout,
    "timeouts": _set_timeouts,
    "retry": GatewayBuilder.retry,
    "pool_config": GatewayBuilder.pool_config,
    "budget": GatewayBuilder.budget,
    "pricing": GatewayBuilder.pricing,
    "losses": GatewayBuilder.losses,
    "state": GatewayBuilder.state,
    "transport": GatewayBuilder.transport,
    "on_event": GatewayBuilder.on_event,
    "max_workers": GatewayBuilder.max_workers,
    "primitive_endpoint": GatewayBuilder.primitive_endpoint,
}
