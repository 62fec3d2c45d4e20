"""A gateway in one line: providers by name, their own variables, options by the builder's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import omnillm
from omnillm import (
    Budget,
    ConfigurationError,
    Gateway,
    GatewayBuilder,
    GenerationConfig,
    KeyConfig,
    LlmRequest,
    NoAvailableKeyError,
    PoolConfig,
    PriceTable,
    RetryPolicy,
    Secret,
    Timeouts,
    TransportConfig,
    UnknownPriceError,
)
from omnillm._names import nearest
from omnillm.config import GatewayConfig
from omnillm.gateway.connect import ConnectOptions
from omnillm.providers.presets import PRESETS, BaseVariable, Preset, split_model
from omnillm.providers.primitive_endpoint import PrimitiveProviderEndpoint
from omnillm.state.memory import MemoryState
from omnillm.testing import LocalProvider
from omnillm.types.enums import ProviderKind
from omnillm.types.hooks import CallEnded, HookEvent

Connect = Callable[..., Gateway]
REACHED = [row for row in PRESETS.values() if row.endpoint is not None]
MADE = {option for row in PRESETS.values() for option in row.takes} - {"base_url"}  # what endpoints are made of


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider's variable is set."""
    for row in PRESETS.values():
        names = [*row.key_variables, *row.found_by, *(name for option in row.options for name in option.variables)]
        for name in (*names, *([row.base_variable.name] if row.base_variable is not None else [])):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect, and close in the end."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(omnillm.connect(*args, **options))


def config_of(gateway: Gateway) -> GatewayConfig:
    return gateway._core.config


def refusal(*args: Any, **options: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        omnillm.connect(*args, **options)
    return caught.value


# --- the opening example ------------------------------------------------------------------------------------------------------


def test_the_opening_example_runs(connect: Connect, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model by its name, a key from the provider's variable, a budget; a call and a stream."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-own")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.base_url}/v1")
    gateway = connect("openai/gpt-4.1-mini", budget_usd=5)
    assert str(gateway.call("Say hello in French")) == "echo: Say hello in French"
    assert "".join(gateway.stream("Count to five").text()) == "echo: Count to five"
    assert 0 < gateway.budget_used_usd() < 5
    assert {(request.key, request.path, request.json["model"]) for request in provider.requests} == {
        ("sk-own", "/v1/responses", "gpt-4.1-mini")
    }


@pytest.mark.parametrize(
    ("name", "base"),
    [("openai", "/v1"), ("openai-chat", "/v1"), ("anthropic", "/v1"), ("gemini", "/v1beta"), ("groq", "/v1"), ("mistral", "/v1")],
)
def test_each_kind_of_provider_answers(connect: Connect, provider: LocalProvider, name: str, base: str) -> None:
    """Its protocol, its header for the key, its path."""
    gateway = connect(f"{name}/m", api_key="sk-1", base_url=provider.base_url + base)
    assert gateway.call("hello").text == "echo: hello"
    with gateway.stream(LlmRequest("", "hello", generation=GenerationConfig(max_output_tokens=9))) as stream:
        assert "".join(stream.text()) == "echo: hello"
        assert not stream.response.usage.estimated or name == "mistral"
    assert {request.key for request in provider.requests} == {"sk-1"}


# --- models and providers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "provider_name", "own"),
    [
        ("openai/gpt-4.1-mini", "openai", "gpt-4.1-mini"),
        ("openrouter/meta-llama/llama-3:free", "openrouter", "meta-llama/llama-3:free"),
        ("fireworks/accounts/fireworks/models/qwen3", "fireworks", "accounts/fireworks/models/qwen3"),
    ],
)
def test_the_model_is_all_after_the_first_slash(model: str, provider_name: str, own: str) -> None:
    """Hosts have slashes in the names of their models."""
    row, there = split_model(model)
    assert (row.name, there) == (provider_name, own)


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "openai/", "/gpt", "", None, 5])
def test_a_model_without_its_provider_is_refused(model: Any) -> None:
    """The error shows how it is written."""
    error = refusal(model)
    assert error.field == "model"
    assert "'provider/model', as 'openai/gpt-4.1-mini'" in str(error)


