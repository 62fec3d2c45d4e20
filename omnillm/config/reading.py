"""Reading a configuration: a mapping by the schema's tables into the values that judge themselves.

Every error says where the value stands. ``${VARIABLE}`` is a key by reference, in the fields of keys and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from .._secret import Secret
from ..errors import ConfigurationError, MissingKeyError
from ..policy.downgrade import Downgrade
from ..policy.limits import Budget, ModelLimits, PoolConfig, pico_usd
from ..policy.pricing import PriceTable
from ..policy.retry import RetryPolicy
from ..providers.auth import CLOUD_PLATFORM, SCHEMES, AuthScheme
from ..providers.endpoint import ProviderEndpoint
from ..providers.envelope import Envelope
from ..providers.presets import Preset, preset, split_model
from ..providers.primitive_endpoint import PrimitiveProviderEndpoint
from ..transport.http import Timeouts
from .own import own_key
from .place import Place
from .schema import PROVIDER_OPTIONS, TABLES, Field
from .values import (
    DEFAULT_RPM,
    DEFAULT_TPM,
    EnvironmentVariable,
    GatewayConfig,
    KeyConfig,
    PrimitiveConfig,
    RouteConfig,
    TransportConfig,
)

Read = dict[str, Any]

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LIMITS = ("rpm_limit", "tpm_limit")


def read_gateway(value: object, at: Place) -> GatewayConfig:
    """Read a gateway's table; raises ``ConfigurationError`` naming the place."""
    config: GatewayConfig = _table("gateway", value, at)
    return config


# --- by the schema ------------------------------------------------------------------------------------------------------------


def _table(name: str, value: object, at: Place) -> Any:
    table = TABLES[name]
    if isinstance(value, str) and table.text is not None:
        value = {table.text: value}
    read: Read = {}
    fields = {field.name: field for field in table.fields}
    for given, inner in at.table(value).items():
        if given not in fields:
            raise at.unknown(given, fields)
        if inner is None:
            continue  # a mapping may say that nothing is said; TOML cannot
        read[given] = _field(fields[given], inner, at.field(given))
    for field in table.fields:
        if field.is_required and field.name not in read:
            raise at.field(field.name).wrong(f"missing: expected {field.takes.replace('`', '')}")
    return _MAKERS[name](at, read)


def _field(field: Field, value: object, at: Place) -> Any:
    if field.table is None:
        if not field.is_secret:
            _refuse_reference(value, at)
        return value
    if field.shape == "table":
        return _table(field.table, value, at)
    if field.shape == "list":
        return [_table(field.table, item, at.item(n)) for n, item in enumerate(at.list(value))]
    return {name: _table(field.table, item, at.field(name)) for name, item in at.table(value).items()}


def _refuse_reference(value: object, at: Place) -> None:
    if isinstance(value, str):
        if "${" in value:
            raise at.wrong("${…} stands for a key, in the field key alone: write the value itself here")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            _refuse_reference(inner, at.field(name))
    elif isinstance(value, list | tuple):
        for n, inner in enumerate(value):
            _refuse_reference(inner, at.item(n))


# --- the values ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Key:
    """A key that waits for the limits of its gateway."""

    at: Place
    read: Read

    def make(self, limits: Read) -> KeyConfig:
        key = _secret(self.at.field("key"), self.read["key"])
        with self.at.naming(*TABLES["key"].names):
            return KeyConfig(**{**limits, **self.read, "key": key})


@dataclass(frozen=True, slots=True)
class _Fallback:
    """A fallback that waits for the model of its gateway."""

    at: Place
    read: Read


@dataclass(frozen=True, slots=True)
class _Primitive:
    """An endpoint of native calls that waits for its gateway."""

    at: Place
    read: Read


def _secret(at: Place, given: Any) -> Any:
    """Give the key that a text refers to, or in a mapping is; what is no text is for ``KeyConfig`` to judge."""
    if not isinstance(given, str):
        return given
    reference = _REFERENCE.fullmatch(given)
    if reference is not None:
        with at.naming():
            return Secret.by_reference(EnvironmentVariable(reference[1]))
    if "${" in given:
        raise at.wrong("expected ${VARIABLE} and nothing beside it")
    if at.source.file is not None:
        raise at.wrong("a key that stands in a file is leaked one day: write ${VARIABLE}, and keep it in that variable")
    return given


def _of(kind: Callable[..., Any], table: str) -> Callable[[Place, Read], Any]:
    """Give the maker of a value whose class takes the fields by their names."""
    names = TABLES[table].names

    def make(at: Place, read: Read) -> Any:
        with at.naming(*names):
            return kind(**read)

    return make


def _gateway(at: Place, read: Read) -> GatewayConfig:
    primary, model = _route(at, read)
    fallbacks = [_fallback(given, model) for given in read.get("fallbacks", ())]
    budgets = list(read.get("budgets", ()))
    if "budget_usd" in read:
        with at.naming("budget_usd"):
            pico_usd(read["budget_usd"], "budget_usd")
        budgets.insert(0, Budget(read["budget_usd"]))
    options = {name: read[name] for name in _OPTIONS if name in read}
    if "primitives" in read:
        options["primitives"] = tuple(_primitive(given) for given in read["primitives"])
    if model is not None:
        options["default_model"] = model
    with at.naming(*_OPTIONS):
        return GatewayConfig(routes=(primary, *fallbacks), budgets=tuple(budgets), **options)


_OPTIONS = ("pool", "timeouts", "retry", "losses", "downgrades", "pricing", "transport", "max_workers")


