"""Configurations as mappings and files: one schema, errors that name the place, keys by reference alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import operator
import pickle
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from omnillm import (
    AuthScheme,
    Budget,
    ConfigurationError,
    Gateway,
    GatewayConfig,
    LossPolicy,
    ModelLimits,
    NoAvailableKeyError,
    PoolConfig,
    PriceTable,
    ProviderEndpoint,
    ProviderKind,
    RetryPolicy,
    Timeouts,
    TransportConfig,
)
from omnillm.config.reading import _MAKERS
from omnillm.config.reference import reference
from omnillm.config.schema import PROVIDER_OPTIONS, REQUIRED, TABLES, VARIABLES
from omnillm.policy.downgrade import Downgrade
from omnillm.providers.envelope import Envelope
from omnillm.providers.presets import PRESETS
from omnillm.providers.primitive_endpoint import PrimitiveProviderEndpoint
from omnillm.testing import LocalProvider

ROOT = Path(__file__).parent.parent
LEAST: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "keys": ["sk-1"]}
WHOLE: dict[str, Any] = {
    "model": "own/model",
    "endpoint": {
        "protocol": "chat_completions",
        "base_url": "https://models.example.com/v1/",
        "auth": {"scheme": "header", "name": "x-api-key"},
        "default_headers": {"x-team": "search"},
        "text_content": "array",
        "output_cap": "max_tokens",
        "asks_for_usage": False,
        "envelope": {"path": "/hosted/{model}{path}", "query": "v=1", "without": ["model"], "fields": {"version": 2}},
    },
    "keys": [
        "sk-1",
        {"key": "sk-2", "label": "two", "rpm_limit": 7, "models": {"big": {"tpm_limit": 10, "rpm_limit": 1}}},
        {"key": "${KEY_OF_TESTS}", "label": "three", "tpm_limit": 9},
    ],
    "rpm_limit": 50,
    "tpm_limit": 5_000,
    "budget_usd": 2.5,
    "budgets": [{"limit_usd": 1, "scope": "tenant", "window": "day", "timezone": "Europe/Berlin", "estimate": "strict"}],
    "pool": {
        "circuit_breaker_threshold": 2,
        "circuit_breaker_cooldown": 3,
        "acquire_timeout": 4,
        "default_output_tokens": 5,
        "selection": "latency",
    },
    "timeouts": {"connect": 1, "first_byte": 2, "idle": 3, "total": float("inf")},
    "retry": {"max_attempts": 4, "base": 0.1, "cap": 2, "retry_unknown": False},
    "losses": "warn",
    "fallbacks": [
        "anthropic/claude-haiku-4-5",
        {"provider": "groq", "model": "llama/3", "keys": ["sk-g"], "rpm_limit": 3, "base_url": "https://groq.example.com/v1"},
        {"model": "gemini/flash", "keys": ["sk-f"], "tpm_limit": 11, "model_map": {"own/model": "pro", "other": "flash-lite"}},
        {
            "endpoint": {"protocol": "claude_messages", "base_url": "https://claude.example.com/v1", "auth": "bearer"},
            "keys": ["sk-c"],
        },
    ],
    "downgrades": [{"below": 0.2, "model_map": {"own/model": "cheap/model"}}],
    "pricing": {"unknown": "zero", "overrides": {"own/model": {"input": 1, "output": 2, "cached_input": 0.5}}},
    "transport": {"allow_http": True, "trust_proxy_env": True, "proxies": {"https": "http://proxy:3128"}},
    "max_workers": 8,
    "primitives": [
        "anthropic",
        {
            "provider": "custom",
            "base_url": "https://own.example.com/api",
            "auth": {"scheme": "header", "name": "x-own"},
            "default_headers": {"x-team": "search"},
            "query": {"v": "1"},
            "keys": ["sk-n"],
            "rpm_limit": 2,
        },
    ],
}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider's variable is set but one, and the one of these tests."""
    for row in PRESETS.values():
        for name in row.key_variables:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KEY_OF_TESTS", "sk-referred-to")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-own")


