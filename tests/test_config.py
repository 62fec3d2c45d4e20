"""The configuration: every wrong value is named before anything runs, and a configuration that exists is valid."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest

from omnillm import (
    Budget,
    ConfigurationError,
    GatewayConfig,
    KeyConfig,
    LossPolicy,
    ModelLimits,
    NoAvailableKeyError,
    ProviderEndpoint,
    RetryPolicy,
    Secret,
    TransportConfig,
)
from omnillm.config import MAX_LABEL_CHARS, EnvironmentVariable, RouteConfig

OPENAI = ProviderEndpoint.openai_responses()
CLAUDE = ProviderEndpoint.claude_messages()
KEY = KeyConfig("sk-1", "prod-1")


def labels(config: GatewayConfig) -> list[list[str | None]]:
    return [[key.label for key in route.keys] for route in config.routes]


def test_a_key_has_modest_limits_unless_told() -> None:
    """90 000 tokens and 500 requests in a minute, and no limits of single models."""
    key = KeyConfig("sk-1")
    assert (key.label, key.tpm_limit, key.rpm_limit, key.models) == (None, 90_000, 500, {})


def test_a_key_is_a_text_or_a_secret() -> None:
    """Either way it is held as a secret."""
    assert KeyConfig("sk-1").key == KeyConfig(Secret.literal("sk-1")).key == Secret.literal("sk-1")


WRONG_KEYS: list[tuple[str, Any]] = [
    ("key", None),
    ("key", ""),
    ("key", b"sk-1"),
    ("label", ""),
    ("label", 5),
    ("label", "a\nb"),
    ("label", "\x1b[31m"),
    ("label", "x" * (MAX_LABEL_CHARS + 1)),
    ("tpm_limit", 0),
    ("tpm_limit", -1),
    ("tpm_limit", 1.5),
    ("tpm_limit", True),
    ("tpm_limit", None),
    ("rpm_limit", 0),
    ("rpm_limit", "500"),
    ("models", 5),
    ("models", ["m"]),
    ("models", {"m": 5}),
    ("models", {"m": (1, 1)}),
    ("models", {5: ModelLimits(1, 1)}),
]


@pytest.mark.parametrize(("field", "value"), WRONG_KEYS)
def test_a_wrong_value_of_a_key_is_named(field: str, value: Any) -> None:
    """The error says which field it was."""
    with pytest.raises(ConfigurationError) as caught:
        KeyConfig(**{"key": "sk-1", field: value})
    assert caught.value.field == field


def test_the_limits_of_models_are_copied() -> None:
    """Changing the mapping afterwards changes no key."""
    limits = {"m": ModelLimits(10, 1)}
    key = KeyConfig("sk-1", models=limits)
    limits.clear()
    assert key.models == {"m": ModelLimits(10, 1)}


@pytest.mark.parametrize("name", ["", None, 5])
def test_the_name_of_a_variable_is_a_text(name: Any) -> None:
    """No other value names a variable."""
    with pytest.raises(ConfigurationError) as caught:
        EnvironmentVariable(name)()
    assert caught.value.field == "name"


def test_keys_without_a_label_are_named_by_their_place() -> None:
    """The place is counted over all endpoints, so that a label names one key."""
    config = GatewayConfig(
        routes=(
            RouteConfig(OPENAI, (KeyConfig("sk-1"), KeyConfig("sk-2", "mine"))),
            RouteConfig(CLAUDE, (KeyConfig("sk-3"),)),
        )
    )
    assert labels(config) == [["key-1", "mine"], ["key-3"]]


def test_a_label_by_place_keeps_the_rest_of_the_key() -> None:
    """Naming a key changes none of its limits."""
    key = KeyConfig("sk-1", tpm_limit=7, rpm_limit=3, models={"m": ModelLimits(5, 2)})
    (labelled,) = GatewayConfig(routes=(RouteConfig(OPENAI, (key,)),)).routes[0].keys
    assert labelled == dataclasses.replace(key, label="key-1")


@pytest.mark.parametrize("keys", [("a", "a"), ("key-2", None)])
def test_two_keys_of_one_name_are_refused(keys: tuple[str | None, ...]) -> None:
    """A label is how a key is spoken of."""
    route = RouteConfig(OPENAI, tuple(KeyConfig(f"sk-{n}", label) for n, label in enumerate(keys)))
    with pytest.raises(ConfigurationError) as caught:
        GatewayConfig(routes=(route,))
    assert caught.value.field == "label"


@pytest.mark.parametrize("keys", [(KEY,), [KEY], KEY, iter([KEY])])
def test_the_keys_of_a_route_are_a_tuple(keys: Any) -> None:
    """One key, or any iterable of them."""
    assert RouteConfig(OPENAI, keys).keys == (KEY,)


def test_an_endpoint_without_a_key_is_refused() -> None:
    """A gateway could not use it."""
    with pytest.raises(NoAvailableKeyError) as caught:
        RouteConfig(OPENAI, ())
    assert caught.value.reason == "no_key"


WRONG_ROUTES: list[tuple[str, Any]] = [
    ("endpoint", None),
    ("endpoint", "https://host"),
    ("keys", None),
    ("keys", "sk-CANARY"),
    ("keys", ["sk-CANARY"]),
    ("model_map", None),
    ("model_map", ["m"]),
    ("model_map", {"m": ""}),
    ("model_map", {"m": 5}),
    ("model_map", {5: "m"}),
]


@pytest.mark.parametrize(("field", "value"), WRONG_ROUTES)
def test_a_wrong_value_of_a_route_is_named(field: str, value: Any) -> None:
    """The error says which field it was, and never shows a key put there by mistake."""
    with pytest.raises(ConfigurationError) as caught:
        RouteConfig(**{"endpoint": OPENAI, "keys": (KEY,), field: value})
    assert caught.value.field == field
    assert "CANARY" not in caught.value.message


WRONG_TRANSPORTS: list[tuple[str, Any]] = [
    ("allow_http", 1),
    ("allow_http", "yes"),
    ("allow_http", None),
    ("trust_proxy_env", 0),
    ("ca_bundle", "no/such/file.pem"),
    ("ca_bundle", ""),
    ("ca_bundle", "\0"),
    ("ca_bundle", 0),
    ("ca_bundle", True),
    ("proxies", "http://proxy:3128"),
    ("proxies", {"https": "proxy:3128"}),
    ("proxies", {"https": None}),
    ("proxies", {5: "http://proxy:3128"}),
]


@pytest.mark.parametrize(("field", "value"), WRONG_TRANSPORTS)
def test_a_wrong_value_of_the_transport_is_named(field: str, value: Any) -> None:
    """The error says which field it was."""
    with pytest.raises(ConfigurationError) as caught:
        TransportConfig(**{field: value})
    assert caught.value.field == field


def test_the_transport_trusts_nothing_unless_told(tmp_path: Path) -> None:
    """No plain http, no proxies of the environment, the system's certificates; each may be set."""
    plain = TransportConfig()
    assert (plain.allow_http, plain.ca_bundle, plain.trust_proxy_env, plain.proxies) == (False, None, False, None)
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    told = TransportConfig(allow_http=True, ca_bundle=str(bundle), trust_proxy_env=True, proxies={"https": "http://u:CANARY@p:1"})
    assert told.ca_bundle == str(bundle)
    assert "CANARY" not in repr(told)