def test_an_unknown_provider_is_answered_with_the_nearest_and_the_list() -> None:
    """A typing mistake costs one look."""
    near, far = refusal("antropic/claude"), refusal("zzz/m")
    assert str(near).startswith("provider: 'antropic' is unknown: did you mean 'anthropic'? There are anthropic, azure,")
    assert str(far).startswith("provider: 'zzz' is unknown: expected one of anthropic, azure,")
    assert (near.field, far.field) == ("provider", "provider")


@pytest.mark.parametrize("row", REACHED, ids=lambda row: row.name)
def test_every_row_is_a_gateway(connect: Connect, row: Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the key of each of its variables, or none where it needs none."""
    for name in row.key_variables or (None,):
        with monkeypatch.context() as patch:
            if name is not None:
                patch.setenv(name, "sk-own")
            config = config_of(connect(f"{row.name}/m"))
        assert config.routes[0].endpoint == row.endpoint
        assert config.routes[0].keys[0].key.reveal() == ("no-key" if name is None else "sk-own")


@pytest.mark.parametrize("row", [row for row in REACHED if row.needs_key], ids=lambda row: row.name)
def test_a_missing_key_names_the_variable_and_what_else_there_is(row: Preset) -> None:
    """It is no key, and a wrong configuration: either is caught."""
    error = refusal(f"{row.name}/m")
    assert isinstance(error, NoAvailableKeyError)
    assert error.reason == "no_key"
    assert error.field == row.key_variables[0]
    assert f"set the environment variable {' or '.join(row.key_variables)}, or give one as api_key= or keys=" in str(error)


def test_the_first_variable_that_is_set_counts(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one is none."""
    monkeypatch.setenv("GEMINI_API_KEY", "")
    monkeypatch.setenv("GOOGLE_API_KEY", "sk-google")
    assert config_of(connect("gemini/m")).routes[0].keys[0].key.reveal() == "sk-google"
    monkeypatch.setenv("GEMINI_API_KEY", "sk-gemini")
    assert config_of(connect("gemini/m")).routes[0].keys[0].key.reveal() == "sk-gemini"


@pytest.mark.parametrize(
    ("name", "variable", "value", "base"),
    [
        ("openai", "OPENAI_BASE_URL", "https://x.example.com/v1", "https://x.example.com/v1"),
        ("anthropic", "ANTHROPIC_BASE_URL", "https://x.example.com", "https://x.example.com/v1"),
        ("anthropic", "ANTHROPIC_BASE_URL", "https://x.example.com/", "https://x.example.com/v1"),
        ("anthropic", "ANTHROPIC_BASE_URL", "https://x.example.com/v1/", "https://x.example.com/v1"),
    ],
)
def test_the_providers_own_base_counts(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str, variable: str, value: str, base: str
) -> None:
    """As its own library takes it; ``base_url`` counts more."""
    monkeypatch.setenv(variable, value)
    assert config_of(connect(f"{name}/m", api_key="k")).routes[0].endpoint.base_url == base
    there = config_of(connect(f"{name}/m", api_key="k", base_url="https://y.example.com/v1")).routes[0].endpoint
    assert there.base_url == "https://y.example.com/v1"


def test_names_are_unique_and_variables_are_names() -> None:
    """The table is a table."""
    assert all(name == row.name and name.isascii() and name == name.lower() and "/" not in name for name, row in PRESETS.items())
    assert all(variable.isidentifier() for row in REACHED for variable in row.key_variables)
    assert all((row.endpoint is None) is (row.make is not None) for row in PRESETS.values())


def test_a_row_may_make_its_endpoint_of_options() -> None:
    """Providers whose URL is made of a region or a resource take those instead of a base."""
    row = Preset(
        name="made",
        kind=ProviderKind.CUSTOM,
        takes=("region",),
        make=lambda region: omnillm.ProviderEndpoint.openai_compatible(f"https://{region}.example.com/v1"),
    )
    assert row.build(region="eu").base_url == "https://eu.example.com/v1"
    with pytest.raises(ConfigurationError, match="base_url: unknown to made: expected one of region"):
        row.build(base_url="https://x")


def test_a_variable_of_a_base_lacks_at_most_its_path() -> None:
    """What is there is not added again."""
    variable = BaseVariable(name="X", path="/v1")
    assert {variable.base(value) for value in ("https://h", "https://h/", "https://h/v1", "https://h/v1/")} == {"https://h/v1"}


# --- quirks -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cap", "options"),
    [
        ("groq", "max_completion_tokens", True),
        ("deepseek", "max_tokens", True),
        ("mistral", "max_tokens", False),
    ],
)
def test_a_host_is_sent_what_it_knows(connect: Connect, provider: LocalProvider, name: str, cap: str, options: bool) -> None:
    """The name of the output's cap, and whether a stream is asked for its usage."""
    gateway = connect(f"{name}/m", api_key="k", base_url=f"{provider.base_url}/v1")
    request = LlmRequest("", "hello", generation=GenerationConfig(max_output_tokens=9))
    gateway.call(request)
    with gateway.stream(request) as stream:
        "".join(stream.text())
    called, streamed = (received.json for received in provider.requests)
    others = {"max_tokens", "max_completion_tokens"} - {cap}
    assert (called[cap], streamed[cap]) == (9, 9)
    assert others & (set(called) | set(streamed)) == set()
    assert ("stream_options" in streamed) is options