def refusal(value: Any, name: str | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        GatewayConfig.from_mapping(value, name=name)
    return str(caught.value)


def write(folder: Path, text: str) -> Path:
    file = folder / "omnillm.toml"
    file.write_text(text, encoding="utf-8")
    return file


# --- what is read -------------------------------------------------------------------------------------------------------------


def test_the_least_is_a_model_and_a_key() -> None:
    """Everything else is as the builder has it."""
    config = GatewayConfig.from_mapping(LEAST)
    assert config.default_model == "gpt-4.1-mini"
    assert [route.endpoint for route in config.routes] == [ProviderEndpoint.openai_responses()]
    assert (config.pool, config.timeouts, config.retry, config.budgets) == (PoolConfig(), Timeouts(), RetryPolicy(), ())
    (key,) = config.routes[0].keys
    assert (key.label, key.rpm_limit, key.tpm_limit, key.key.reveal()) == ("key-1", 500, 90_000, "sk-1")


def test_every_field_arrives() -> None:
    """A configuration that says everything makes the values that it says."""
    config = GatewayConfig.from_mapping(WHOLE)
    endpoint = config.routes[0].endpoint
    assert endpoint == ProviderEndpoint(
        "chat_completions",  # type: ignore[arg-type]  # parsed there
        "https://models.example.com/v1",
        auth=AuthScheme.header("x-api-key"),
        default_headers={"x-team": "search"},
        text_content="array",
        output_cap="max_tokens",
        asks_for_usage=False,
        envelope=Envelope(path="/hosted/{model}{path}", query="v=1", without=("model",), fields={"version": 2}),
    )
    assert config.default_model == "own/model"
    assert config.budgets == (
        Budget(2.5),
        Budget(1, scope="tenant", window="day", timezone="Europe/Berlin", estimate="strict"),
    )
    assert config.pool == PoolConfig(
        circuit_breaker_threshold=2, circuit_breaker_cooldown=3, acquire_timeout=4, default_output_tokens=5, selection="latency"
    )
    assert config.timeouts == Timeouts(1, 2, 3, float("inf"))
    assert config.retry == RetryPolicy(4, 0.1, 2, retry_unknown=False)
    assert config.losses is LossPolicy.WARN
    assert config.transport == TransportConfig(allow_http=True, trust_proxy_env=True, proxies={"https": "http://proxy:3128"})
    assert config.max_workers == 8
    assert config.downgrades == (Downgrade(0.2, {"own/model": "cheap/model"}),)
    assert config.pricing.price("own/model") == PriceTable(WHOLE["pricing"]["overrides"]).price("own/model")
    assert config.pricing.price("nobody's") is not None


def test_keys_take_the_limits_of_their_gateway_unless_they_have_their_own() -> None:
    """So it is with the keys of a fallback and its limits."""
    config = GatewayConfig.from_mapping(WHOLE)
    first, second, third = config.routes[0].keys
    assert [(key.rpm_limit, key.tpm_limit) for key in (first, second, third)] == [(50, 5_000), (7, 5_000), (50, 9)]
    assert second.models == {"big": ModelLimits(10, 1)}
    assert third.key.reveal() == "sk-referred-to"
    assert [(route.keys[0].rpm_limit, route.keys[0].tpm_limit) for route in config.routes[1:]] == [
        (500, 90_000),
        (3, 90_000),
        (500, 11),
        (500, 90_000),
    ]


def test_native_calls_go_where_they_say() -> None:
    """An endpoint of the provider's own, or a base with its keys and what is in every request to it."""
    claude, own = GatewayConfig.from_mapping(WHOLE).primitives
    assert (claude.endpoint, claude.keys) == (PrimitiveProviderEndpoint.anthropic(), ())
    assert own.endpoint == PrimitiveProviderEndpoint(
        ProviderKind.CUSTOM,
        "https://own.example.com/api",
        auth=AuthScheme.header("x-own"),
        default_headers={"x-team": "search"},
        query={"v": "1"},
    )
    (key,) = own.keys
    assert (key.key.reveal(), key.label, key.rpm_limit) == ("sk-n", "key-8", 2)


def test_fallbacks_lead_where_they_say() -> None:
    """A text is ``provider/model`` with the provider's own key; a map of models counts more than a model."""
    claude, groq, gemini, own = GatewayConfig.from_mapping(WHOLE).routes[1:]
    assert (claude.endpoint.name, claude.model_map) == ("claude_messages@api.anthropic.com", {"own/model": "claude-haiku-4-5"})
    assert claude.keys[0].key.reveal() == "sk-ant-own"
    assert (groq.endpoint.base_url, groq.model_map) == ("https://groq.example.com/v1", {"own/model": "llama/3"})
    assert gemini.model_map == {"own/model": "pro", "other": "flash-lite"}
    assert (own.endpoint.auth, own.model_map) == (AuthScheme.bearer(), {})


def test_a_gateway_made_of_a_mapping_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a gateway as any other."""
    with LocalProvider() as provider:
        there = {**LEAST, "base_url": f"{provider.base_url}/v1"}
        with Gateway.from_config(there) as gateway:
            assert gateway.call("hello").text == "echo: hello"
        assert provider.requests[0].key == "sk-1"


def test_the_mapping_may_hold_what_toml_cannot() -> None:
    """Tuples are lists, and any mapping is a table."""
    from types import MappingProxyType

    config = GatewayConfig.from_mapping(MappingProxyType({**LEAST, "keys": ("sk-1", "sk-2")}))
    assert len(config.routes[0].keys) == 2


# --- several gateways ---------------------------------------------------------------------------------------------------------

TWO = {"gateways": {"default": LEAST, "cheap": {"model": "groq/llama-3", "keys": ["sk-g"]}}}


@pytest.mark.parametrize(
    ("value", "name", "model"),
    [
        (LEAST, None, "gpt-4.1-mini"),
        ({"gateways": {"only": LEAST}}, None, "gpt-4.1-mini"),
        (TWO, None, "gpt-4.1-mini"),
        (TWO, "default", "gpt-4.1-mini"),
        (TWO, "cheap", "llama-3"),
    ],
)
def test_a_gateway_is_found_by_its_name(value: Any, name: str | None, model: str) -> None:
    """The only one needs none, and of several ``default`` is meant where none is said."""
    assert GatewayConfig.from_mapping(value, name=name).default_model == model


@pytest.mark.parametrize(
    ("value", "name", "said"),
    [
        (TWO, "cheep", "gateways: none is called 'cheep': did you mean 'cheap'?"),
        (TWO, "zzz", "gateways: none is called 'zzz': expected one of cheap, default"),
        (LEAST, "cheap", "holds one gateway, which has no name: nothing is called 'cheap'"),
        ({"gateways": {"a": LEAST, "b": LEAST}}, None, "gateways: none is called default: say which one by name: a, b"),
        ({"gateways": {}}, None, "gateways: is empty"),
        ({"gateways": [LEAST]}, None, "gateways: expected a table, got list"),
        ({"gateways": {"a": LEAST}, "model": "m"}, None, "model: nothing stands beside gateways: it goes into one of them"),
    ],
)
def test_a_gateway_that_is_not_there_is_named_with_those_that_are(value: Any, name: str | None, said: str) -> None:
    """The error leads to the right name."""
    assert refusal(value, name) == said


def test_only_the_gateway_asked_for_is_read() -> None:
    """A gateway of a file whose key is not here does not stand in the way of the others."""
    broken = {"gateways": {"default": LEAST, "other": {"model": "groq/llama-3"}}}
    assert GatewayConfig.from_mapping(broken).default_model == "gpt-4.1-mini"


# --- what is refused ----------------------------------------------------------------------------------------------------------

SITE = {"protocol": "chat_completions", "base_url": "https://x"}
NO_COUNT = "expected an integer of at least 1, got"
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"keys": [{"key": "sk-1", "rpm_limit": "x"}]}, f"keys[0].rpm_limit: {NO_COUNT} 'x'"),
    ({"keys": ["sk-1", {"key": "sk-2", "tpm_limit": 0}]}, f"keys[1].tpm_limit: {NO_COUNT} 0"),
    ({"keys": [{"label": "a"}]}, "keys[0].key: missing: expected ${VARIABLE}, or in a mapping the key itself"),
    ({"keys": [{"key": "sk-1", "lable": "a"}]}, "keys[0].lable: unknown field: did you mean 'label'?"),
    ({"keys": [5]}, "keys[0]: expected a table, got int"),
    ({"keys": "sk-1"}, "keys: expected a list, got str"),
    ({"keys": []}, "keys: expected at least one key"),
    ({"endpoint": SITE, "keys": None}, "keys: expected at least one key"),
    ({"keys": [{"key": 5}]}, "keys[0].key: expected a string, got int"),
    ({"keys": [{"key": "sk-1", "label": "a"}, {"key": "sk-2", "label": "a"}]}, "label: two keys are called 'a'"),
    ({"keys": [{"key": "sk-1", "models": {"gpt-4.1": {"tpm_limit": 1}}}]},
     'keys[0].models."gpt-4.1".rpm_limit: missing: expected integer'),
    ({"keys": [{"key": "sk-1", "models": {"m": {"tpm_limit": 1, "rpm_limit": 0}}}]}, f"keys[0].models.m.rpm_limit: {NO_COUNT} 0"),
    ({"rpm_limit": 0}, f"rpm_limit: {NO_COUNT} 0"),
    ({"budget_us": 5}, "budget_us: unknown field: did you mean 'budget_usd'?"),
    ({"budget_usd": "5"}, "budget_usd: expected an amount of USD, got '5'"),
    ({"budgets": [{"limit_usd": 1, "window": "week"}]}, "budgets[0].window: expected one of total, day, month, got 'week'"),
    ({"budgets": [{"window": "day"}]}, "budgets[0].limit_usd: missing: expected number"),
    ({"budgets": {"limit_usd": 1}}, "budgets: expected a list, got dict"),
    ({"pool": {"selection": "best"}}, "pool.selection: expected one of random, least_loaded, latency, got 'best'"),
    ({"pool": 5}, "pool: expected a table, got int"),
    ({"timeouts": {"total": 0}}, "timeouts.total: expected a positive number of seconds, got 0.0"),
    ({"timeouts": {"totel": 1}}, "timeouts.totel: unknown field: did you mean 'total'?"),
    ({"retry": {"max_attempts": 0}}, "retry.max_attempts: expected 1 or more, got 0"),
    ({"losses": "ignore"}, "losses: expected 'allow', 'warn' or 'raise'"),
    ({"max_workers": 0}, f"max_workers: {NO_COUNT} 0"),
    ({"model": 5}, "model: expected a model's name, got int"),
    ({"model": "gpt-4.1-mini"}, "model: expected 'provider/model', as 'openai/gpt-4.1-mini', got 'gpt-4.1-mini'"),
    ({"provider": "opnai"}, "provider: 'opnai' is unknown: did you mean 'openai'?"),
    ({"base_url": "ftp://x"}, "base_url: expected https:// (or http:// to this host)"),
    ({"endpoint": {"protocol": "chat_completions"}}, "endpoint.base_url: missing: expected URL"),
    ({"endpoint": {"protocol": "chat", "base_url": "https://x"}}, "endpoint"),
    ({"endpoint": SITE, "base_url": "https://y"},
     "base_url: expected either this or endpoint, not both"),
    ({"endpoint": SITE, "provider": "openai"}, "provider: expected either this or endpoint, not both"),
    ({"endpoint": {**SITE, "auth": "digest"}},
     "endpoint.auth.scheme: expected one of bearer, header, query, aws_sigv4, google_oauth"),
    ({"endpoint": {**SITE, "auth": {"scheme": "header"}}}, "endpoint.auth.name: None is not the name of a header"),
    ({"endpoint": {**SITE, "output_cap": "n"}},
     "endpoint.output_cap: expected 'max_completion_tokens' or 'max_tokens'"),
    ({"endpoint": {**SITE, "asks_for_usage": 1}}, "endpoint.asks_for_usage: expected True or False"),
    ({"primitives": ["nobody"]}, "primitives[0].provider: expected one of open_ai, "),
    ({"primitives": ["bedrock"]}, "primitives[0].base_url: bedrock has none of its own"),
    ({"primitives": [{"provider": "open_ai", "query": 3}]}, "primitives[0].query: expected texts by name"),
    ({"primitives": [{"base_url": "https://a.example"}]}, "primitives[0].provider: missing"),
    ({"primitives": [{"provider": "open_ai", "keys": [{}]}]}, "primitives[0].keys[0].key: missing"),
    ({"fallbacks": ["claude"]}, "fallbacks[0].model: expected 'provider/model'"),
    ({"fallbacks": [{"model": "groq/m"}]},
     "fallbacks[0].keys: groq needs a key: set the environment variable GROQ_API_KEY, or give keys"),
    ({"fallbacks": [{"model": "gemini/m", "keys": ["a"], "model_map": {"a": 5}}]},
     "fallbacks[0].model_map: expected model names"),
    ({"pricing": {"unknown": "free"}}, "pricing.unknown: "),
    ({"pricing": {"overrides": {"gpt-x": {"input": 1}}}}, "pricing.overrides.gpt-x.output: missing: expected number"),
    ({"pricing": {"overrides": {"m": {"input": "x", "output": 1}}}}, "pricing"),
    ({"transport": {"allow_http": "yes"}}, "transport.allow_http: expected true or false"),
    ({"transport": {"ca_bundle": "nowhere.pem"}}, "transport.ca_bundle: no such file"),
    ({5: "x"}, "expected names, got int"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[said[:50] for _, said in REFUSED])
def test_what_is_wrong_is_named_by_its_place(change: dict[Any, Any], said: str) -> None:
    """The path leads to the field, and the value's own class says what it takes."""
    assert refusal({**LEAST, **change}).startswith(said)


JUNK: list[Any] = [
    5,
    -1,
    1.5,
    True,
    "",
    "x",
    "x/y",
    b"x",
    [],
    [[]],
    [5],
    {},
    {"x": {}},
    {5: 5},
    float("nan"),
    object(),
    {"model": []},
]
FIELDS = [(name, field) for name, table in TABLES.items() for field in table.names]
HOLDERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "gateway": lambda inner: inner,
    "key": lambda inner: {"keys": [{"key": "sk-1", **inner}]},
    "limits": lambda inner: {"keys": [{"key": "sk-1", "models": {"m": {"tpm_limit": 1, "rpm_limit": 1, **inner}}}]},
    "endpoint": lambda inner: {"endpoint": {**SITE, **inner}},
    "auth": lambda inner: {"endpoint": {**SITE, "auth": {"scheme": "header", "name": "x-key", **inner}}},
    "envelope": lambda inner: {"endpoint": {**SITE, "envelope": inner}},
    "budget": lambda inner: {"budgets": [{"limit_usd": 1, **inner}]},
    "primitive": lambda inner: {"primitives": [{"provider": "open_ai", **inner}]},
    "fallback": lambda inner: {"fallbacks": [{"model": "openai/m", "keys": ["sk-2"], **inner}]},
    "price": lambda inner: {"pricing": {"overrides": {"m": {"input": 1, "output": 1, **inner}}}},
}