ROUTES = (RouteConfig(OPENAI, (KEY,)),)
WRONG_CONFIGS: list[tuple[str, Any]] = [
    ("routes", ()),
    ("routes", None),
    ("routes", [OPENAI]),
    ("default_model", ""),
    ("default_model", 5),
    ("budgets", 5.0),
    ("budgets", [5.0]),
    ("pool", {}),
    ("timeouts", 60),
    ("retry", 3),
    ("pricing", {}),
    ("losses", "ignore"),
    ("losses", None),
    ("transport", {}),
    ("hooks", "print"),
    ("hooks", [None]),
    ("max_workers", 0),
    ("max_workers", True),
    ("max_workers", 1.5),
]


@pytest.mark.parametrize(("field", "value"), WRONG_CONFIGS)
def test_a_wrong_value_of_a_gateway_is_named(field: str, value: Any) -> None:
    """The error says which field it was."""
    with pytest.raises(ConfigurationError) as caught:
        GatewayConfig(**{"routes": ROUTES, field: value})
    assert caught.value.field == field


def test_collections_are_tuples_whatever_was_given() -> None:
    """One value, or any iterable of them."""
    config = GatewayConfig(routes=ROUTES[0], budgets=[Budget(5.0)], hooks=[print])  # type: ignore[arg-type]  # wider than held
    assert (config.routes, config.budgets, config.hooks) == (ROUTES, (Budget(5.0),), (print,))


@pytest.mark.parametrize("losses", ["warn", LossPolicy.WARN])
def test_the_loss_policy_may_be_given_by_name(losses: Any) -> None:
    """A name becomes the policy."""
    assert GatewayConfig(routes=ROUTES, losses=losses).losses is LossPolicy.WARN


def test_a_configuration_is_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """It compares, copies, pickles where its keys do, and turns into a dictionary."""
    monkeypatch.setenv("OMNILLM_TEST_KEY", "sk-1")
    key = KeyConfig.from_env("OMNILLM_TEST_KEY", models={"m": ModelLimits(5, 2)})
    config = GatewayConfig(
        routes=(RouteConfig(OPENAI, (key,), {"gpt-4o": "gpt-4.1"}),),
        default_model="gpt-4o",
        budgets=(Budget(5.0, scope="tenant", window="day"),),
        retry=RetryPolicy(max_attempts=5),
    )
    assert copy.deepcopy(config) == config
    assert dataclasses.asdict(config)["default_model"] == "gpt-4o"
    again = pickle.loads(pickle.dumps(config))
    assert (again.routes, again.budgets, again.retry) == (config.routes, config.budgets, config.retry)