# --- keys ---------------------------------------------------------------------------------------------------------------------


def test_keys_are_given_in_many_ways(connect: Connect) -> None:
    """A text, a secret, several, with limits of their own; the variable is not asked then."""
    gateway = connect(
        "openai/m",
        api_key=Secret.literal("sk-0"),
        keys=["sk-1", KeyConfig("sk-2", "mine", rpm_limit=3)],
        rpm_limit=7,
        tpm_limit=70,
    )
    keys = config_of(gateway).routes[0].keys
    assert [(key.key.reveal(), key.label, key.rpm_limit, key.tpm_limit) for key in keys] == [
        ("sk-0", "key-1", 7, 70),
        ("sk-1", "key-2", 7, 70),
        ("sk-2", "mine", 3, 90_000),
    ]


def test_one_key_need_be_no_list(connect: Connect) -> None:
    """A text is one key, not its letters."""
    assert [key.key.reveal() for key in config_of(connect("openai/m", keys="sk-1")).routes[0].keys] == ["sk-1"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"api_key": 5}, "keys"),
        ({"keys": 5}, "keys"),
        ({"keys": [None]}, "keys"),
        ({"api_key": ""}, "key"),
        ({"api_key": "sk 1"}, "key"),
        ({"rpm_limit": 0, "api_key": "k"}, "rpm_limit"),
        ({"tpm_limit": "x", "keys": [KeyConfig("k")]}, "tpm_limit"),
        ({"budget_usd": -1, "api_key": "k"}, "budget_usd"),
        ({"timeout": 0, "api_key": "k"}, "request_timeout"),
        ({"timeouts": 5, "api_key": "k"}, "timeouts"),
        ({"timeouts": {"totel": 5}, "api_key": "k"}, "timeouts"),
        ({"retry": 3, "api_key": "k"}, "retry"),
        ({"pool_config": {}, "api_key": "k"}, "pool"),
        ({"losses": "ignore", "api_key": "k"}, "losses"),
        ({"fallbacks": "anthropic/m", "api_key": "k"}, "fallbacks"),
        ({"fallbacks": ["m"], "api_key": "k"}, "model"),
        ({"on_event": 5, "api_key": "k"}, "on_event"),
        ({"base_url": "ftp://x", "api_key": "k"}, "base_url"),
    ],
)
def test_a_wrong_value_is_named(options: dict[str, Any], field: str) -> None:
    """As the builder names it."""
    assert refusal("openai/m", **options).field == field


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("budgetusd", "budget_usd"),
        ("apikey", "api_key"),
        ("time_out", "timeout"),
        ("pool", "pool_config"),
        ("xyz", None),
    ],
)
def test_an_unknown_option_is_answered_with_the_nearest(name: str, near: str | None) -> None:
    """Nothing is ignored."""
    error = refusal("openai/m", **{name: 5})
    assert error.field == name
    assert str(error).startswith(
        f"{name}: unknown option: " + (f"did you mean {near!r}?" if near else "expected one of api_key, ")
    )