@pytest.mark.parametrize(("table", "field"), FIELDS)
def test_no_value_breaks_the_reader(table: str, field: str) -> None:
    """Whatever stands in whatever field, it is taken, or refused by our error."""
    for junk in JUNK:
        inner = {field: junk}
        value = {**LEAST, **HOLDERS.get(table, lambda inner: {table: inner})(inner)}
        with contextlib.suppress(ConfigurationError):
            GatewayConfig.from_mapping(value)


def test_nothing_is_what_is_not_said() -> None:
    """A mapping of JSON or of settings may have ``None`` where it says nothing."""
    said_nothing = {name: None for name in TABLES["gateway"].names if name not in LEAST}
    assert GatewayConfig.from_mapping({**said_nothing, **LEAST}) == GatewayConfig.from_mapping(LEAST)


@pytest.mark.parametrize(
    "value",
    [
        {**LEAST, "model": "sk-canary-1"},
        {**LEAST, "provider": "sk-canary-1"},
        {**LEAST, "sk-canary-1": 5},
        {**LEAST, "rpm_limit": "sk-canary-1"},
        {"gateways": {"sk-canary-1": 5}},
        {"sk-canary-1": 5, "gateways": {"a": LEAST}},
    ],
)
def test_a_key_in_the_wrong_place_is_not_quoted(value: Any) -> None:
    """Errors quote what they were given, but for what looks like a key."""
    with pytest.raises(ConfigurationError) as caught:
        GatewayConfig.from_mapping(value)
    assert "canary" not in f"{caught.value} {caught.value.field}"


