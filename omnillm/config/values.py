"""What a gateway is made of, as values: keys, how to reach the network, and the whole configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .._late import importing
from .._secret import KEY_PREFIXES, Secret, fault_of, sealed
from ..errors import ConfigurationError, NoAvailableKeyError
from ..hooks import Hook
from ..policy.downgrade import Downgrade
from ..policy.limits import Budget, LossPolicy, ModelLimits, PoolConfig, check_count
from ..policy.pricing import PriceTable
from ..policy.retry import RetryPolicy
from ..providers.credentials import CredentialReference
from ..providers.endpoint import ProviderEndpoint
from ..providers.primitive_endpoint import PrimitiveProviderEndpoint
from ..state import StateStore
from ..transport.http import Timeouts

DEFAULT_TPM = 90_000
DEFAULT_RPM = 500
MAX_LABEL_CHARS = 128


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """Point to a key by the environment variable that holds it; calling it reads the variable."""

    name: str

    def __call__(self) -> str:
        """Give what the variable holds now; raises ``ConfigurationError`` naming a missing one."""
        if not isinstance(self.name, str) or not self.name:
            raise ConfigurationError("name: expected the name of an environment variable", field="name")
        value: str | None = sealed(os.environ.get(self.name))
        if not value:
            what = "not set" if value is None else "set but empty"
            raise ConfigurationError(f"environment variable {self.name} is {what}: it should hold the API key", field=self.name)
        if (fault := fault_of(value)) is not None:
            raise ConfigurationError(f"environment variable {self.name}: its value {fault}", field=self.name)
        return value


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """Bring one API key and what it may use in a minute; its ``label`` is its name wherever it is spoken of.

    ``models`` gives a model limits of its own, beside the key's. A missing label becomes ``key-1``, ``key-2``, … by place. The
    key may be ``AwsCredentials`` or ``GoogleCredentials``: what their libraries find and renew.
    """

    key: Secret = field(repr=False)
    label: str | None = None
    tpm_limit: int = field(default=DEFAULT_TPM, kw_only=True)
    rpm_limit: int = field(default=DEFAULT_RPM, kw_only=True)
    models: Mapping[str, ModelLimits] | None = field(default=None, kw_only=True)

    def __init__(  # what is taken is wider than what is held
        self,
        key: Secret | str | CredentialReference,
        label: str | None = None,
        *,
        tpm_limit: int = DEFAULT_TPM,
        rpm_limit: int = DEFAULT_RPM,
        models: Mapping[str, ModelLimits] | None = None,
    ) -> None:
        key = sealed(key)  # a report of a traceback's locals shows this frame's too
        if label is not None:
            _check_label(label)
        if isinstance(key, CredentialReference):
            key = Secret.by_reference(key, label=label)
        secret = key if isinstance(key, Secret) else Secret.literal(key, label=label)  # first: nothing half made holds a key
        given = {"key": secret, "label": label, "tpm_limit": tpm_limit, "rpm_limit": rpm_limit, "models": models}
        for name, value in given.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    def __post_init__(self) -> None:
        if self.label is not None:
            object.__setattr__(self, "key", self.key.labelled(self.label))
        ModelLimits(tpm_limit=self.tpm_limit, rpm_limit=self.rpm_limit)  # checks both
        object.__setattr__(self, "models", _model_limits(self.models))

    @classmethod
    def from_env(
        cls,
        name: str,
        label: str | None = None,
        *,
        tpm_limit: int = DEFAULT_TPM,
        rpm_limit: int = DEFAULT_RPM,
        models: Mapping[str, ModelLimits] | None = None,
    ) -> KeyConfig:
        """Bring the key that an environment variable holds; such a key pickles, as the variable's name."""
        secret = Secret.by_reference(EnvironmentVariable(name), label=label)
        return cls(secret, label, tpm_limit=tpm_limit, rpm_limit=rpm_limit, models=models)


def _model_limits(models: object) -> dict[str, ModelLimits]:
    if models is None:
        return {}
    if not isinstance(models, Mapping) or not all(isinstance(m, str) and isinstance(models[m], ModelLimits) for m in models):
        raise ConfigurationError("models: expected model names with ModelLimits", field="models")
    return dict(models)


