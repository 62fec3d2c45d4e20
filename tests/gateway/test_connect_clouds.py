"""The clouds by name: what their endpoints are made of, told or in their own variables, and whose key it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import omnillm
from omnillm import (
    AwsCredentials,
    ConfigurationError,
    EndpointProtocol,
    Gateway,
    GatewayConfig,
    GoogleCredentials,
    KeyConfig,
    ProviderEndpoint,
)
from omnillm.errors import MissingKeyError
from omnillm.providers.presets import PRESETS
from omnillm.testing import LocalProvider

Connect = Callable[..., Gateway]
CLOUDS = ("azure", "vertex", "bedrock")
WITHOUT: dict[str, dict[str, str]] = {  # what each must be told, and a variable that says it
    "azure": {"AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com/", "AZURE_OPENAI_API_KEY": "azure-key"},
    "vertex": {"GOOGLE_CLOUD_PROJECT": "my-project"},
    "bedrock": {"AWS_REGION": "us-east-1"},
}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cloud's variable is set."""
    for name in CLOUDS:
        row = PRESETS[name]
        for variable in [*row.key_variables, *row.found_by, *(name for option in row.options for name in option.variables)]:
            monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(omnillm.connect(*args, **options))


def route_of(gateway: Gateway) -> Any:
    return gateway._core.config.routes[0]


def setting(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("model", "options", "endpoint"),
    [
        ("azure/dep", {"resource": "res", "api_key": "k"}, ProviderEndpoint.azure_openai("res")),
        ("azure/m", {"resource": "res", "deployment": "d", "api_key": "k"}, ProviderEndpoint.azure_openai("res", "d")),
        (
            "azure/dep",
            {"base_url": "https://apim.example.com", "api_version": "2024-10-21", "api_key": "k"},
            ProviderEndpoint.azure_openai("https://apim.example.com", None, "2024-10-21"),
        ),
        ("vertex/gemini-2.5-flash", {"project": "p"}, ProviderEndpoint.vertex_ai("p", "global")),
        ("vertex/gemini-2.5-flash", {"project": "p", "location": "eu"}, ProviderEndpoint.vertex_ai("p", "eu")),
        ("vertex/claude-x@1", {"project": "p"}, ProviderEndpoint.vertex_ai("p", "global", publisher="anthropic")),
        (
            "vertex/own",
            {"project": "p", "publisher": "anthropic"},
            ProviderEndpoint.vertex_ai("p", "global", publisher="anthropic"),
        ),
        ("bedrock/anthropic.claude-v2:0", {"region": "us-east-1"}, ProviderEndpoint.bedrock("us-east-1")),
        (
            "bedrock/m",
            {"region": "us-east-1", "base_url": "https://vpce.example.com"},
            ProviderEndpoint.bedrock("us-east-1", base_url="https://vpce.example.com"),
        ),
    ],
)
def test_an_endpoint_is_made_of_what_is_told(
    connect: Connect, model: str, options: dict[str, Any], endpoint: ProviderEndpoint
) -> None:
    """As its constructor makes it; the model's name tells whose model it is."""
    gateway = connect(model, **options)
    assert route_of(gateway).endpoint == endpoint
    assert gateway._core.config.default_model == model.partition("/")[2]