@pytest.mark.parametrize("value", [None, 5, "text", ["x"]])
def test_a_configuration_is_a_table(value: Any) -> None:
    """Nothing else is."""
    assert "expected a table" in refusal(value)


def test_no_model_no_provider_and_no_endpoint_is_nowhere() -> None:
    """Where to call must be said somehow."""
    assert refusal({"keys": ["sk-1"]}) == "expected model as 'provider/model', a provider, or an endpoint"


def test_a_provider_without_a_model_is_enough() -> None:
    """Then each request names its own."""
    assert GatewayConfig.from_mapping({"provider": "openai", "keys": ["sk-1"]}).default_model is None
    said = refusal({"provider": "openai", "keys": ["sk-1"], "fallbacks": ["anthropic/claude"]})
    assert said.startswith("fallbacks[0].model: there is no model that it stands for")


def test_the_field_of_the_error_is_the_path() -> None:
    """Code reads what people read."""
    with pytest.raises(ConfigurationError) as caught:
        GatewayConfig.from_mapping({"gateways": {"a": {**LEAST, "keys": [{"key": "sk-1", "rpm_limit": "x"}]}}})
    assert caught.value.field == "gateways.a.keys[0].rpm_limit"


def test_a_missing_key_is_both_errors() -> None:
    """It is no key, and it is a configuration that lacks one."""
    with pytest.raises(NoAvailableKeyError, match="GROQ_API_KEY") as caught:
        GatewayConfig.from_mapping({"model": "groq/llama-3"})
    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.reason == "no_key"