def _check_label(label: object) -> None:
    if not isinstance(label, str):
        raise ConfigurationError(f"label: expected a string, got {type(label).__name__}", field="label")
    if not 0 < len(label) <= MAX_LABEL_CHARS or not label.isprintable():
        raise ConfigurationError(f"label: expected 1 to {MAX_LABEL_CHARS} printable characters", field="label")
    if label.startswith(KEY_PREFIXES):
        raise ConfigurationError("label: looks like a key, and labels are printed: give the key a name", field="label")


@dataclass(frozen=True, slots=True)
class TransportConfig:
    """Say how the network is reached; the environment's proxies are asked only where ``trust_proxy_env`` is set.

    TLS is always verified: ``ca_bundle`` is the path of a private authority's certificates.
    """

    allow_http: bool = False
    ca_bundle: str | None = None
    trust_proxy_env: bool = False
    proxies: Mapping[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("allow_http", "trust_proxy_env"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name}: expected true or false", field=name)
        if self.ca_bundle is not None and not _is_there(self.ca_bundle):
            raise ConfigurationError("ca_bundle: no such file", field="ca_bundle")
        if self.proxies is not None:
            proxies = self.proxies.items() if isinstance(self.proxies, Mapping) else [(None, None)]
            for scheme, url in proxies:
                if not isinstance(url, str) or "://" not in url or not isinstance(scheme, str):
                    raise ConfigurationError("proxies: expected {'https': 'http://host:port'}", field="proxies")


def _is_there(path: object) -> bool:
    return isinstance(path, str) and path != "" and Path(path).exists()


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """Bring one endpoint with its keys; ``model_map`` names the model there for a model asked for."""

    endpoint: ProviderEndpoint
    keys: tuple[KeyConfig, ...] = field(repr=False)
    model_map: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.endpoint, ProviderEndpoint):
            raise ConfigurationError(
                f"endpoint: expected a ProviderEndpoint, got {type(self.endpoint).__name__}", field="endpoint"
            )
        object.__setattr__(self, "keys", each(self.keys, KeyConfig, "keys"))
        if not self.keys:
            raise NoAvailableKeyError(f"{self.endpoint.name} has no key: bring one as KeyConfig", reason="no_key")
        if not isinstance(self.model_map, Mapping):
            raise ConfigurationError(f"model_map: expected a mapping, got {type(self.model_map).__name__}", field="model_map")
        for asked, there in self.model_map.items():
            if not isinstance(asked, str) or not isinstance(there, str) or not there:
                raise ConfigurationError("model_map: expected model names", field="model_map")
        object.__setattr__(self, "model_map", dict(self.model_map))


@dataclass(frozen=True, slots=True)
class PrimitiveConfig:
    """Bring where native calls of a provider go; without keys of their own, with those of the first route."""

    endpoint: PrimitiveProviderEndpoint
    keys: tuple[KeyConfig, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.endpoint, PrimitiveProviderEndpoint):
            what = f"expected a PrimitiveProviderEndpoint, got {type(self.endpoint).__name__}"
            raise ConfigurationError(f"primitive_endpoint: {what}", field="primitive_endpoint")
        object.__setattr__(self, "keys", each(self.keys, KeyConfig, "keys"))


def each(values: object, kind: type, field: str) -> tuple[Any, ...]:
    """Give the values, or the one, as a tuple; raises ``ConfigurationError`` where one is of another kind."""
    given = tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else (values,)
    for value in given:
        if not isinstance(value, kind):
            raise ConfigurationError(f"{field}: expected {kind.__name__}, got {type(value).__name__}", field=field)
    return given


_TYPES: dict[str, tuple[type, str]] = {
    "pool": (PoolConfig, "a PoolConfig"),
    "timeouts": (Timeouts, "Timeouts"),
    "retry": (RetryPolicy, "a RetryPolicy"),
    "pricing": (PriceTable, "a PriceTable"),
    "transport": (TransportConfig, "a TransportConfig"),
}
MAX_WORKERS = 64


