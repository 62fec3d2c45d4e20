"""The environment as a configuration: documented variables alone, errors that name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omnillm import Budget, ConfigurationError, Gateway, GatewayConfig, NoAvailableKeyError
from omnillm.config.schema import VARIABLES
from omnillm.providers.presets import PRESETS
from omnillm.testing import LocalProvider

MODEL = {"OMNILLM_MODEL": "openai/gpt-4.1-mini", "OPENAI_API_KEY": "sk-own"}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the variables is set."""
    own = [name for row in PRESETS.values() for name in row.key_variables]
    own += [row.base_variable.name for row in PRESETS.values() if row.base_variable is not None]
    for name in (*own, *(variable.name for variable in VARIABLES)):
        monkeypatch.delenv(name, raising=False)


def config_of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> GatewayConfig:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return GatewayConfig.from_env()


def test_a_model_and_the_providers_own_key_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider is the model's first part, its key that of its own variable."""
    config = config_of(monkeypatch, **MODEL)
    assert (config.default_model, config.routes[0].endpoint.name) == ("gpt-4.1-mini", "open_ai_responses@api.openai.com")
    assert config.routes[0].keys[0].key.reveal() == "sk-own"


def test_every_variable_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is the field that it stands for; numbers are read as such."""
    config = config_of(
        monkeypatch,
        **MODEL,
        OMNILLM_API_KEY="sk-ours",
        OMNILLM_BASE_URL="https://proxy.example.com/v1",
        OMNILLM_BUDGET_USD="2.5",
        OMNILLM_RPM_LIMIT="7",
        OMNILLM_TPM_LIMIT="700",
        OMNILLM_TIMEOUT="inf",
    )
    (route,) = config.routes
    assert (route.endpoint.base_url, route.keys[0].key.reveal()) == ("https://proxy.example.com/v1", "sk-ours")
    assert (route.keys[0].rpm_limit, route.keys[0].tpm_limit) == (7, 700)
    assert (config.budgets, config.timeouts.total) == ((Budget(2.5),), float("inf"))


@pytest.mark.parametrize(
    ("name", "value", "base"),
    [
        ("OPENAI_BASE_URL", "https://o.example.com/v1/", "https://o.example.com/v1"),
        ("OMNILLM_BASE_URL", "https://x.example.com/v1", "https://x.example.com/v1"),
        ("ANTHROPIC_BASE_URL", "https://elsewhere.example.com", "https://api.openai.com/v1"),
    ],
)
def test_the_base_is_ours_or_the_providers_own(monkeypatch: pytest.MonkeyPatch, name: str, value: str, base: str) -> None:
    """A variable of another provider counts for nothing."""
    assert config_of(monkeypatch, **MODEL, **{name: value}).routes[0].endpoint.base_url == base


def test_a_file_is_named_and_which_of_its_gateways(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file's keys may refer to the variable of the key."""
    file = tmp_path / "omnillm.toml"
    file.write_text('[gateways.a]\nmodel = "openai/m"\nkeys = ["${OMNILLM_API_KEY}"]\n[gateways.b]\nmodel = "ollama/n"\n')
    variables = {"OMNILLM_CONFIG": str(file), "OMNILLM_GATEWAY": "a", "OMNILLM_API_KEY": "sk-ours"}
    config = config_of(monkeypatch, **variables)
    assert (config.default_model, config.routes[0].keys[0].key.reveal()) == ("m", "sk-ours")
    assert config_of(monkeypatch, OMNILLM_GATEWAY="b").default_model == "n"


def test_a_gateway_of_the_environment_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a gateway as any other."""
    with LocalProvider() as provider:
        for name, value in {**MODEL, "OPENAI_BASE_URL": f"{provider.base_url}/v1"}.items():
            monkeypatch.setenv(name, value)
        with Gateway.from_env() as gateway:
            assert gateway.call("hello").text == "echo: hello"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "OMNILLM_MODEL is not set: it should say provider/model, or OMNILLM_CONFIG should name a file"),
    ({"OMNILLM_MODEL": ""}, "OMNILLM_MODEL is not set"),
    ({**MODEL, "OMNILLM_MODEL": "gpt-4.1-mini"}, "OMNILLM_MODEL: expected 'provider/model'"),
    ({**MODEL, "OMNILLM_MODEL": "opnai/x"}, "provider: 'opnai' is unknown: did you mean 'openai'?"),
    ({**MODEL, "OMNILLM_RPM_LIMIT": "many"}, "OMNILLM_RPM_LIMIT: expected a number, got 'many'"),
    ({**MODEL, "OMNILLM_RPM_LIMIT": "0"}, "OMNILLM_RPM_LIMIT: expected an integer of at least 1, got 0"),
    ({**MODEL, "OMNILLM_TPM_LIMIT": "1.5"}, "OMNILLM_TPM_LIMIT: expected an integer of at least 1, got 1.5"),
    ({**MODEL, "OMNILLM_BUDGET_USD": "-1"}, "OMNILLM_BUDGET_USD: expected a finite amount of USD, not below zero, got -1"),
    ({**MODEL, "OMNILLM_TIMEOUT": "0"}, "OMNILLM_TIMEOUT: expected a positive number of seconds, got 0.0"),
    ({**MODEL, "OMNILLM_TIMEOUT": "nan"}, "OMNILLM_TIMEOUT: expected a number, got 'nan'"),
    ({**MODEL, "OMNILLM_TIMEOUT": "٣"}, "OMNILLM_TIMEOUT: expected a number"),
    ({**MODEL, "OMNILLM_BASE_URL": "host/v1"}, "OMNILLM_BASE_URL: expected https://"),
    ({**MODEL, "OMNILLM_API_KEY": "sk canary"}, "OMNILLM_API_KEY: environment variable OMNILLM_API_KEY: its value holds a blank"),
    ({**MODEL, "OMNILLM_GATEWAY": "a"}, "OMNILLM_GATEWAY: names a gateway of OMNILLM_CONFIG, which is not set"),
    ({**MODEL, "OMNILLM_CONFIG": "x.toml"}, "OMNILLM_MODEL: expected either this or OMNILLM_CONFIG, not both"),
    ({"OMNILLM_CONFIG": "nowhere.toml"}, "nowhere.toml: no such file"),
]


@pytest.mark.parametrize(("variables", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_what_is_wrong_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str) -> None:
    """The error names the variable; never what a key's holds."""
    with pytest.raises(ConfigurationError) as caught:
        config_of(monkeypatch, **variables)
    assert str(caught.value).startswith(said)
    assert "canary" not in str(caught.value)


def test_a_missing_key_is_named_with_both_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider's own and ours."""
    with pytest.raises(NoAvailableKeyError) as caught:
        config_of(monkeypatch, OMNILLM_MODEL="gemini/flash")
    assert str(caught.value).endswith(
        "gemini needs a key: set the environment variable GEMINI_API_KEY or GOOGLE_API_KEY, or give OMNILLM_API_KEY"
    )