# --- references ---------------------------------------------------------------------------------------------------------------

REFERENCES: list[tuple[dict[str, Any], str]] = [
    ({"model": "openai/${MODEL}"}, "model"),
    ({"base_url": "https://${HOST}/v1"}, "base_url"),
    ({"keys": [{"key": "sk-1", "label": "${LABEL}"}]}, "keys[0].label"),
    ({"transport": {"proxies": {"https": "http://user:${PASSWORD}@proxy"}}}, "transport.proxies.https"),
    ({"endpoint": {**SITE, "default_headers": {"a": "${A}"}}}, "endpoint.default_headers.a"),
    ({"fallbacks": ["${ELSEWHERE}"]}, "fallbacks[0].model"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "where"), REFERENCES)
def test_a_variable_stands_for_a_key_and_nothing_else(change: dict[str, Any], where: str) -> None:
    """Anywhere else it is refused, before it is taken for a text."""
    assert (
        refusal({**LEAST, **change}) == f"{where}: ${{…}} stands for a key, in the field key alone: write the value itself here"
    )


@pytest.mark.parametrize("key", ["${KEY_OF_TESTS} ", "Bearer ${KEY_OF_TESTS}", "${KEY OF TESTS}", "${}", "${1A}", "${A", "x${"])
def test_a_key_is_the_variable_and_nothing_beside_it(key: str) -> None:
    """A slip of the pen is not taken for a key."""
    assert refusal({**LEAST, "keys": [key]}) == "keys[0].key: expected ${VARIABLE} and nothing beside it"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "keys[0].key: environment variable KEY_OF_TESTS is not set: it should hold the API key"),
        ("", "keys[0].key: environment variable KEY_OF_TESTS is set but empty: it should hold the API key"),
        ("sk-canary\n", "keys[0].key: environment variable KEY_OF_TESTS: its value ends with a newline: strip it"),
    ],
)
def test_a_variable_that_holds_no_key_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None, said: str) -> None:
    """The error names the variable, and the place where it is asked for; never what it holds."""
    if value is None:
        monkeypatch.delenv("KEY_OF_TESTS")
    else:
        monkeypatch.setenv("KEY_OF_TESTS", value)
    assert refusal({**LEAST, "keys": ["${KEY_OF_TESTS}"]}) == said