# --- options ------------------------------------------------------------------------------------------------------------------


def test_every_option_arrives(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is the builder's step of that name."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant")
    events: list[HookEvent] = []
    state = MemoryState()
    options: dict[str, Any] = {
        "base_url": "https://x.example.com/v1",
        "rpm_limit": 5,
        "tpm_limit": 50,
        "timeouts": {"connect": 1, "idle": 2},
        "timeout": 9,
        "request_timeout": math.inf,
        "retry": RetryPolicy(max_attempts=1),
        "pool_config": PoolConfig(acquire_timeout=3),
        "budget": Budget(1, scope="key"),
        "pricing": PriceTable(unknown="zero"),
        "losses": "raise",
        "fallbacks": ["anthropic/claude"],
        "state": state,
        "transport": TransportConfig(allow_http=True),
        "on_event": events.append,
        "max_workers": 4,
        "primitive_endpoint": PrimitiveProviderEndpoint.openai("https://native.example.com/v1"),
    }
    assert set(options) == set(ConnectOptions.__annotations__) - MADE
    config = config_of(connect("openai/m", api_key="k", budget_usd=2, **options))
    assert config.timeouts == Timeouts(connect=1, idle=2, total=math.inf)
    assert config.budgets == (Budget(2), Budget(1, scope="key"))
    assert (config.retry, config.pool) == (options["retry"], options["pool_config"])
    assert (config.pricing, config.losses) == (options["pricing"], "raise")
    assert (config.transport, config.max_workers) == (options["transport"], 4)
    assert config.state is state
    assert config.primitives[0].endpoint is options["primitive_endpoint"]
    assert config.routes[1].model_map == {"m": "claude"}
    assert config.routes[1].keys[0].key.reveal() == "sk-ant"
    assert (config.routes[0].keys[0].rpm_limit, config.routes[0].keys[0].tpm_limit) == (5, 50)
    assert config_of(connect("openai/m", api_key="k", timeouts=Timeouts(total=3))).timeouts == Timeouts(total=3)


def test_every_step_of_the_builder_is_an_option() -> None:
    """Under its name; keys, model, dollars and fallbacks have words of their own, steps down and native endpoints none."""
    steps = {name for name in vars(GatewayBuilder) if not name.startswith("_")}
    worded = {"default_model", "add_key", "add_keys", "budget_limit_usd", "add_fallback", "config", "build"}
    left_out = {"add_downgrade", "primitive_endpoint"}
    assert steps - worded - left_out - set(ConnectOptions.__annotations__) == set()


def test_a_hook_hears_of_calls(connect: Connect, provider: LocalProvider) -> None:
    """``on_event`` is a callable."""
    events: list[HookEvent] = []
    gateway = connect("openai/m", api_key="k", base_url=f"{provider.base_url}/v1", on_event=events.append)
    gateway.call("hello")
    assert isinstance(events[-1], CallEnded)


def test_a_budget_needs_a_price(connect: Connect, provider: LocalProvider) -> None:
    """A model that nobody has priced is refused before anything is sent, unless it is free."""
    there = {"api_key": "k", "base_url": f"{provider.base_url}/v1", "budget_usd": 1}
    with pytest.raises(UnknownPriceError, match="nobodys-model has no price"):
        connect("openai/nobodys-model", **there).call("hello")
    assert provider.requests == ()
    assert connect("openai/nobodys-model", **there, pricing=PriceTable(unknown="zero")).call("hello").cost_usd == 0


def test_a_configuration_of_own_keys_pickles(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came from variables goes by reference."""
    import pickle

    monkeypatch.setenv("OPENAI_API_KEY", "sk-own")
    config = config_of(connect("openai/m"))
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize(
    ("name", "said"), [("timout", "did you mean 'timeout'?"), ("q", "expected one of retry, timeout"), (5, "expected one of")]
)
def test_the_nearest_name_is_offered_or_all(name: object, said: str) -> None:
    """One form of words for every unknown name."""
    assert nearest(name, ["timeout", "retry"]).startswith(said)