def checked_option(name: str, value: Any) -> Any:
    """Give the value as the option of a ``GatewayConfig`` holds it; raises ``ConfigurationError``, naming it, where it cannot."""
    if name in _TYPES:
        kind, what = _TYPES[name]
        if not isinstance(value, kind):
            raise ConfigurationError(f"{name}: expected {what}, got {type(value).__name__}", field=name)
    elif name == "losses":
        try:
            return LossPolicy(value)
        except ValueError:
            raise ConfigurationError("losses: expected 'allow', 'warn' or 'raise'", field="losses") from None
    elif name == "max_workers":
        check_count(value, "max_workers")
    elif name == "default_model" and not (isinstance(value, str) and value):
        raise ConfigurationError(f"default_model: expected a model's name, got {type(value).__name__}", field="default_model")
    elif name == "state" and not callable(getattr(value, "admit", None)):
        what = f"expected a store such as omnillm.state.memory.MemoryState(), got {type(value).__name__}"
        raise ConfigurationError(f"state: {what}; an address is none", field="state")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """Gather everything a gateway is made of; ``Gateway(config)`` makes it. The first route is the primary one.

    ``default_model`` is the model of a call with a plain string, and of ``LlmRequest("", …)``.
    """

    routes: tuple[RouteConfig, ...]
    default_model: str | None = None
    budgets: tuple[Budget, ...] = ()
    downgrades: tuple[Downgrade, ...] = ()
    pool: PoolConfig = field(default_factory=PoolConfig)
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    pricing: PriceTable = field(default_factory=PriceTable)
    losses: LossPolicy = LossPolicy.ALLOW
    state: StateStore | None = None
    transport: TransportConfig = field(default_factory=TransportConfig)
    hooks: tuple[Hook, ...] = ()
    max_workers: int = MAX_WORKERS
    primitives: tuple[PrimitiveConfig, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "routes", each(self.routes, RouteConfig, "routes"))
        object.__setattr__(self, "budgets", each(self.budgets, Budget, "budgets"))
        object.__setattr__(self, "downgrades", each(self.downgrades, Downgrade, "downgrades"))
        object.__setattr__(self, "primitives", each(self.primitives, PrimitiveConfig, "primitives"))
        object.__setattr__(self, "hooks", each(self.hooks, Callable, "hooks"))  # type: ignore[arg-type]  # an abstract class
        if not self.routes:
            raise ConfigurationError("routes: expected at least one endpoint with keys", field="routes")
        for name in (*_TYPES, "losses", "max_workers"):
            object.__setattr__(self, name, checked_option(name, getattr(self, name)))
        for name in ("default_model", "state"):
            if getattr(self, name) is not None:
                checked_option(name, getattr(self, name))
        routes, primitives = _labelled(self.routes, self.primitives)
        object.__setattr__(self, "routes", routes)
        object.__setattr__(self, "primitives", primitives)

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any], *, name: str | None = None) -> GatewayConfig:
        """Read a configuration by the schema of ``docs/configuration.md``; ``name`` says which of several gateways.

        Raises ``ConfigurationError`` naming the field. A key that is given as ``${VARIABLE}`` is held by reference, and pickles.
        """
        with importing:
            from . import sources

        value = sealed(value)
        return sources.from_mapping(value, name)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, name: str | None = None) -> GatewayConfig:
        """Read a TOML file in the same way; its errors name the file, and its keys are ``${VARIABLE}`` alone."""
        with importing:
            from . import sources

        return sources.from_file(path, name)

    @classmethod
    def from_env(cls) -> GatewayConfig:
        """Read ``OMNILLM_CONFIG`` and ``OMNILLM_GATEWAY``, or ``OMNILLM_MODEL`` and what stands with it."""
        with importing:
            from . import sources

        return sources.from_environment()


def _labelled(
    routes: tuple[RouteConfig, ...], primitives: tuple[PrimitiveConfig, ...]
) -> tuple[tuple[RouteConfig, ...], tuple[PrimitiveConfig, ...]]:
    """Give every key its label, ``key-N`` by its place among all keys; two of one name are refused."""
    seen: set[str] = set()
    place = 0

    def labelled(keys: tuple[KeyConfig, ...]) -> tuple[KeyConfig, ...]:
        nonlocal place
        out: list[KeyConfig] = []
        for key in keys:
            place += 1
            label = key.label if key.label is not None else f"key-{place}"
            if label in seen:
                raise ConfigurationError(f"label: two keys are called {label!r}", field="label")
            seen.add(label)
            out.append(replace(key, label=label))
        return tuple(out)

    return (
        tuple(RouteConfig(route.endpoint, labelled(route.keys), route.model_map) for route in routes),
        tuple(PrimitiveConfig(given.endpoint, labelled(given.keys)) for given in primitives),
    )