@pytest.mark.parametrize(
    ("name", "variables", "endpoint"),
    [
        ("azure", {"AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com/"}, ProviderEndpoint.azure_openai("res")),
        (
            "azure",
            {"AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com", "OPENAI_API_VERSION": "2024-10-21"},
            ProviderEndpoint.azure_openai("res", None, "2024-10-21"),
        ),
        ("vertex", {"GOOGLE_CLOUD_PROJECT": "p"}, ProviderEndpoint.vertex_ai("p", "global")),
        (
            "vertex",
            {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "us-east5"},
            ProviderEndpoint.vertex_ai("p", "us-east5"),
        ),
        ("bedrock", {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, ProviderEndpoint.bedrock("eu-west-1")),
        ("bedrock", {"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-east-1"}, ProviderEndpoint.bedrock("us-east-1")),
    ],
)
def test_their_own_variables_say_it_to_connect_and_from_env(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str, variables: dict[str, str], endpoint: ProviderEndpoint
) -> None:
    """An empty one is none; a key is told here."""
    setting(monkeypatch, variables)
    assert route_of(connect(f"{name}/m", api_key="k")).endpoint == endpoint
    setting(monkeypatch, {"OMNILLM_MODEL": f"{name}/m", "OMNILLM_API_KEY": "k"})
    config = GatewayConfig.from_env()
    assert (config.routes[0].endpoint, config.default_model) == (endpoint, "m")


def test_what_is_told_counts_more(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a base stands in the place of a resource."""
    setting(monkeypatch, {"AWS_REGION": "eu-west-1", "AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com"})
    assert route_of(connect("bedrock/m", region="us-east-1")).endpoint == ProviderEndpoint.bedrock("us-east-1")
    given = connect("azure/m", base_url="https://other.example.com", api_key="k")
    assert route_of(given).endpoint == ProviderEndpoint.azure_openai("https://other.example.com")


@pytest.mark.parametrize(
    ("model", "field", "variables"),
    [
        ("azure/m", "resource", "AZURE_OPENAI_ENDPOINT"),
        ("vertex/m", "project", "GOOGLE_CLOUD_PROJECT"),
        ("bedrock/m", "region", "AWS_REGION or AWS_DEFAULT_REGION"),
    ],
)
def test_what_is_missing_is_named_with_its_variable(model: str, field: str, variables: str) -> None:
    """By connect, and by a configuration, whose file says it."""
    for make in (
        lambda: omnillm.connect(model, api_key="k"),
        lambda: GatewayConfig.from_mapping({"model": model, "keys": ["k"]}),
    ):
        with pytest.raises(ConfigurationError) as caught:
            make()
        assert caught.value.field == field
        assert f"{field}: {model.partition('/')[0]} needs one: " in str(caught.value)
        assert variables in str(caught.value)


@pytest.mark.parametrize(
    ("model", "options", "field"),
    [
        ("azure/m", {"region": "x"}, "region"),
        ("bedrock/m", {"resource": "x"}, "resource"),
        ("openai/m", {"project": "x"}, "project"),
        ("vertex/m", {"project": "p", "publisher": "meta"}, "publisher"),
        ("bedrock/m", {"region": "no such place"}, "region"),
    ],
)
def test_an_option_of_another_provider_is_refused(model: str, options: dict[str, Any], field: str) -> None:
    """As is a wrong value."""
    with pytest.raises(ConfigurationError) as caught:
        omnillm.connect(model, api_key="k", **options)
    assert caught.value.field == field


# --- keys ---------------------------------------------------------------------------------------------------------------------


def test_a_key_of_a_cloud_is_its_variables_or_what_its_library_finds(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is looked up before a request."""
    for variables in WITHOUT.values():
        setting(monkeypatch, variables)
    assert route_of(connect("azure/m")).keys[0].key.reveal() == "azure-key"
    assert route_of(connect("vertex/m")).keys[0].key.source == GoogleCredentials()
    assert route_of(connect("bedrock/m")).keys[0].key.source == AwsCredentials()
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "api-key")
    assert route_of(connect("bedrock/m")).keys[0].key.reveal() == "api-key"


def test_azure_without_a_key_says_which_variable() -> None:
    """As every provider that has no library of credentials."""
    with pytest.raises(MissingKeyError, match="AZURE_OPENAI_API_KEY"):
        omnillm.connect("azure/m", resource="res")


def test_credentials_may_be_given_as_keys(connect: Connect) -> None:
    """One, or several with their limits."""
    first, second = AwsCredentials("a"), AwsCredentials("b")
    gateway = connect("bedrock/m", region="r", api_key=first, keys=[KeyConfig(second, "b", rpm_limit=3)], rpm_limit=7)
    assert [(key.key.source, key.rpm_limit) for key in route_of(gateway).keys] == [(first, 7), (second, 3)]
    assert route_of(connect("bedrock/m", region="r", keys=first)).keys[0].key.source == first


def test_a_fallback_is_a_cloud_by_its_variables(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the model that it names."""
    setting(monkeypatch, {"GOOGLE_CLOUD_PROJECT": "p"})
    gateway = connect("openai/m", api_key="k", fallbacks=["vertex/claude-x"])
    assert gateway._core.config.routes[1].endpoint.protocol is EndpointProtocol.CLAUDE_MESSAGES


# --- whole ways ---------------------------------------------------------------------------------------------------------------


def test_each_cloud_answers_by_its_variables(
    connect: Connect, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From the environment to the answer, a stream too."""
    file = tmp_path / "account.json"
    file.write_text(json.dumps(provider.service_account()))
    setting(
        monkeypatch,
        {
            "AZURE_OPENAI_ENDPOINT": provider.base_url,
            "AZURE_OPENAI_API_KEY": "azure-key",
            "GOOGLE_CLOUD_PROJECT": "my-project",
            "GOOGLE_APPLICATION_CREDENTIALS": str(file),
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAENV",
            "AWS_SECRET_ACCESS_KEY": "secret",
        },
    )
    base = {"azure": {}, "vertex": {"base_url": f"{provider.base_url}/v1"}, "bedrock": {"base_url": provider.base_url}}
    for name, options in base.items():
        gateway = connect(f"{name}/m", **options)
        assert gateway.call("hello").text == "echo: hello"
        assert "".join(gateway.stream("hello").text()) == "echo: hello"
    assert [request.key for request in provider.requests] == ["azure-key"] * 2 + ["local-token-1"] * 2 + ["AKIAENV"] * 2


def test_a_configuration_says_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file, with keys of several accounts; it pickles as far as its keys do."""
    import pickle

    setting(monkeypatch, {"ACCOUNT_A": "AKIAA:secret", "ACCOUNT_B": "api-key"})
    file = tmp_path / "omnillm.toml"
    file.write_text(
        'model = "bedrock/m"\nregion = "us-east-1"\nkeys = ["${ACCOUNT_A}", "${ACCOUNT_B}"]\n'
        '[[fallbacks]]\nmodel = "vertex/gemini"\nproject = "p"\nlocation = "eu"\n'
        '[[fallbacks]]\nmodel = "azure/d"\nresource = "r"\nkeys = ["${ACCOUNT_B}"]\n'
    )
    config = GatewayConfig.from_file(file)
    assert [route.endpoint for route in config.routes] == [
        ProviderEndpoint.bedrock("us-east-1"),
        ProviderEndpoint.vertex_ai("p", "eu"),
        ProviderEndpoint.azure_openai("r"),
    ]
    assert config.routes[1].keys[0].key.source == GoogleCredentials()
    assert pickle.loads(pickle.dumps(config)) == config


def test_an_endpoint_of_ones_own_may_sign(tmp_path: Path) -> None:
    """By the table of its auth."""
    endpoint = {
        "protocol": "chat_completions",
        "base_url": "https://x.example.com",
        "auth": {"scheme": "aws_sigv4", "region": "us-east-1", "service": "execute-api"},
    }
    config = GatewayConfig.from_mapping({"endpoint": endpoint, "keys": [{"key": AwsCredentials("p")}]})
    assert config.routes[0].endpoint.auth == omnillm.AuthScheme.aws_sigv4("us-east-1", "execute-api")
    for auth in ({"scheme": "google_oauth"}, "google_oauth"):
        config = GatewayConfig.from_mapping({"endpoint": {**endpoint, "auth": auth}, "keys": ["k"]})
        assert config.routes[0].endpoint.auth == omnillm.AuthScheme.google_oauth()
    with pytest.raises(ConfigurationError, match=r"endpoint\.auth: expected the name of a region"):
        GatewayConfig.from_mapping({"endpoint": {**endpoint, "auth": "aws_sigv4"}, "keys": ["k"]})