# --- files --------------------------------------------------------------------------------------------------------------------

FILE = """
[gateways.default]
model = "openai/gpt-4.1-mini"
keys = [{ key = "${KEY_OF_TESTS}", label = "a", rpm_limit = RPM }]

[gateways.default.timeouts]
total = inf

[gateways.cheap]
model = "ollama/llama-3"
"""


def test_a_file_is_read_as_a_mapping_is(tmp_path: Path) -> None:
    """By a text or a path; ``inf`` is no limit; a server of one's own needs no key."""
    file = write(tmp_path, FILE.replace("RPM", "5"))
    for path in (file, str(file)):
        config = GatewayConfig.from_file(path)
        assert (config.routes[0].keys[0].rpm_limit, config.timeouts.total) == (5, float("inf"))
    with Gateway.from_config(str(file), name="cheap") as gateway:
        assert repr(gateway) == "<Gateway open_ai_chat_completions@localhost:11434 with 1 key>"


def test_errors_of_a_file_name_the_file(tmp_path: Path) -> None:
    """File, table, field, what was expected, what was found."""
    file = write(tmp_path, FILE.replace("RPM", "'x'"))
    with pytest.raises(ConfigurationError) as caught:
        Gateway.from_config(file)
    assert str(caught.value) == f"{file}: gateways.default.keys[0].rpm_limit: expected an integer of at least 1, got 'x'"