def _fallback(given: _Fallback, asked: str | None) -> RouteConfig:
    route, there = _route(given.at, given.read)
    models = dict(given.at.field("model_map").table(given.read.get("model_map", {})))
    if there is not None:
        if asked is None:
            raise given.at.field("model").wrong("there is no model that it stands for: give the gateway one, or a model_map here")
        models.setdefault(asked, there)
    with given.at.naming("model_map"):
        return RouteConfig(route.endpoint, route.keys, models)


def _primitive(given: _Primitive) -> PrimitiveConfig:
    at, read = given.at, given.read
    keys = tuple(key.make(_limits(at, read)) for key in read.get("keys", ()))
    with at.naming(*TABLES["primitive"].names):
        parts = {name: value for name, value in read.items() if name not in ("keys", *_LIMITS)}
        return PrimitiveConfig(PrimitiveProviderEndpoint(**parts), keys)


def _limits(at: Place, read: Read) -> Read:
    """Give the limits of the keys that do not say."""
    limits = {"rpm_limit": DEFAULT_RPM, "tpm_limit": DEFAULT_TPM} | {name: read[name] for name in _LIMITS if name in read}
    with at.naming(*_LIMITS):
        ModelLimits(**limits)
    return limits


def _route(at: Place, read: Read) -> tuple[RouteConfig, str | None]:
    """Give where a gateway's or fallback's table leads, and the model it names."""
    found, endpoint, model = _where(at, read)
    limits = _limits(at, read)
    if "keys" in read:
        keys = tuple(key.make(limits) for key in read["keys"])
    elif found is not None:
        with at.field("keys").naming():
            keys = (own_key(found, "OMNILLM_API_KEY" if at.source.variables else "keys", **limits),)
    else:
        keys = ()
    if not keys:
        raise MissingKeyError(at.field("keys").wrong("expected at least one key").message, field=at.field("keys").path)
    return RouteConfig(endpoint, keys), model


def _where(at: Place, read: Read) -> tuple[Preset | None, ProviderEndpoint, str | None]:
    model = read.get("model")
    if model is not None and not (isinstance(model, str) and model):
        raise at.field("model").wrong(f"expected a model's name, got {type(model).__name__}")
    if "endpoint" in read:
        for other in ("provider", *PROVIDER_OPTIONS):
            if other in read:
                raise at.field(other).wrong("expected either this or endpoint, not both")
        return None, read["endpoint"], model
    with at.naming("provider", "model", *PROVIDER_OPTIONS):
        if "provider" in read:
            found = preset(read["provider"])
        elif model is not None:
            found, model = split_model(model)
        else:
            raise ConfigurationError("expected model as 'provider/model', a provider, or an endpoint")
        options = {name: read[name] for name in PROVIDER_OPTIONS if name in read}
        return found, found.build(model or "", **options), model


def _pricing(at: Place, read: Read) -> PriceTable:
    own, unknown = read.get("overrides", {}), read.get("unknown", "error")
    with at.naming("unknown", "file"):
        return (
            PriceTable(own, unknown) if "file" not in read else PriceTable.from_file(read["file"], overrides=own, unknown=unknown)
        )


def _auth(at: Place, read: Read) -> AuthScheme:
    with at.field("scheme").naming():
        if read["scheme"] not in SCHEMES:
            raise ConfigurationError(f"expected one of {', '.join(SCHEMES)}")
    kind, parts = read["scheme"], {name: value for name, value in read.items() if name != "scheme"}
    if kind == "google_oauth":
        parts.setdefault("scopes", (CLOUD_PLATFORM,))
    with (at.field("name") if kind in ("header", "query") else at).naming(own="auth"):
        return AuthScheme(kind, **parts)


def _as_read(_at: Place, read: Read) -> Read:
    return read


_MAKERS: dict[str, Callable[[Place, Read], Any]] = {
    "gateway": _gateway,
    "key": _Key,
    "limits": _of(ModelLimits, "limits"),
    "endpoint": _of(ProviderEndpoint, "endpoint"),
    "auth": _auth,
    "envelope": _of(Envelope, "envelope"),
    "budget": _of(Budget, "budget"),
    "pool": _of(PoolConfig, "pool"),
    "timeouts": _of(Timeouts, "timeouts"),
    "retry": _of(RetryPolicy, "retry"),
    "fallback": _Fallback,
    "primitive": _Primitive,
    "downgrade": _of(Downgrade, "downgrade"),
    "pricing": _pricing,
    "price": _as_read,
    "transport": _of(TransportConfig, "transport"),
}


# --- several gateways ---------------------------------------------------------------------------------------------------------


def each_gateway(value: object, at: Place) -> Iterator[tuple[str | None, Callable[[], GatewayConfig]]]:
    """Give the gateways of a configuration: their names, ``None`` for the only one at the top, and what reads each."""
    tables = at.table(value)
    if "gateways" not in tables:
        yield None, partial(read_gateway, tables, at)
        return
    beside = sorted(set(tables) - {"gateways"})
    if beside:
        raise at.field(beside[0]).wrong("nothing stands beside gateways: it goes into one of them")
    inner = at.field("gateways")
    for name, table in inner.table(tables["gateways"]).items():
        yield name, partial(read_gateway, table, inner.field(name))


def read_config(value: object, at: Place, name: str | None = None) -> GatewayConfig:
    """Read the gateway of that name, or the only one, or ``default``."""
    found = dict(each_gateway(value, at))
    if name is None:
        if len(found) == 1:
            return next(iter(found.values()))()
        name = "default"
        if name not in found:
            names = ", ".join(str(each) for each in found)
            raise at.field("gateways").wrong(f"none is called default: say which one by name: {names}" if names else "is empty")
    if None in found:
        raise at.wrong(f"holds one gateway, which has no name: nothing is called {name!r:.80}")
    if name not in found:
        raise at.field("gateways").unknown_name(name, found)
    return found[name]()