def test_a_key_in_a_file_is_refused_without_being_quoted(tmp_path: Path) -> None:
    """A file is copied, committed and mailed."""
    file = write(tmp_path, 'model = "openai/m"\nkeys = ["sk-canary-in-a-file"]')
    with pytest.raises(ConfigurationError) as caught:
        GatewayConfig.from_file(file)
    assert str(caught.value).startswith(
        f"{file}: keys[0].key: a key that stands in a file is leaked one day: write ${{VARIABLE}}"
    )
    error: BaseException | None = caught.value
    while error is not None:
        assert "canary" not in repr(error)
        error = error.__context__


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"model = ", ": not TOML: Invalid value (at end of document)"),
        (b"a = 1\na = 2", ": not TOML: Cannot overwrite a value"),
        (b"model = '\xff'", ": not TOML: not UTF-8"),
        (b"a = " + b"[" * 5000, ": not TOML"),
        (b"", ": expected model as 'provider/model', a provider, or an endpoint"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: bytes, said: str) -> None:
    """Whatever it is, the error is ours and names the file."""
    file = tmp_path / "omnillm.toml"
    file.write_bytes(text)
    with pytest.raises(ConfigurationError) as caught:
        GatewayConfig.from_file(file)
    assert str(caught.value).startswith(f"{file}{said}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """So is a folder in its place."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: no such file"):
        GatewayConfig.from_file(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        GatewayConfig.from_file(tmp_path)
    with pytest.raises(ConfigurationError, match="expected a mapping or a path, got int"):
        Gateway.from_config(5)  # type: ignore[arg-type]


# --- across processes ---------------------------------------------------------------------------------------------------------


def test_a_configuration_pickles_where_its_keys_come_by_reference() -> None:
    """What travels is the variable's name; a provider's own key and a server that needs none travel too."""
    config = GatewayConfig.from_mapping(
        {"model": "openai/m", "keys": ["${KEY_OF_TESTS}"], "fallbacks": ["anthropic/claude", "ollama/llama"]}
    )
    data = pickle.dumps(config)
    assert b"sk-" not in data
    assert pickle.loads(data) == config


def test_a_literal_key_refuses_by_its_label() -> None:
    """The error says which key it was, and what to do."""
    config = GatewayConfig.from_mapping({**LEAST, "keys": [{"key": "sk-1", "label": "mine"}]})
    with pytest.raises(ConfigurationError, match="key 'mine' was given as a literal and does not pickle"):
        pickle.dumps(config)


def test_a_configuration_is_read_in_a_spawned_process() -> None:
    """The child asks its own environment for the key."""
    config = GatewayConfig.from_mapping({"model": "openai/m", "keys": ["${KEY_OF_TESTS}"]})
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(operator.attrgetter("default_model"), (config,)) == "m"
        pool.close()
        pool.join()


# --- the schema ---------------------------------------------------------------------------------------------------------------

CLASSES: dict[str, Any] = {
    "pool": PoolConfig, "timeouts": Timeouts, "retry": RetryPolicy, "transport": TransportConfig, "endpoint": ProviderEndpoint,
    "limits": ModelLimits, "downgrade": Downgrade,
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_the_schema_has_the_fields_of_the_values(name: str) -> None:
    """A field that a value learns is one that a file can say."""
    assert set(TABLES[name].names) == {field.name for field in fields(CLASSES[name])}


@pytest.mark.parametrize("name", ["pool", "timeouts", "retry", "transport"])
def test_the_schema_tells_the_defaults_as_they_are(name: str) -> None:
    """What is written of a default is what the value has."""
    value = CLASSES[name]()
    for field in TABLES[name].fields:
        default = getattr(value, field.name)
        if default is not None:
            spelled = (
                str(default).lower() if isinstance(default, bool) else f"{default:g}" if isinstance(default, float) else default
            )
            assert field.default == f"`{spelled}`"


def test_whatever_a_gateway_is_made_of_can_be_said() -> None:
    """But for what no file holds: a store, and hooks. Routes are where it leads, with its keys and fallbacks."""
    said = {*TABLES["gateway"].names, "routes", "default_model", "state", "hooks"}
    assert {field.name for field in fields(GatewayConfig)} - said == set()


def test_every_table_is_named_once_and_made() -> None:
    """Each table of the schema has its maker, and each field's table is one."""
    assert set(TABLES) == set(_MAKERS)
    for table in TABLES.values():
        assert len(set(table.names)) == len(table.names)
        assert table.text is None or table.text in table.names
        for field in table.fields:
            assert field.table is None or field.table in TABLES
            assert (field.table is None) is (field.shape == "value")


def test_the_whole_example_says_every_field_of_a_gateway() -> None:
    """The test above that reads everything reads everything; where to call is said in one of two ways."""
    assert set(TABLES["gateway"].names) - set(WHOLE) == {"provider", *PROVIDER_OPTIONS}


def test_the_page_is_what_the_schema_says() -> None:
    """``docs/configuration.md`` is fresh: ``python -m omnillm config docs`` writes it."""
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == reference()


def test_the_page_names_everything() -> None:
    """Every field, every variable, every provider."""
    page = reference()
    names = (
        [name for table in TABLES.values() for name in table.names] + [variable.name for variable in VARIABLES] + list(PRESETS)
    )
    assert [name for name in names if f"`{name}`" not in page] == []
    assert REQUIRED in page


def test_the_file_of_the_page_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What people copy from there is read."""
    for name in ("OPENAI_KEY_A", "OPENAI_KEY_B", "GROQ_API_KEY", "INHOUSE_KEY"):
        monkeypatch.setenv(name, "sk-1")
    text = reference().split("```toml\n")[1].split("```")[0]
    file = write(tmp_path, text)
    assert [GatewayConfig.from_file(file, name=name).default_model for name in ("default", "cheap", "inhouse")] == [
        "gpt-4.1-mini",
        "llama-3.1-8b-instant",
        "qwen3-32b",
    ]
